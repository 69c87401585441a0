"""Figures of searches: what they draw is what the statistics say."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from cellwright.study.drawing import NARROW, WIDE
from cellwright.study.search_figures import (
    Expected,
    Point,
    Run,
    expected,
    front,
    marginals,
    matrix,
    shares,
    tradeoff,
)
from cellwright.study.statistics.budget import by_trials
from cellwright.study.statistics.importance import importances
from cellwright.study.statistics.pairs import every_pair
from cellwright.study.statistics.surface import marginal, surface
from cellwright.study.words import p_value
from trials import ACCURACY, LOSS, trial

RNG = np.random.default_rng(0)
TRIALS = [
    trial(float(8 + abs(np.log10(rate) + 2.5) + 0.1 * RNG.random()), lr=rate, kind=kind)
    for rate, kind in zip(
        (10 ** RNG.uniform(-4, -1, 24)).tolist(), RNG.choice(["a", "b"], 24).tolist(), strict=True
    )
]
SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "kind": CategoricalDistribution(["a", "b"]),
}
SEEDS = {"lstm": [8.5, 8.6, 8.55], "gru": [8.1, 8.2, 8.12], "rnn": [8.5, 8.62, 8.52]}


def _figures(width: int) -> dict[str, str]:
    forest = surface(TRIALS, SPACE, LOSS)
    curve = by_trials(TRIALS, LOSS, resamples=20)
    assert forest and curve
    found = every_pair(SEEDS, LOSS)
    lines = [Expected("lstm", 0, curve), Expected("<gru> & co", 1, curve)]
    points = [Point("lstm", 0, 100, 8.5), Point("gru", 1, 50, 8.2), Point("rnn", 2, 20, 9)]
    return {
        "expected": expected(lines, LOSS, "trials", width, "best of n"),
        "shares": shares(importances(forest), width, "lstm", "what matters"),
        "lr": marginals([Run("lstm", 0, marginal(forest, "lr", LOSS))], LOSS, True, width, "lr"),
        "kind": marginals(
            [Run("lstm", 0, marginal(forest, "kind", LOSS))], LOSS, False, width, "k"
        ),
        "matrix": matrix(found, LOSS, width, "p"),
        "tradeoff": tradeoff(points, LOSS, "parameters", width, "what it costs"),
    }


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_each_is_small_and_has_the_colours_of_the_page(width: int) -> None:
    figures = _figures(width)
    texts = {
        name: " ".join(ElementTree.fromstring(svg).itertext()) for name, svg in figures.items()
    }
    for svg in figures.values():
        assert "mathdefault" not in svg and len(svg) < 60_000 and "aria-label=" in svg
        assert not re.findall(r"#(?!expected|shares|marginal|matrix|tradeoff)[0-9a-f]{6}", svg)
    ids = re.findall(r' id="([^"]*)"', "".join(figures.values()))
    assert len(ids) == len(set(ids))
    assert "<gru> & co" in texts["expected"] and "lr" in texts["shares"]
    found = every_pair(SEEDS, LOSS)["lstm"]["gru"]
    assert found and found.shown and f"+ {p_value(found.p)}" in texts["matrix"]


def test_bars_are_the_shares() -> None:
    forest = surface(TRIALS, SPACE, LOSS)
    assert forest
    found = importances(forest)
    text = " ".join(ElementTree.fromstring(shares(found, WIDE, "x", "y")).itertext())
    assert f"{100 * found.single['lr']:.0f}%" in text and found.single["lr"] > 0.5


def test_the_front_is_what_nothing_beats() -> None:
    rng = np.random.default_rng(1)
    for metric in (LOSS, ACCURACY):
        points = [
            Point(str(i), i, *rng.integers(1, 9, 2).astype(float).tolist()) for i in range(40)
        ]
        found = front(points, metric)
        beaten = {
            p
            for p in points
            for q in points
            if q.cost <= p.cost
            and not metric.is_better(p.value, q.value)
            and (q.cost, q.value) != (p.cost, p.value)
        }
        best = {(p.cost, p.value) for p in points if p not in beaten}
        assert {(p.cost, p.value) for p in found} == best and len(found) == len(best)
