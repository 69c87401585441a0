"""Arrays in an .npz: by name, not unpickled, and no more of them than memory has room for."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cellwright.study.readers.errors import DataError, whole

__all__ = ["MOST", "arrays", "names"]

MOST: Final = 1 << 30
"""Bytes that the arrays wanted may unpack to."""


def names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in the file.

    Raises DataError where it is damaged, OSError where it cannot be read.
    """
    with path.open("rb") as file, whole():
        return tuple(n.removesuffix(".npy") for n in zipfile.ZipFile(file).namelist())


def arrays(
    path: Path, wanted: Sequence[str], expected: str, optional: Sequence[str] = ()
) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that are `wanted`, and those that are `optional` where they are there.

    Raises DataError, with what was `expected`, where one is missing, damaged, too large or of
    Python objects; OSError where the file cannot be read.
    """
    with path.open("rb") as file:  # np.load leaves a damaged file of its own open
        with whole():
            archive = np.load(file, allow_pickle=False)
            sizes = {i.filename.removesuffix(".npy"): i.file_size for i in archive.zip.infolist()}
        missing = [name for name in wanted if name not in archive.files]
        if missing:
            held = ", ".join(map(repr, archive.files[:6])) + ", …" * (len(archive.files) > 6)
            raise DataError(f"no {', '.join(missing)} in it; it has {held or 'nothing'}. "
                            f"Expected {expected}.")  # fmt: skip
        chosen = [*wanted, *(name for name in optional if name in archive.files)]
        size = sum(sizes[name] for name in chosen)
        if size > MOST:
            raise DataError(f"its arrays unpack to {size / 2**30:.1f} GiB; at most "
                            f"{MOST / 2**30:.0f} GiB are read. Keep a part of the "
                            "sequences.")  # fmt: skip
        return {name: _array(archive, name, expected) for name in chosen}


def _array(archive: Any, name: str, expected: str) -> np.ndarray[Any, Any]:
    with whole():
        try:
            return np.asarray(archive[name])
        except ValueError as e:
            if "allow_pickle" not in str(e):
                raise
    raise DataError(f"{name} is an array of Python objects, which are not unpickled, for that can "
                    f"run any code. Expected {expected}.")  # fmt: skip
