from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.nonparametric import rank_compare_2indep

from cellwright.study.statistics import effects
from cellwright.study.statistics.effects import (
    bootstrap,
    difference,
    hedges_g,
    superiority,
    superiority_interval,
)

A = np.array([8.52, 8.47, 8.55, 8.49, 8.50])
B = np.array([8.61, 8.58, 8.66, 8.57, 8.63, 8.60])


def test_hedges_g_by_statsmodels() -> None:
    """Theirs corrects by 1 - 3 / (4 n - 9), which is a few in a thousand off."""
    summary = [x for g in (A, B) for x in (g.mean(), g.std(ddof=1), len(g))]
    assert hedges_g(A, B) == pytest.approx(effectsize_smd(*summary)[0], rel=3e-3)


def test_hedges_g_has_no_bias() -> None:
    """Of groups of 4 that are one deviation apart; the plain quotient is 1.15."""
    draws = np.random.default_rng(0).standard_normal((2, 100_000, 4))
    assert hedges_g(draws[0] + 1, draws[1]).mean() == pytest.approx(1, abs=0.01)


def test_hedges_g_without_variation() -> None:
    one = np.ones(3)
    assert hedges_g(one, one) == 0
    assert hedges_g(one, one + 1) == -np.inf


def test_bootstrap_by_scipy_and_without_variation() -> None:
    found = stats.bootstrap(
        (A, B), lambda a, b: a.mean() - b.mean(), vectorized=False, n_resamples=999, rng=1
    ).confidence_interval
    assert bootstrap(difference, A, B) == pytest.approx((found.low, found.high), abs=0.01)
    assert bootstrap(difference, [1.0, 1.0], [2.0, 2.0]) is None
    assert bootstrap(hedges_g, [1.0, 1.1], [2.0, 2.1]) is None  # half of the resamples are constant


@pytest.mark.parametrize(("statistic", "true"), [(difference, 0.02), (hedges_g, 1.0)])
def test_bootstrap_intervals_hold(
    statistic: effects.Statistic, true: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 93 or 94 of 100 cases with 20 values a group; of 400, 3 standard errors either way."""
    monkeypatch.setattr(effects, "RESAMPLES", 399)
    draws = 8.5 + 0.02 * np.random.default_rng(0).standard_normal((400, 2, 20))
    draws[:, 0] += 0.02
    ends = np.array([bootstrap(statistic, a, b) for a, b in draws])
    assert 0.90 < np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])) < 0.97


def test_superiority_by_enumeration_and_scipy() -> None:
    a, b = np.array([1.0, 2.0, np.inf]), np.array([2.0, 3.0, np.inf, np.inf])
    pairs = [1.0 if x < y else 0.5 if x == y else 0.0 for x, y in product(a, b)]
    assert superiority(a, b) == np.mean(pairs)
    assert superiority(A, B[:4]) == 1 - stats.mannwhitneyu(A, B[:4]).statistic / 20
    assert superiority(A, A) == 0.5


def test_superiority_interval_by_hanley_and_mcneil() -> None:
    """Each end is so far away as 1.96 of its own standard errors, as they wrote them."""
    m = n = 6
    for probability in (0.1, 0.5, 0.8):
        for p in superiority_interval(probability, m, n):
            q1, q2 = p / (2 - p), 2 * p**2 / (1 + p)
            variance = (p * (1 - p) + (m - 1) * (q1 - p**2) + (n - 1) * (q2 - p**2)) / (m * n)
            assert abs(p - probability) == pytest.approx(stats.norm.ppf(0.975) * variance**0.5)


def test_superiority_interval_by_statsmodels() -> None:
    """With many values, that of Brunner and Munzel."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(400), rng.standard_normal(300) + 0.5
    theirs = rank_compare_2indep(b, a).conf_int()
    assert superiority_interval(superiority(a, b), 400, 300) == pytest.approx(theirs, abs=0.005)


@pytest.mark.parametrize("apart", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("values", [5, 20])
def test_superiority_intervals_hold(apart: float, values: int) -> None:
    """Also where groups hardly overlap, and no value of one is among the others."""
    draws = np.random.default_rng(0).standard_normal((1000, 2, values))
    draws[:, 1] += apart
    true = stats.norm.cdf(apart / np.sqrt(2))
    ends = np.array([superiority_interval(superiority(a, b), values, values) for a, b in draws])
    assert 0.93 < np.mean((ends[:, 0] <= true) & (true <= ends[:, 1])) < 0.985


def test_superiority_interval_of_groups_apart() -> None:
    low, high = superiority_interval(1.0, 5, 5)
    assert 0.6 < low < 0.7
    assert high == 1
    assert superiority_interval(0.0, 5, 5) == pytest.approx((0.0, 1 - low))
