from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from cellwright.study.statistics.power import LIMIT, chance, power

# Two groups with a deviation of 1, of 5 values each.
SPREAD = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) / sqrt(0.625)
LEVEL = 0.05 / 8


@pytest.mark.parametrize(
    ("sizes", "deviations"),
    [((5, 5), (1.0, 1.0)), ((5, 5), (1.0, 0.2)), ((5, 10), (1.0, 2.0)), ((3, 4), (1.0, 1.0))],
)
@pytest.mark.parametrize("level", [0.05, LEVEL])
def test_chance_by_simulation(
    sizes: tuple[int, int], deviations: tuple[float, float], level: float
) -> None:
    """The usual approximation is up to 0.06 away."""
    rng = np.random.default_rng(0)
    a, b = (s * rng.standard_normal((40_000, n)) for n, s in zip(sizes, deviations, strict=True))
    seen = np.mean(stats.ttest_ind(a + 2, b, axis=1, equal_var=False).pvalue < level)
    assert chance(2.0, sizes, deviations, level) == pytest.approx(seen, abs=0.01)


def test_chance_by_statsmodels() -> None:
    """Student's test in many values; a single group where the other one does not vary."""
    assert chance(0.5, (64, 64), (1.0, 1.0), 0.05) == pytest.approx(
        TTestIndPower().power(0.5, 64, 0.05), abs=2e-4
    )
    for n in (5, 20):
        alone = TTestPower().power(1.0, n, LEVEL)
        assert chance(-1.0, (n, 7), (1.0, 0.0), LEVEL) == pytest.approx(alone, rel=1e-6)
        assert chance(1.0, (7, n), (0.0, 1.0), LEVEL) == pytest.approx(alone, rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_chance_in_extremes() -> None:
    for n in (2, 3, 100, LIMIT):
        found = [chance(d, (n, n), (1.0, 0.3), LEVEL) for d in (0.0, 0.1, 1.0, 10.0, 1e4)]
        assert sorted(found) == found
        assert 0 < found[0] < 0.01
        assert found[-1] == pytest.approx(1)
    assert chance(1.0, (5, 5), (0.0, 0.0), LEVEL) == 1
    assert chance(0.0, (5, 5), (0.0, 0.0), LEVEL) == 0


@pytest.mark.parametrize("of", [1, 8])
@pytest.mark.parametrize("apart", [0.2, 0.8])
def test_seeds_by_statsmodels(of: int, apart: float) -> None:
    """As many as Student's test needs, or a few more, as Welch's has to find two deviations."""
    found = power(SPREAD, SPREAD + 3, of, difference=apart)
    assert found is not None
    assert found.level == pytest.approx(0.05 / of)
    theirs = TTestIndPower().solve_power(apart, alpha=0.05 / of, power=0.8)
    assert found.seeds is not None
    assert 0 <= found.seeds - theirs < 2
    assert found.more == found.seeds - 5
    assert chance(apart, (found.seeds,) * 2, (1.0, 1.0), found.level) >= 0.8
    assert chance(apart, (found.seeds - 1,) * 2, (1.0, 1.0), found.level) < 0.8


def test_the_smallest_difference_by_simulation() -> None:
    found = power(SPREAD, SPREAD, 8)
    assert found is not None
    draws = np.random.default_rng(0).standard_normal((2, 40_000, 5))
    p = stats.ttest_ind(draws[0] + found.smallest, draws[1], axis=1, equal_var=False).pvalue
    assert np.mean(p < LEVEL) == pytest.approx(0.8, abs=0.01)


def test_what_was_found_is_the_difference() -> None:
    found = power(SPREAD + 2.5, SPREAD)
    assert found is not None
    assert found.difference == pytest.approx(2.5)
    assert found.more == 0
    unequal = power(SPREAD + 1, [*SPREAD, *SPREAD])
    assert unequal is not None
    assert unequal.seeds is not None
    assert unequal.more == unequal.seeds - 5
    tie = power(SPREAD, SPREAD)
    assert tie is not None
    assert (tie.difference, tie.seeds, tie.more) == (0, None, None)


def test_too_few_or_wrong_values() -> None:
    assert power([1.0], [1.0, 2.0]) is None
    with pytest.raises(ValueError, match="finite"):
        power([1.0, inf], [1.0, 2.0])
    still = power([1.0, 1.0], [2.0, 2.0])
    assert still is not None
    assert (still.smallest, still.seeds) == (0, 2)
