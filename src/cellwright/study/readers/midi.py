"""Folders of MIDI files, to piano rolls."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cellwright.errors import CellwrightError
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import is_midi

__all__ = ["rolls"]

Frames: TypeAlias = NDArray[np.uint8]

_LOWEST, _KEYS = 21, 88
_FOLDERS: Final = {
    "train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid",
    "dev": "valid", "test": "test", "testing": "test",
}  # fmt: skip
_LONGEST: Final = 100_000
"""Steps of a piece."""
_FILE: Final = 1 << 24
"""Bytes of a file."""
_ALL: Final = 1 << 30
"""Bytes of all frames."""


def rolls(
    folder: Path, step: float, valid: float, test: float
) -> tuple[Mapping[str, list[Frames]], list[str]]:
    """What sounds every `step` quarters, `(T, 88)`, by split, and notes on what was left out.

    A key is 1 at a step if a note sounds at the instant that it begins: onset <= t < onset +
    duration. Silence before and after is cut. What lies between two steps, drums, loudness and
    keys that a piano has not are not heard.

    Folders called train, valid and test are the split; without them, a hash of each file's path
    decides, so that a file stays where it is when others come. Of the files, the shares `valid` and
    `test` go there, about.

    Raises DataError, naming the file, where one is damaged, empty or has no quarters; OSError where
    one cannot be read; CellwrightError where symusic is not installed.
    """
    try:
        import symusic
    except ImportError:
        raise CellwrightError("MIDI files are read with symusic, which is not installed: "
                              "pip install symusic") from None  # fmt: skip
    files = sorted(file for file in folder.rglob("*") if is_midi(file) and file.is_file())
    by_folder = {_FOLDERS.get(part.lower()) for file in files for part in _parts(file, folder)}
    split_here = not {"train", "valid", "test"} <= by_folder
    found: dict[str, list[Frames]] = {"train": [], "valid": [], "test": []}
    notes, short, unheard, size = [], 0, 0, 0
    for file in files:
        split = _hashed(file, folder, valid, test) if split_here else _named(file, folder)
        if split is None:
            notes.append(f"{file.relative_to(folder)} is in none of the folders train, valid and "
                         "test, and is left out.")  # fmt: skip
            continue
        frames, outside = _roll(symusic, file, folder, step)
        unheard += outside
        size += frames.nbytes
        if size > _ALL:
            raise DataError(f"more than {_ALL / 2**30:.0f} GiB of frames. Choose a longer step, or "
                            "keep a part of the files.")  # fmt: skip
        if len(frames) < 2:
            short += 1
        else:
            found[split].append(frames)
    how = "hash of the files' names" if split_here else "folders train, valid and test"
    notes.insert(0, f"A step is {step:g} quarters; the split is by {how}.")
    if short:
        notes.append(f"{short} of {len(files)} pieces have fewer than two steps, and are left out.")
    if unheard:
        notes.append(f"{unheard:,} notes are of keys that a piano has not, and are left out.")
    return found, notes


def _parts(file: Path, folder: Path) -> tuple[str, ...]:
    return file.relative_to(folder).parts[:-1]


def _named(file: Path, folder: Path) -> str | None:
    """The split that a file's folders name."""
    names = (_FOLDERS.get(part.lower()) for part in _parts(file, folder))
    return next((name for name in names if name), None)


def _hashed(file: Path, folder: Path, valid: float, test: float) -> str:
    """A split by the file's path, which is evenly from 0 to 1 when hashed."""
    name = file.relative_to(folder).as_posix()
    at = int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:6]) / 2**48
    return "test" if at < test else "valid" if at < test + valid else "train"


def _roll(symusic: Any, file: Path, folder: Path, step: float) -> tuple[Frames, int]:
    """The piece `(T, 88)`, and how many notes a piano does not have."""
    name = file.relative_to(folder)
    if file.stat().st_size > _FILE:
        raise DataError(f"{name} has {file.stat().st_size / 2**20:.0f} MiB; a MIDI file has at "
                        f"most {_FILE / 2**20:.0f}.")  # fmt: skip
    content = file.read_bytes()
    try:
        score = symusic.Score.from_midi(content)
    except Exception as e:
        reason = " ".join(str(e).split())[:80] or type(e).__name__
        raise DataError(f"{name} is damaged ({reason}). Leave it out, or fetch it "
                        "again.") from None  # fmt: skip
    ticks = step * score.ticks_per_quarter
    if ticks <= 0:
        raise DataError(f"{name} has quarters of 0 ticks, so no time passes. Leave it out.")
    notes = [track.notes.numpy() for track in score.tracks if not track.is_drum]
    pitch, onset, held = (
        np.concatenate([[], *(n[key] for n in notes)]) for key in ("pitch", "time", "duration")
    )
    # The first and the last step within each note.
    first, after = np.ceil(onset / ticks), np.ceil((onset + held) / ticks)
    on_piano = (pitch >= _LOWEST) & (pitch < _LOWEST + _KEYS)
    heard = on_piano & (after > first)
    if not heard.any():
        return np.zeros((0, _KEYS), np.uint8), int((~on_piano).sum())
    begin, end = int(first[heard].min()), int(after[heard].max())
    if end - begin > _LONGEST:
        raise DataError(f"{name} has {end - begin:,} steps; a piece has at most {_LONGEST:,}. "
                        "Leave it out, or choose a longer step.")  # fmt: skip
    frames = np.zeros((end - begin, _KEYS), np.uint8)
    for p, a, b in zip(pitch[heard], first[heard], after[heard], strict=True):
        frames[int(a) - begin : int(b) - begin, int(p) - _LOWEST] = 1
    return frames, int((~on_piano).sum())
