"""Sequences to padded batches for next-frame prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "batches"]

_JITTER = 1.25
"""Lengths up to this factor apart may change places. At 16 a batch 14 % of the chorales' frames are
padding (47 % without regard to length), and of the pairs in a batch a quarter are together again in
the next pass.
"""


class Batch(NamedTuple):
    """A few sequences side by side, zero past each one's end."""

    inputs: Tensor
    """`(T, B, K)` float32: every frame but a sequence's last."""
    targets: Tensor
    """`(T, B, K)` float32: the frame that follows each input."""
    lengths: Tensor
    """`(B,)` int64: frames to predict, one fewer than the sequence has."""


def batches(
    sequences: Sequence[NDArray[Any]], size: int, rng: np.random.Generator | None
) -> Iterator[Batch]:
    """Go through `sequences`, each `(T, K)`, once, `size` at a time; the last batch may be smaller.

    With `rng` they come in random order, sequences of similar length together so that little is
    padding; equal generators give equal batches. Without, they come in the order given.
    """
    lengths = [len(sequence) for sequence in sequences]
    order = np.arange(len(lengths)) if rng is None else _by_length(lengths, rng)
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    for part in parts if rng is None else (parts[i] for i in rng.permutation(len(parts))):
        yield _padded([sequences[i] for i in part])


def _by_length(lengths: Sequence[int], rng: np.random.Generator) -> NDArray[np.intp]:
    return np.argsort(np.array(lengths) * _JITTER ** rng.random(len(lengths)), kind="stable")


def _padded(sequences: Sequence[NDArray[Any]]) -> Batch:
    import torch  # late: it takes a second, which nobody waits for to read data

    lengths = [len(sequence) - 1 for sequence in sequences]
    shape = (max(lengths), len(sequences), sequences[0].shape[1])
    inputs, targets = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for b, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        inputs[:length, b] = sequence[:-1]
        targets[:length, b] = sequence[1:]
    return Batch(torch.from_numpy(inputs), torch.from_numpy(targets), torch.tensor(lengths))
