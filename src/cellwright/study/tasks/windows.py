"""Windows of a table: what a forecast sees, and what it is held against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.metric import Metric
from cellwright.study.readers.errors import DataError
from cellwright.study.tasks.task import Batch, Evidence, Losses

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MASE", "Asked", "Horizon", "Windows", "windows"]

MASE: Final = Metric("MASE")
_ERROR: Final = Metric("absolute error", "standard deviations", decimals=4)
_A_PASS: Final = 8_192
"""Windows that are learned from in a pass, at the most: drawn anew for each."""
_JUDGED: Final = 8_192
"""Windows that are judged, at the most: evenly spaced."""
_JUDGED_TOGETHER: Final = 256


@dataclass(frozen=True, eq=False)
class Windows:
    """A split: all windows whose targets are in it.

    What was before a split is seen, as it is known when a forecast is made; what is after it never.
    """

    inputs: NDArray[np.float32] = field(repr=False)
    """`(N, K)`: every row of the table, scaled, nothing missing."""
    targets: NDArray[np.float32] = field(repr=False)
    """`(N, J)`: what is forecast of each row, scaled, NaN where it is missing."""
    last: NDArray[np.float32] = field(repr=False)
    """`(N, J)`: the same, each missing value the one before it."""
    starts: NDArray[np.intp] = field(repr=False)
    """First row forecast of each window."""
    rows: int
    """Of the table, in this split."""
    context: int
    """Rows seen."""
    horizon: int
    """Rows forecast."""
    base: int
    """Forecasts count from what was so many rows before, or twice as many, …: 1 for the last value,
    a season for the seasonal-naive forecast."""

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """See `task.Split`."""
        order = rng.permutation(self.starts)[:_A_PASS]
        return (self._batch(order[at : at + size]) for at in range(0, len(order), size))

    def in_order(self) -> Iterator[Batch]:
        """See `task.Split`."""
        chosen = self.judged
        return (
            self._batch(chosen[at : at + _JUDGED_TOGETHER])
            for at in range(0, len(chosen), _JUDGED_TOGETHER)
        )

    def sizes(self) -> dict[str, int]:
        """See `task.Split`."""
        return {"windows": len(self.starts), "rows": self.rows}

    @property
    def judged(self) -> NDArray[np.intp]:
        """First rows of the windows that are judged."""
        return self.starts[:: -(-len(self.starts) // _JUDGED)]

    def before(self, starts: NDArray[np.intp], rows: int) -> NDArray[np.float32]:
        """`(B, horizon, J)`: for each row ahead, what was `rows` before, or a multiple, as seen."""
        ahead = np.arange(self.horizon)
        found: NDArray[np.float32] = self.last[starts[:, None] + ahead - rows * (1 + ahead // rows)]
        return found

    def asked(self, starts: NDArray[np.intp]) -> NDArray[np.float32]:
        """`(B, horizon, J)`: how far each is from its base, NaN where a value is missing."""
        true: NDArray[np.float32] = self.targets[starts[:, None] + np.arange(self.horizon)]
        return true - self.before(starts, self.base)

    def _batch(self, starts: NDArray[np.intp]) -> Batch:
        import torch  # late: it takes a second, which nobody waits for to read data

        seen = starts - self.context + np.arange(self.context)[:, None]  # (T, B)
        return Batch(
            torch.from_numpy(self.inputs[seen]),
            torch.from_numpy(self.asked(starts)),
            torch.full((len(starts),), self.context),
        )


@dataclass(frozen=True, eq=False)
class Horizon:
    """How far each target is from its base, for each row ahead; after the last step."""

    columns: tuple[str, ...]
    """The targets."""
    horizon: int
    units: NDArray[np.float64]
    """`(J,)`: what a scaled error of 1 is in the unit that MAE and RMSE are in."""
    seasonal: NDArray[np.float64]
    """`(J,)`: the scaled error, in training, of expecting what was a season before."""
    metrics: tuple[Metric, ...]
    """MASE, MAE, RMSE."""

    last: bool = True
    objective: Metric = _ERROR

    @property
    def names(self) -> tuple[str, ...]:
        """See `task.Target`."""
        return tuple(f"{name} +{k + 1}" for k in range(self.horizon) for name in self.columns)

    def start(self) -> Tensor:
        """See `task.Target`: what is forecast is the base."""
        import torch

        return torch.zeros(self.horizon * len(self.columns))

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        known = ~batch.targets.isnan()
        errors = outputs.view_as(batch.targets) - batch.targets.nan_to_num()
        return Losses((errors.abs() * known).sum((1, 2)), known.sum((1, 2)))

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        import torch

        known = ~batch.targets.isnan()
        errors = (outputs.view_as(batch.targets) - batch.targets.nan_to_num()).double() * known
        in_units = errors * torch.from_numpy(self.units)
        return {
            "scaled": errors.abs().sum((1, 2)),
            "seasonal": (errors.abs() / torch.from_numpy(self.seasonal)).sum((1, 2)),
            "absolute": in_units.abs().sum((1, 2)),
            "squared": in_units.square().sum((1, 2)),
            "counts": known.sum((1, 2)),
        }

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        count = float(evidence["counts"].sum())
        names = ("scaled", "seasonal", "absolute", "squared")
        error, mase, mae, square = (float(evidence[name].sum()) / count for name in names)
        values = (mase, mae, square**0.5)
        found = {m.name: value for m, value in zip(self.metrics, values, strict=True)}
        return {_ERROR.name: error} | found

    def judged(self, errors: NDArray[np.float64]) -> dict[str, float]:
        """The metrics of scaled errors, `(B, horizon, J)`, NaN where nothing is known."""
        in_units = errors * self.units
        values = (
            np.nanmean(np.abs(errors) / self.seasonal),
            np.nanmean(np.abs(in_units)),
            np.sqrt(np.nanmean(in_units**2)),
        )
        return {m.name: float(value) for m, value in zip(self.metrics, values, strict=True)}


# --- from a table -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """Rows forecast, rows seen, and how many rows before is what a forecast is counted from."""

    horizon: int
    context: int
    base: int


def windows(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    last: NDArray[np.float32],
    ends: tuple[int, int],
    asked: Asked,
    gaps: NDArray[np.intp],
) -> list[Windows]:
    """Training, validation and test of a table, `(N, …)` each; `ends` are those of the first two.

    `gaps` are rows that do not follow the one before in time.

    Raises DataError where one of the splits has no window.
    """
    found = []
    rows = ((0, ends[0]), ends, (ends[1], len(inputs)))
    for (low, high), what in zip(rows, ("training", "validation", "the test"), strict=True):
        starts = _starts(low, high, asked, gaps, targets)
        if not len(starts):
            raise DataError(f"{what} has no window of {asked.context} rows seen and "
                            f"{asked.horizon} forecast: it has {high - low:,} rows. Ask for less, "
                            "as --task 'forecast(horizon=1,context=8)'.")  # fmt: skip
        found.append(Windows(inputs, targets, last, starts, high - low, **asdict(asked)))
    return found


def _starts(
    low: int, high: int, asked: Asked, gaps: NDArray[np.intp], targets: NDArray[np.float32]
) -> NDArray[np.intp]:
    """First rows forecast, of windows whose targets are from `low` to `high`, some of them known.

    What a window sees and forecasts does not cross a gap.
    """
    context, horizon = asked.context, asked.horizon
    starts = np.arange(max(low, context, asked.base), high - horizon + 1)
    first = np.searchsorted(gaps, starts - context, "right")
    last = np.searchsorted(gaps, starts + horizon - 1, "right")
    known = np.concatenate([[0], np.cumsum(np.isfinite(targets).any(1))])
    count = known[starts + horizon] - known[starts] if len(starts) else starts
    chosen: NDArray[np.intp] = starts[(first == last) & (count > 0)]
    return chosen
