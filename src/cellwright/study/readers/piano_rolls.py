"""Sequences of frames in three splits: a MATLAB v5 file, or an .npz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from cellwright.study.readers.errors import DataError, whole
from cellwright.study.readers.matlab import Cells, Other, Value, variables
from cellwright.study.readers.npz import arrays

__all__ = ["EXPECTED", "SPLITS", "Raw", "in_matlab", "in_npz"]

SPLITS: Final = ("train", "valid", "test")
EXPECTED: Final = (
    "a MATLAB v5 file with the cell arrays traindata, validdata and testdata, or an .npz with the "
    "arrays train and train_lengths, and so for valid and test"
)

Raw: TypeAlias = Mapping[str, Sequence[Any]]
"""Sequences by split, as the file has them: not yet looked at."""


def in_matlab(path: Path) -> Raw:
    """The sequences in a MATLAB v5 file.

    Raises DataError, without the file's name, where it has none or is damaged; OSError where it
    cannot be read.
    """
    content = path.read_bytes()
    with whole():
        held = variables(content)
    wanted = [f"{split}data" for split in SPLITS]
    missing = [name for name in wanted if name not in held]
    if missing:
        names = ", ".join(map(repr, list(held)[:6])) + (", …" if len(held) > 6 else "")
        raise DataError(f"no {', '.join(missing)} in it; it has {names or 'nothing'}. "
                        f"Expected {EXPECTED}.")  # fmt: skip
    return {split: _cells(name, held[name]) for split, name in zip(SPLITS, wanted, strict=True)}


def _cells(name: str, value: Value) -> Sequence[Value]:
    if isinstance(value, Cells):
        return value.values
    kind = value.kind if isinstance(value, Other) else value.dtype.name
    shape = " x ".join(map(str, value.shape))
    raise DataError(f"{name} is one {kind} array of {shape}. Expected a cell array; make each "
                    "sequence, frames by keys, one of its cells.")  # fmt: skip


def in_npz(path: Path) -> Raw:
    """The sequences in an .npz, which is cut into them.

    Raises as `in_matlab` does.
    """
    held = arrays(path, [f"{s}{what}" for s in SPLITS for what in ("", "_lengths")], EXPECTED)
    return {split: _cut(split, held[split], held[f"{split}_lengths"]) for split in SPLITS}


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
