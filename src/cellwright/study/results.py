"""What a comparison measured: plain data, written to disk run by run, read back by the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["DEFAULT_CELLS", "Comparison", "Dataset", "Environment", "Epoch", "Run", "Settings"]

DEFAULT_CELLS = ("lstm", "peephole_lstm", "coupled_lstm", "gru")
"""What is compared where nobody says: the standard LSTM and its three best-known variations."""


@dataclass(frozen=True)
class Dataset:
    """What the report says about the data; sequences are counted per split, frames likewise."""

    name: str
    source: str
    """Where it comes from, in a sentence: a file's path, or the corpus and its licence."""
    fingerprint: str
    """SHA-256 of the sequences: two comparisons with equal fingerprints saw the same data."""
    sequences: tuple[int, int, int]
    """Number of sequences in train, validation and test."""
    frames: tuple[int, int, int]
    """Predicted frames in train, validation and test: T - 1 for a sequence of T frames."""
    keys: int
    baselines: dict[str, float]
    """Trivial predictors' test loss, nats a frame: what a cell has to beat."""


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
    """Losses after one pass over the training set, in nats a frame."""

    train: float
    """Mean over the pass, with dropout and while learning: not the loss of one set of weights."""
    valid: float
    seconds: float
    """Wall time since the run began."""


@dataclass(frozen=True)
class Run:
    """One cell trained from one seed; `test` belongs to the epoch with the best validation loss."""

    cell: str
    seed: int
    hidden_size: int
    parameters: int
    epochs: tuple[Epoch, ...]
    best_epoch: int
    """Index into `epochs`; -1 where none had a finite loss."""
    valid: float
    test: float
    test_per_sequence: float
    """The same loss averaged over sequences first; papers differ, so both are reported."""
    seconds: float
    stopped: Literal["patience", "epochs", "time", "diverged"]


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
