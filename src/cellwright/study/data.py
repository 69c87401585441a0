"""Music to compare cells on: the chorales that come with Cellwright, or a person's own file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np

from cellwright.study.formats import EXPECTED, SPLITS, DataError, Raw, read
from cellwright.study.music import Frames, Music

__all__ = ["DataError", "Frames", "Music", "load"]

_CHORALES: Final = (
    "Four-part chorales by J. S. Bach (public-domain music), from the corpus of music21 9.9.2; "
    "they come with Cellwright. A step is a quarter note."
)


def load(path: str | os.PathLike[str] | None = None) -> Music:
    """The music in a file, or without one the chorales (study/chorales.md tells their story).

    A file is one of these, whatever its name:

    - MATLAB v5: cell arrays `traindata`, `validdata`, `testdata`, each cell a `(T, K)` matrix;
      the published JSB_Chorales.mat, Nottingham.mat and so on;
    - .npz: `train`, `(N, K)` with all frames of all sequences one after the other, and
      `train_lengths`, `(S,)` integers, frames in each sequence; the same for `valid` and `test`.

    Values are 0 and 1, of any numeric type; K, the keys, is the same throughout.

    Raises DataError where the file is not there, has no such form or is damaged, and where the
    data leave nothing to learn: an empty split, a sequence of fewer than two frames, another
    number of keys, a value that is neither 0 nor 1.
    """
    if path is None:
        with as_file(files("cellwright.study") / "chorales.npz") as shipped:
            return Music("Bach chorales", _CHORALES, *_checked(read(shipped)))
    path = Path(path)
    try:
        _find(path)
        return Music(path.stem, str(path), *_checked(read(path)))
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from None
    except DataError as e:
        raise DataError(f"{path}: {e}") from None


def _find(path: Path) -> None:
    """Raise DataError, without the path, where there is no such file."""
    if path.is_file():
        return
    if path.is_dir():
        held = sorted(file.name for file in path.iterdir() if file.suffix in (".mat", ".npz"))
        some = f"Name a file in it: {', '.join(held[:6])}." if held else f"Expected {EXPECTED}."
        raise DataError(f"a folder, not a file. {some}")
    if path.exists():
        raise DataError("not a regular file, so it cannot be read twice. Copy it into one.")
    if not path.parent.is_dir():
        raise DataError(f"no such file, nor the folder {path.parent}.")
    names = {file.name.lower(): file.name for file in path.parent.iterdir() if file.is_file()}
    near = get_close_matches(path.name.lower(), names, 3)
    meant = f"Did you mean {' or '.join(str(path.with_name(names[name])) for name in near)}?"
    raise DataError(f"no such file. {meant if near else f'Expected {EXPECTED}.'}")


# --- what makes data usable ---------------------------------------------------------------------


def _checked(raw: Raw) -> tuple[tuple[Frames, ...], tuple[Frames, ...], tuple[Frames, ...]]:
    """The three splits, or a DataError without the file's name."""
    if sum(len(raw[split]) for split in SPLITS) == 1:
        raise DataError("only one sequence, which cannot be split. Cut it into at least three: one "
                        "to train on, one for validation, one for the test.")  # fmt: skip
    for split in SPLITS:
        if not raw[split]:
            raise DataError(f"no sequences in {split}. Move some there from the other splits; "
                            "train, valid and test need at least one each.")  # fmt: skip
    train, valid, test = (_split(split, raw[split]) for split in SPLITS)
    keys = train[0].shape[1]
    for split, sequences in zip(SPLITS, (train, valid, test), strict=True):
        for i, sequence in enumerate(sequences):
            if sequence.shape[1] != keys:
                raise DataError(
                    f"{_place(split, i, sequences)} has {sequence.shape[1]} keys, the first one in "
                    f"train has {keys}. Give all the same keys; a sequence is frames by keys."
                )
    return train, valid, test


def _split(split: str, sequences: Sequence[Any]) -> tuple[Frames, ...]:
    return tuple(_frames(_place(split, i, sequences), s) for i, s in enumerate(sequences))


def _place(split: str, index: int, sequences: Sequence[Any]) -> str:
    """Where to look, counted from 1 as people count."""
    return f"sequence {index + 1} of {len(sequences)} in {split}"


def _frames(place: str, sequence: Any) -> Frames:
    if not isinstance(sequence, np.ndarray) or sequence.dtype.kind not in "biuf":
        kind = str(getattr(sequence, "dtype", None) or getattr(sequence, "kind", "cell"))
        raise DataError(f"{place} is of type {kind}. Expected a full matrix of real numbers.")
    if sequence.size == 0:
        raise DataError(f"{place} is empty. Leave it out: there is nothing in it to predict.")
    if sequence.ndim != 2:
        raise DataError(f"{place} has {sequence.ndim} dimensions. Expected two: frames by keys.")
    if len(sequence) == 1:
        raise DataError(f"{place} has one frame, so none follows it that could be predicted. "
                        "Leave it out.")  # fmt: skip
    wrong = np.argwhere((sequence != 0) & (sequence != 1))
    if len(wrong):
        frame, key = wrong[0]
        raise DataError(
            f"{place} has {sequence[frame, key]:g} in frame {frame + 1} of {len(sequence)}, key "
            f"{key + 1} of {sequence.shape[1]}. Expected 1 where a key sounds and 0 where it does "
            "not; for loudness or probabilities, choose a threshold."
        )
    return sequence.astype(np.uint8)
