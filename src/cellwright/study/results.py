"""What a comparison measured: plain data, written to disk run by run, read back by the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from cellwright.study.metric import Metric
from cellwright.study.words import listed

__all__ = [
    "DEFAULT_CELLS",
    "Baseline",
    "Comparison",
    "Dataset",
    "Environment",
    "Epoch",
    "Run",
    "Settings",
]

DEFAULT_CELLS = ("lstm", "peephole_lstm", "coupled_lstm", "gru")
"""What is compared where nobody says: the standard LSTM and its three best-known variations."""

_ENOUGH: Final = 20
"""Sequences, windows or the like that models are judged by. Of so many, one is 5 points of an
accuracy, whose standard error is 9 where it is 80%; and that of a mean loss is a fifth of what
single ones differ by. Cells differ by less, and with fewer the luck of the split decides."""


@dataclass(frozen=True)
class Baseline:
    """A predictor that learns nothing, or hardly: what a cell has to beat."""

    name: str
    words: str
    """What it does: `expecting the previous frame again`."""
    values: dict[str, float]
    """On the test set, by the names of metrics; the first metric is always among them."""


@dataclass(frozen=True)
class Dataset:
    """What results keep of a task, and the report says about it."""

    kind: str
    """Of the task: `music`."""
    name: str
    source: str
    """Where it comes from, in a sentence: a file's path, or the corpus and its licence."""
    fingerprint: str
    """SHA-256 of all that decides a result: equal fingerprints, the same data and question."""
    goal: str
    """What models are trained to do: `predict the next frame of …`."""
    meaning: str
    """What the figures mean, in sentences."""
    sizes: dict[str, tuple[int, int, int]]
    """In train, validation and test, by what is counted: `sequences`, `predicted frames`."""
    inputs: str
    """What a model reads at a step, in words."""
    outputs: int
    """Numbers that its readout gives."""
    objective: Metric
    """What training makes small; learning curves show it."""
    metrics: tuple[Metric, ...]
    """What is reported, the one that decides first."""
    baselines: tuple[Baseline, ...]
    notes: tuple[str, ...]
    """What was done to the data, and what is odd about them."""

    @property
    def metric(self) -> Metric:
        """The one that decides."""
        return self.metrics[0]

    @property
    def trivial(self) -> dict[str, float]:
        """What each baseline gives of the metric that decides."""
        return {b.name: b.values[self.metric.name] for b in self.baselines}

    @property
    def warning(self) -> str | None:
        """That a part is too small to judge models by, where one is."""
        what, (_, *judging) = next(iter(self.sizes.items()))
        parts = zip(("validation", "test"), judging, strict=True)
        small = [f"{name} has {count}" for name, count in parts if count < _ENOUGH]
        if not small:
            return None
        return (
            f"Of {what} {listed(small)}: fewer than {_ENOUGH} say little of others, and which ones "
            "these are may decide more than the cell. Give more data, or a larger part to "
            "validation and test."
        )


@dataclass(frozen=True)
class Settings:
    """What a comparison was asked for. What decides a single run is part of the key of its file."""

    cells: tuple[str, ...]
    baseline: str
    parameters: int
    seeds: int
    epochs: int
    patience: int
    minutes: float | None
    batch_size: int
    learning_rate: float
    clip_norm: float
    dropout: float
    """Probability of zeroing what the readout reads, in training."""
    averaging: float
    """Share of the running average of the weights that a step keeps; the average is evaluated."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training set led to."""

    train: float
    """The objective's mean over the pass, with dropout and while learning: not that of one set of
    weights."""
    valid: float
    """The objective on the validation set; the epoch with the least is the best."""
    score: float
    """The metric that decides, on the validation set: often the same."""
    seconds: float
    """Wall time since the run began."""


@dataclass(frozen=True)
class Run:
    """One cell trained from one seed; figures of the test set belong to the best epoch."""

    cell: str
    seed: int
    hidden_size: int
    parameters: int
    epochs: tuple[Epoch, ...]
    best_epoch: int
    """Index into `epochs`; -1 where none had a finite loss."""
    valid: float
    """The metric that decides, on the validation set at the best epoch; inf where there is none."""
    test: float
    """The same on the test set."""
    metrics: dict[str, float]
    """Every metric on the test set, by its name; empty where no epoch had a finite loss."""
    seconds: float
    stopped: Literal["patience", "epochs", "time", "diverged", "pruned"]
    """Pruned is what others were better than, after as many epochs."""


@dataclass(frozen=True)
class Environment:
    """Where it ran: enough to explain a difference between two reports."""

    cellwright: str
    torch: str
    python: str
    platform: str
    processor: str
    workers: int
    command: str
    """The command line that repeats this comparison."""
    started: str
    """ISO 8601, UTC."""
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """A finished, or interrupted, comparison."""

    settings: Settings
    dataset: Dataset
    environment: Environment
    runs: tuple[Run, ...]

    @property
    def complete(self) -> bool:
        """Whether every cell has every seed."""
        return len(self.runs) == len(self.settings.cells) * self.settings.seeds

    def of(self, cell: str) -> tuple[Run, ...]:
        """The runs of one cell, by seed."""
        return tuple(sorted((r for r in self.runs if r.cell == cell), key=lambda r: r.seed))
