from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy import stats

from cellwright.study.statistics.edges import Edge, edges
from cellwright.study.statistics.trials import Trial
from trials import ACCURACY, LOSS, trial

SPACE = {
    "rate": FloatDistribution(1e-6, 1e-2, log=True),
    "width": FloatDistribution(0.0, 1.0),
    "noise": FloatDistribution(0.0, 1.0),
}


def _search(best: float | None, trials: int, seed: int = 0) -> list[Trial]:
    """A random search; of the rate, `best` of the way up is best, of the width the middle."""
    rng = np.random.default_rng(seed)
    found = []
    for u, width, noise in rng.random((trials, 3)).tolist():
        loss = (width - 0.5) ** 2 + 0.1 * rng.standard_normal()
        loss += 0 if best is None else 4 * (u - best) ** 2
        found.append(trial(loss, rate=10 ** (4 * u - 6), width=width, noise=noise))
    return found


def test_an_optimum_at_the_limit() -> None:
    (found,) = edges(_search(1.0, 200), SPACE, LOSS)
    assert (found.name, found.end, found.limit) == ("rate", "upper", 1e-2)
    assert (found.best, found.expected) == (20, pytest.approx(2))
    assert found.p == pytest.approx(stats.binomtest(found.inside, 20, 0.1, "greater").pvalue)
    (found,) = edges(_search(-0.2, 200), SPACE, LOSS)
    assert (found.name, found.end, found.limit) == ("rate", "lower", 1e-6)
    turned = [trial(-t.valid, **t.hyperparameters) for t in _search(1.0, 200)]
    assert [e.end for e in edges(turned, SPACE, ACCURACY)] == ["upper"]


def test_how_often_it_is_found() -> None:
    """Nearly always where it is at the limit, seldom well inside, as often as said by chance."""
    ends: dict[float | None, list[tuple[Edge, ...]]] = {
        best: [edges(_search(best, 100, seed), SPACE, LOSS) for seed in range(100)]
        for best in (1.0, 0.7, None)
    }

    def share(best: float | None) -> float:
        return float(np.mean([any(e.name == "rate" for e in found) for found in ends[best]]))

    assert share(1.0) > 0.8
    assert share(0.7) <= 0.02
    assert share(None) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_integers_and_choices() -> None:
    """The last of three is an end, and a third of them by chance; choices have none."""
    space = {"layers": IntDistribution(1, 3), "kind": CategoricalDistribution(["x", "y"])}
    trials = [trial(-float(n), layers=n, kind="y") for n in (1, 2, 3) * 20]
    (found,) = edges(trials, space, LOSS)
    assert (found.name, found.end, found.limit, found.inside) == ("layers", "upper", 3, 6)
    assert found.expected == pytest.approx(2)
    wide = {"size": IntDistribution(20, 200)}
    (found,) = edges([trial(-float(n), size=n) for n in range(20, 201)], wide, LOSS)
    # 20 to 38 touch the lowest tenth, 182 to 200 the highest: 19 of 181.
    assert (found.inside, found.expected) == (19, pytest.approx(19 * 19 / 181))


def test_too_few_trials() -> None:
    assert edges(_search(1.0, 4), SPACE, LOSS) == ()
    assert edges([], SPACE, LOSS) == ()
