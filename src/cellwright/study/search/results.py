"""What a study found: plain data, written as study.json, which reports and statistics read."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from optuna.distributions import BaseDistribution

from cellwright.study.metric import Metric
from cellwright.study.naming import Value
from cellwright.study.results import Dataset, Environment, Run
from cellwright.study.search.hyperparameters import Edge, Range, Setting, edges
from cellwright.study.search.presets import Sampler

__all__ = ["Searched", "Study", "StudySettings", "Trial"]


@dataclass(frozen=True)
class Trial:
    """One setting of hyperparameters, trained once."""

    number: int
    """Of its cell's, from 0; with the study's seed and the cell, it decides the trial's seed."""
    hyperparameters: Setting
    run: Run


@dataclass(frozen=True)
class Searched:
    """What was found of one cell."""

    cell: str
    title: str
    text: str
    """As in its file: the equations."""
    trials: tuple[Trial, ...]
    """Those that are finished, by number; pruned ones and those that time ended are among them."""
    again: tuple[Run, ...]
    """The best trial's hyperparameters, trained from other seeds."""
    failed: dict[str, str]
    """Trials that raised an error, by number, and which: the same command tries them again."""
    model: str | None
    """The best trial's, as a path from the study's folder; None where it is on another machine."""

    @property
    def search_seconds(self) -> float:
        """Of its trials together, whichever command did them."""
        return sum(trial.run.seconds for trial in self.trials)

    def best(self, metric: Metric) -> Trial | None:
        """The trial with the best validation, of those that were not given up if there are any."""
        finite = [t for t in self.trials if isfinite(t.run.valid)]
        whole = [t for t in finite if t.run.stopped != "pruned"]
        return min(whole or finite, key=lambda t: metric.order(t.run.valid), default=None)

    def edges(self, metric: Metric, ranges: tuple[Range, ...]) -> dict[str, Edge]:
        """The best trial's hyperparameters that lie at an end of their range."""
        best = self.best(metric)
        return edges(best.hyperparameters, ranges) if best else {}


@dataclass(frozen=True)
class StudySettings:
    """What a study was asked for."""

    preset: str
    title: str
    paper: str
    """That the preset follows, if any."""
    cells: tuple[str, ...]
    baseline: str
    trials: int | None
    """A cell; None where time is the budget."""
    minutes: float | None
    """Of training in all, the same for each cell."""
    seeds: int
    """That the best trial of each cell is trained from again."""
    seed: int
    sampler: Sampler
    pruning: bool
    ranges: tuple[Range, ...]
    fixed: dict[str, Value]
    """What is the same in all trials."""
    left_to_task: dict[str, Value]
    """The same, as the task's recipe has it."""

    @property
    def same(self) -> dict[str, Value]:
        """All that is the same in all trials."""
        return {**self.left_to_task, **self.fixed}

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """What was searched, as Optuna has it."""
        return {one.name: one.distribution for one in self.ranges}


@dataclass(frozen=True)
class Study:
    """A finished, or interrupted, study."""

    settings: StudySettings
    dataset: Dataset
    environment: Environment
    cells: tuple[Searched, ...]
    """In the order of the settings."""
    edges: dict[str, dict[str, Edge]]
    """By cell: the best trial's hyperparameters that lie at an end of their range, beyond which
    there may be better ones."""
    complete: bool
    """Whether every cell has all its trials, or used its time, and all its seeds."""

    @property
    def seconds(self) -> float:
        """Of all trainings together, whichever command did them."""
        again = (run.seconds for one in self.cells for run in one.again)
        return sum(one.search_seconds for one in self.cells) + sum(again)

    def of(self, cell: str) -> Searched:
        """What was found of that cell."""
        return next(one for one in self.cells if one.cell == cell)
