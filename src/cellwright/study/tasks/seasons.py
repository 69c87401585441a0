"""How long a season is: after how many rows a table repeats itself."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["season_of", "seasonal_error"]

_CYCLES: Final = (3600, 86_400, 7 * 86_400, 365.25 * 86_400)
"""An hour, a day, a week, a year, in seconds."""
_WHOLE: Final = 0.005
"""Part by which a cycle may miss a whole number of rows: years are of several lengths."""
_MOST: Final = 400
"""Rows that are tried where the length of a step is unknown."""
_LIKE: Final = 0.3
"""Autocorrelation that a season has at the least,"""
_MORE: Final = 0.1
"""and by how much it is above that of half a season, which a trend's is not."""


def season_of(training: NDArray[np.float64], seconds: float | None) -> int:
    """The season in rows, 1 where there is none, of `(N, J)`, NaN where a value is missing.

    It is where the autocorrelation is highest: of what remains without a line through each column,
    at any number of rows; or, where `seconds` a row are known, at the cycles of the calendar, of
    that or of the steps from row to row, in which no slow swing covers a season.
    """
    most = len(training) // 3
    if seconds is None:
        tried = list(range(2, min(most, _MOST) + 1))
    else:
        rows = [cycle / seconds for cycle in _CYCLES]
        whole = {round(r) for r in rows if abs(r - round(r)) <= _WHOLE * r}
        tried = sorted(m for m in whole if 2 <= m <= most)
    if not tried:
        return 1
    views = [_without_trend(training)]
    views += [] if seconds is None else [_without_trend(np.diff(training, axis=0))]
    found: dict[int, float] = {}
    for view in views:
        for m in tried:
            alike = _alike(view, m)
            if alike > max(_LIKE, _alike(view, m // 2) + _MORE):
                found[m] = max(alike, found.get(m, alike))
    return max(found, key=found.__getitem__, default=1)


def _without_trend(training: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same, less the line that fits each column best; 0 where a value is missing."""
    at = np.linspace(-1, 1, len(training))[:, None]
    known = np.isfinite(training)
    values, counts = np.where(known, training, 0), np.maximum(known.sum(0), 1)
    x, y = (known * at).sum(0) / counts, values.sum(0) / counts
    steep = (known * (at - x) * (values - y)).sum(0)
    spread = (known * (at - x) ** 2).sum(0)
    slope = np.divide(steep, spread, out=np.zeros_like(steep), where=spread > 0)
    found: NDArray[np.float64] = np.where(known, values - y - slope * (at - x), 0)
    return found


def _alike(level: NDArray[np.float64], lag: int) -> float:
    """The autocorrelation at a lag, the mean over columns that change at all."""
    squares = (level**2).sum(0)
    products = (level[lag:] * level[: len(level) - lag]).sum(0)
    found = products[squares > 0] / squares[squares > 0] * len(level) / (len(level) - lag)
    return float(found.mean()) if len(found) else 0.0


def seasonal_error(training: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """`(J,)`: the mean absolute difference from the row a season before, over `(N, J)`.

    NaN where there is none.
    """
    differences = np.abs(training[season:] - training[:-season])
    known = np.isfinite(differences)
    counts = known.sum(0)
    sums = np.where(known, differences, 0).sum(0)
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means
