"""How long a trained model takes for one step, as it is used: one sequence, a step at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final

import torch

from cellwright.study.model import Model, State
from cellwright.study.saved import load
from cellwright.study.tasks.task import Symbols

__all__ = ["latencies"]

_TURNS: Final = 15
"""Of all models, one after another, so that what disturbs the machine hits them alike."""
_STEPS: Final = 40
"""Of a turn, whose mean is taken."""


def latencies(models: Mapping[str, Path]) -> dict[str, float]:
    """Milliseconds a step of saved models, by their cells' names: the median over turns.

    One sequence, one step a call, one thread, on the processor; the state goes from call to call.
    It is the time that the processor works for it, so others may use it too, and is of the machine
    that calls this.

    Raises SavedError for a file that is no model.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            runs = {name: _steps(load(path)) for name, path in models.items()}
            for run in runs.values():
                run()
            taken: dict[str, list[float]] = {name: [] for name in runs}
            for _ in range(_TURNS):
                for name, run in runs.items():
                    began = process_time()
                    run()
                    taken[name].append(1e3 * (process_time() - began) / _STEPS)
    finally:
        torch.set_num_threads(threads)
    return {name: median(times) for name, times in taken.items()}


def _steps(model: Model) -> Callable[[], None]:
    """A turn of a model: what is read is zeros, as no cell is faster for some numbers."""
    reads, one = model.form.reads, torch.ones(1, dtype=torch.long)
    inputs = (
        torch.zeros((1, 1), dtype=torch.long)
        if isinstance(reads, Symbols)
        else torch.zeros(1, 1, len(reads.names))
    )

    def run() -> None:
        state: State | None = None
        for _ in range(_STEPS):
            _, state = model(inputs, one, state)

    return run
