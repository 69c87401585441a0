"""A column of times: which it is, and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.table import Column

__all__ = ["Times", "times"]

_DATES: Final = (
    "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%b-%d-%Y",
    "%d-%b-%Y", "%d %b %Y", "%b %d, %Y",
)  # fmt: skip
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_MONTHS: Final = ("%Y-%m", "%Y/%m", "%m/%Y", "%YM%m", "%b %Y", "%b-%Y", "%Y %b")
_NAMED: Final = ("time", "date", "datetime", "timestamp", "ds", "t", "year", "index", "column 1")
"""Names of a column of numbers that are times, in small letters."""
_PROBED: Final = 200
_WRONG: Final = 0.1
"""Share of the cells probed that may be no dates, in a column of dates with mistakes in it."""
_UNEVEN: Final = 0.05
"""Share of steps that may be of another length than most; each is a gap."""
_SPANS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_CALENDAR: Final = ((28, 31, "month", 12), (90, 92, "quarter", 4), (365, 366, "year", 1))
"""Days at the least and at the most, and how many are a year."""
_YEAR: Final = 365.25 * 86400


@dataclass(frozen=True, eq=False)
class Times:
    """When each row is."""

    name: str
    """Of the column; empty where there is none."""
    step: str
    """From row to row, in words: `1 hour`."""
    seconds: float | None
    """The same; None where the times are plain numbers."""
    gaps: NDArray[np.intp]
    """Rows that come later, or sooner, after the one before than others do."""
    gap: str
    """Where the first of them is."""
    first: str
    last: str


def times(columns: Mapping[str, Column], wanted: str | None) -> Times:
    """The times of the rows, which go forward in even steps, but for a few gaps.

    `wanted` is a column, or `none` for rows an even step apart; without it, the first column that
    can be one is taken.

    Raises DataError, naming the row, where there is no such column, or its times do not do that.
    """
    if wanted == "none":
        return Times("", "1 row", None, np.array([], np.intp), "", "row 1", "the last row")
    if wanted is not None and wanted not in columns:
        raise DataError(f"no column {wanted}; it has {', '.join(list(columns)[:12])}.")
    for column in [columns[wanted]] if wanted else columns.values():
        found = _dates(column)
        if found is not None:
            return _even(column, found, dates=True)
        if wanted or column.name.lower() in _NAMED:
            numbers = column.numbers()
            if numbers is not None and (wanted or np.all(np.diff(numbers) > 0)):
                return _even(column, numbers, dates=False)
    if wanted:
        raise DataError(f"column {wanted} has no times: {columns[wanted].words[0]!r:.40} is "
                        "neither a date nor a number. Expected dates as "
                        "2026-01-31 18:00:00.")  # fmt: skip
    raise DataError("no column of times: none has dates, as 2026-01-31 18:00:00. Name one, "
                    "--task 'forecast(time=…)', or say time=none where rows are an even step "
                    "apart.")  # fmt: skip


# --- dates --------------------------------------------------------------------------------------

_Reading = Callable[[str], datetime]


def _dates(column: Column) -> NDArray[np.float64] | None:
    """Seconds, in the reading that makes the most even steps; None where it has no dates.

    Raises DataError where two readings are as even, and different.
    """
    if column.dates is not None:
        return column.dates
    words = _digits(column.values) if column.values is not None else column.words
    probe = words[:_PROBED]
    found = [
        _seconds(words, reading)
        for reading in _READINGS
        if np.isnan(_seconds(probe, reading)).sum() <= _WRONG * len(probe) and len(probe)
    ]
    found.sort(key=_unevenness)
    if len(found) > 1 and not np.array_equal(found[0], found[1], equal_nan=True) and (
        _unevenness(found[0]) == _unevenness(found[1])
    ):  # fmt: skip
        raise DataError(f"column {column.name} may be read with the day first or with the month "
                        f"first, as {words[0]!r:.40}. Write dates as 2026-01-31.")  # fmt: skip
    return found[0] if found else None


def _digits(values: NDArray[np.float64]) -> Sequence[str]:
    """Numbers that may be dates as 20260131; nothing where they are none."""
    if np.all((values >= 1500_01_01) & (values < 2500_01_01) & (values == np.rint(values))):
        return [f"{value:.0f}" for value in values]
    return ()


def _seconds(words: Sequence[str], reading: _Reading) -> NDArray[np.float64]:
    """NaN where a word is no date."""
    return np.array([_second(word.strip(), reading) for word in words])


def _second(word: str, reading: _Reading) -> float:
    try:
        moment = reading(word)
    except ValueError:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _quarter(word: str) -> datetime:
    """Its first day, of 2026Q1, 2026-Q1 and the like."""
    year, _, quarter = word.upper().partition("Q")
    return datetime(int(year.rstrip(" -")), 3 * int(quarter) - 2, 1, tzinfo=UTC)


def _as(form: str) -> _Reading:
    return lambda word: datetime.strptime(word, form).replace(tzinfo=UTC)


_READINGS: Final[tuple[_Reading, ...]] = (
    datetime.fromisoformat,
    *(_as(date + clock) for date in _DATES for clock in _CLOCKS),
    *map(_as, _MONTHS),  # the first day is meant
    _quarter,
)


def _unevenness(seconds: NDArray[np.float64]) -> tuple[int, int, int]:
    """Cells that are no dates, steps that do not go forward, and kinds of steps."""
    steps = np.diff(seconds)
    kinds = 1 if _calendar(steps) else len(np.unique(steps))
    return int(np.isnan(seconds).sum()), int((steps <= 0).sum()), kinds


# --- steps --------------------------------------------------------------------------------------


def _even(column: Column, values: NDArray[np.float64], dates: bool) -> Times:
    missing = np.isnan(values)
    if missing.any():
        row = int(missing.argmax())
        raise DataError(f"{column.where(row)} is no time{_cell(column, row)}. Every row needs one.")
    steps = np.diff(values)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        row = int(back[0]) + 1
        if steps[row - 1] == 0:
            raise DataError(f"{column.where(row)} is the time of the row before, "
                            f"{_written(column, row)}. Keep one row a time, so one series a "
                            "file.")  # fmt: skip
        raise DataError(f"{column.where(row)} goes back, from {_written(column, row - 1)} to "
                        f"{_written(column, row)}. Sort the rows by time.")  # fmt: skip
    if not len(steps):
        raise DataError("only one row, which leaves nothing to forecast.")
    gaps, step, seconds = _gaps(column, steps, dates)
    return Times(
        name=column.name,
        step=step,
        seconds=seconds,
        gaps=gaps,
        gap=column.where(int(gaps[0])) if len(gaps) else "",
        first=_written(column, 0),
        last=_written(column, len(values) - 1),
    )


def _gaps(
    column: Column, steps: NDArray[np.float64], dates: bool
) -> tuple[NDArray[np.intp], str, float | None]:
    """The rows behind a gap, the usual step in words, and in seconds."""
    usual = float(np.quantile(steps, 0.5, method="lower"))
    if dates:
        cycle = _calendar(steps)
        if cycle:
            return np.array([], np.intp), f"1 {cycle[0]}", _YEAR / cycle[1]
    odd = np.flatnonzero(np.abs(steps - usual) > 0.01 * usual)
    if len(odd) > _UNEVEN * len(steps):
        row = int(odd[0]) + 1
        raise DataError(
            f"its times are not evenly spaced: {len(odd):,} of {len(steps):,} steps are not as "
            f"long as the usual one, the first at {column.where(row)}. Bring the rows to even "
            "times first, or say time=none to take them as they come."
        )
    return odd + 1, _worded(usual) if dates else f"{usual:g}", usual if dates else None


def _calendar(steps: NDArray[np.float64]) -> tuple[str, int] | None:
    """What of the calendar all steps are, and how many a year has."""
    for least, most, word, count in _CALENDAR:
        if np.all((steps >= least * 86400) & (steps <= most * 86400)):
            return word, count
    return None


# --- words --------------------------------------------------------------------------------------


def _worded(seconds: float) -> str:
    for size, word in _SPANS:
        if seconds >= size:
            count = seconds / size
            return f"{count:g} {word}{'s' * (count != 1)}"
    return f"{seconds:g} seconds"


def _written(column: Column, row: int) -> str:
    """A time, as a person wrote it."""
    if column.dates is not None:
        return f"{datetime.fromtimestamp(column.dates[row], UTC):%Y-%m-%d %H:%M:%S}"
    if column.values is not None:
        return f"{column.values[row]:.15g}"
    return f"{column.words[row]:.40}"


def _cell(column: Column, row: int) -> str:
    return f": {column.words[row]!r:.40}" if column.words else ""
