"""One run to do: a cell from a seed, and the key under which its result is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version

from cellwright.language import Cell, print_program
from cellwright.study.results import Settings
from cellwright.study.sizes import hidden_size_for

__all__ = ["Job", "jobs"]


@dataclass(frozen=True)
class Job:
    """What one worker does at a time."""

    cell: Cell
    seed: int
    key: str
    """Equal keys, equal results: a hash of everything that decides the losses."""

    def __str__(self) -> str:
        return f"{self.cell.name}, seed {self.seed}"


def jobs(cells: Sequence[Cell], settings: Settings, fingerprint: str, keys: int) -> tuple[Job, ...]:
    """All runs of a comparison on the data with this fingerprint, all cells' first seed first.

    An interrupted comparison then has about as many runs of each cell.

    Raises CellwrightError where a cell cannot be fitted to the budget.
    """
    return tuple(
        Job(cell, seed, _key(cell, seed, settings, fingerprint, keys))
        for seed in range(settings.seeds)
        for cell in cells
    )


def _key(cell: Cell, seed: int, settings: Settings, fingerprint: str, keys: int) -> str:
    """Of the equations, not their captions; of the hidden size, not the budget it was made from.

    Which other cells and how many seeds there are, and what is compared with what, decides
    nothing about one run; how long it may take is kept beside the result (see store.py).
    """
    decides = {
        "cellwright": version("cellwright"),
        "torch": version("torch"),
        "data": fingerprint,
        "cell": cell.name,
        "program": print_program(cell.program),
        "sizes": cell.sizes(keys, hidden_size_for(cell, settings.parameters, keys)),
        "seed": seed,
        "epochs": settings.epochs,
        "patience": settings.patience,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "clip_norm": settings.clip_norm,
        "dropout": settings.dropout,
        "averaging": settings.averaging,
    }
    return sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]
