"""The data files that can be read: a MATLAB v5 file and an .npz, told apart by their first bytes.

Nothing here unpickles, and a damaged file never gives more than a DataError.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from cellwright.errors import CellwrightError
from cellwright.study.matlab import Cells, Other, Value, is_matlab, variables

__all__ = ["EXPECTED", "SPLITS", "DataError", "Raw", "read"]

SPLITS: Final = ("train", "valid", "test")
EXPECTED: Final = (
    "a MATLAB v5 file with the cell arrays traindata, validdata and testdata, or an .npz with the "
    "arrays train and train_lengths, and so for valid and test"
)

Raw: TypeAlias = Mapping[str, Sequence[Any]]
"""Sequences by split, as the file has them: not yet looked at."""


class DataError(CellwrightError):
    """The data cannot be read, or are not sequences of frames to learn from."""


def read(path: Path) -> Raw:
    """The sequences in the file.

    Raises DataError, without the file's name, where it has neither form or is damaged; OSError
    where it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(520)
    if not head:
        raise DataError("empty, 0 bytes long. Write or fetch it again.")
    if head.startswith(b"PK\x03\x04"):
        return _npz(path)
    if is_matlab(head):
        return _mat(path)
    raise DataError(f"{_other(head)} Expected {EXPECTED}.")


def _other(head: bytes) -> str:
    if b"\x89HDF\r\n\x1a\n" in head or head.startswith(b"MATLAB 7.3"):
        return "an HDF5 or MATLAB 7.3 file; save it from MATLAB with the option '-v7'."
    if head.startswith((b"\x80", b"(dp", b"(lp")):
        return "a Python pickle, which is not opened, for it can run any code."
    if head.startswith(b"\x93NUMPY"):
        return "one bare array; the split and the sequences' lengths have to come with it."
    return "not a data file."


@contextmanager
def _whole() -> Iterator[None]:
    """Turns whatever a reader stumbles over into a DataError: fuzzing found a dozen types."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as e:
        reason = " ".join(str(e).split())[:80] or type(e).__name__
        raise DataError(f"damaged ({reason}). Write or fetch it again.") from None


def _has(names: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        held = ", ".join(map(repr, names[:6])) + (", …" if len(names) > 6 else "")
        raise DataError(f"no {', '.join(missing)} in it; it has {held or 'nothing'}. "
                        f"Expected {EXPECTED}.")  # fmt: skip


# --- MATLAB -------------------------------------------------------------------------------------


def _mat(path: Path) -> Raw:
    wanted = [f"{split}data" for split in SPLITS]
    with _whole():
        held = variables(path.read_bytes())
    _has(list(held), wanted)
    return {split: _cells(name, held[name]) for split, name in zip(SPLITS, wanted, strict=True)}


def _cells(name: str, value: Value) -> Sequence[Value]:
    if isinstance(value, Cells):
        return value.values
    kind = value.kind if isinstance(value, Other) else value.dtype.name
    shape = " x ".join(map(str, value.shape))
    raise DataError(f"{name} is one {kind} array of {shape}. Expected a cell array; make each "
                    "sequence, frames by keys, one of its cells.")  # fmt: skip


# --- NumPy --------------------------------------------------------------------------------------


def _npz(path: Path) -> Raw:
    wanted = [f"{split}{what}" for split in SPLITS for what in ("", "_lengths")]
    with path.open("rb") as file:  # np.load leaves a damaged file of its own open
        with _whole():
            archive = np.load(file, allow_pickle=False)
        _has(archive.files, wanted)
        arrays = {name: _array(archive, name) for name in wanted}
    return {split: _cut(split, arrays[split], arrays[f"{split}_lengths"]) for split in SPLITS}


def _array(archive: Mapping[str, Any], name: str) -> np.ndarray:
    with _whole():
        try:
            return np.asarray(archive[name])
        except ValueError as e:
            if "allow_pickle" not in str(e):
                raise
    raise DataError(f"{name} is an array of Python objects, which are not unpickled, for that can "
                    f"run any code. Expected {EXPECTED}.")  # fmt: skip


def _cut(split: str, frames: np.ndarray, lengths: np.ndarray) -> Sequence[np.ndarray]:
    if frames.ndim != 2:
        raise DataError(f"{split} has the shape {frames.shape}. Expected (frames, keys): the "
                        "sequences of the split, one after the other.")  # fmt: skip
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise DataError(f"{split}_lengths is an array of {lengths.dtype} of the shape "
                        f"{lengths.shape}. Expected integers, one a sequence.")  # fmt: skip
    counts = lengths.tolist()
    if any(count < 0 for count in counts) or sum(counts) != len(frames):
        raise DataError(f"{split}_lengths has the sum {sum(counts)}, {split} has {len(frames)} "
                        "frames. Give each sequence's number of frames, none below 0.")  # fmt: skip
    return np.split(frames, np.cumsum(counts, dtype=np.int64))[:-1]
