"""The best of two searches, and what dealing their trials anew says of the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cellwright.study.metric import Metric
from cellwright.study.statistics.effects import RESAMPLES, Interval, Statistic, bootstrap
from cellwright.study.statistics.trials import Floats, Trial, bounded, count

__all__ = ["Dealt", "dealt_anew"]


@dataclass(frozen=True)
class Dealt:
    """Two searches, of which a statistic knows the ranks of trials by validation only."""

    ranks: tuple[Floats, Floats]
    apart: Statistic

    @property
    def difference(self) -> float:
        """Of the mean test of the best; one that diverged counts as the worst of both."""
        return float(self.apart(*self.ranks, -1))

    def interval(self) -> Interval | None:
        """Of whole searches, the best chosen anew, by the bootstrap."""
        return bootstrap(self.apart, *self.ranks)

    def p(self) -> float:
        """How often trials that are dealt to the searches anew differ as much, either way."""
        found = stats.permutation_test(
            self.ranks,
            self.apart,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=1000,
            rng=np.random.default_rng(0),
        )
        return float(found.pvalue)


def dealt_anew(
    variant: Sequence[Trial], baseline: Sequence[Trial], metric: Metric, share: float
) -> Dealt:
    """The difference of the best of two searches that have a finite test."""
    trials = [*variant, *baseline]
    losses = bounded(metric.losses([t.test for t in trials]), None)
    assert losses is not None
    order = np.argsort(metric.losses([t.valid for t in trials]), kind="stable")
    tests = metric.sign * losses[order]
    ranks = np.empty(len(trials))
    ranks[order] = np.arange(len(trials))

    def mean(ranks: Floats, axis: int) -> Floats:
        """Of the best: `tests` is in the order of validation."""
        least = count(ranks.shape[axis], share)
        chosen = np.take(np.partition(ranks, least - 1, axis), np.arange(least), axis)
        return np.asarray(tests[chosen.astype(int)].mean(axis))

    def apart(a: Floats, b: Floats, axis: int = -1) -> Floats:
        return mean(a, axis) - mean(b, axis)

    return Dealt((ranks[: len(variant)], ranks[len(variant) :]), apart)
