"""Sequences with one answer each: the split and the target that labelled series share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.batches import in_order, padded, shuffled
from cellwright.study.metric import Metric
from cellwright.study.tasks.task import Batch, Evidence, Losses

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ACCURACY", "BALANCED", "Cases", "Label", "judged", "label_shares"]

ACCURACY: Final = Metric("accuracy", "%", better="higher", decimals=2)
BALANCED: Final = Metric("balanced accuracy", "%", better="higher", decimals=2)
_LOSS: Final = Metric("loss", "nats", "series")


@dataclass(frozen=True, eq=False)
class Cases:
    """A split: sequences, and what each is."""

    inputs: tuple[NDArray[Any], ...] = field(repr=False)
    """Each `(T, K)` of numbers, or `(T,)` of symbols."""
    targets: NDArray[Any] = field(repr=False)
    """`(N,)` int64, or `(N, …)` float32."""
    what: str = "series"

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in shuffled(self._lengths, size, rng))

    def in_order(self) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in in_order(self._lengths))

    def sizes(self) -> dict[str, int]:
        """See `task.Split`."""
        return {self.what: len(self.inputs), "steps": sum(self._lengths)}

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All of it, for a fingerprint."""
        return np.array(self._lengths), np.concatenate(self.inputs), self.targets

    @property
    def _lengths(self) -> list[int]:
        return [len(sequence) for sequence in self.inputs]

    def _batch(self, part: NDArray[np.intp]) -> Batch:
        import torch  # late, as in `padded`

        chosen = [self.inputs[i] for i in part]
        return Batch(
            padded(chosen, np.float32 if chosen[0].ndim == 2 else np.int64),
            torch.from_numpy(self.targets[part]),
            torch.tensor([len(sequence) for sequence in chosen]),
        )


@dataclass(frozen=True, eq=False)
class Label:
    """The logit of each class, after the last step."""

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    """How often each is in training, above 0."""

    last: bool = True
    objective: Metric = _LOSS
    metrics: tuple[Metric, ...] = (ACCURACY, BALANCED, _LOSS)

    def start(self) -> Tensor:
        """See `task.Target`."""
        import torch

        return torch.from_numpy(np.log(self.shares)).float()

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        import torch

        from cellwright.study.losses import categorical

        return Losses(categorical(outputs, batch.targets), torch.ones_like(batch.targets))

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        nats = self.loss(outputs, batch).sums
        return {"nats": nats, "chosen": outputs.argmax(1), "true": batch.targets}

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        found = judged(evidence["chosen"].numpy(), evidence["true"].numpy())
        return found | {_LOSS.name: float(evidence["nats"].double().mean())}


def judged(chosen: NDArray[np.integer], true: NDArray[np.integer]) -> dict[str, float]:
    """Accuracy, and the mean over classes, of those there are, of the share that is found."""
    right = chosen == true
    found = [right[true == one].mean() for one in np.unique(true)]
    return {ACCURACY.name: float(right.mean()), BALANCED.name: float(np.mean(found))}


def label_shares(labels: Sequence[int] | NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """How often each of `count` classes occurs, never quite 0."""
    counts = np.bincount(np.asarray(labels), minlength=count) + 0.5
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
