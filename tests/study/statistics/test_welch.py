from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cellwright.study.statistics.welch import contrast, holm, interval

A = (8.52, 8.47, 8.55, 8.49, 8.50)
B = (8.61, 8.58, 8.66, 8.57, 8.63)


def test_interval_by_hand() -> None:
    # Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.776445: half width 1.963243.
    assert interval([1, 2, 3, 4, 5]) == pytest.approx((1.036757, 4.963243), abs=1e-6)
    assert interval([1.0]) is None
    assert interval([]) is None
    # Mean 0.9, half width 12.7062 * 0.05: cut off at 1.
    assert interval([0.85, 0.95], (0.0, 1.0)) == pytest.approx((0.264690, 1.0), abs=1e-6)


def test_contrast_by_the_textbook() -> None:
    """Welch (1947): the standard error and its degrees of freedom, written out."""
    va, vb = np.var(A, ddof=1) / 5, np.var(B, ddof=1) / 5
    error, freedom = np.sqrt(va + vb), (va + vb) ** 2 / (va**2 / 4 + vb**2 / 4)
    t = (np.mean(A) - np.mean(B)) / error
    found = contrast(A, B)
    assert found is not None
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9)
    half = stats.t.ppf(0.975, freedom) * error
    assert (found.low, found.high) == pytest.approx(
        (found.difference - half, found.difference + half)
    )
    assert found.difference == pytest.approx(-0.104)


def test_intervals_of_a_set_hold_together() -> None:
    """Bonferroni: of three intervals each leaves out a third of 5%."""
    alone, one_of_three = contrast(A, B), contrast(A, B, of=3)
    assert alone is not None
    assert one_of_three is not None
    assert one_of_three.p == alone.p
    reference = stats.ttest_ind(A, B, equal_var=False).confidence_interval(1 - 0.05 / 3)
    assert (one_of_three.low, one_of_three.high) == pytest.approx((reference.low, reference.high))


def test_contrast_without_variation() -> None:
    equal, apart = contrast([1.0, 1.0], [1.0, 1.0]), contrast([1.0, 1.0], [2.0, 2.0])
    assert equal is not None
    assert apart is not None
    assert (equal.difference, equal.p) == (0.0, 1.0)
    assert (apart.difference, apart.low, apart.high, apart.p) == (-1.0, -1.0, -1.0, 0.0)


@pytest.mark.filterwarnings("error")
def test_contrast_with_one_group_without_variation() -> None:
    """One group is then a number: Student's test of the other against it."""
    found = contrast([1.0, 1.0, 1.0], A)
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_1samp(A, 1.0).pvalue)


@pytest.mark.parametrize("value", [inf, nan])
def test_a_loss_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        interval([1.0, value])
    with pytest.raises(ValueError, match="finite"):
        contrast([1.0, 2.0], [1.0, value])


def test_holm_by_hand() -> None:
    # In order 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1 raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.4, 0.9]) == pytest.approx((0.8, 0.9))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([0.03]) == (0.03,)
    assert holm([]) == ()


def test_holm_by_statsmodels() -> None:
    p = np.random.default_rng(0).beta(0.3, 2, (3, 8))
    for row in p.tolist():
        assert holm(row) == pytest.approx(multipletests(row, method="holm")[1])


@pytest.mark.parametrize("skewness", [0, 1])
def test_false_alarms_among_ties_are_rare(skewness: int) -> None:
    """1,000 studies of 9 cells that are alike: at most 5% claim any difference from the baseline.

    5 to 20 seeds, deviations that differ by up to a factor of four. Uncorrected, more than 15% do:
    the simulation can tell.
    """
    rng = np.random.default_rng(skewness)
    p = []
    for seeds, studies in zip(range(5, 21), [62, 63] * 8, strict=True):
        shape = (studies, 9, seeds)
        noise = (rng.gamma(4, 1, shape) - 4) / 2 if skewness else rng.standard_normal(shape)
        losses = 8.5 + 0.02 * noise * np.exp(rng.uniform(-np.log(2), np.log(2), (studies, 9, 1)))
        p.append(stats.ttest_ind(losses[:, 1:], losses[:, :1], axis=2, equal_var=False).pvalue)
        ours = [contrast(other, losses[0, 0].tolist()) for other in losses[0, 1:].tolist()]
        assert [c.p for c in ours if c] == pytest.approx(list(p[-1][0]))  # the same test as ours
    found = np.concatenate(p)
    assert len(found) == 1000
    alarms = np.mean([min(holm(list(row))) < 0.05 for row in found])
    assert alarms <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(found))
    assert np.mean(found.min(1) < 0.05) > 0.15
