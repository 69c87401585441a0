"""Everything in the site that is made: addresses with their text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown.extensions.toc import slugify

from cellwright.language import cell
from gallery import pictures
from gallery.cells import SIZES, linked, shown
from gallery.charts import chart
from gallery.pictures import figure, thumbnail
from gallery.readme import families, relocated, section
from gallery.results import TABLE, Page, Table, pages, said_of
from gallery.source import highlighted

__all__ = ["Site"]

Nav = list[dict[str, Any]]


@dataclass(frozen=True)
class Site:
    """What is made of a repository, for some cells of the catalogue.

    A page that links to a cell needs it to be among `names`, as do cells that vary it.
    """

    root: Path
    names: Collection[str]

    @cached_property
    def readme(self) -> str:
        """Its text."""
        return (self.root / "README.md").read_text("utf-8")

    @cached_property
    def families(self) -> dict[str, list[str]]:
        """Cells by what the README calls them."""
        return families(self.readme, self.names)

    @cached_property
    def measured(self) -> list[Page]:
        """What benchmarks saved."""
        return pages(self.root / "benchmarks" / "results")

    def nav(self) -> dict[str, Nav]:
        """The parts of MkDocs' navigation that are made, by their titles there."""
        cells: Nav = [{"The gallery": "cells/index.md"}]
        for family, names in self.families.items():
            cells.append({family: [{name: f"cells/{name}.md"} for name in names]})
        results: Nav = [{"How fast": "benchmarks/index.md"}]
        for folder in dict.fromkeys(page.folder for page in self.measured):
            here = [{page.label: page.address} for page in self.measured if page.folder == folder]
            results += [{folder.replace("-", " ").upper(): here}] if folder else here
        return {"Cells": cells, "Benchmarks": results}

    def files(self) -> Iterator[tuple[str, str]]:
        """Addresses, from the folder of pages, with what is there."""
        yield "assets/diagram.css", pictures.style()
        yield "index.md", _made("home", readme=self.readme)
        yield from self._cells()
        yield from self._results()

    def _cells(self) -> Iterator[tuple[str, str]]:
        catalogue = [cell(name) for names in self.families.values() for name in names]
        known = {c.name: shown(c, catalogue) for c in catalogue}
        families = {f: [known[name] for name in names] for f, names in self.families.items()}
        drawn = pictures.drawn([(s.cell, like) for s in known.values() for like in (None, s.like)])
        yield "cells/index.md", _made("cells", families=families, sizes=SIZES)
        for family, cells in families.items():
            for s in cells:
                name = s.cell.name
                yield f"cells/{name}.svg", thumbnail(drawn[name, ""])
                context = {
                    **vars(s),
                    "long": s.long,
                    "family": family,
                    "picture": figure(drawn[name, ""]),
                    "marked": figure(drawn[name, s.like.name if s.like else ""]),
                    "speeds": list(said_of(name, self.measured)),
                    "sizes": SIZES,
                }
                yield f"cells/{name}.md", _made("cell", **context)

    def _results(self) -> Iterator[tuple[str, str]]:
        fast = _with_charts(relocated(section(self.readme, "How fast"), root="../"))
        yield "benchmarks/index.md", _made("benchmarks", fast=fast, pages=self.measured)
        for page in self.measured:
            yield page.address, _made("results", page=page, body=_with_charts(page.body))


def _with_charts(text: str) -> str:
    """Markdown with a picture above each table."""

    def both(table: re.Match[str]) -> str:
        picture = chart(Table.read(table[0]), "The table below as a picture.")
        return f"{figure(picture, 'chart')}\n\n{table[0]}"

    return TABLE.sub(both, text)


def _made(template: str, **context: object) -> str:
    return _environment().get_template(f"{template}.md.jinja").render(**context)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # Markdown; what is HTML in it, templates escape
    made.filters |= {
        "slug": partial(slugify, separator="-"),
        "linked": linked,
        "code": highlighted,
        "close": partial(re.sub, r" +", " "),
        "section": section,
        "relocated": relocated,
    }
    return made
