"""Tables: columns of numbers, dates and words; from CSV here, from Parquet in `parquet.py`."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import Format

if TYPE_CHECKING:
    from _csv import Reader

__all__ = ["MOST", "Column", "read"]

MOST: Final = 1 << 26
"""Cells of a table."""
_AT_ONCE: Final = 10_000
"""Rows that are looked at together."""
_MISSING: Final = frozenset(("", "na", "n/a", "nan", "null", "none", "?", "-"))
"""What stands for a missing value, in small letters."""


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table: numbers, dates, or words."""

    name: str
    values: NDArray[np.float64] | None
    """Numbers, NaN where one is missing; None where most cells are none."""
    dates: NDArray[np.float64] | None = None
    """Seconds since 1970, of a column of dates whose file says so; NaN where one is missing."""
    words: Sequence[str] = ()
    """As they stand there, of a column that is not of numbers."""
    lines: NDArray[np.intp] | None = None
    """The line of each row, of a file that has any."""
    wrong: tuple[int, str] | None = None
    """The first row, and its cell, that is no finite number in a column of such."""

    def where(self, row: int) -> str:
        """`column load, line 12`; rows are counted from 0."""
        place = f"row {row + 1}" if self.lines is None else f"line {self.lines[row]}"
        return f"column {self.name}, {place}"

    def numbers(self) -> NDArray[np.float64] | None:
        """Its numbers; None where most cells are none.

        Raises DataError, naming the row, where a few of them are none, or one is infinite.
        """
        if self.values is not None and self.wrong is not None:
            row, cell = self.wrong
            raise DataError(f"{self.where(row)} is {cell!r:.40}. Expected a finite number, or "
                            "nothing where it is missing.")  # fmt: skip
        return self.values


def read(path: Path, format_: Format) -> Mapping[str, Column]:
    """The columns by name, in their order.

    Raises DataError, without the file's name, naming the line where one is wrong; OSError where it
    cannot be read; CellwrightError where a library is not installed.
    """
    if format_ == "parquet":
        from cellwright.study.readers.parquet import columns

        found = columns(path)
    else:
        found = _csv(path)
    if not found or not any(len(_cells(column)) for column in found.values()):
        raise DataError("no rows below the names of its columns.")
    return found


def _cells(column: Column) -> Sequence[object] | NDArray[np.float64]:
    kinds = (column.values, column.dates, column.words)
    return next(kind for kind in kinds if kind is not None)


def _csv(path: Path) -> dict[str, Column]:
    reader = None
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = max(",;\t|", key=file.readline().count)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = _names(next(reader, []))
            rows = _Rows(len(names), delimiter)
            for at in iter(lambda: list(islice(_whole(reader, len(names)), _AT_ONCE)), []):
                rows.take(at)
    except UnicodeDecodeError as e:
        raise DataError(f"not UTF-8: 0x{e.object[e.start]:02x}. Save the table as UTF-8.") from None
    except csv.Error as e:
        line = reader.line_num if reader else 1
        raise DataError(f"line {line} is no line of a table ({e}).") from None
    lines = np.array(rows.lines, np.intp)
    return {name: part.column(name, lines) for name, part in zip(names, rows.parts, strict=True)}


def _names(row: list[str]) -> list[str]:
    """Of the columns: one without a name, as pandas writes its index, has its number."""
    names = [name.strip() or f"column {i + 1}" for i, name in enumerate(row)]
    if names and all(name.lstrip("+-").replace(".", "", 1).isdecimal() for name in names):
        raise DataError(f"line 1 has numbers ({', '.join(names[:3])}). Write a line above it with "
                        "the names of the columns.")  # fmt: skip
    if len(names) < 2:
        raise DataError("line 1 has fewer than two columns. Expected names with commas between "
                        "them, one of them of times.")  # fmt: skip
    for i, name in enumerate(names):
        if name in names[:i]:
            raise DataError(f"two columns are called {name}. Rename one of them.")
    return names


def _whole(reader: Reader, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with their lines: each has as many cells, and only the last lines may be empty."""
    blank = 0
    for row in reader:
        if not row:
            blank = blank or reader.line_num
            continue
        if blank:
            raise DataError(f"line {blank} is empty. Delete it.")
        if len(row) != columns:
            raise DataError(f"line {reader.line_num} has {len(row)} cells, and there are {columns} "
                            "names of columns. Give every line as many.")  # fmt: skip
        yield reader.line_num, row


class _Rows:
    """What was read of a CSV so far."""

    def __init__(self, columns: int, delimiter: str) -> None:
        self.parts = [_Part(delimiter) for _ in range(columns)]
        self.lines: list[int] = []

    def take(self, rows: Sequence[tuple[int, list[str]]]) -> None:
        self.lines += [line for line, _ in rows]
        if len(self.lines) * len(self.parts) > MOST:
            raise DataError(f"more than {MOST:,} cells in {len(self.parts)} columns. Keep a part "
                            "of its rows or columns.")  # fmt: skip
        for part, cells in zip(
            self.parts, zip(*(row for _, row in rows), strict=True), strict=True
        ):
            part.take(cells)


@dataclass
class _Part:
    """A column of a CSV so far. It is of words if most cells of its beginning are no numbers."""

    delimiter: str
    chunks: list[NDArray[np.float64]] = field(default_factory=list)
    words: list[str] | None = None
    count: int = 0
    wrong: tuple[int, str] | None = None

    def take(self, cells: Sequence[str]) -> None:
        if self.words is None:
            self._take_numbers(cells)
        else:
            self.words += cells
        self.count += len(cells)

    def _take_numbers(self, cells: Sequence[str]) -> None:
        values = self._values(cells)
        wrong: list[int] = np.flatnonzero(~np.isfinite(values)).tolist()
        bad = [i for i in wrong if cells[i].strip().lower() not in _MISSING]
        known = len(cells) - len(wrong) + len(bad)
        if not self.count and 2 * len(bad) > known:
            self.words = [*cells]
            return
        if bad and self.wrong is None:
            self.wrong = self.count + bad[0], cells[bad[0]]
        self.chunks.append(values)

    def _values(self, cells: Sequence[str]) -> NDArray[np.float64]:
        try:
            return np.array(cells, np.float64)
        except ValueError:
            return np.array([self._value(cell) for cell in cells])

    def _value(self, cell: str) -> float:
        try:
            # Where commas part no cells, they stand for the point, as in 3,5.
            return float(cell if self.delimiter == "," else cell.replace(",", "."))
        except ValueError:
            return float("nan")

    def column(self, name: str, lines: NDArray[np.intp]) -> Column:
        if self.words is not None:
            return Column(name, None, words=self.words, lines=lines)
        values = np.concatenate(self.chunks) if self.chunks else np.array([])
        return Column(name, values, lines=lines, wrong=self.wrong)
