"""The adding problem: two numbers of many are marked, and their sum is asked for at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from cellwright.study.metric import Metric
from cellwright.study.results import Baseline
from cellwright.study.tasks.cases import Cases
from cellwright.study.tasks.generated import Generated, Sizes, check, generators
from cellwright.study.tasks.task import Batch, Evidence, Features, Losses, Task, digest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ADDING", "Options", "Sum", "adding"]

_ERROR: Final = Metric("squared error", decimals=5)
_RIGHT: Final = Metric("sums right", "%", better="higher", decimals=2)
_NEAR: Final = 0.08


@dataclass(frozen=True)
class Options(Sizes):
    """What `adding(…)` takes."""

    T: int = 100
    """Steps of a sequence."""


def adding(options: Options = Options()) -> Task:
    """The task of Hochreiter and Schmidhuber (1997), in the form of Arjovsky et al. (2016).

    Raises DataError where an option is out of range.
    """
    check("adding", options, options.T, T=2)
    splits = [_drawn(count, options.T, rng) for count, rng in generators(options)]
    train, valid, test = splits
    middle = float(train.targets.mean())
    errors = test.targets - middle
    return Task(
        kind="adding",
        name=f"adding, T = {options.T}",
        source=(
            "Generated: the adding problem of Hochreiter and Schmidhuber (1997), Long short-term "
            "memory, Neural Computation 9(8), in the form of arXiv 1511.06464."
        ),
        goal=f"add the two marked numbers of {options.T}",
        meaning=(
            "A number from 0 to 1 comes with each step; one of the first half and one of the "
            "second are marked, and the sum of the two is asked for after the last step. Squared "
            "error is the mean over sequences. Always saying 1 has an error of 1/6, 0.16667. The "
            f"task can be solved exactly; a sum is right within {_NEAR}, which is the 0.04 of "
            "Hochreiter and Schmidhuber, whose sums are half as large, and a model has solved it "
            "where nearly all sums are."
        ),
        reads=Features(("number", "mark")),
        target=Sum(middle),
        train=train,
        valid=valid,
        test=test,
        baselines=(
            Baseline(
                "constant",
                "always saying the mean",
                {
                    _ERROR.name: float((errors.astype(np.float64) ** 2).mean()),
                    _RIGHT.name: float((np.abs(errors) <= _NEAR).mean()),
                },
            ),
        ),
        fingerprint=digest("adding", {}, *(a for split in splits for a in split.arrays)),
    )


def _drawn(count: int, steps: int, rng: np.random.Generator) -> Cases:
    values = rng.random((count, steps), np.float32)
    half = steps // 2
    first, second = rng.integers(half, size=count), rng.integers(half, steps, size=count)
    marks = np.zeros_like(values)
    each = np.arange(count)
    marks[each, first] = marks[each, second] = 1
    sums = values[each, first] + values[each, second]
    return Cases(tuple(np.stack([values, marks], 2)), sums[:, None], "sequences")


@dataclass(frozen=True)
class Sum:
    """A number, after the last step."""

    middle: float
    """The mean in training."""

    names: tuple[str, ...] = ("sum",)
    last: bool = True
    objective: Metric = _ERROR
    metrics: tuple[Metric, ...] = (_ERROR, _RIGHT)

    def start(self) -> Tensor:
        """See `task.Target`."""
        import torch

        return torch.tensor([self.middle])

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        import torch

        squares = (outputs - batch.targets).square().sum(1)
        return Losses(squares, torch.ones_like(batch.lengths))

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        return {"errors": (outputs - batch.targets)[:, 0]}

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        errors = evidence["errors"].double().numpy()
        return {
            _ERROR.name: float((errors**2).mean()),
            _RIGHT.name: float((np.abs(errors) <= _NEAR).mean()),
        }


ADDING: Final = Generated("adding", Options, adding)
