"""Scaling of numbers by what training has, and what stands where one is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError

__all__ = ["filled", "scaling"]


def scaling(
    training: NDArray[np.float64], names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation `(K,)` of `(N, K)`, of which NaN is missing; 1 where nothing changes.

    Raises DataError, with one of `names`, where a column has no value, or too large ones.
    """
    known = np.isfinite(training)
    counts = known.sum(0)
    if not counts.all():
        raise DataError(f"{names[int(np.argmin(counts))]} has no value at all in training, which "
                        f"has {len(training):,} steps. Leave it out.")  # fmt: skip
    with np.errstate(over="ignore", invalid="ignore"):
        middle = np.where(known, training, 0).sum(0) / counts
        spread = np.sqrt(np.where(known, (training - middle) ** 2, 0).sum(0) / counts)
    if not np.isfinite(spread).all():
        raise DataError(f"{names[int(np.argmin(np.isfinite(spread)))]} has values too large to be "
                        "squared. Give it another unit.")  # fmt: skip
    return middle, np.where(spread > 0, spread, 1)


def filled(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each missing value the last one before it in its column; 0, the mean, where there is none."""
    rows = np.where(np.isfinite(scaled), np.arange(1, len(scaled) + 1)[:, None], 0)
    last = np.maximum.accumulate(rows, 0)
    known = np.concatenate([np.zeros((1, scaled.shape[1])), scaled])
    found: NDArray[np.float64] = np.take_along_axis(known, last, 0)
    return found
