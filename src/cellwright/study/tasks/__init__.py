"""Tasks to compare cells on: from files, or generated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from cellwright.study.naming import Named, fill, parse
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import EXPECTED, Found, recognise
from cellwright.study.readers.piano_rolls import in_npz
from cellwright.study.tasks.adding import ADDING
from cellwright.study.tasks.digits import DIGITS
from cellwright.study.tasks.forecast import FORECAST
from cellwright.study.tasks.generated import Generated
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.music import music
from cellwright.study.tasks.music_files import MUSIC, checked
from cellwright.study.tasks.parity import PARITY
from cellwright.study.tasks.recall import COPY
from cellwright.study.tasks.series import SERIES
from cellwright.study.tasks.task import Task
from cellwright.study.tasks.temporal_order import TEMPORAL_ORDER
from cellwright.study.tasks.text import TEXT

__all__ = ["CLASSICS", "KINDS", "DataError", "Task", "load"]

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in (MUSIC, SERIES, FORECAST, TEXT)}
"""What a file can be; the first that reads it is taken."""

CLASSICS: Final[Mapping[str, Generated]] = {
    one.name: one for one in (ADDING, COPY, TEMPORAL_ORDER, PARITY, DIGITS)
}
"""What needs no file."""

_CHORALES: Final = (
    "Four-part chorales by J. S. Bach (public-domain music), from the corpus of music21 9.9.2; "
    "they come with Cellwright. A step is a quarter note."
)


def load(which: str | os.PathLike[str] | None = None, task: str | None = None) -> Task:
    """The task that a file's content, or a name, stands for.

    `which` is a path, or a name of CLASSICS, as `adding` or `adding(T=200)`; without it, the Bach
    chorales that come with Cellwright (study/chorales.md tells their story). `task` is a name of
    KINDS, to read a file as that kind and no other; its parameters stand in brackets.

    Raises DataError where there is no such file, it has none of the forms, is damaged, or leaves
    nothing to learn; NamingError where a name or a parameter is unknown.
    """
    asked = parse(task) if task else None
    if asked and asked.name not in KINDS:
        raise DataError(f"--task {asked.name}: there is no such task for files. Choose from "
                        f"{', '.join(KINDS)}.")  # fmt: skip
    if which is None:
        if asked:
            raise DataError(f"--task {asked}: name the file that is to be read so.")
        with as_file(files("cellwright.study") / "chorales.npz") as shipped:
            return music("Bach chorales", _CHORALES, *checked(in_npz(shipped)))
    path = Path(which)
    generated = None if path.exists() else _named(os.fspath(which))
    if generated:
        if asked:
            raise DataError(f"--task {asked}: {which} is generated, and no file that could be read "
                            "in several ways. Leave out --task.")  # fmt: skip
        return generated.build(fill(generated.options, parse(os.fspath(which))))
    try:
        found = recognise(path)
        kind = _kind(found, asked)
        return kind.build(found, fill(kind.options, asked or Named(kind.name)))
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}.") from None
    except DataError as e:
        raise DataError(f"{path}: {e}") from None


def _named(which: str) -> Generated | None:
    """The classic that `which` names; None where it looks like a path."""
    name = which.partition("(")[0].strip()
    if name in CLASSICS:
        return CLASSICS[name]
    if ("(" in which and name.isidentifier()) or get_close_matches(name, CLASSICS, 1, 0.8):
        near = get_close_matches(name, CLASSICS, 1)
        some = f"Did you mean {near[0]}?" if near else f"There are {', '.join(CLASSICS)}."
        raise DataError(f"{which}: there is no such file, nor such a task. {some}")
    return None


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
