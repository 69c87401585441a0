"""What is drawn for a trial: by Optuna's samplers, from the trial's own seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from cellwright.language import Cell, print_program
from cellwright.study.search.presets import Sampler

__all__ = ["Numbered", "seed_of"]


def seed_of(study_seed: int, cell: Cell, what: str) -> int:
    """The seed of one training: of the study's, the cell's equations, and which one it is.

    It has 48 bits, which every reader of JSON keeps.
    """
    return _hashed(f"{study_seed}\n{print_program(cell.program)}\n{what}", 48)


def _hashed(text: str, bits: int) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8]) >> (64 - bits)


def _tpe(seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(constant_liar=True, seed=seed)


_MAKE: Final[Mapping[Sampler, Callable[[int], BaseSampler]]] = {
    "random": lambda seed: RandomSampler(seed),
    "tpe": _tpe,
}


class Numbered(BaseSampler):
    """One of Optuna's samplers, begun anew from its own seed for each hyperparameter of each trial.

    So what random search draws is the same whoever asks, in whatever order, and however often. What
    TPE draws depends on the trials that have ended by then as well.
    """

    def __init__(self, sampler: Sampler, seed_of_trial: Callable[[int], int]) -> None:
        self._make, self._seed_of_trial = _MAKE[sampler], seed_of_trial

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: hyperparameters are drawn one by one."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """None."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value of one of them."""
        seed = _hashed(f"{self._seed_of_trial(trial.number)}\n{param_name}", 32)
        return self._make(seed).sample_independent(study, trial, param_name, param_distribution)
