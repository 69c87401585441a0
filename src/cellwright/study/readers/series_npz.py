"""Labelled series in an .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.npz import arrays
from cellwright.study.readers.ts import Labelled

__all__ = ["EXPECTED", "in_npz"]

EXPECTED: Final = (
    "an .npz with x, (series, steps) or (series, steps, channels), and y, a label each; perhaps "
    "lengths, of which the rest is padding, and split, of the words train, valid and test"
)


def in_npz(path: Path) -> dict[str, Labelled]:
    """The series of each split; all are of `train` where the file does not say.

    Steps at the end of a series that have no value at all are padding.

    Raises DataError, without the file's name, naming the series; OSError where it cannot be read.
    """
    held = arrays(path, ("x", "y"), EXPECTED, ("lengths", "split"))
    x = _numbers(held["x"])
    labels = _labels(held["y"], len(x))
    lengths = _lengths(held.get("lengths"), x)
    splits = _splits(held.get("split"), len(x))
    found: dict[str, Labelled] = {}
    for i, (one, label, length, split) in enumerate(zip(x, labels, lengths, splits, strict=True)):
        part = found.setdefault(split, Labelled())
        part.series.append(_checked(one[:length], i, len(x)))
        part.labels.append(label)
        part.places.append(f"series {i + 1} of {len(x)}")
    if "train" not in found:
        raise DataError("no series of split train. Give it some to learn from.")
    return found


def _numbers(x: NDArray[Any]) -> NDArray[np.float64]:
    """`(N, T, K)`."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"x is an array of {x.dtype}. Expected numbers.")
    if x.ndim not in (2, 3) or not x.size:
        raise DataError(f"x has the shape {x.shape}. Expected (series, steps) or (series, steps, "
                        "channels), none of them 0.")  # fmt: skip
    return (x if x.ndim == 3 else x[:, :, None]).astype(np.float64)


def _labels(y: NDArray[Any], count: int) -> list[str]:
    if y.shape != (count,):
        raise DataError(f"y has the shape {y.shape}, x has {count} series. Give a label each.")
    if (
        y.dtype.kind == "f"
        and (wrong := np.flatnonzero(~(np.isfinite(y) & (y == np.rint(y))))).size
    ):
        raise DataError(f"y of series {wrong[0] + 1} is {y[wrong[0]]:g}. Expected labels: whole "
                        "numbers or words.")  # fmt: skip
    if y.dtype.kind not in "biufU":
        raise DataError(f"y is an array of {y.dtype}. Expected whole numbers or words.")
    return [str(int(label)) if y.dtype.kind in "biuf" else str(label) for label in y.tolist()]


def _lengths(lengths: NDArray[Any] | None, x: NDArray[np.float64]) -> list[int]:
    if lengths is None:
        ends = np.where(np.isfinite(x).any(2), np.arange(1, x.shape[1] + 1), 0).max(1)
        known: list[int] = ends.tolist()
        return known
    if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
        raise DataError(f"lengths is an array of {lengths.dtype} of the shape {lengths.shape}. "
                        f"Expected {len(x)} whole numbers.")  # fmt: skip
    wrong = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
    if len(wrong):
        raise DataError(f"lengths of series {wrong[0] + 1} is {lengths[wrong[0]]}; x has "
                        f"{x.shape[1]} steps. Expected 1 to {x.shape[1]}.")  # fmt: skip
    found: list[int] = lengths.tolist()
    return found


def _splits(split: NDArray[Any] | None, count: int) -> list[str]:
    if split is None:
        return ["train"] * count
    known = ("train", "valid", "test")
    if split.shape != (count,) or split.dtype.kind != "U" or not {*split.tolist()} <= {*known}:
        raise DataError(f"split is an array of {split.dtype} of the shape {split.shape}. Expected "
                        f"{count} of the words {', '.join(known)}.")  # fmt: skip
    found: list[str] = split.tolist()
    return found


def _checked(one: NDArray[np.float64], i: int, count: int) -> NDArray[np.float64]:
    if not len(one):
        raise DataError(f"series {i + 1} of {count} has no value at all. Leave it out.")
    wrong = np.argwhere(np.isinf(one))
    if len(wrong):
        step, channel = wrong[0] + 1
        raise DataError(f"series {i + 1} of {count} is infinite at step {step}, channel {channel}. "
                        "Expected a finite number, or NaN where it is missing.")  # fmt: skip
    return one
