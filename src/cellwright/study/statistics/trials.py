"""What a search found: trials, each one setting of hyperparameters trained from seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cellwright.study.metric import Metric

__all__ = [
    "BEST",
    "Floats",
    "Outcome",
    "Places",
    "Trial",
    "Value",
    "best",
    "bounded",
    "count",
]

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.intp]
Value: TypeAlias = float | int | str | None
"""Of a hyperparameter; None as one choice among others."""

BEST = 0.1
"""The share of trials that Greff et al. compare: those with the best validation."""


@dataclass(frozen=True)
class Outcome:
    """A setting trained from one seed; a metric that is not finite says that it diverged."""

    seed: int
    valid: float
    test: float
    """Of the epoch with the best validation."""
    seconds: float


@dataclass(frozen=True)
class Trial:
    """One setting of hyperparameters and what its seeds gave.

    A trial is its seeds' mean: as soon as one of them diverged, the trial did.

    Raises ValueError for a trial without outcomes.
    """

    hyperparameters: Mapping[str, Value]
    parameters: int
    """Learned values."""
    outcomes: tuple[Outcome, ...]

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise ValueError(f"a trial needs the outcome of a seed, got none: {self!r}")

    @property
    def valid(self) -> float:
        """Mean over seeds."""
        return sum(o.valid for o in self.outcomes) / len(self.outcomes)

    @property
    def test(self) -> float:
        """Mean over seeds."""
        return sum(o.test for o in self.outcomes) / len(self.outcomes)

    @property
    def seconds(self) -> float:
        """What all seeds took together."""
        return sum(o.seconds for o in self.outcomes)


def count(trials: int, share: float, least: int = 1) -> int:
    """How many trials a share of them is: rounded up, `least` at least, where there are as many."""
    return min(trials, max(least, ceil(round(share * trials, 9))))  # 0.07 * 100 is above 7


def best(
    trials: Sequence[Trial], metric: Metric, share: float = BEST, least: int = 1
) -> tuple[Trial, ...]:
    """The share of trials with the best validation, best first; `least` of them at least.

    Trials that diverged rank last, and count: where half of a search diverged, its best tenth is
    the best fifth of the rest. Of equal trials those that were handed in first are better.
    """
    order = np.argsort(metric.losses([t.valid for t in trials]), kind="stable")
    return tuple(trials[i] for i in order[: count(len(trials), share, least)])


def bounded(losses: Floats, worst: float | None) -> Floats | None:
    """Losses of which none is above `worst`, so that means of them exist; infinite ones are it.

    Without `worst`, it is the largest finite loss. None where there is no such loss either.
    """
    finite = losses[np.isfinite(losses)]
    if worst is None and not len(finite):
        return None
    return np.minimum(losses, finite.max() if worst is None else worst)
