"""Which cells of the catalogue are of a kind, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from cellwright.language import Cell, cell, cell_names
from cellwright.schedule.facts import Facts, facts

__all__ = ["Conditions", "Order", "family", "select"]

Order: TypeAlias = Literal["name", "parameters", "macs", "states", "stages", "memory"]

_ORDERS: Mapping[Order, Callable[[Facts], Any]] = {
    "parameters": lambda f: f.parameters,
    "macs": lambda f: f.macs,
    "states": lambda f: len(f.states),
    "stages": lambda f: (f.stages, not f.linear),
    "memory": lambda f: f.memory,
}
"""What comes first, beside the order of names."""


@dataclass(frozen=True)
class Conditions:
    """What is asked of cells; None where nothing is."""

    elementwise: bool | None = None
    linear: bool | None = None
    stages: int | None = None
    states: int | None = None
    like: str | None = None
    """A cell that they vary, or one that varies that, and so on; or are."""

    def met(self, c: Cell, f: Facts) -> bool:
        """Whether a cell is of the kind."""
        asked = (
            (self.elementwise, f.elementwise),
            (self.linear, f.linear),
            (self.stages, f.stages),
            (self.states, len(f.states)),
        )
        near = self.like is None or cell(self.like).name in family(c)
        return near and all(wanted in (None, found) for wanted, found in asked)


def family(c: Cell) -> tuple[str, ...]:
    """The cell, the one that it varies, the one that this varies, and so on, by name."""
    names = [c.name]
    while c.like is not None and (c := cell(c.like)).name not in names:
        names.append(c.name)
    return tuple(names)


def select(
    conditions: Conditions, sizes: Mapping[str, int], order: Order = "name"
) -> list[tuple[Cell, Facts]]:
    """The cells of the catalogue that meet the conditions, with their facts.

    Raises CellError where `like` names no cell.
    """
    known: Iterable[Cell] = map(cell, cell_names())
    found = [(c, facts(c.program, c.sizes(sizes["I"], sizes["H"]))) for c in known]
    found = [(c, f) for c, f in found if conditions.met(c, f)]
    if order in _ORDERS:
        found.sort(key=lambda pair: _ORDERS[order](pair[1]))  # by name, where that is the same
    return found
