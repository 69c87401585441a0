"""What a study's trials say: its data handed to the statistics, whose results a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from cellwright.study.cards import baseline_first
from cellwright.study.metric import Metric
from cellwright.study.results import Dataset
from cellwright.study.search.results import Study
from cellwright.study.search.results import Trial as Trained
from cellwright.study.statistics.budget import Curve, by_time, by_trials
from cellwright.study.statistics.edges import Edge, edges
from cellwright.study.statistics.effects import Interval
from cellwright.study.statistics.importance import Importances, importances
from cellwright.study.statistics.pairs import Matrix, every_pair, every_pair_of_searches
from cellwright.study.statistics.sentences import Claim
from cellwright.study.statistics.surface import Marginal, Surface, marginal, surface
from cellwright.study.statistics.trials import Outcome, Trial, best
from cellwright.study.statistics.versus import Searched, Versus, compare, compare_searches
from cellwright.study.statistics.welch import interval

__all__ = ["FEW", "Findings", "Place", "find", "trials_of", "worst"]

FEW: Final = 10
"""Fewer trials say nothing of what matters to a cell."""
_DRAWN: Final = ("learning_rate", "hidden_size", "parameters")
"""Hyperparameters along which results are drawn, where they were searched."""
_LEAST: Final = 5
"""Of fewer trials there is no curve of what a search finds: its band would be all there is."""
_TIMES: Final = 24
"""Places of a curve over time."""


@dataclass(frozen=True)
class Place:
    """A cell's place in the ranking, by test."""

    cell: str
    best: Trained | None
    """The trial with the best validation."""
    tests: tuple[float, ...]
    """Finite ones, of what is compared: seeds of that trial, or the best trials of the search."""
    mean: float | None
    """Of these."""
    interval: Interval | None
    """Of the mean over seeds, Student's."""
    claim: Claim | None
    """Against the baseline."""


@dataclass(frozen=True)
class Findings:
    """All that a report says of a study beyond its data; cells stand by their names."""

    study: Study
    order: tuple[str, ...]
    """The baseline first."""
    by_seeds: bool
    """Whether cells are compared by seeds of their best trials, or by their best trials."""
    places: tuple[Place, ...]
    """The best first."""
    seeds: Mapping[str, Versus | None]
    searches: Mapping[str, Searched | None]
    matrix: Matrix
    over_trials: Mapping[str, Curve]
    over_time: Mapping[str, Curve]
    """Up to the time that every cell was searched for."""
    importances: Mapping[str, Importances]
    marginals: Mapping[str, Mapping[str, Marginal]]
    """By hyperparameter, then by cell."""
    edges: Mapping[str, tuple[Edge, ...]]

    @property
    def metric(self) -> Metric:
        """The one that decides."""
        return self.study.dataset.metric


def trials_of(study: Study) -> dict[str, tuple[Trial, ...]]:
    """The trials of each cell as the statistics take them, by number.

    A trial has one outcome, its own: seeds of the best one are no part of a search.
    """

    def trial(one: Trained) -> Trial:
        run = one.run
        outcome = Outcome(run.seed, run.valid, run.test, run.seconds)
        return Trial(one.hyperparameters, run.parameters, (outcome,))

    return {one.cell: tuple(map(trial, one.trials)) for one in study.cells}


def worst(dataset: Dataset) -> float | None:
    """What a trial counts as that diverged, or is worse: the worst predictor that learns nothing.

    It is known of the test set only, and stands for the validation set too.
    """
    return max(dataset.trivial.values(), key=dataset.metric.order, default=None)


def find(study: Study) -> Findings:
    """Work out all of it; equal studies give equal findings."""
    settings, metric = study.settings, study.dataset.metric
    order = baseline_first(settings.cells, settings.baseline)
    every = trials_of(study)
    trials = {name: every[name] for name in order}
    again = {name: [run.test for run in study.of(name).again] for name in order}
    seeds = compare(again, settings.baseline, metric)
    searches = compare_searches(trials, settings.baseline, metric)
    by_seeds = any(seeds.values()) or (len(order) == 1 and len(again[order[0]]) > 1)
    claims = _seeds_claim(seeds) if by_seeds else _searches_claim(searches)
    compared = again if by_seeds else {
        name: [t.test for t in best(own, metric)] for name, own in trials.items()
    }  # fmt: skip
    places = [_place(study, name, compared[name], by_seeds, claims.get(name)) for name in order]
    end = worst(study.dataset)
    forests = {
        name: found
        for name, own in trials.items()
        if len(own) >= FEW and (found := surface(own, settings.space, metric, worst=end))
    }
    return Findings(
        study=study,
        order=tuple(order),
        by_seeds=by_seeds,
        places=tuple(sorted(places, key=lambda p: (p.mean is None, metric.order(p.mean or 0.0)))),
        seeds=seeds,
        searches=searches,
        matrix=every_pair(again, metric) if by_seeds else every_pair_of_searches(trials, metric),
        over_trials=_over_trials(trials, metric, end),
        over_time=_over_time(trials, metric, end),
        importances={name: importances(found) for name, found in forests.items()},
        marginals=_marginals(forests, [r.name for r in settings.ranges], metric),
        edges={name: edges(own, settings.space, metric) for name, own in trials.items()},
    )


def _place(
    study: Study, name: str, tests: Sequence[float], by_seeds: bool, claim: Claim | None
) -> Place:
    finite = tuple(test for test in tests if isfinite(test))
    return Place(
        cell=name,
        best=study.of(name).best(study.dataset.metric),
        tests=finite,
        mean=float(np.mean(finite)) if finite else None,
        interval=interval(finite, study.dataset.metric.bounds) if by_seeds else None,
        claim=claim,
    )


def _seeds_claim(found: Mapping[str, Versus | None]) -> dict[str, Claim]:
    return {
        name: Claim(name, v.contrast.difference, (v.contrast.low, v.contrast.high), v.p)
        for name, v in found.items()
        if v
    }


def _searches_claim(found: Mapping[str, Searched | None]) -> dict[str, Claim]:
    return {name: Claim(name, s.difference, s.interval, s.p) for name, s in found.items() if s}


def _over_trials(
    trials: Mapping[str, Sequence[Trial]], metric: Metric, end: float | None
) -> dict[str, Curve]:
    ends = None if end is None else (end, end)
    many = {name: own for name, own in trials.items() if len(own) >= _LEAST}
    curves = {name: by_trials(own, metric, worst=ends) for name, own in many.items()}
    return {name: curve for name, curve in curves.items() if curve}


def _over_time(
    trials: Mapping[str, Sequence[Trial]], metric: Metric, end: float | None
) -> dict[str, Curve]:
    many = {name: own for name, own in trials.items() if len(own) >= _LEAST}
    if not many:
        return {}
    least = max(min(t.seconds for t in own) for own in many.values())
    most = min(sum(t.seconds for t in own) for own in many.values())
    if not least < most:
        return {}
    at = np.linspace(least, most, _TIMES).tolist()
    ends = None if end is None else (end, end)
    curves = {name: by_time(own, metric, at, worst=ends) for name, own in many.items()}
    return {name: curve for name, curve in curves.items() if curve}


def _marginals(
    forests: Mapping[str, Surface], searched: Sequence[str], metric: Metric
) -> dict[str, dict[str, Marginal]]:
    return {
        hyperparameter: {
            name: marginal(forest, hyperparameter, metric) for name, forest in forests.items()
        }
        for hyperparameter in _DRAWN
        if hyperparameter in searched and forests
    }
