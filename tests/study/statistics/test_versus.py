from __future__ import annotations

from itertools import combinations
from math import inf, nan

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cellwright.study.statistics import dealing, versus
from cellwright.study.statistics.power import power
from cellwright.study.statistics.trials import Outcome, Trial, best
from cellwright.study.statistics.versus import compare, compare_searches
from trials import ACCURACY, LOSS, trial

A = (8.52, 8.47, 8.55, 8.49, 8.50)
B = (8.61, 8.58, 8.66, 8.57, 8.63)
SAME = (8.53, 8.46, 8.54, 8.51, 8.48)


def test_every_variant_against_the_baseline() -> None:
    found = compare({"x": B, "base": A, "y": SAME}, "base", LOSS)
    raw = [stats.ttest_ind(own, A, equal_var=False).pvalue for own in (B, SAME)]
    x, y = found["x"], found["y"]
    assert list(found) == ["x", "y"]
    assert x is not None
    assert y is not None
    assert [x.p, y.p] == pytest.approx(multipletests(raw, method="holm")[1])
    assert (x.shown, y.shown) == (True, False)
    assert x.contrast.difference == pytest.approx(0.104)
    assert x.bootstrap is not None
    assert x.contrast.low < x.bootstrap[0] < 0.104 < x.bootstrap[1] < x.contrast.high
    assert (x.better, y.better) == (0.0, 0.52)
    assert x.power.level == pytest.approx(0.025)


def test_more_may_be_better() -> None:
    """The same numbers turned round give the same, with the signs that the metric has."""
    losses = compare({"base": A, "x": B}, "base", LOSS)["x"]
    gains = compare({n: [-v for v in g] for n, g in (("base", A), ("x", B))}, "base", ACCURACY)["x"]
    assert losses is not None
    assert gains is not None
    assert (gains.p, gains.better) == (losses.p, losses.better)
    assert gains.contrast.difference == -losses.contrast.difference
    assert gains.g == pytest.approx(-(losses.g or 0))


def test_values_that_diverged_are_counted() -> None:
    found = compare({"base": A, "x": (8.4, 8.41, inf, nan), "y": (8.0, inf)}, "base", LOSS)
    x = found["x"]
    assert x is not None
    assert (x.values, x.diverged) == ((2, 5), (2, 0))
    assert x.contrast.difference == pytest.approx(8.405 - np.mean(A))
    assert x.better == 0.5
    assert x.p == pytest.approx(stats.ttest_ind((8.4, 8.41), A, equal_var=False).pvalue)
    assert found["y"] is None
    assert x.power.level == pytest.approx(0.05)  # y is not counted as a test


def test_a_baseline_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="baseline z is not among a, b"):
        compare({"a": A, "b": B}, "z", LOSS)


def test_a_trial_is_the_mean_of_its_seeds() -> None:
    found = Trial({}, 9, (Outcome(0, 1.0, 3.0, 5.0), Outcome(1, 2.0, 5.0, 6.0)))
    assert (found.valid, found.test, found.seconds) == (1.5, 4.0, 11.0)
    with pytest.raises(ValueError, match="needs the outcome"):
        Trial({}, 9, ())


def test_the_best_tenth() -> None:
    """Rounded up; what diverged counts, and is last, whichever way it is not finite."""
    trials = [trial(inf), trial(nan), trial(-inf), *(trial(float(v)) for v in range(27, 0, -1))]
    assert [t.valid for t in best(trials, LOSS)] == [1, 2, 3]
    assert [t.valid for t in best(trials[:-1], LOSS)] == [2, 3, 4]
    assert [t.valid for t in best(trials, ACCURACY)] == [27, 26, 25]
    assert [t.valid for t in best(trials, LOSS, least=5)] == [1, 2, 3, 4, 5]
    assert best(trials[:2], LOSS) == (trials[0],)
    assert best([], LOSS) == ()
    assert len(best([trial(1.0)] * 100, LOSS, share=0.07)) == 7  # 0.07 * 100 is above 7


