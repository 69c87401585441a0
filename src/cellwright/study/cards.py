"""What a page says of each cell: its equations and diagram, beside those of the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from markupsafe import Markup

from cellwright.language import Cell, CellError, cell
from cellwright.language.difference import Row, difference
from cellwright.study.pictures import picture
from cellwright.study.published import Published, published

__all__ = ["Card", "baseline_first", "cards", "drawn", "known", "published_of"]

_DRAWN: Final = 24
"""Cells whose diagrams a page has; they take up to some seconds each."""


@dataclass(frozen=True)
class Card:
    """What a cell is."""

    name: str
    cell: Cell | None
    """None where its text is not to be found any more."""
    rows: tuple[Row, ...]
    """Its equations on the left, the baseline's on the right."""
    size: str
    """Of its models, in words."""
    picture: Markup | None
    """None in a page of more cells than anybody looks at the pictures of."""


def cards(
    names: Sequence[str], baseline: str, cells: Mapping[str, Cell | None], sizes: Mapping[str, str]
) -> list[Card]:
    """A card for each name."""

    def card(name: str) -> Card:
        this, base = cells[name], cells.get(baseline)
        rows = difference(this, base or this) if this else ()
        against = None if base is this else base
        shown = picture(this, against) if this and len(cells) <= _DRAWN else None
        return Card(name, this, rows, sizes[name], shown)

    return [card(name) for name in names]


def known(name: str) -> Cell | None:
    """The cell of that name, or in that file; None where there is none."""
    try:
        return cell(name)
    except CellError:  # a file that has moved since
        return None


def drawn(cells: Mapping[str, Cell | None]) -> list[Cell]:
    """Those whose diagrams are in the page."""
    return [one for one in cells.values() if one] if len(cells) <= _DRAWN else []


def baseline_first(names: Sequence[str], baseline: str) -> list[str]:
    """The order in which cells take their colours, and stand one below another."""
    return sorted(names, key=lambda name: name != baseline)


def published_of(
    fingerprint: str, cells: Mapping[str, Cell | None], searched: bool = False
) -> list[Published]:
    """What papers report of these cells: of the catalogue's, not of a file with the same name.

    Beside a search, what a search found at best is worth telling, whichever cell that was.
    """
    same = {name for name, this in cells.items()
            if this and (of := known(name)) and of.text == this.text}  # fmt: skip
    papers = [replace(paper, test={name: paper.test[name] for name in paper.test if name in same})
              for paper in published(fingerprint)]  # fmt: skip
    return [p for p in papers if p.test or (searched and same and p.best is not None)]
