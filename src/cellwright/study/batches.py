"""Sequences to padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["in_order", "padded", "shuffled"]

_JITTER = 1.25
"""Lengths up to this factor apart may change places. At 16 a batch 14 % of the chorales' frames are
padding (47 % without regard to length), and of the pairs in a batch a quarter are together again in
the next pass.
"""
_JUDGED_TOGETHER = 64
"""Sequences a batch where no gradient is wanted."""


def shuffled(
    lengths: Sequence[int], size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """The numbers of all sequences once, `size` at a time; the last batch made may be smaller.

    They come in random order, sequences of similar length together so that little is padding;
    equal generators give equal batches.
    """
    order = np.argsort(np.array(lengths) * _JITTER ** rng.random(len(lengths)), kind="stable")
    parts = _parts(order, size)
    for i in rng.permutation(len(parts)):
        yield parts[i]


def in_order(lengths: Sequence[int]) -> Iterator[NDArray[np.intp]]:
    """The numbers of all sequences once, the shortest first."""
    yield from _parts(np.argsort(lengths, kind="stable"), _JUDGED_TOGETHER)


def _parts(order: NDArray[np.intp], size: int) -> list[NDArray[np.intp]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def padded(sequences: Sequence[NDArray[Any]], dtype: DTypeLike) -> Tensor:
    """Sequences, each `(T, …)`, side by side `(longest, B, …)`, zero past each one's end."""
    import torch  # late: it takes a second, which nobody waits for to read data

    if len(sequences) == 1:  # a third of the time, which counts where training takes one each
        return torch.from_numpy(sequences[0].astype(dtype, order="C")).unsqueeze(1)
    longest = max(map(len, sequences))
    table = np.zeros((longest, len(sequences), *sequences[0].shape[1:]), dtype)
    for b, sequence in enumerate(sequences):
        table[: len(sequence), b] = sequence
    return torch.from_numpy(table)
