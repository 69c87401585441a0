"""Tables in Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellwright.errors import CellwrightError
from cellwright.study.readers.errors import DataError, whole
from cellwright.study.readers.table import MOST, Column

__all__ = ["columns"]


def columns(path: Path) -> dict[str, Column]:
    """The columns of a Parquet file by name: those of numbers, dates and words.

    Raises DataError, without the file's name, where it is damaged or too large; OSError where it
    cannot be read; CellwrightError where PyArrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise CellwrightError("Parquet is read with PyArrow, which is not installed: pip install "
                              "pyarrow, or save the table as CSV") from None  # fmt: skip
    with path.open("rb") as file:
        with whole():
            table = pyarrow.parquet.ParquetFile(file)
            rows, count = table.metadata.num_rows, len(table.schema_arrow)
        if rows * count > MOST:
            raise DataError(f"{rows:,} rows of {count} columns; at most {MOST:,} cells are read. "
                            "Keep a part of its rows or columns.")  # fmt: skip
        with whole():
            held = table.read()
            return {name: _column(name, held[name]) for name in held.column_names}


def _column(name: str, held: Any) -> Column:
    import pyarrow

    kind = held.type
    if pyarrow.types.is_temporal(kind):
        moments = held.cast(pyarrow.timestamp("us"))
        micros = moments.cast(pyarrow.int64()).cast(pyarrow.float64())
        return Column(name, None, _floats(micros) / 1e6)
    if pyarrow.types.is_boolean(kind):
        held, kind = held.cast(pyarrow.uint8()), pyarrow.uint8()
    if pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or (
        pyarrow.types.is_decimal(kind)
    ):  # fmt: skip
        values = _floats(held.cast(pyarrow.float64(), safe=False))
        infinite = np.flatnonzero(np.isinf(values))
        wrong = (int(infinite[0]), str(values[infinite[0]])) if len(infinite) else None
        return Column(name, values, wrong=wrong)
    return Column(name, None, words=[str(word) for word in held.to_pylist()])


def _floats(held: Any) -> NDArray[np.float64]:
    """NaN where nothing stands."""
    return np.array(held.to_numpy(), np.float64)
