"""How far apart two groups of values are, whatever a test says, and how sure that is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy import optimize, special, stats

from cellwright.study.statistics.trials import Floats
from cellwright.study.statistics.welch import CONFIDENCE

__all__ = [
    "RESAMPLES",
    "Interval",
    "Statistic",
    "bootstrap",
    "difference",
    "hedges_g",
    "superiority",
    "superiority_interval",
]

RESAMPLES = 9999

Interval: TypeAlias = tuple[float, float]
Statistic: TypeAlias = Callable[[Floats, Floats, int], Floats]
"""Of two groups, along an axis; other axes are repetitions."""


def difference(a: Floats, b: Floats, axis: int = -1) -> Floats:
    """Mean of the first minus mean of the second."""
    return np.asarray(a.mean(axis) - b.mean(axis))


def hedges_g(a: Floats, b: Floats, axis: int = -1) -> Floats:
    """The difference of means in standard deviations, pooled over both groups, without bias.

    The bias of the quotient is corrected exactly, by gamma functions (Hedges 1981, Distribution
    theory for Glass's estimator of effect size. Journal of Educational Statistics 6), which is for
    normal values with equal variances. Where these differ, the deviation is that of the two pooled,
    weighted by their sizes. Without any deviation a difference is infinite, and none is 0.
    """
    na, nb = a.shape[axis], b.shape[axis]
    freedom = na + nb - 2
    pooled = ((na - 1) * a.var(axis, ddof=1) + (nb - 1) * b.var(axis, ddof=1)) / freedom
    log_gamma = special.gammaln
    correction = np.exp(log_gamma(freedom / 2) - log_gamma((freedom - 1) / 2)) / np.sqrt(
        freedom / 2
    )
    apart = difference(a, b, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(apart == 0, 0.0, correction * apart / np.sqrt(pooled))


def bootstrap(
    statistic: Statistic, a: Sequence[float] | Floats, b: Sequence[float] | Floats
) -> Interval | None:
    """Interval of a statistic of two groups by the bootstrap, bias-corrected and accelerated (BCa).

    None where it does not exist: groups without variation, or so few values that resamples have
    none. It assumes no distribution, but that values are independent, and that there are enough to
    stand for what they were drawn from. Five are not: of normal groups of 5, 10 and 20, the
    interval of the difference holds the true one 87, 91 and 93 times in 100 instead of 95, where
    Student's is better. Each stands alone: a set of them is not corrected.
    """
    with warnings.catch_warnings():  # of what then gives None
        warnings.simplefilter("ignore")
        low, high = stats.bootstrap(
            (a, b),
            statistic,
            confidence_level=CONFIDENCE,
            n_resamples=RESAMPLES,
            batch=1000,
            vectorized=True,
            rng=np.random.default_rng(0),
        ).confidence_interval
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) else None


def superiority(a: Floats, b: Floats) -> float:
    """The probability that a loss of `a` is the better of one of each, the smaller; ties are half.

    P(a < b) + P(a = b) / 2, Mann and Whitney's U divided by the number of pairs, also known as the
    common-language effect size. It needs ranks only, so infinite losses count: as worse than all
    others, and equal to each other.
    """
    less = np.count_nonzero(a[:, None] < b)
    equal = np.count_nonzero(a[:, None] == b)
    return float((less + equal / 2) / (len(a) * len(b)))


def superiority_interval(probability: float, a: int, b: int) -> Interval:
    """Interval of `superiority` from groups of `a` and `b` values.

    Those probabilities of which the one that was found is not too many standard errors away, each
    by its own standard error: that of Hanley and McNeil (1982, Radiology 143), with both sizes
    replaced by their mean. That is method 5 of Newcombe (2006, Confidence intervals for an effect
    size measure based on the Mann-Whitney statistic, part 2. Statistics in Medicine 25), which he
    found to hold best, also for few values and for groups that do not overlap at all. It assumes
    independent values, and variances that are not too different.
    """
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    more = (a + b) / 2 - 1

    def outside(p: float) -> float:
        """Below zero where `p` is in the interval."""
        spread = 1 + more * ((1 - p) / (2 - p) + p / (1 + p))
        return (p - probability) ** 2 - z**2 * p * (1 - p) * spread / (a * b)

    # At 0 and 1 there is no error: an end of the search, but of the interval only if found there.
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    low = 0.0 if probability == 0 else float(optimize.brentq(outside, 0, inside))
    high = 1.0 if probability == 1 else float(optimize.brentq(outside, inside, 1))
    return low, high
