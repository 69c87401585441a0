"""What a trained cell did: every named value of its equations, over one example of a task's data.

Values are kept in 8 bits, as a picture needs no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cellwright.study.model import Model
from cellwright.study.tasks.task import Features, Symbols, Task

__all__ = ["LEVELS", "UNKNOWN", "Example", "Gates", "Plane", "example", "gates", "quantised"]

LEVELS: Final = 254
"""From the lowest to the highest value of a plane."""
UNKNOWN: Final = 255
"""The code of what is not finite."""
_STEPS: Final = 160
_LETTERS: Final = 96
"""Steps where symbols are read, which are written side by side."""
_UNITS: Final = 64
"""Of a value, at the most: units have no order, so the first ones are as good as any."""


@dataclass(frozen=True, eq=False)
class Example:
    """One sequence of a task's test set."""

    reads: Features | Symbols
    inputs: Tensor = field(repr=False)
    """`(T, 1, K)` of numbers, or `(T, 1)` of symbols, as models read them."""
    whole: int
    """Steps of the sequence, of which these are the first."""

    @property
    def steps(self) -> int:
        """T."""
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Plane:
    """One value by unit and step, in codes: 0 is `low`, LEVELS is `high`."""

    name: str
    caption: str
    low: float
    high: float
    codes: NDArray[np.uint8] = field(repr=False)
    """`(units, T)`."""
    units: int
    """That it has, of which these are the first."""

    @property
    def values(self) -> NDArray[np.float64]:
        """What the codes stand for, `(units, T)`; NaN where that was not finite."""
        share = self.codes / LEVELS
        return np.where(self.codes == UNKNOWN, np.nan, self.low + share * (self.high - self.low))


@dataclass(frozen=True)
class Gates:
    """All named values of a cell, in the order of its equations."""

    hidden_size: int
    planes: tuple[Plane, ...]


def example(task: Task) -> Example:
    """A sequence from the middle of the first batch that is judged in the test, not all too long.

    It has not been learned from, and where sequences are judged by length it is no extreme one.
    """
    steps = _LETTERS if isinstance(task.reads, Symbols) else _STEPS
    batch = next(iter(task.test.in_order()))
    chosen = len(batch.lengths) // 2
    whole = int(batch.lengths[chosen])
    return Example(task.reads, batch.inputs[: min(whole, steps), chosen : chosen + 1], whole)


def gates(model: Model, shown: Example) -> Gates:
    """What each named value of the model's cell was at each step of an example.

    A state's name stands for its new value.
    """
    with torch.inference_mode():
        seen = model.recurrent.trace(model.read(shown.inputs))
    captions = {e.name.removesuffix("'"): e.caption for e in model.recurrent.cell.equations}
    return Gates(
        model.recurrent.hidden_size,
        tuple(
            quantised(name, captions.get(name, ""), values[:, 0].T.double().numpy())
            for name, values in seen.items()
        ),
    )


def quantised(name: str, caption: str, values: NDArray[np.float64]) -> Plane:
    """Values `(units, T)` in codes.

    What never is below 0 goes from 0 to 1, or to the largest value where that is more; anything
    else as far below 0 as above, so that 0 is in the middle.
    """
    shown = values[:_UNITS]
    known = np.isfinite(shown)
    finite = np.where(known, shown, 0.0)
    most = float(np.abs(finite).max(initial=0.0))
    low, high = (0.0, max(1.0, most)) if finite.min(initial=0.0) >= 0 else (-most, most)
    codes = np.rint((finite - low) / (high - low) * LEVELS)
    return Plane(name, caption, low, high, np.where(known, codes, UNKNOWN).astype(np.uint8),
                 len(values))  # fmt: skip
