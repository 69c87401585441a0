"""Which hyperparameters matter: the share of the variance of trials that each explains (fANOVA)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances

from cellwright.study.statistics.surface import DEPTH, TREES, Surface

__all__ = ["Importances", "importances", "pair_shares"]

Name = TypeVar("Name", str, tuple[str, str])


@dataclass(frozen=True)
class Importances:
    """Shares of the variance over the space that was searched, largest first."""

    single: dict[str, float]
    """What a hyperparameter explains by itself, averaged over all others."""
    pairs: dict[tuple[str, str], float]
    """What two explain together, beyond what each does by itself."""
    explained: float
    """How well trials can be explained at all, `Surface.explained`."""

    @property
    def rest(self) -> float:
        """What three and more explain together only."""
        return max(0.0, 1 - sum(self.single.values()) - sum(self.pairs.values()))


def importances(surface: Surface) -> Importances:
    """Functional analysis of variance over a forest (Hutter, Hoos and Leyton-Brown 2014).

    The shares are of the whole range that was searched: a hyperparameter that is ruinous at one
    end of a wide range explains much, however little it matters where it is good. Few trials make
    a forest that knows little, and shares of little: see `explained`.
    """
    return Importances(_single(surface), pair_shares(surface), surface.explained)


def _single(surface: Surface) -> dict[str, float]:
    """Shares of hyperparameters by themselves, by Optuna's evaluator of fANOVA.

    It is not Optuna's default. It would integrate a logarithmic range as if it were not one, and
    choices over corners that do not exist, so it is given places in scale.
    """
    spans: dict[str, BaseDistribution] = {
        axis.name: FloatDistribution(*axis.bounds) for axis in surface.axes
    }
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0)
    with _quiet():
        study = optuna.create_study()
        for place, loss in zip(surface.places.tolist(), surface.losses.tolist(), strict=True):
            parameters = dict(zip(spans, place, strict=True))
            study.add_trial(
                optuna.trial.create_trial(params=parameters, distributions=spans, value=loss)
            )
        return _descending(get_param_importances(study, evaluator=evaluator, normalize=False))


def pair_shares(surface: Surface) -> dict[tuple[str, str], float]:
    """Shares of pairs of hyperparameters, without what each explains by itself; largest first.

    Optuna has none. The forest is the one that its evaluator fits, and the shares are means over
    its trees as there, so both add up.
    """
    axes = range(len(surface.axes))
    pairs = list(combinations(axes, 2))
    found = []
    for boxes in surface.trees:
        alone = [boxes.average_variance(i) for i in axes]
        both = [boxes.average_variance(i, j) - alone[i] - alone[j] for i, j in pairs]
        if boxes.variance > 0:  # not of a tree that never cut
            found.append(np.maximum(both, 0) / boxes.variance)
    names = [(surface.axes[i].name, surface.axes[j].name) for i, j in pairs]
    return _descending(dict(zip(names, np.mean(found, axis=0).tolist(), strict=True)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's log, and without its warning that `normalize` is experimental."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _descending(shares: Mapping[Name, float]) -> dict[Name, float]:
    return {name: float(s) for name, s in sorted(shares.items(), key=lambda item: -item[1])}
