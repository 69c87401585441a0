"""What was measured: the pages of Markdown in benchmarks/results, and what they say of a cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["TABLE", "Found", "Page", "Table", "pages", "said_of"]


@dataclass(frozen=True)
class Table:
    """A table of Markdown: names of columns, and rows of as many entries."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def read(cls, text: str) -> Table:
        """The table in lines of Markdown."""
        header, _, *rows = ([e.strip() for e in line.strip()[1:-1].split("|")]
                            for line in text.strip().splitlines())  # fmt: skip
        return cls(header, rows)

    @property
    def markdown(self) -> str:
        """The table again."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLE = re.compile(r"(?:^\|.*\|\n?)+", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page of results, as a benchmark saved it."""

    folder: str
    """The kind of machine; empty where the page says it in its text."""
    name: str
    text: str

    @property
    def address(self) -> str:
        """Of the page in the site."""
        return "/".join(filter(None, ("benchmarks", self.folder, f"{self.name}.md")))

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.removeprefix("cpu_engine_").replace("_", " ")

    @property
    def title(self) -> str:
        """What was measured."""
        return self.text.partition("\n")[0].removeprefix("# ")

    @property
    def heading(self) -> str:
        """The beginning of the title, up to where a sentence or a clause ends."""
        return re.split(r"[.:] |, (?=[a-z])|\.$", self.title)[0]

    @cached_property
    def machine(self) -> str:
        """What it was measured on."""
        return self.body.partition("\n")[0].rstrip(".")

    @cached_property
    def body(self) -> str:
        """What stands below the title."""
        return self.text.partition("\n")[2].strip()


@dataclass(frozen=True)
class Found:
    """What a page says of a cell."""

    page: Page
    means: Sequence[tuple[str, str]]
    """Kinds of run, with a sentence each."""
    table: Table | None
    """The rows of the cell, where the page has a row a cell."""


def pages(results: Path) -> list[Page]:
    """All that is saved in a folder and the folders in it."""
    files = sorted(results.glob("**/*.md"), key=lambda f: (f.parent.name, f.stem))
    return [
        Page(f.parent.relative_to(results).as_posix().strip("."), f.stem, f.read_text("utf-8"))
        for f in files
    ]


def said_of(name: str, measured: Sequence[Page]) -> Iterator[Found]:
    """Speeds of a cell, page by page."""
    for page in measured:
        if not page.folder or page.name.endswith("correctness"):
            continue
        means = [
            (match[1], sentence)
            for match in re.finditer(
                rf"^### `{name}` on \w+, (\w+)\n(.*?)(?=^###|\Z)", page.body, re.M | re.S
            )
            for sentence in re.findall(r"^- (.* geometric mean .*)$", match[2], re.M)
        ]
        table = next(_rows_of(name, page.body), None)
        if means or table:
            yield Found(page, means, table)


def _rows_of(name: str, text: str) -> Iterator[Table]:
    for match in TABLE.finditer(text):
        table = Table.read(match[0])
        rows = [row for row in table.rows if row[0] == f"`{name}`"]
        if table.header[0] == "cell" and rows:
            yield Table(table.header[1:], [row[1:] for row in rows])