def test_searches_by_enumeration() -> None:
    """All 924 ways to deal 12 trials to two searches; Welch's test of the best as they came."""
    rng = np.random.default_rng(2)
    valid, test = rng.standard_normal((2, 12)) + np.repeat([0, 1.5], 6)
    trials = [trial(v, t) for v, t in zip(valid, test, strict=True)]

    def chosen(of: list[int]) -> list[float]:
        return [test[i] for i in sorted(of, key=lambda i: valid[i])[:3]]

    def apart(own: tuple[int, ...]) -> float:
        rest = [i for i in range(12) if i not in own]
        return float(np.mean(chosen(list(own))) - np.mean(chosen(rest)))

    all_ways = np.array([apart(own) for own in combinations(range(12), 6)])
    found = compare_searches({"x": trials[:6], "base": trials[6:]}, "base", LOSS, share=0.5)["x"]
    assert found is not None
    assert found.difference == pytest.approx(all_ways[0])
    tails = [np.mean(all_ways <= all_ways[0] + 1e-12), np.mean(all_ways >= all_ways[0] - 1e-12)]
    assert found.p == pytest.approx(2 * min(tails))
    welch = stats.ttest_ind(chosen([*range(6)]), chosen([*range(6, 12)]), equal_var=False)
    assert found.best.p == pytest.approx(welch.pvalue)
    assert found.trials == (6, 6)


def test_searches_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Greff et al.'s test has false alarms, as the best are no independent values; ours has not."""
    monkeypatch.setattr(dealing, "RESAMPLES", 199)
    able = power(A, B)
    monkeypatch.setattr(versus, "power", lambda *_: able)  # what would take most of the time
    for module in (versus, dealing):
        monkeypatch.setattr(module, "bootstrap", lambda *_: None)
    alarms = []
    for pair in np.random.default_rng(0).standard_normal((250, 2, 100)):
        a, b = ([trial(v) for v in own] for own in pair)
        found = compare_searches({"a": a, "b": b}, "a", LOSS)["b"]
        assert found is not None
        alarms.append((found.best.p < 0.05, found.p < 0.05))
    welch, permuted = np.mean(alarms, axis=0)
    assert welch > 0.12
    assert permuted <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(alarms))


def test_searches_that_differ() -> None:
    draws = np.random.default_rng(0).standard_normal((3, 100)) - np.array([[0], [0], [1]])
    draws[2, :30] = inf
    searches = {n: [trial(v) for v in own] for n, own in zip("abc", draws, strict=True)}
    found = compare_searches(searches, "a", LOSS)
    b, c = found["b"], found["c"]
    assert b is not None
    assert c is not None
    assert (b.shown, c.shown) == (False, True)
    assert c.interval is not None
    assert c.interval[0] < c.difference < c.interval[1] < 0
    assert c.difference == pytest.approx(
        np.sort(draws[2])[:10].mean() - np.sort(draws[0])[:10].mean()
    )


def test_searches_where_more_is_better() -> None:
    draws = np.random.default_rng(0).standard_normal((2, 30)) - np.array([[0], [0.5]])
    draws[0, 3] = inf
    losses, gains = (
        compare_searches(
            {"a": [trial(s * v) for v in draws[0]], "b": [trial(s * v) for v in draws[1]]},
            "a",
            metric,
        )["b"]
        for s, metric in ((1, LOSS), (-1, ACCURACY))
    )
    assert losses is not None
    assert gains is not None
    assert gains.difference == pytest.approx(-losses.difference)
    assert gains.p == losses.p


def test_searches_too_small_or_diverged() -> None:
    few = [trial(v) for v in A]
    none = [trial(inf) for _ in range(20)]
    found = compare_searches({"base": [*few, *few, *few], "few": few, "none": none}, "base", LOSS)
    assert found == {"few": None, "none": None}
