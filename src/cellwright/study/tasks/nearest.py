"""What the nearest neighbour says: the baselines of labelled series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest", "resampled", "summaries"]

_KNOWN: Final = 5_000
"""Neighbours there are to choose from, at the most, evenly spaced: what remains is quick."""
_AT_ONCE: Final = 512
_POINTS: Final = 64


def nearest(
    known: NDArray[np.float64], labels: NDArray[np.integer], asked: NDArray[np.float64]
) -> NDArray[np.integer]:
    """The label of the row of `known`, `(N, F)`, that each row of `asked` is nearest to.

    Columns are scaled to the deviations of `known`.
    """
    every = -(-len(known) // _KNOWN)
    known, labels = known[::every], labels[::every]
    spread = known.std(0)
    middle, spread = known.mean(0), np.where(spread > 0, spread, 1)
    known, asked = (known - middle) / spread, (asked - middle) / spread
    lengths = (known**2).sum(1)
    found = [
        (lengths - 2 * part @ known.T).argmin(1)
        for part in np.split(asked, range(_AT_ONCE, len(asked), _AT_ONCE))
    ]
    chosen: NDArray[np.integer] = labels[np.concatenate(found)]
    return chosen


def summaries(series: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """`(N, F)`: mean, deviation, least, most, first and last of each channel, and the length.

    Each of `series` is `(T, K)`.
    """
    return np.stack(
        [
            np.concatenate(
                [s.mean(0), s.std(0), s.min(0), s.max(0), s[0], s[-1], [len(s)]], dtype=np.float64
            )
            for s in series
        ]
    )


def resampled(series: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """`(N, F)`: each of `series`, `(T, K)`, at as many even steps as the longest has, or 64."""
    steps = min(_POINTS, max(map(len, series)))
    return np.stack([_resampled(one, steps).ravel() for one in series])


def _resampled(one: NDArray[Any], steps: int) -> NDArray[np.float64]:
    """Linear between values: `(steps, K)`."""
    at = np.linspace(0, len(one) - 1, steps)
    below = np.minimum(at.astype(np.intp), max(len(one) - 2, 0))
    part = (at - below)[:, None]
    above = np.minimum(below + 1, len(one) - 1)
    found: NDArray[np.float64] = (1 - part) * one[below] + part * one[above]
    return found
