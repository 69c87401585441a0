from __future__ import annotations

from itertools import combinations, permutations, product
from math import inf, nan

import numpy as np
import pytest

from cellwright.study.statistics.budget import Curve, by_time, by_trials
from cellwright.study.statistics.trials import Trial
from trials import ACCURACY, LOSS, trial

# Two trials have the same validation, one diverged in the end, one from the beginning.
VALID, TEST = (3.0, 1.0, 1.0, 2.0, 5.0, inf), (30.0, 10.0, 14.0, 24.0, inf, nan)
SECONDS = (1.0, 4.0, 2.0, 1.0, 3.0, 0.5)
TRIALS = [trial(v, t, s) for v, t, s in zip(VALID, TEST, SECONDS, strict=True)]
# What they count as: the worst finite one.
COUNTED = list(
    zip((3.0, 1.0, 1.0, 2.0, 5.0, 5.0), (30.0, 10.0, 14.0, 24.0, 30.0, 30.0), strict=True)
)


def _best(drawn: list[tuple[float, float]]) -> tuple[float, float]:
    """Validation and test of the best; of ties any is as likely."""
    lowest = min(v for v, _ in drawn)
    return lowest, float(np.mean([t for v, t in drawn if v == lowest]))


def _at(curve: Curve | None, place: int) -> tuple[float, float]:
    assert curve is not None
    return curve.valid.mean[place], curve.test.mean[place]


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_without_replacement_by_enumeration(n: int) -> None:
    expected = np.mean([_best(list(drawn)) for drawn in combinations(COUNTED, n)], axis=0)
    assert _at(by_trials(TRIALS, LOSS), n - 1) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_with_replacement_by_enumeration(n: int) -> None:
    """Of those drawn, each once: the same trial twice is no tie."""
    drawn = product(range(6), repeat=n)
    expected = np.mean([_best([COUNTED[i] for i in set(d)]) for d in drawn], axis=0)
    assert _at(by_trials(TRIALS, LOSS, replacement=True), n - 1) == pytest.approx(expected)


def test_more_may_be_better() -> None:
    turned = [trial(-v, -t, s) for v, t, s in zip(VALID, TEST, SECONDS, strict=True)]
    for curve in (by_trials, by_time):
        more = {} if curve is by_trials else {"seconds": [2.0, 5.0]}
        losses, gains = curve(TRIALS, LOSS, **more), curve(turned, ACCURACY, **more)
        assert losses is not None
        assert gains is not None
        assert [-v for v in gains.valid.mean] == pytest.approx(losses.valid.mean)
        assert [-v for v in gains.test.low] == pytest.approx(losses.test.high)


def test_what_diverged_may_count_as_something() -> None:
    assert _at(by_trials(TRIALS, LOSS, worst=(8.0, 80.0)), 0) == pytest.approx(
        (np.mean((3, 1, 1, 2, 5, 8)), np.mean((30, 10, 14, 24, 80, 80)))
    )
    assert _at(by_trials(TRIALS, LOSS, worst=(2.5, 25.0)), 0) == pytest.approx(
        (np.mean((2.5, 1, 1, 2, 2.5, 2.5)), np.mean((25, 10, 14, 24, 25, 25)))
    )
    diverged = [trial(inf)] * 3
    assert by_trials(diverged, LOSS) is None
    assert by_trials([], LOSS) is None
    # Also what there is before the first trial is done.
    assert _at(by_time([trial(1.0)], LOSS, [0.5], worst=(8.0, 9.0)), 0) == (8.0, 9.0)
    assert by_time(diverged, LOSS, [1.0]) is None
    assert _at(by_trials(diverged, LOSS, worst=(8.0, 9.0)), 2) == (8.0, 9.0)


def test_without_replacement_has_no_bias() -> None:
    """The expected least of 5 uniform numbers is 1/6, whatever they are estimated from."""
    draws = np.random.default_rng(0).random((600, 8))
    found = [
        [
            _at(by_trials([trial(v) for v in row], LOSS, replacement=r, resamples=1), 4)[0]
            for r in (False, True)
        ]
        for row in draws
    ]
    without, with_ = np.mean(found, axis=0)
    error = np.std(found, axis=0)[0] / np.sqrt(len(draws))
    assert without == pytest.approx(1 / 6, abs=3 * error)
    assert with_ > 1 / 6 + 4 * error


def test_bands_hold() -> None:
    """The least of 5 of 30 uniform numbers; of 200 cases, 3 standard errors either way."""
    draws = np.random.default_rng(0).random((200, 30))
    bands = [by_trials([trial(v) for v in row], LOSS, resamples=80) for row in draws]
    held = [b.valid.low[4] <= 1 / 6 <= b.valid.high[4] for b in bands if b]
    assert 0.87 < np.mean(held) < 0.98


def _in_time(order: tuple[int, ...], seconds: float) -> tuple[float, float]:
    """What one order has found by then: the first of the best that are done."""
    done = [i for k, i in enumerate(order) if sum(SECONDS[j] for j in order[: k + 1]) <= seconds]
    return min((COUNTED[i] for i in done), key=lambda pair: pair[0], default=(5.0, 30.0))


def test_time_by_enumeration() -> None:
    budgets = [0.25, 0.5, 2.0, 4.0, 7.0, 11.5]
    curve = by_time(TRIALS, LOSS, budgets, orders=20_000, resamples=20)
    for place, seconds in enumerate(budgets):
        outcomes = [_in_time(order, seconds) for order in permutations(range(6))]
        error = 4 * np.std(outcomes, axis=0) / np.sqrt(20_000) + 1e-9
        assert (np.abs(np.mean(outcomes, axis=0) - _at(curve, place)) <= error).all()


def test_time_with_replacement_by_enumeration() -> None:
    curve = by_time(TRIALS, LOSS, [5.0], replacement=True, orders=20_000, resamples=20)
    outcomes = [_in_time(order, 5.0) for order in product(range(6), repeat=6)]
    error = 4 * np.std(outcomes, axis=0) / np.sqrt(20_000)
    assert (np.abs(np.mean(outcomes, axis=0) - _at(curve, 0)) <= error).all()


def test_time_and_trials_are_one_where_all_take_the_same() -> None:
    rng = np.random.default_rng(0)
    trials: list[Trial] = [trial(v, t) for v, t in rng.random((40, 2))]
    counted, timed = by_trials(trials, LOSS), by_time(trials, LOSS, [1.0, 5.5, 40.0])
    assert counted is not None
    assert timed is not None
    for place, n in enumerate((1, 5, 40)):
        for one, other in ((counted.valid, timed.valid), (counted.test, timed.test)):
            assert timed.at[place] // 1 == n
            assert other.mean[place] == pytest.approx(one.mean[n - 1], abs=0.01)
            assert other.low[place] == pytest.approx(one.low[n - 1], abs=0.06)
            assert other.high[place] == pytest.approx(one.high[n - 1], abs=0.06)
