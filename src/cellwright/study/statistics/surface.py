"""Results of trials as a function of hyperparameters: a random forest, averaged exactly.

A tree of a forest cuts the space into boxes with a value each, so what it says on the average over
all other hyperparameters is a sum over boxes, and no estimate (Hutter, Hoos and Leyton-Brown 2014,
An efficient approach for assessing hyperparameter importance. ICML).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
from optuna.distributions import BaseDistribution
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from cellwright.study.metric import Metric
from cellwright.study.statistics.space import Axis, axes, places
from cellwright.study.statistics.trials import Floats, Trial, Value, bounded

__all__ = ["DEPTH", "TREES", "Boxes", "Marginal", "Surface", "marginal", "surface"]

TREES, DEPTH = 64, 64
"""As Optuna's evaluator has them, whose forest this is."""


@dataclass(frozen=True)
class Boxes:
    """What a tree says in each of its boxes, which fill a space from 0 to 1 along every axis."""

    low: Floats  # (boxes, axes)
    high: Floats
    values: Floats  # (boxes,)

    @property
    def variance(self) -> float:
        """Over the whole space."""
        volumes = (self.high - self.low).prod(1)
        return float(volumes @ (self.values - volumes @ self.values) ** 2)

    def average(self, at: Mapping[int, Floats]) -> Floats:
        """Values at these places along one axis or two, averaged over all other axes.

        A dimension an axis, in the order given. A place on a cut belongs to the box below it.
        """
        others = [i for i in range(self.low.shape[1]) if i not in at]
        weighted = (self.high - self.low)[:, others].prod(1) * self.values
        first, *more = [self._holds(axis, places) for axis, places in at.items()]
        return np.asarray((first * weighted) @ more[0].T if more else first @ weighted)

    def average_variance(self, *along: int) -> float:
        """The variance of `average` over one axis or two."""
        cuts = [np.unique(np.append(self.low[:, i], self.high[:, i])) for i in along]
        middles = [(c[1:] + c[:-1]) / 2 for c in cuts]
        values = self.average(dict(zip(along, middles, strict=True)))
        weights = reduce(np.multiply.outer, map(np.diff, cuts))
        return float((weights * (values - (weights * values).sum()) ** 2).sum())

    def _holds(self, axis: int, places: Floats) -> Floats:
        """1 where a box has a place along an axis: `(places, boxes)`."""
        place = np.maximum(places, np.finfo(np.float64).tiny)[:, None]  # 0 is in the first box
        return ((self.low[:, axis] < place) & (place <= self.high[:, axis])).astype(np.float64)


@dataclass(frozen=True)
class Surface:
    """A forest over the trials of a search, in losses."""

    axes: tuple[Axis, ...]
    places: Floats
    """Of the trials, in scale: `(trials, axes)`."""
    losses: Floats
    trees: tuple[Boxes, ...]
    explained: float
    """The share of the variance of trials that trees which have not seen them explain: R², which
    is below 0 where they do worse than the mean. Where it is small, so is the worth of the rest."""
    diverged: int
    """Trials that count as the worst."""


@dataclass(frozen=True)
class Marginal:
    """What trials give by one hyperparameter, averaged over all others."""

    name: str
    at: tuple[Value, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    """Standard deviation over trees: how much they disagree, which is no confidence interval."""


def surface(
    trials: Sequence[Trial],
    space: Mapping[str, BaseDistribution],
    metric: Metric,
    of: Literal["valid", "test"] = "valid",
    worst: float | None = None,
) -> Surface | None:
    """The forest of Optuna's fANOVA, fitted to trials of one space, in its scale.

    A trial that diverged, or is worse than `worst`, counts as that; without it, as the worst finite
    one: leaving it out would hide what makes trials diverge. None where there is nothing to
    explain: all trials are alike, or none has a finite metric.

    Raises ValueError for a trial whose hyperparameters are not of the space.
    """
    along = axes(space)
    found = places(trials, along)
    losses = metric.losses([t.valid if of == "valid" else t.test for t in trials])
    kept = bounded(losses, None if worst is None else metric.sign * worst)
    if kept is None or not found.size or (kept == kept[0]).all():
        return None
    forest = RandomForestRegressor(
        n_estimators=TREES, max_depth=DEPTH, oob_score=True, random_state=0
    ).fit(found, kept)
    bounds = np.array([axis.bounds for axis in along])
    trees = tuple(_boxes(tree, bounds) for tree in forest.estimators_)
    if all(tree.variance == 0 for tree in trees):
        return None
    diverged = int(np.count_nonzero(np.isinf(losses)))
    return Surface(along, found, kept, trees, float(forest.oob_score_), diverged)


def marginal(of: Surface, name: str, metric: Metric, points: int = 50) -> Marginal:
    """The metric along one hyperparameter, at even places of its scale.

    Raises ValueError for one that was not searched.
    """
    names = [axis.name for axis in of.axes]
    if name not in names:
        raise ValueError(f"{name} was not searched; what was: {', '.join(names)}")
    i = names.index(name)
    axis = of.axes[i]
    grid = axis.grid(points)
    low, high = axis.bounds
    lines = metric.sign * np.stack([b.average({i: (grid - low) / (high - low)}) for b in of.trees])
    return Marginal(
        name=name,
        at=tuple(axis.value(place) for place in grid.tolist()),
        mean=tuple(lines.mean(0).tolist()),
        spread=tuple(lines.std(0).tolist()),
    )


def _boxes(tree: DecisionTreeRegressor, bounds: Floats) -> Boxes:
    """The leaves of a tree, each axis from 0 to 1."""
    nodes = tree.tree_
    begin, end = bounds.T
    low, high = np.zeros((nodes.node_count, len(bounds))), np.ones((nodes.node_count, len(bounds)))
    for node in range(nodes.node_count):  # parents come first
        left, right, axis = (
            nodes.children_left[node],
            nodes.children_right[node],
            nodes.feature[node],
        )
        if left < 0:
            continue
        low[[left, right]], high[[left, right]] = low[node], high[node]
        cut = (nodes.threshold[node] - begin[axis]) / (end[axis] - begin[axis])
        high[left, axis] = low[right, axis] = cut
    leaves = nodes.children_left < 0
    return Boxes(low[leaves], high[leaves], nodes.value[leaves, 0, 0])
