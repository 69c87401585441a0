"""What the site takes from the README, which says it for both."""

from __future__ import annotations

import re
from collections.abc import Collection

from gallery.results import TABLE, Table

__all__ = ["CLASSIC", "families", "relocated", "section"]

CLASSIC = "Classic cells"
"""The README has these in a table of their own, with the class of each."""


def section(readme: str, title: str) -> str:
    """What stands below a heading of the second level, or with "" before the first of these.

    Raises ValueError where there is none.
    """
    first, *rest = re.split(r"^## (.*)\n", readme.partition("\n")[2], flags=re.MULTILINE)
    found = {"": first, **dict(zip(rest[::2], rest[1::2], strict=True))}
    if title not in found:
        raise ValueError(f"README.md has no section {title!r}; it has {', '.join(found)}")
    return found[title].strip()


def families(readme: str, names: Collection[str]) -> dict[str, list[str]]:
    """The cells by what the README's tables say they are, in its order.

    Raises ValueError where a cell is in no table.
    """
    found: dict[str, list[str]] = {}
    tables = map(Table.read, TABLE.findall(section(readme, "The cells")))
    for first, *_, last in (row for table in tables for row in table.rows):
        here = _cells(first, names)
        family = CLASSIC if here else first[:1].upper() + first[1:]
        found.setdefault(family, []).extend(here or _cells(last, names))
    known = {name for cells in found.values() for name in cells}
    if missing := sorted(set(names) - known):
        raise ValueError(f"no table of the README has {', '.join(missing)}")
    return {family: cells for family, cells in found.items() if cells}


def _cells(entry: str, names: Collection[str]) -> list[str]:
    return [name for name in re.findall(r"`(\w+)`", entry) if name in names]


_MOVED = (
    (r"src/cellwright/catalogue/(\w+)\.cell", r"cells/\1.md"),
    (r"src/cellwright/catalogue", "cells/index.md"),
    (r"benchmarks/results/([\w/.-]+\.md)", r"benchmarks/\1"),
    (r"docs/([\w/.-]+)", r"\1"),
)
"""Where the site has what the repository has elsewhere."""


def relocated(text: str, above: str = "", root: str = "") -> str:
    """Markdown with links to what the repository has, as a page of the site has them.

    In `text` such links begin with `above`, in the page with `root`.

    Raises ValueError for a link to what the site has not.
    """

    def moved(match: re.Match[str]) -> str:
        target, place = match[1], match[2] or ""
        for pattern, to in _MOVED:
            if re.fullmatch(pattern, target):
                return f"]({root}{re.sub(pattern, to, target)}{place})"
        if target and not target.startswith("https://"):
            raise ValueError(f"the site has no {target}, which a page links to")
        return match[0]

    return re.sub(rf"\]\({re.escape(above)}([^)#\s]*)(#[^)\s]*)?\)", moved, text)
