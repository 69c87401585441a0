"""Where the texts of cells come from: the catalogue, files, and the names that lead to them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from cellwright.language.errors import CellError
from cellwright.language.reader import read

__all__ = ["SUFFIX", "aliases", "catalogue_text", "cell_names", "file_text", "is_file", "meant",
           "parted", "unknown"]  # fmt: skip

SUFFIX = ".cell"
LARGEST = 1_000_000
"""Bytes of a cell's text: a thousand times the longest in the catalogue."""


@cache
def cell_names() -> tuple[str, ...]:
    """The names of the catalogue's cells, in alphabetical order."""
    found = files("cellwright.catalogue").iterdir()
    return tuple(sorted(f.name.removesuffix(SUFFIX) for f in found if f.name.endswith(SUFFIX)))


@cache
def aliases() -> Mapping[str, str]:
    """Other names of catalogue cells, from their `alias:` headers."""
    return {
        alias: name
        for name in cell_names()
        for alias in read(catalogue_text(name), name).header("alias").split()
    }


def catalogue_text(name: str) -> str:
    """The text of a cell of the catalogue."""
    return files("cellwright.catalogue").joinpath(name + SUFFIX).read_text("utf-8")


# --- names --------------------------------------------------------------------------------------

_CALL = re.compile(r"(.+)\(([^()]*)\)\s*", re.DOTALL)
_WORD = re.compile(r"[\w-]+")
_GIVEN = re.compile(r"\s*([^\W\d]\w*)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*")


def is_file(name: str) -> bool:
    """Whether a name is that of a file: with a path separator, or an end of `.cell`."""
    return name.endswith(SUFFIX) or "/" in name or os.sep in name


def parted(name: str) -> tuple[str, dict[str, float]]:
    """A name, and the options that it gives in brackets: `rhn(L=5)`.

    Raises CellError for what is in brackets and gives none.
    """
    match = _CALL.fullmatch(name)
    if not match:
        return name, {}
    file = is_file(match[1]) and "=" not in match[1]
    if file and _is_there(name):
        return name, {}
    if not file and match[1] not in (*cell_names(), *aliases()):
        return (match[1] if _WORD.fullmatch(match[1]) else name), {}
    given: dict[str, float] = {}
    for piece in match[2].split(",") if match[2].strip() else ():
        option = _GIVEN.fullmatch(piece)
        if not option or option[1] in given:
            raise CellError(
                f"{option[1]} is given twice" if option else f"{piece.strip()!r} gives no option",
                f"Write {match[1]}(NAME=NUMBER), with commas between several.",
                name,
            )
        text = option[2]
        given[option[1]] = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
    return match[1], given


def _is_there(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a name too long for one
        return False


def unknown(name: str) -> CellError:
    """The error for a name that the catalogue does not have."""
    called, opened, _ = name.partition("(")
    if opened and called in (*cell_names(), *aliases()):
        return CellError(
            f"the options of {called} cannot be read",
            f'Write "{called}(NAME=NUMBER)", with commas between several, and quotes for a shell.',
            name,
        )
    if "=" in name:
        return CellError(
            "this is no name but equations",
            "cellwright.parse(text) makes a cell of them.",
            "<text>",
        )
    file = name if _WORD.fullmatch(name) else "my_cell"
    return CellError(
        "there is no such cell",
        f"{meant(name)}cellwright list has the cells there are; "
        f"a file is named with its ending: ./{file}{SUFFIX}",
        name or "''",
    )


def meant(name: str) -> str:
    """What a name may be a slip for, as the beginning of a remedy."""
    known = [*cell_names(), *aliases()]
    near = get_close_matches(name.lower().replace("-", "_"), known, 1, 0.7)
    return f"Did you mean {near[0]}? " if near else ""


# --- files --------------------------------------------------------------------------------------


def file_text(path: Path) -> str:
    """The text of a file.

    Raises CellError where it cannot be read, or is no text.
    """
    try:
        with path.open("rb") as f:
            data = f.read(LARGEST + 1)
    except (OSError, ValueError) as e:
        why = (e.strerror if isinstance(e, OSError) else None) or str(e)
        near = meant(path.stem) if isinstance(e, FileNotFoundError) else ""
        raise CellError(
            f"cannot be read: {why}", f"{near}Name a text file with equations.", str(path)
        ) from None
    if len(data) > LARGEST:
        raise CellError(
            f"larger than {LARGEST} bytes",
            "A cell is a page of equations; is this the right file?",
            str(path),
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise CellError(
            f"line {line} is not UTF-8 text",
            "Save the file as UTF-8; is this the right file?",
            str(path),
        ) from None
