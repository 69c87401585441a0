"""Options that commands of the study share, and what is wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TypeAlias

from cellwright.errors import CellwrightError
from cellwright.language import Cell
from cellwright.language import cell as find_cell

__all__ = [
    "OptionError",
    "Which",
    "at_least_one",
    "chosen_baseline",
    "chosen_cells",
    "name_of",
    "once_each",
    "positive",
]

Which: TypeAlias = str | os.PathLike[str] | Cell

_COMMA = re.compile(r",(?![^()]*\))")
"""A comma that is not within brackets."""


class OptionError(CellwrightError):
    """An option is out of range, or contradicts another one."""


def chosen_cells(cells: str | Sequence[Which]) -> tuple[Cell, ...]:
    """Cells, each once: names and files with commas between them, or one by one.

    Raises CellwrightError where there is none, one twice, or one that cannot be read.
    """
    if isinstance(cells, str):
        cells = [name.strip() for name in _COMMA.split(cells) if name.strip()]
    chosen = tuple(find_cell(one) for one in cells)
    if not chosen:
        raise OptionError("--cells is empty: name at least one cell; `cellwright list` has them")
    names = [c.name for c in chosen]
    for i, name in enumerate(names):
        if name in names[:i]:
            first = cells[names.index(name)]
            same = chosen[i].text == chosen[names.index(name)].text
            remedy = "they are the same, name one" if same else "rename one of the files"
            raise OptionError(f"--cells has {name} twice ({first} and {cells[i]}): {remedy}")
    return chosen


def chosen_baseline(baseline: Which | None, chosen: Sequence[Cell]) -> Cell:
    """The cell that the others are tested against, the first one where nobody says.

    Raises CellwrightError where it is none of them.
    """
    if baseline is None:
        return chosen[0]
    found = find_cell(baseline)
    if found.name not in [c.name for c in chosen]:
        names = ", ".join(c.name for c in chosen)
        raise OptionError(
            f"--baseline {found.name} is not one of the cells compared, {names}: add it to --cells"
        )
    return found


def at_least_one(option: str, value: int) -> None:
    """Raise OptionError for what is not a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(f"--{option} must be a whole number of at least 1, got {value}")


def positive(option: str, value: float) -> None:
    """Raise OptionError for what is not a number above 0."""
    if not (value > 0 and isfinite(value)):
        raise OptionError(f"--{option} must be more than 0, got {value:g}")


def once_each(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What was given, by name.

    Raises OptionError for what was given twice: the one or the other would be dropped.
    """
    found: dict[str, str] = {}
    for name, text in given:
        if name in found:
            raise OptionError(
                f"{name} is given twice, as {found[name]} and as {text}: give it once. --range "
                f"{name}=… and an option of that name are the same"
            )
        found[name] = text
    return found


def name_of(which: Which) -> str:
    """As the command line takes it."""
    return which.name if isinstance(which, Cell) else os.fspath(which)
