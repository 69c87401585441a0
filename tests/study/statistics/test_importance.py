from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import inf, log

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from sklearn.ensemble import RandomForestRegressor

from cellwright.study.statistics.importance import importances, pair_shares
from cellwright.study.statistics.space import axes
from cellwright.study.statistics.surface import Surface, marginal, surface
from cellwright.study.statistics.trials import Trial
from trials import ACCURACY, LOSS, trial

SPACE: dict[str, BaseDistribution] = {
    "cell": CategoricalDistribution(["x", "y", "z"]),
    "layers": IntDistribution(1, 4),
    "rate": FloatDistribution(0.0, 1.0),
}
CUBE: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "abc"}


def _scattered(function: Callable[..., float], trials: int) -> list[Trial]:
    """Trials at random places of the cube."""
    places = np.random.default_rng(0).random((trials, 3)).tolist()
    return [trial(function(*p), **dict(zip("abc", p, strict=True))) for p in places]


def _of(trials: list[Trial], space: Mapping[str, BaseDistribution] = CUBE) -> Surface:
    found = surface(trials, space, LOSS)
    assert found is not None
    return found


def _shares(of: Surface) -> dict[str, float]:
    """Of axes by themselves, as means over trees; `importances` has them from Optuna."""
    return {
        axis.name: float(np.mean([b.average_variance(i) / b.variance for b in of.trees]))
        for i, axis in enumerate(of.axes)
    }


def _variance(said: np.ndarray, sizes: list[np.ndarray], *kept: int) -> float:
    """Of a table of three axes with pieces of these sizes, averaged over those not kept."""
    said = said - np.einsum("abc,a,b,c", said, *sizes)
    for axis in {0, 1, 2} - {*kept}:
        said = np.broadcast_to(np.average(said, axis, sizes[axis], keepdims=True), said.shape)
    return float(np.einsum("abc,a,b,c", said**2, *sizes))


def test_averages_by_enumeration() -> None:
    """Every tree of the same forest, asked for each combination of the pieces of each axis."""
    rng = np.random.default_rng(0)
    settings = [(int(rng.integers(3)), int(rng.integers(1, 5)), rng.random()) for _ in range(40)]
    values = [c * n + 3 * (r - 0.3) ** 2 + rng.normal() for c, n, r in settings]
    trials = [
        trial(v, cell="xyz"[c], layers=n, rate=r)
        for v, (c, n, r) in zip(values, settings, strict=True)
    ]
    found = _of(trials, SPACE)
    forest = RandomForestRegressor(64, max_depth=64, random_state=0, oob_score=True)
    forest.fit(np.array(settings), values)
    assert found.explained == pytest.approx(forest.oob_score_)

    bounds, layers, shares = ((-0.5, 2.5), (0.5, 4.5), (0.0, 1.0)), [], []
    for boxes, estimator in zip(found.trees, forest.estimators_, strict=True):
        tree = estimator.tree_
        cuts = [
            np.unique([*bound, *tree.threshold[tree.feature == i]])
            for i, bound in enumerate(bounds)
        ]
        middles = [(c[1:] + c[:-1]) / 2 for c in cuts]
        said = estimator.predict([*product(*middles)]).reshape([len(m) for m in middles])
        sizes = [np.diff(c) / (c[-1] - c[0]) for c in cuts]
        assert boxes.variance == pytest.approx(_variance(said, sizes, 0, 1, 2))
        for kept in ((0,), (1,), (2,), (0, 1), (2, 1)):
            assert boxes.average_variance(*kept) == pytest.approx(_variance(said, sizes, *kept))
        alone = _variance(said, sizes, 0) + _variance(said, sizes, 2)
        shares.append((_variance(said, sizes, 0, 2) - alone) / _variance(said, sizes, 0, 1, 2))
        at = np.searchsorted(cuts[1][1:-1], [1, 2, 3, 4])
        layers.append(np.einsum("abc,a,c", said, sizes[0], sizes[2])[at])
    assert pair_shares(found)["cell", "rate"] == pytest.approx(np.mean(shares))
    curve = marginal(found, "layers", LOSS)
    assert curve.at == (1, 2, 3, 4)
    assert curve.mean == pytest.approx(np.mean(layers, axis=0))
    assert curve.spread == pytest.approx(np.std(layers, axis=0))
    assert marginal(found, "layers", ACCURACY).mean == pytest.approx(-np.mean(layers, axis=0))
    assert marginal(found, "cell", LOSS).at == ("x", "y", "z")
    assert len(marginal(found, "rate", LOSS, points=7).at) == 7


def test_single_shares_are_optunas() -> None:
    found = _of(_scattered(lambda a, b, c: a**2 + a * b + 0.3 * c, 50))
    told = importances(found)
    assert told.single == pytest.approx(_shares(found))
    assert list(told.single) == ["a", "b", "c"]
    assert list(told.single.values()) == sorted(told.single.values(), reverse=True)
    total = sum(told.single.values()) + sum(told.pairs.values())
    assert told.rest == pytest.approx(1 - total)
    assert 0 < told.rest < 0.2


def _ishigami(a: float, b: float, c: float) -> float:
    x, y, z = (2 * np.pi * (v - 0.5) for v in (a, b, c))
    return float(np.sin(x) + 7 * np.sin(y) ** 2 + 0.1 * z**4 * np.sin(x))


