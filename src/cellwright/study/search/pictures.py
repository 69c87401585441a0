"""The figures of a study's report, each in both widths; empty where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

from markupsafe import Markup

from cellwright.study import figures, search_figures
from cellwright.study.drawing import NARROW, WIDE
from cellwright.study.page import both
from cellwright.study.search.findings import Findings, Place, worst
from cellwright.study.statistics.budget import Curve
from cellwright.study.words import listed

__all__ = ["Pictures", "draw", "in_sight"]


@dataclass(frozen=True)
class Pictures:
    """Inline SVG."""

    ranking: Markup
    matrix: Markup
    over_trials: Markup
    over_time: Markup
    learning: Markup
    costs: Mapping[str, Markup]
    """By what is paid, in words."""
    shares: Mapping[str, Markup]
    """By cell."""
    marginals: Mapping[str, Markup]
    """By hyperparameter."""


def in_sight(found: Findings) -> list[Place]:
    """The places that figures show: a cell that learned nothing would be all there is to see."""
    placed = [place for place in found.places if place.mean is not None]
    end, metric = worst(found.study.dataset), found.metric
    learned = [p for p in placed if end is None or not metric.is_better(end, p.mean or 0.0)]
    return learned or placed


def draw(found: Findings, latency: Mapping[str, float]) -> Pictures:
    """All figures; `latency` is the milliseconds of a step, by cells."""
    places, styles = in_sight(found), {name: i for i, name in enumerate(found.order)}
    return Pictures(
        ranking=_ranking(found, places, styles),
        matrix=_matrix(found),
        over_trials=_expected(found, places, styles, found.over_trials),
        over_time=_expected(found, places, styles, found.over_time),
        learning=_learning(found, places, styles),
        costs=_costs(found, places, styles, latency),
        shares={
            name: _wide_and_narrow(
                partial(
                    search_figures.shares,
                    one,
                    name=str(styles[name]),
                    label=f"What explains how trials of {name} differ.",
                )
            )
            for name, one in found.importances.items()
        },
        marginals=_marginals(found, places, styles),
    )


def _wide_and_narrow(drawn: Callable[[int], str]) -> Markup:
    return both(drawn(width) for width in (WIDE, NARROW))


def _ranking(found: Findings, places: Sequence[Place], styles: Mapping[str, int]) -> Markup:
    metric = found.metric
    rows = [
        figures.Dots(p.cell, styles[p.cell], p.tests, p.mean, p.interval)
        for p in places
        if p.mean is not None
    ]
    if not rows:
        return Markup()
    spoken = "; ".join(f"{row.name} {metric.text(row.mean)}" for row in rows)
    label = f"Mean test {metric.phrase}, best first: {spoken}."
    return _wide_and_narrow(lambda width: figures.dots(rows, found.order[0], metric, width, label))


def _matrix(found: Findings) -> Markup:
    if not any(pair for column in found.matrix.values() for pair in column.values()):
        return Markup()
    label = "Each cell against each other one: p, and which is better."
    return _wide_and_narrow(
        lambda width: search_figures.matrix(found.matrix, found.metric, width, label)
    )


def _expected(
    found: Findings,
    places: Sequence[Place],
    styles: Mapping[str, int],
    curves: Mapping[str, Curve],
) -> Markup:
    lines = [
        search_figures.Expected(p.cell, styles[p.cell], curves[p.cell])
        for p in places
        if p.cell in curves
    ]
    if not lines:
        return Markup()
    over = "trials" if curves is found.over_trials else "seconds"
    label = f"Expected test {found.metric.phrase} of the best, by {over}, of {_names(places)}."
    return _wide_and_narrow(
        lambda width: search_figures.expected(
            lines, found.metric, "trials" if over == "trials" else "seconds", width, label
        )
    )


def _learning(found: Findings, places: Sequence[Place], styles: Mapping[str, int]) -> Markup:
    """The best trial of each cell, and its seeds."""
    lines = []
    for place in places:
        if place.best is None:
            continue
        again = found.study.of(place.cell).again
        runs = [run for run in (place.best.run, *again) if run.epochs and isfinite(run.test)]
        lines.append(figures.Curve(
            place.cell, styles[place.cell],
            tuple(tuple(e.train for e in run.epochs) for run in runs),
            tuple(tuple(e.valid for e in run.epochs) for run in runs),
        ))  # fmt: skip
    lines = [line for line in lines if line.valid]
    if not lines:
        return Markup()
    objective = found.study.dataset.objective
    label = f"Training and validation {objective.name} by epoch of {_names(places)}."
    return _wide_and_narrow(lambda width: figures.curves(lines, objective, width, label))


def _costs(
    found: Findings,
    places: Sequence[Place],
    styles: Mapping[str, int],
    latency: Mapping[str, float],
) -> dict[str, Markup]:
    best = {p.cell: p.best.run for p in places if p.best}
    paid: dict[str, dict[str, float]] = {
        "parameters": {name: run.parameters for name, run in best.items()},
        "seconds of training": {name: run.seconds for name, run in best.items()},
        "milliseconds a step": dict(latency),
    }
    drawn = {}
    for cost, of in paid.items():
        points = [
            search_figures.Point(p.cell, styles[p.cell], of[p.cell], p.mean)
            for p in places
            if p.cell in of and p.mean is not None
        ]
        if points:
            label = f"Test {found.metric.phrase} by {cost}, of {_names(places)}."
            drawn[cost] = _wide_and_narrow(
                partial(search_figures.tradeoff, points, found.metric, cost, label=label)
            )
    return drawn


def _marginals(
    found: Findings, places: Sequence[Place], styles: Mapping[str, int]
) -> dict[str, Markup]:
    log = {one.name: one.log for one in found.study.settings.ranges}
    drawn = {}
    for name, own in found.marginals.items():
        lines = [
            search_figures.Run(p.cell, styles[p.cell], own[p.cell]) for p in places if p.cell in own
        ]
        if lines:
            label = f"Validation {found.metric.phrase} by {name}, of {_names(places)}."
            drawn[name] = _wide_and_narrow(
                partial(search_figures.marginals, lines, found.metric, log[name], label=label)
            )
    return drawn


def _names(places: Sequence[Place]) -> str:
    return listed(place.cell for place in places)
