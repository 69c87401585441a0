"""What a task is: data in three splits, what is read, what is to come out, and how that is judged.

Training, statistics and the report are written against this module; no other one knows a task.
A task is made in the process that starts workers and sent to them, so it holds arrays of NumPy's,
and imports torch only where it computes with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from cellwright.study.metric import Metric
from cellwright.study.results import Baseline, Dataset
from cellwright.study.sizes import Ends
from cellwright.study.tasks.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Batch",
    "Evidence",
    "Features",
    "Form",
    "Losses",
    "Split",
    "Symbols",
    "Target",
    "Task",
    "digest",
]


class Batch(NamedTuple):
    """A few sequences side by side; what stands past each one's end means nothing."""

    inputs: Tensor
    """`(T, B, K)` float32, features; or `(T, B)` int64, symbols."""
    targets: Tensor
    """What is to come out: `(T, B, …)` at each step, `(B, …)` after the last one."""
    lengths: Tensor
    """`(B,)` int64: steps of each sequence."""
    goes_on: bool = False
    """Whether each sequence goes on where the same place of the batch before ended."""


class Losses(NamedTuple):
    """What training makes small, sequence by sequence: the mean is `sums.sum() / counts.sum()`."""

    sums: Tensor
    """`(B,)`, differentiable."""
    counts: Tensor
    """`(B,)`: of predictions in each sum."""


Evidence: TypeAlias = Mapping[str, "Tensor"]
"""What a judgement needs of a batch: some `(B,)`, a value a sequence, float64 where it is real."""


class Split(Protocol):
    """A third of the data, batch by batch."""

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass to learn from, `size` sequences at a time; equal `rng`, equal batches."""
        ...

    def in_order(self) -> Iterator[Batch]:
        """One pass to be judged by, always the same."""
        ...

    def sizes(self) -> dict[str, int]:
        """How much it is, by what is counted, as `sequences`."""
        ...


class Target(Protocol):
    """What is to come out of a model, and how far off it is."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the numbers that the readout gives at a step."""
        ...

    @property
    def last(self) -> bool:
        """Whether it is read out after a sequence's last step only, or at each."""
        ...

    @property
    def objective(self) -> Metric:
        """What training makes small: learning curves show it, the best epoch has the least."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is reported; the first one decides the ranking. The objective may be one of them."""
        ...

    def start(self) -> Tensor | None:
        """The readout's biases before anything is learned, `(outputs,)`: what counting gives."""
        ...

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """Of the readout's `(T, B, outputs)`, or `(B, outputs)` where it is read at the last step.

        In the unit of the objective.
        """
        ...

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """What `measure` needs, of `outputs` as in `loss`."""
        ...

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """The objective and all metrics, by name, of a whole split's evidence."""
        ...


@dataclass(frozen=True)
class Features:
    """A model reads numbers: `(T, B, K)`."""

    names: tuple[str, ...] = field(repr=False)
    """Of the K."""

    @property
    def width(self) -> int:
        """Features of the input of the cell."""
        return len(self.names)

    @property
    def learned(self) -> int:
        """Values that are learned before the cell reads anything."""
        return 0

    def __str__(self) -> str:
        return "1 number a step" if self.width == 1 else f"{self.width} numbers a step"


@dataclass(frozen=True)
class Symbols:
    """A model reads one of a few symbols a step, `(T, B)`: one-hot, or by a learned embedding."""

    names: tuple[str, ...] = field(repr=False)
    """Of the symbols, in the order of their numbers."""
    embedding: int | None = None
    """Its features; None for one-hot."""

    @property
    def width(self) -> int:
        """Features of the input of the cell."""
        return self.embedding or len(self.names)

    @property
    def learned(self) -> int:
        """Values that are learned before the cell reads anything."""
        return len(self.names) * self.embedding if self.embedding else 0

    def __str__(self) -> str:
        how = f"a learned embedding of {self.embedding}" if self.embedding else "one-hot"
        return f"one of {len(self.names):,} symbols a step, {how}"


@dataclass(frozen=True)
class Form:
    """What a model has around its cell, by names: all that is to be known to build it."""

    reads: Features | Symbols
    outputs: tuple[str, ...] = field(repr=False)
    """Of the numbers that the readout gives."""
    last: bool = False
    """Whether it is read out after a sequence's last step only, or at each."""

    @property
    def ends(self) -> Ends:
        """How wide it is."""
        return Ends(self.reads.width, len(self.outputs), self.reads.learned)


@dataclass(frozen=True, eq=False)
class Task:
    """What models are trained on, and compared by."""

    kind: str
    """A name of RECIPES."""
    name: str
    source: str
    """Where it comes from: a file's path, or a sentence."""
    goal: str
    """What a model is trained to do, as an infinitive: `predict the next frame of …`."""
    meaning: str
    """What the figures mean, in sentences."""
    reads: Features | Symbols
    target: Target = field(repr=False)
    train: Split = field(repr=False)
    valid: Split = field(repr=False)
    test: Split = field(repr=False)
    baselines: tuple[Baseline, ...] = field(repr=False)
    """What predicts without learning, or hardly; each has a value of every metric but a few."""
    fingerprint: str
    """SHA-256 of all that decides a result: sequences, split, and what is asked of them."""
    notes: tuple[str, ...] = ()
    """What was done to the data, and what is odd about them: sentences."""

    @property
    def recipe(self) -> Recipe:
        """How models are trained on it where nobody says otherwise."""
        return RECIPES[self.kind]

    @property
    def form(self) -> Form:
        """What a model has around its cell."""
        return Form(self.reads, self.target.names, self.target.last)

    @property
    def ends(self) -> Ends:
        """How wide that is."""
        return self.form.ends

    def summary(self) -> Dataset:
        """What results keep of it, and the report says."""
        sizes = [split.sizes() for split in (self.train, self.valid, self.test)]
        return Dataset(
            kind=self.kind,
            name=self.name,
            source=self.source,
            fingerprint=self.fingerprint,
            goal=self.goal,
            meaning=self.meaning,
            sizes={what: (sizes[0][what], sizes[1][what], sizes[2][what]) for what in sizes[0]},
            inputs=str(self.reads),
            outputs=len(self.target.names),
            objective=self.target.objective,
            metrics=self.target.metrics,
            baselines=self.baselines,
            notes=self.notes,
        )


def digest(kind: str, settled: Mapping[str, object], *arrays: np.ndarray[Any, Any]) -> str:
    """A fingerprint: SHA-256 of a kind of task, of what was settled, and of arrays in order."""
    found = hashlib.sha256(f"{kind} {sorted(settled.items())}\n".encode())
    for array in arrays:
        found.update(f"{array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