@pytest.mark.parametrize(
    ("function", "alone", "together"),
    [
        (lambda a, b, c: a + 2 * b, {"a": 1 / 5, "b": 4 / 5}, {}),
        (lambda a, b, c: a * b, {"a": 3 / 7, "b": 3 / 7}, {("a", "b"): 1 / 7}),
        # Ishigami and Homma (1990), at 7 and 0.1, as it is everywhere used.
        (_ishigami, {"a": 0.3139, "b": 0.4424}, {("a", "c"): 0.2437}),
    ],
    ids=["sum", "product", "ishigami"],
)
def test_shares_of_known_functions(
    function: Callable[..., float],
    alone: dict[str, float],
    together: dict[tuple[str, str], float],
) -> None:
    """Those that are not named are 0; trials fill the cube evenly."""
    places = product(((np.arange(12) + 0.5) / 12).tolist(), repeat=3)
    found = _of([trial(function(*p), **dict(zip("abc", p, strict=True))) for p in places])
    for name, share in _shares(found).items():
        assert share == pytest.approx(alone.get(name, 0), abs=0.02)
    for names, share in pair_shares(found).items():
        assert share == pytest.approx(together.get(names, 0), abs=0.02)


def test_what_is_searched_by_its_logarithm_is_averaged_so() -> None:
    """Each decade counts alike. Optuna, given the range as it is, would see the last one only."""
    space = {"rate": FloatDistribution(1e-6, 1e-2, log=True), "width": FloatDistribution(0.0, 4.0)}
    rng = np.random.default_rng(0)
    trials = [
        trial(np.log10(rate) + width, rate=rate, width=width)
        for rate, width in zip(10 ** rng.uniform(-6, -2, 300), rng.uniform(0, 4, 300), strict=True)
    ]
    found = _of(trials, space)
    assert _shares(found) == pytest.approx({"rate": 0.5, "width": 0.5}, abs=0.05)
    curve = marginal(found, "rate", LOSS, points=5)
    assert curve.at == pytest.approx((1e-6, 1e-5, 1e-4, 1e-3, 1e-2))
    assert curve.mean == pytest.approx((-4, -3, -2, -1, 0), abs=0.3)
    assert 0 < max(curve.spread) < 0.3


def test_integers_have_room_of_their_own() -> None:
    """With half a step on either side, also by logarithm; a single value is no axis."""
    space = {
        "n": IntDistribution(1, 8, log=True),
        "k": IntDistribution(2, 8, step=3),
        "one": IntDistribution(3, 3),
    }
    k, n = axes(space)
    assert n.bounds == pytest.approx((log(0.5), log(8.5)))
    assert k.bounds == (0.5, 9.5)
    assert [n.value(n.place(v)) for v in range(1, 9)] == [*range(1, 9)]
    assert [k.value(p) for p in k.grid(50).tolist()] == [2, 5, 8]


def test_what_diverged_is_not_left_out() -> None:
    """Rates above a half diverge: that is what matters, and counts as the worst."""
    trials = _scattered(lambda a, b, c: inf if a > 0.5 else 8 + 0.1 * b, 200)
    found = _of(trials)
    assert found.diverged == sum(t.hyperparameters["a"] > 0.5 for t in trials)  # type: ignore[operator]
    assert found.losses.max() == max(t.valid for t in trials if t.valid < inf)
    shares = _shares(_of([*trials]))
    assert shares["a"] > shares["b"] > shares["c"]
    bounded = surface(trials, CUBE, LOSS, worst=8.05)
    assert bounded is not None
    assert bounded.losses.max() == 8.05


def test_nothing_to_explain() -> None:
    assert surface(_scattered(lambda a, b, c: 8.0, 20), CUBE, LOSS) is None
    assert surface(_scattered(lambda a, b, c: inf, 20), CUBE, LOSS) is None
    assert surface([], CUBE, LOSS) is None
    assert surface([trial(1.0), trial(2.0)], {}, LOSS) is None
    here = {"a": 0.5, "b": 0.5, "c": 0.5}
    assert surface([trial(1.0, **here), trial(2.0, **here)], CUBE, LOSS) is None


def test_noise_explains_nothing() -> None:
    noise = iter(np.random.default_rng(1).standard_normal(60).tolist())
    assert _of(_scattered(lambda a, b, c: next(noise), 60)).explained < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": 9}, "layers is 9, not from 1 to 4"),
        ({"cell": "w"}, "cell is 'w', not one of"),
        ({"rate": "high"}, "rate is 'high', not from 0 to 1"),
    ],
)
def test_a_trial_that_is_not_of_the_space(change: dict[str, object], message: str) -> None:
    good = {"cell": "x", "layers": 1, "rate": 0.2}
    with pytest.raises(ValueError, match=message):
        surface([trial(1.0, **good), trial(2.0, **(good | change))], SPACE, LOSS)
    with pytest.raises(ValueError, match="1 of 2 trials have no cell"):
        surface([trial(1.0, **good), trial(2.0, layers=1, rate=0.2)], SPACE, LOSS)


def test_a_curve_of_what_was_not_searched() -> None:
    with pytest.raises(ValueError, match="d was not searched; what was: a, b, c"):
        marginal(_of(_scattered(lambda a, b, c: a, 10)), "d", LOSS)
