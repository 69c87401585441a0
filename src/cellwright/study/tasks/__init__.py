"""Tasks to compare cells on: from files, or generated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from cellwright.study.naming import Named, fill, parse
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import EXPECTED, Found, recognise
from cellwright.study.readers.piano_rolls import in_npz
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.music import music
from cellwright.study.tasks.music_files import MUSIC, checked
from cellwright.study.tasks.series import SERIES
from cellwright.study.tasks.task import Task
from cellwright.study.tasks.text import TEXT

__all__ = ["KINDS", "DataError", "Task", "load"]

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (MUSIC, SERIES, TEXT)}
"""What a file can be; the first that reads it is taken."""

_CHORALES: Final = (
    "Four-part chorales by J. S. Bach (public-domain music), from the corpus of music21 9.9.2; "
    "they come with Cellwright. A step is a quarter note."
)


def load(which: str | os.PathLike[str] | None = None, task: str | None = None) -> Task:
    """The task that a file's content, or a name, stands for.

    `which` is a path; without it, the Bach chorales that come with Cellwright (study/chorales.md
    tells their story). `task` is a name of KINDS, to read a file as that kind and no other; its
    parameters stand in brackets.

    Raises DataError where there is no such file, it has none of the forms, is damaged, or leaves
    nothing to learn; NamingError where a name or a parameter is unknown.
    """
    asked = parse(task) if task else None
    if asked and asked.name not in KINDS:
        raise DataError(f"--task {asked.name}: there is no such task for files. Choose from "
                        f"{', '.join(KINDS)}.")  # fmt: skip
    if which is None:
        with as_file(files("cellwright.study") / "chorales.npz") as shipped:
            return music("Bach chorales", _CHORALES, *checked(in_npz(shipped)))
    path = Path(which)
    try:
        found = recognise(path)
        kind = _kind(found, asked)
        return kind.build(found, fill(kind.options, asked or Named(kind.name)))
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from None
    except DataError as e:
        raise DataError(f"{path}: {e}") from None


def _kind(found: Found, asked: Named | None) -> Kind:
    if asked:
        kind = KINDS[asked.name]
        if not kind.reads(found):
            raise DataError(f"it cannot be read as {kind.name}. Expected {kind.expected}.")
        return kind
    for kind in KINDS.values():
        if kind.reads(found):
            return kind
    held = ", ".join(map(repr, found.arrays[:6])) or "nothing"
    raise DataError(f"an .npz with {held} in it. Expected {EXPECTED}; an .npz has "
                    "train and train_lengths, or x and y.")  # fmt: skip
