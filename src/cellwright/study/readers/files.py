"""What a file is, by its content: whatever its name, and without reading more than its head."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Literal, TypeAlias

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.matlab import is_matlab
from cellwright.study.readers.npz import names

__all__ = ["EXPECTED", "Format", "Found", "is_midi", "recognise"]

Format: TypeAlias = Literal["matlab", "npz", "midi", "ts", "table", "parquet", "text"]
EXPECTED: Final = (
    "a .mat file of piano rolls, an .npz, a folder of MIDI files, a .ts file, a table as CSV or "
    "Parquet, or a text in UTF-8"
)
_MOST: Final[dict[Format, int]] = {
    "matlab": 1 << 30,
    "npz": 4 << 30,  # what its arrays unpack to has a limit of its own
    "ts": 1 << 29,
    "table": 1 << 30,
    "parquet": 1 << 30,
    "text": 1 << 27,
}
"""Bytes of a file that is read: it has to fit into memory, in every process that trains."""
_REMEDY: Final[dict[Format, str]] = {
    "matlab": "Keep a part of the sequences.",
    "npz": "Keep a part of the sequences.",
    "ts": "Keep a part of the series.",
    "table": "Keep a part of its rows or columns.",
    "parquet": "Keep a part of its rows or columns.",
    "text": "Cut a part out, as with head -c 100M.",
}
_HEAD: Final = 1 << 16


@dataclass(frozen=True)
class Found:
    """A file or a folder that can be read."""

    path: Path
    format: Format
    arrays: tuple[str, ...] = ()
    """Names in an .npz."""


def recognise(path: Path) -> Found:
    """What is there.

    Raises DataError, without the path, where there is nothing, nothing that can be read, or more
    than memory should hold; OSError where it cannot be read.
    """
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise DataError(_absent(path))
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise DataError("empty, 0 bytes long. Write or fetch it again.")
    found = Found(path, _format(head, path.suffix.lower()))
    size = path.stat().st_size
    if size > _MOST[found.format]:
        raise DataError(
            f"{size / 2**30:.1f} GiB; at most {_MOST[found.format] / 2**30:g} GiB are read, as "
            f"every process holds it all. {_REMEDY[found.format]}"
        )
    return Found(path, "npz", names(path)) if found.format == "npz" else found


def _folder(path: Path) -> Found:
    if any(is_midi(file) for file in path.rglob("*")):
        return Found(path, "midi")
    series = sorted(file for file in path.iterdir() if file.name.upper().endswith("_TRAIN.TS"))
    if len(series) == 1:
        return recognise(series[0])
    known = (".mat", ".npz", ".ts", ".csv", ".tsv", ".parquet", ".txt")
    held = sorted(file.name for file in path.iterdir() if file.suffix.lower() in known)
    some = f"Name a file in it: {', '.join(held[:6])}." if held else f"Expected {EXPECTED}."
    raise DataError(f"a folder, without MIDI files in it. {some}")


def is_midi(file: Path) -> bool:
    """Whether it is called so."""
    return file.suffix.lower() in (".mid", ".midi")


def _absent(path: Path) -> str:
    if path.exists():
        return "not a regular file, so it cannot be read twice. Copy it into one."
    if not path.parent.is_dir():
        return f"no such file, nor the folder {path.parent}."
    near = get_close_matches(
        path.name.lower(), names := {f.name.lower(): f.name for f in path.parent.iterdir()}, 3
    )
    meant = f"Did you mean {' or '.join(str(path.with_name(names[name])) for name in near)}?"
    return f"no such file. {meant if near else f'Expected {EXPECTED}.'}"


# --- content ------------------------------------------------------------------------------------


def _format(head: bytes, suffix: str) -> Format:
    if head.startswith(b"PK\x03\x04"):
        return "npz"
    if is_matlab(head):
        return "matlab"
    if head.startswith(b"PAR1"):
        return "parquet"
    # A published file may have a comment that is not UTF-8.
    if b"\0" not in head and re.search(rb"^\s*@(problemname|data)\b", head, re.I | re.M):
        return "ts"
    text = _decoded(head)
    if text is None:
        raise DataError(f"{_other(head)} Expected {EXPECTED}.")
    if suffix == ".ts":
        return "ts"
    if suffix in (".csv", ".tsv") or _is_table(_lines(text, len(head) == _HEAD)[:20]):
        return "table"
    return "text"


def _decoded(head: bytes) -> str | None:
    """As UTF-8, of which a last character may be cut; None where it is none, or has control
    characters that no text has."""
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as e:
        cut = len(head) == _HEAD and e.start >= len(head) - 3
        return head[: e.start].decode("utf-8") if cut else None


def _lines(text: str, cut: bool) -> list[str]:
    """The whole ones, of a text that is perhaps cut."""
    lines = text.splitlines()
    return lines[:-1] if cut else lines


def _is_table(lines: Sequence[str]) -> bool:
    """Whether all lines have as many cells, more than one, and a column is of numbers below its
    heading."""
    for delimiter in ",;\t|":
        rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
        if len(rows) < 3 or len(rows[0]) < 2 or any(len(row) != len(rows[0]) for row in rows):
            continue
        columns = list(zip(*rows, strict=True))
        if any(not _number(c[0]) and all(map(_number, c[1:])) for c in columns):
            return True
    return False


def _number(text: str) -> bool:
    try:
        float(text.replace(",", ".") or "nan")
    except ValueError:
        return False
    return True


def _other(head: bytes) -> str:
    if b"\x89HDF\r\n\x1a\n" in head or head.startswith(b"MATLAB 7.3"):
        return "an HDF5 or MATLAB 7.3 file; save it from MATLAB with the option '-v7'."
    if head.startswith((b"\x80", b"(dp", b"(lp")):
        return "a Python pickle, which is not opened, for it can run any code."
    if head.startswith(b"\x93NUMPY"):
        return "one bare array; the split and the sequences' lengths have to come with it."
    if head.startswith(b"MThd"):
        return "a single MIDI file; name the folder that has it and others."
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "a compressed file; unpack it first."
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        if b"\0" not in head:
            return (f"neither a data file nor text in UTF-8: byte {e.start + 1} is "
                    f"0x{head[e.start]:02x}. Save a text as UTF-8.")  # fmt: skip
    return "not a data file."
