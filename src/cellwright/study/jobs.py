"""One run to do: a cell from a seed in a regime, and the key under which its result is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version

from cellwright.language import Cell, print_program
from cellwright.study.regime import Regime, regime_of
from cellwright.study.results import Settings
from cellwright.study.tasks.task import Task

__all__ = ["Job", "digest", "jobs", "what_is_run"]


@dataclass(frozen=True)
class Job:
    """What one worker does at a time."""

    cell: Cell
    seed: int
    key: str
    """Equal keys, equal results: a hash of everything that decides the figures."""
    regime: Regime
    seconds: float | None = None
    """It ends with the last epoch that fits; None for as long as it takes."""
    rungs: tuple[int, ...] = ()
    """After so many epochs it waits to be told whether to go on."""
    saved: bool = False
    """Whether the model is wanted, too."""

    def __str__(self) -> str:
        return f"{self.cell.name}, seed {self.seed}"


def jobs(
    cells: Sequence[Cell], settings: Settings, task: Task, seconds: float | None = None
) -> tuple[Job, ...]:
    """All runs of a comparison on a task, all cells' first seed first.

    An interrupted comparison then has about as many runs of each cell.

    Raises CellwrightError where a cell cannot be fitted to the budget.
    """
    regimes = [regime_of(settings, cell, task.ends) for cell in cells]
    return tuple(
        Job(cell, seed, _key(cell, seed, regime, task), regime, seconds)
        for seed in range(settings.seeds)
        for cell, regime in zip(cells, regimes, strict=True)
    )


def _key(cell: Cell, seed: int, regime: Regime, task: Task) -> str:
    """Of the hidden size, not the budget it was made from.

    Which other cells and how many seeds there are, and what is compared with what, decides
    nothing about one run; how long it may take is kept beside the result (see store.py).
    """
    return digest({**what_is_run(cell, task), "seed": seed, **asdict(regime)})


def what_is_run(cell: Cell, task: Task) -> dict[str, object]:
    """Beside how it is trained: the code, the data, and the equations, not their captions."""
    return {
        "cellwright": version("cellwright"),
        "torch": version("torch"),
        "data": task.fingerprint,
        "cell": cell.name,
        "program": print_program(cell.program),
    }


def digest(decides: object) -> str:
    """Of plain data: equal data, equal digests."""
    return sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]
