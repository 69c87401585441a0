"""Cells compiled ahead of time: for images, for wheels, for machines without a compiler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cellwright.backends.cpu.build import build_ahead
from cellwright.backends.cpu.emit import emit
from cellwright.backends.cpu.targets import TARGETS, Target, usable
from cellwright.errors import CellwrightError
from cellwright.language import Cell, print_program
from cellwright.layers.passes import passes
from cellwright.program.program import Program
from cellwright.program.transforms import spelled_out, without_biases

__all__ = ["build"]


def build(
    cells: Iterable[Cell], targets: Sequence[str] = (), place: Path | None = None
) -> Iterator[tuple[int, int]]:
    """Compile what layers of these cells run, but those with `proj_size`, and keep it where layers
    look for it, or elsewhere.

    `targets` are names of kinds of processor; without any, this machine's. Gives how many libraries
    are done, of how many that there were not yet, as they are.

    Raises BuildError where one cannot be compiled, CellwrightError for a target there is none of.
    """
    programs = [p for cell in cells for p in _programs(cell)]
    return build_ahead(map(emit, programs), _targets(targets), place)


def _targets(names: Sequence[str]) -> tuple[Target, ...]:
    known = {t.name: t for t in TARGETS}
    if unknown := [name for name in names if name not in known]:
        raise CellwrightError(
            f"no kind of processor here is called {unknown[0]!r}: choose {', '.join(known)}"
        )
    return tuple(known[name] for name in names) or usable()[:1]


def _programs(cell: Cell) -> tuple[Program, ...]:
    """The passes of a layer with biases and of one without; of none with a projection, which would
    be nearly as many again, for few."""
    found: list[Program] = []
    for p in (cell.program, without_biases(cell.program)):
        if p.parameters:  # else there is no such layer
            known = passes(print_program(spelled_out(p)))
            found += (known.program, known.derivative.forward, *known.backward)
    return tuple(dict.fromkeys(found))
