"""Music in files: what makes it usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import Found
from cellwright.study.readers.midi import rolls
from cellwright.study.readers.piano_rolls import EXPECTED, SPLITS, Raw, in_matlab, in_npz
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.music import Frames, music
from cellwright.study.tasks.task import Task

__all__ = ["MUSIC", "checked"]


@dataclass(frozen=True)
class Options:
    """What `music(…)` takes, of a folder of MIDI files."""

    step: float = 1.0
    """Quarters from frame to frame."""
    valid: float = 0.1
    """Share of the pieces for validation, where no folders say."""
    test: float = 0.1
    """Share of the pieces for the test, where no folders say."""


def _reads(found: Found) -> bool:
    return found.format in ("matlab", "midi") or (found.format == "npz" and "train" in found.arrays)


def _from_file(found: Found, options: Options) -> Task:
    path = found.path
    if found.format == "midi":
        return _from_midi(path, options)
    if options != Options():
        raise DataError("music: step, valid and test are for folders of MIDI files; this file has "
                        "frames and a split of its own.")  # fmt: skip
    raw = in_matlab(path) if found.format == "matlab" else in_npz(path)
    return music(path.stem, str(path), *checked(raw))


def _from_midi(path: Path, options: Options) -> Task:
    if not options.step > 0:
        raise DataError(f"music: step must be above 0, got {options.step:g}.")
    if not (options.valid > 0 and options.test > 0 and options.valid + options.test < 1):
        raise DataError("music: valid and test must be above 0, and below 1 together, got "
                        f"{options.valid:g} and {options.test:g}.")  # fmt: skip
    raw, notes = rolls(path, options.step, options.valid, options.test)
    for split in SPLITS:
        if not raw[split]:
            raise DataError(f"no piece of two steps or more in {split}. Give more pieces, a "
                            "shorter step, or folders train, valid and test.")  # fmt: skip
    name = path.resolve().name
    return music(name, str(path), raw["train"], raw["valid"], raw["test"], tuple(notes))


def checked(raw: Raw) -> tuple[tuple[Frames, ...], tuple[Frames, ...], tuple[Frames, ...]]:
    """The three splits.

    Raises DataError, without the file's name, where the data leave nothing to learn: an empty
    split, a sequence of fewer than two frames, another number of keys, a value that is neither 0
    nor 1.
    """
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


MUSIC: Final = Kind("music", _reads, f"{EXPECTED}, or a folder of MIDI files", Options, _from_file)
