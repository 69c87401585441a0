"""Which trials are given up early: Optuna's Hyperband, asked so that its answer depends on nothing
but the trials with smaller numbers.

Optuna asks how a trial compares with all that have come as far by now, so two workers and one give
up different trials. Here a trial is compared with those before it, and waits until they have come
as far, or have ended: its answer is then the same whoever runs it, and whenever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler

from cellwright.study.metric import Metric

__all__ = ["Hyperband", "Progress"]

_REDUCTION = 3
"""At each rung that many trials compete for one place."""
_RUNGS = 3
"""So many rungs at the most, above which a trial goes on to its end."""


@dataclass(frozen=True)
class Progress:
    """How far a trial has come."""

    values: Mapping[int, float]
    """The metric that decides, in validation at the best epoch so far, after so many epochs: for
    each of `Hyperband.rungs` that it has come to."""
    ended: bool = False

    def knows(self, rung: int) -> bool:
        """Whether what it has to say of that rung is known."""
        return self.ended or rung in self.values


@dataclass(frozen=True)
class Hyperband:
    """Li et al. (2018), arXiv 1603.06560, with the asynchronous halving of 1810.05934."""

    epochs: int
    """Of a whole training, at the most."""

    @property
    def first(self) -> int:
        """The epochs of the first rung."""
        return max(1, round(self.epochs / int(_REDUCTION**_RUNGS)))

    @property
    def rungs(self) -> tuple[int, ...]:
        """After so many epochs each trial is looked at, whatever its bracket."""
        found = [self.first]
        while (after := found[-1] * _REDUCTION) < self.epochs:
            found.append(after)
        return tuple(found)

    def goes_on(
        self, name: str, metric: Metric, earlier: Sequence[Progress], own: Progress
    ) -> bool | None:
        """Whether the trial after `earlier` goes on; None where they do not know yet.

        `name` is the search's: with the trial's number, it decides the trial's bracket.
        """
        rung = max(own.values)
        if not all(trial.knows(rung) for trial in earlier):
            return None
        study = optuna.create_study(
            study_name=name,
            direction="minimize" if metric.better == "lower" else "maximize",
            sampler=RandomSampler(0),
            pruner=HyperbandPruner(self.first, self.epochs, _REDUCTION),
        )
        stops = False
        for progress in (*earlier, own):
            trial = study.ask()
            for step, value in sorted(progress.values.items()):
                if step <= rung:
                    trial.report(value, step)
                    stops = trial.should_prune()
        return not stops
