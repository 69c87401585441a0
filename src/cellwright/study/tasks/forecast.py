"""Forecasting: the next rows of a table, from those before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.metric import Metric
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import Found
from cellwright.study.readers.table import Column, read
from cellwright.study.readers.times import Times, times
from cellwright.study.results import Baseline
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.scaling import filled, scaling
from cellwright.study.tasks.seasons import season_of, seasonal_error
from cellwright.study.tasks.task import Features, Task, digest
from cellwright.study.tasks.windows import MASE, Asked, Horizon, Windows, windows

__all__ = ["FORECAST", "Options", "forecast"]

_FEW: Final = 2_000
"""Rows of training below which a model does not learn a season."""
_LONGEST: Final = 336
"""Rows of context where nobody says how many: two weeks of hours."""


@dataclass(frozen=True)
class Options:
    """What `forecast(…)` takes."""

    target: str | None = None
    """Columns to forecast, with commas between them; without it, every column of numbers."""
    time: str | None = None
    """The column of times, or `none`; without it, the first that can be one."""
    horizon: int | None = None
    """Rows ahead that are forecast; without it, a season."""
    context: int | None = None
    """Rows that are seen; without it, three times the longer of season and horizon."""
    season: int | None = None
    """Rows after which the series repeat; without it, what repeats best in training."""
    base: str | None = None
    """What forecasts are counted from: `last`, the last value seen, or `season`, what was a season
    before; without it, that where training has few rows."""
    valid: float = 0.1
    """Share of the rows for validation, before the test."""
    test: float = 0.2
    """Share of the rows for the test, at the end."""


def forecast(
    name: str, source: str, columns: Mapping[str, Column], options: Options = Options()
) -> Task:
    """The task of forecasting the next rows of every target, from each row on.

    The split is by time: training is first, the test last. Numbers are scaled by the mean and
    deviation of each column in training. A missing value is the last one before it, or else the
    mean; and where a column lacks any in training, there is a second one beside it that says so.
    No error is counted where the target is missing, and no window crosses a gap in time.

    Raises DataError where the table leaves nothing to forecast.
    """
    when = times(columns, options.time)
    table, left_out = _numbers(columns, when.name)
    wanted = _targets(table, columns, options.target)
    values = np.stack(list(table.values()), 1)
    ends = _ends(len(values), options)
    names = tuple(table)
    places = [names.index(one) for one in wanted]
    middle, spread = scaling(values[: ends[0]], [f"column {name}" for name in names])
    scaled = (values - middle) / spread
    season = options.season or season_of(scaled[: ends[0], places], when.seconds)
    seasonal = _seasonal(scaled[: ends[0], places], season, wanted)
    asked = Asked(*_lengths(options, season, ends), _base(options, season, ends[0]))
    missing = np.isnan(values)
    lacking = np.flatnonzero(missing[: ends[0]].any(0))
    known = filled(scaled)
    inputs = np.concatenate([known, missing[:, lacking]], 1).astype(np.float32)
    targets, last = (part[:, places].astype(np.float32) for part in (scaled, known))
    splits = windows(inputs, targets, last, ends, asked, when.gaps)
    target = Horizon(wanted, asked.horizon, _units(spread[places]), seasonal,
                     _metrics(wanted, spread[places]))  # fmt: skip
    settled = {"season": season, "targets": wanted, **asdict(asked)}
    return Task(
        kind="forecast",
        name=name,
        source=source,
        goal=(
            f"forecast {_listed(wanted)} {asked.horizon} row{'s' * (asked.horizon > 1)} ahead, "
            f"from the {asked.context} before"
        ),
        meaning=_meaning(season, asked.base, len(wanted)),
        reads=Features((*names, *(f"{names[k]} is missing" for k in lacking))),
        target=target,
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        baselines=_baselines(target, splits[2], season),
        fingerprint=digest("forecast", settled, inputs, targets, *(s.starts for s in splits)),
        notes=_notes(when, season, options, left_out, missing, names, splits),
    )


# --- what stands in the table -------------------------------------------------------------------


def _numbers(
    columns: Mapping[str, Column], time: str
) -> tuple[dict[str, NDArray[np.float64]], list[str]]:
    """Columns of numbers, and the names of the others."""
    found, others = {}, []
    for name, column in columns.items():
        if name == time:
            continue
        values = column.numbers()
        if values is None or np.isnan(values).all():
            others.append(name)
        else:
            found[name] = values
    if not found:
        raise DataError("no column of numbers beside the times.")
    return found, others


def _targets(
    table: Mapping[str, object], columns: Mapping[str, Column], wanted: str | None
) -> tuple[str, ...]:
    if wanted is None:
        return tuple(table)
    names = [wanted] if wanted in columns else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in columns:
            raise DataError(f"no column {name}; it has {', '.join(list(columns)[:12])}.")
        if name not in table:
            raise DataError(f"column {name} cannot be forecast: it has no numbers.")
    return tuple(dict.fromkeys(names))


def _ends(rows: int, options: Options) -> tuple[int, int]:
    """Where training and validation end."""
    for name in ("valid", "test"):
        if not 0 < getattr(options, name) < 1:
            raise DataError(f"forecast: {name} must be above 0 and below 1, "
                            f"got {getattr(options, name):g}.")  # fmt: skip
    if options.valid + options.test >= 1:
        raise DataError("forecast: valid and test leave nothing to learn from; their sum must be "
                        f"below 1, got {options.valid + options.test:g}.")  # fmt: skip
    end = rows - max(1, round(options.test * rows))
    return max(1, end - max(1, round(options.valid * rows))), end


def _lengths(options: Options, season: int, ends: tuple[int, int]) -> tuple[int, int]:
    """Rows ahead and rows seen: as asked for, or what the split has room for."""
    for name in ("horizon", "context", "season"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise DataError(f"forecast: {name} must be at least 1, got {value}.")
    train, valid = ends[0], ends[1] - ends[0]
    horizon = options.horizon or max(1, min(season if season > 1 else 12, valid // 2, 48))
    context = options.context or max(1, min(3 * max(season, horizon), train // 3, _LONGEST))
    return horizon, context


def _base(options: Options, season: int, rows: int) -> int:
    """Rows that a forecast is counted from, which is learned better where it is the last one.

    With few rows of training there is no learning a season, though.
    """
    if options.base not in (None, "last", "season"):
        raise DataError(f"forecast: base must be last or season, got {options.base}.")
    seasonal = options.base == "season" or (options.base is None and rows < _FEW)
    return season if seasonal else 1


def _seasonal(
    training: NDArray[np.float64], season: int, targets: Sequence[str]
) -> NDArray[np.float64]:
    """What MASE divides by."""
    if season >= len(training):
        raise DataError(f"a season of {season} rows is longer than training, which has "
                        f"{len(training):,}. Give a shorter one, season=…")  # fmt: skip
    found = seasonal_error(training, season)
    for name, error in zip(targets, found, strict=True):
        if not error > 0:
            raise DataError(f"column {name} is always what it was {season} rows before, in "
                            "training, so there is nothing to forecast, and MASE would divide by "
                            "0. Leave it out of target=…")  # fmt: skip
    return found


# --- what needs no learning ---------------------------------------------------------------------


def _baselines(target: Horizon, test: Windows, season: int) -> tuple[Baseline, ...]:
    starts = test.judged
    base, last, seasonal = (
        test.before(starts, rows).astype(np.float64) for rows in (test.base, 1, season)
    )
    true = test.asked(starts) + base
    said = [
        ("naive", "expecting the last value again", last),
        ("mean", "expecting the mean of training", np.zeros_like(base)),
    ]
    if season > 1:
        said.insert(0, ("seasonal-naive", f"expecting what was {season} rows before", seasonal))
    return tuple(Baseline(name, words, target.judged(one - true)) for name, words, one in said)


# --- words --------------------------------------------------------------------------------------


def _units(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """One target has its own unit; several have none in common but their deviations."""
    return spread if len(spread) == 1 else np.ones_like(spread)


def _metrics(targets: Sequence[str], spread: NDArray[np.float64]) -> tuple[Metric, ...]:
    if len(targets) > 1:
        return MASE, *(Metric(name, "standard deviations") for name in ("MAE", "RMSE"))
    decimals = int(np.clip(2 - np.floor(np.log10(spread[0])), 0, 9))
    return MASE, *(Metric(name, decimals=decimals) for name in ("MAE", "RMSE"))


def _meaning(season: int, base: int, targets: int) -> str:
    what, start = (
        f"the value {rows} rows before" if rows > 1 else "the last value" for rows in (season, base)
    )
    units = "the column's own unit" if targets == 1 else "standard deviations of each column"
    return (
        "Forecasts start at every row of a split, from what is known there. MASE is the mean "
        f"absolute error over that of expecting {what}, in training (Hyndman and Koehler 2006): "
        f"below 1 is better than that was. MAE and RMSE are in {units}. What training makes "
        "small is the absolute error of scaled values; the readout says how far each is from "
        f"{start}."
    )


def _notes(
    when: Times,
    season: int,
    options: Options,
    left_out: Sequence[str],
    missing: NDArray[np.bool_],
    names: Sequence[str],
    splits: Sequence[Windows],
) -> tuple[str, ...]:
    found = []
    if when.name:
        found.append(f"Times are of column {when.name}, {when.first} to {when.last}, "
                     f"{when.step} apart.")  # fmt: skip
    if options.season or season > 1:
        how = "as given" if options.season else "after which training is most like itself"
        found.append(f"A season is {season} rows, {how}.")
    else:
        found.append("No season was found in training: MASE divides by the error of expecting the "
                     "row before.")  # fmt: skip
    found.append("Each column is scaled to mean 0 and deviation 1 in training.")
    if left_out:
        found.append(f"Left out, as they have no numbers: {_listed(left_out)}.")
    found += [
        f"Column {names[k]} lacks {count:,} of {len(missing):,} values: each is read as the last "
        "one before it."
        for k, count in enumerate(missing.sum(0).tolist())
        if count
    ]
    if len(when.gaps):
        crossing = sum(max(0, s.rows - s.horizon + 1) - len(s.starts) for s in splits)
        steps = "1 step is" if len(when.gaps) == 1 else f"{len(when.gaps):,} steps are"
        found.append(f"{steps} not as long in time as the others, the first "
                     f"at {when.gap}: windows that would cross one are left out "
                     f"({crossing:,} with those at the beginning).")  # fmt: skip
    return tuple(found)


def _listed(names: Sequence[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"
    )


# --- files --------------------------------------------------------------------------------------


def _from_file(found: Found, options: Options) -> Task:
    return forecast(found.path.stem, str(found.path), read(found.path, found.format), options)


FORECAST: Final = Kind(
    "forecast",
    lambda found: found.format in ("table", "parquet"),
    "a table, as CSV or Parquet, with a column of times",
    Options,
    _from_file,
)
