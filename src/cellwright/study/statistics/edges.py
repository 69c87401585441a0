"""Whether the best trials of a search touch the limits of what was searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from scipy import stats

from cellwright.study.metric import Metric
from cellwright.study.statistics.space import axes, places
from cellwright.study.statistics.trials import Trial, best
from cellwright.study.statistics.welch import CONFIDENCE

__all__ = ["EDGE", "LEAST", "Edge", "edges"]

EDGE = 0.1
"""The share of a range, in the scale that it was searched in, that counts as its end."""
LEAST = 5
"""So many of the best trials at least are looked at, however few there are."""


@dataclass(frozen=True)
class Edge:
    """An end of a range where more of the best trials lie than chance explains."""

    name: str
    end: Literal["lower", "upper"]
    limit: float
    best: int
    """The best trials that were looked at."""
    inside: int
    """Those of them that lie at this end."""
    expected: float
    """How many would, were they anywhere."""
    p: float


def edges(
    trials: Sequence[Trial], space: Mapping[str, BaseDistribution], metric: Metric
) -> tuple[Edge, ...]:
    """The ends of ranges that the best trials, by validation, touch.

    The best tenth of the trials, five at least, are at an end of a range where so many of them lie
    in the outermost tenth of it, in scale, that a binomial test, one-sided, has p of at most 0.025:
    3 of 5, or 6 of 20. Of a range with steps, an end has its last value at least. Where a
    hyperparameter does not matter, that happens to one in forty at most at either end. It needs
    trials: of 40, where three hyperparameters were searched and one of them is best at its limit,
    that is found 6 times in 10, of 100 9 times. A sampler that has learned is taken at its word:
    where it crowds its trials at an end, they lie there. Choices have no ends.
    """
    chosen = best(trials, metric, least=LEAST)
    if len(chosen) < LEAST:
        return ()
    along = axes(space)
    found = []
    for axis, at in zip(along, places(chosen, along).T, strict=True):
        if axis.choices:
            continue
        begin, end = axis.bounds
        low, high = axis.ends(EDGE)
        lower = _edge("lower", axis.name, axis.low, at <= low, (low - begin) / (end - begin))
        upper = _edge("upper", axis.name, axis.high, at >= high, (end - high) / (end - begin))
        found += [edge for edge in (lower, upper) if edge.p <= (1 - CONFIDENCE) / 2]
    return tuple(found)


def _edge(
    end: Literal["lower", "upper"], name: str, limit: float, lie: NDArray[np.bool_], share: float
) -> Edge:
    inside, of = int(lie.sum()), len(lie)
    p = float(stats.binom.sf(inside - 1, of, share))
    return Edge(name, end, limit, best=of, inside=inside, expected=share * of, p=p)
