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
from cellwright.study.tasks.task import Task

__all__ = ["Job", "jobs"]


@dataclass(frozen=True)
class Job:
    """What one worker does at a time."""

    cell: Cell
    seed: int
    key: str
    """Equal keys, equal results: a hash of everything that decides the figures."""

    def __str__(self) -> str:
        return f"{self.cell.name}, seed {self.seed}"


def jobs(cells: Sequence[Cell], settings: Settings, task: Task) -> tuple[Job, ...]:
    """All runs of a comparison on a task, all cells' first seed first.

    An interrupted comparison then has about as many runs of each cell.

    Raises CellwrightError where a cell cannot be fitted to the budget.
    """
    return tuple(
        Job(cell, seed, _key(cell, seed, settings, task))
        for seed in range(settings.seeds)
        for cell in cells
    )


def _key(cell: Cell, seed: int, settings: Settings, task: Task) -> str:
    """Of the equations, not their captions; of the hidden size, not the budget it was made from.

    Which other cells and how many seeds there are, and what is compared with what, decides
    nothing about one run; how long it may take is kept beside the result (see store.py).
    """
    decides = {
        "cellwright": version("cellwright"),
        "torch": version("torch"),
        "data": task.fingerprint,
        "cell": cell.name,
        "program": print_program(cell.program),
        "sizes": cell.sizes(
            task.ends.inputs, hidden_size_for(cell, settings.parameters, task.ends)
        ),
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
