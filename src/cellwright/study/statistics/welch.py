"""What a handful of seeds can say: intervals, Welch's test, Holm's correction."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
from scipy import stats

__all__ = ["CONFIDENCE", "Contrast", "check_finite", "contrast", "holm", "interval"]

CONFIDENCE = 0.95
"""Of every interval; a difference is one where the corrected p is below 1 - this."""


@dataclass(frozen=True)
class Contrast:
    """One group's mean against another's."""

    difference: float
    """Mean of the first minus mean of the second."""
    low: float
    high: float
    """The interval of the difference that holds for all contrasts of a set at once."""
    p: float
    """Of Welch's test, two-sided, not corrected."""


def interval(
    values: Sequence[float], bounds: tuple[float, float] = (-inf, inf)
) -> tuple[float, float] | None:
    """Student's confidence interval of the mean; None for fewer than two values.

    It is cut off at the `bounds` of values. Of two seeds it may be ten times as wide as these are
    apart; but the true mean is never beyond them, so what is left holds it as often.

    Raises ValueError for a value that is not finite.
    """
    check_finite(values)
    if len(values) < 2:
        return None
    error = float(stats.sem(values))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    mean = float(np.mean(values))
    return max(mean - half, bounds[0]), min(mean + half, bounds[1])


def contrast(
    a: Sequence[float], b: Sequence[float], of: int = 1, widest: float = inf
) -> Contrast | None:
    """Welch's test of `a` against `b`, which need not vary alike; None below two values in either.

    It is one of a set `of` contrasts, whose intervals are wide enough to hold together
    (Bonferroni). So an interval has 0 in it wherever Holm's p is not below 1 - CONFIDENCE. Groups
    without any variation are certain: p is 1 where their means are equal, else 0. An interval is
    cut off where a difference would be more than the `widest` that there can be, as in `interval`.

    Raises ValueError for a value that is not finite.
    """
    check_finite([*a, *b])
    if len(a) < 2 or len(b) < 2:
        return None
    difference = float(np.mean(a) - np.mean(b))
    if len(set(a)) == len(set(b)) == 1:  # scipy divides by the variance
        return Contrast(difference, difference, difference, 1.0 if a[0] == b[0] else 0.0)
    with warnings.catch_warnings():  # of one group without variation, which does no harm
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.ttest_ind(a, b, equal_var=False)
    bounds = result.confidence_interval(1 - (1 - CONFIDENCE) / of)
    low, high = max(float(bounds.low), -widest), min(float(bounds.high), widest)
    return Contrast(difference, low, high, float(result.pvalue))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction: p-values, in the order given, for as many tests as there are.

    Reject where the result is below a level, and the probability of even one false rejection among
    all tests is at most that level (Holm 1979, A simple sequentially rejective multiple test
    procedure. Scandinavian Journal of Statistics 6).
    """
    corrected = [1.0] * len(p)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = largest
    return tuple(corrected)


def check_finite(values: Sequence[float]) -> None:
    """Raise ValueError for a value that is not finite."""
    if not all(isfinite(v) for v in values):
        raise ValueError(f"values must be finite, got {list(values)}")
