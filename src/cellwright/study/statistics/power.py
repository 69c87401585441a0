"""What a number of seeds can show: the power of Welch's test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import optimize, special, stats

from cellwright.study.statistics.welch import CONFIDENCE, check_finite

__all__ = ["LIMIT", "POWER", "Power", "chance", "power"]

POWER = 0.8
"""How often a difference has to be seen for seeds to count as enough: four times in five."""
LIMIT = 10_000
"""Seeds a cell; what takes more is out of reach."""
NODES = 64
"""Of the quadrature over how variation divides."""


@dataclass(frozen=True)
class Power:
    """What the seeds of two cells could have shown, and how many would show a difference."""

    level: float
    """A p-value, not corrected, below which a difference counts."""
    smallest: float
    """The difference, without sign, that these seeds would have shown four times in five."""
    difference: float
    """The one, without sign, that `seeds` would show."""
    seeds: int | None
    """Seeds a cell that would show it four times in five; None where LIMIT would not."""
    more: int | None
    """Of these, how many the cell with fewer seeds still needs."""


def power(
    a: Sequence[float], b: Sequence[float], of: int = 1, difference: float | None = None
) -> Power | None:
    """What Welch's test of `a` against `b`, one of a set of `of`, can show; None below two values.

    The level is that of Holm's first step, the strictest: 1 / `of` of the whole. Without
    `difference`, it is the one of the means: then `seeds` plans a further experiment, supposing
    that what was seen is true, and is no evidence that it is (Hoenig and Heisey 2001, The abuse of
    power. The American Statistician 55). Values are supposed to be normal, and their deviations
    those of `a` and `b`, which few seeds know badly: of five, a deviation is a third too large or
    too small in one case of three, and then half or nearly twice as many seeds are enough.

    Raises ValueError for a value that is not finite.
    """
    check_finite([*a, *b])
    if len(a) < 2 or len(b) < 2:
        return None
    level = (1 - CONFIDENCE) / of
    sizes, deviations = (len(a), len(b)), (float(np.std(a, ddof=1)), float(np.std(b, ddof=1)))
    wanted = abs(float(np.mean(a) - np.mean(b)) if difference is None else difference)
    seeds = _seeds(wanted, deviations, level)
    return Power(
        level=level,
        smallest=_smallest(sizes, deviations, level),
        difference=wanted,
        seeds=seeds,
        more=None if seeds is None else max(0, seeds - min(sizes)),
    )


def chance(
    difference: float, sizes: tuple[int, int], deviations: tuple[float, float], level: float
) -> float:
    """The probability that Welch's test, two-sided, of normal groups shows a true difference.

    Exact: given how the variation that is seen divides between the groups, which is a beta
    variable, Welch's t is a multiple of a noncentral t with as many degrees of freedom as Student's
    (Moser, Stevens and Watts 1989, The two-sample t test versus Satterthwaite's approximate F test.
    Communications in Statistics 18). What is usually computed, one noncentral t with the degrees of
    freedom that Welch's test has at the true deviations, promises 0.06 too much for five seeds.
    """
    (na, nb), (va, vb) = sizes, (s**2 / n for s, n in zip(deviations, sizes, strict=True))
    if va + vb == 0:
        return 1.0 if difference else 0.0
    nodes, weights = special.roots_jacobi(NODES, (nb - 3) / 2, (na - 3) / 2)
    share = (1 + nodes) / 2  # of group a in the sum of squares, in units of their variances
    freedom = na + nb - 2
    a, b = va * share * freedom / (na - 1), vb * (1 - share) * freedom / (nb - 1)
    seen = stats.t.isf(level / 2, (a + b) ** 2 / (a**2 / (na - 1) + b**2 / (nb - 1)))
    critical = seen * np.sqrt((a + b) / (va + vb))
    away = abs(difference) / sqrt(va + vb)
    # Shown the wrong way round: below 1e-6 from here on, where scipy may give NaN.
    wrong = stats.nct.cdf(-critical, freedom, away) if away < 5 else 0.0
    right = stats.nct.sf(critical, freedom, away)
    return float(np.average(right + wrong, weights=weights))


def _smallest(sizes: tuple[int, int], deviations: tuple[float, float], level: float) -> float:
    def missing(difference: float) -> float:
        return chance(difference, sizes, deviations, level) - POWER

    high = max(deviations)
    if high == 0:
        return 0.0
    while missing(high) < 0:
        high *= 2
    return float(optimize.brentq(missing, 0, high))


def _seeds(difference: float, deviations: tuple[float, float], level: float) -> int | None:
    def enough(seeds: int) -> bool:
        return chance(difference, (seeds, seeds), deviations, level) >= POWER

    if not enough(LIMIT):
        return None
    low, high = 1, LIMIT  # one seed never is enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
