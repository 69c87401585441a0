"""Hyperband whose answers depend on trials with smaller numbers only."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import optuna
import pytest

from cellwright.study.metric import Metric
from cellwright.study.search.pruning import Hyperband, Progress

LOSS, ACCURACY = Metric("loss"), Metric("accuracy", "%", better="higher")
optuna.logging.set_verbosity(optuna.logging.ERROR)


def _curves(count: int, band: Hyperband) -> list[dict[int, float]]:
    rng = np.random.default_rng(0)
    return [
        {rung: q + float(rng.normal()) / rung for rung in band.rungs}
        for q in rng.normal(size=count)
    ]


def _in_turn(
    band: Hyperband, metric: Metric, curves: list[dict[int, float]]
) -> list[Mapping[int, float]]:
    """What each trial has reported when it ends, one trial after another."""
    done: list[Progress] = []
    for curve in curves:
        values: dict[int, float] = {}
        for rung in band.rungs:
            values[rung] = curve[rung]
            if not band.goes_on("search", metric, done, Progress(dict(values))):
                break
        done.append(Progress(values, ended=True))
    return [progress.values for progress in done]


@pytest.mark.parametrize(("epochs", "rungs"), [(60, (2, 6, 18, 54)), (27, (1, 3, 9)), (2, (1,))])
def test_rungs(epochs: int, rungs: tuple[int, ...]) -> None:
    assert Hyperband(epochs).rungs == rungs


@pytest.mark.parametrize("metric", [LOSS, ACCURACY], ids=str)
def test_in_turn_it_is_optunas_own(metric: Metric) -> None:
    """The same trials are given up at the same rungs as by `optimize`, which runs one by one."""
    band = Hyperband(60)
    curves = _curves(40, band)

    def objective(trial: optuna.Trial) -> float:
        for step, value in curves[trial.number].items():
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study = optuna.create_study(
        study_name="search",
        direction="minimize" if metric is LOSS else "maximize",
        pruner=optuna.pruners.HyperbandPruner(2, 60, 3),
        sampler=optuna.samplers.RandomSampler(0),
    )
    study.optimize(objective, 40)
    found = _in_turn(band, metric, curves)
    assert found == [trial.intermediate_values for trial in study.trials]
    lengths = [len(values) for values in found]
    assert {1, 2, 3, 4} == {*lengths}
    assert sum(max(values) for values in found) < 0.6 * 54 * 40  # epochs


def test_any_order_gives_the_same_answers() -> None:
    """Trials at random side by side, each asking until it is told."""
    band = Hyperband(60)
    curves = _curves(25, band)
    expected = _in_turn(band, LOSS, curves)
    for seed in range(3):
        order = random.Random(seed)
        values: list[dict[int, float]] = [{} for _ in curves]
        ended, waited = [False] * len(curves), 0
        asks: set[int] = set()
        while not all(ended):
            k = order.choice([k for k, over in enumerate(ended) if not over])
            if k not in asks:
                rung = band.rungs[len(values[k])]
                values[k][rung] = curves[k][rung]
                asks.add(k)
            earlier = [Progress(values[j], ended[j]) for j in range(k)]
            answer = band.goes_on("search", LOSS, earlier, Progress(values[k]))
            if answer is None:
                waited += 1
                continue
            asks.remove(k)
            ended[k] = not answer or len(values[k]) == len(band.rungs)
        assert values == expected
        assert waited
