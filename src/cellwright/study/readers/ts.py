"""Labelled series in the `.ts` form of the UEA and UCR archives.

A header of `@name value` lines, `@data`, then a line a series: its channels with `:` between them,
the values of a channel with `,` between them, the label last. `?` and NaN are missing values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError

__all__ = ["Labelled", "other_half", "read"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Series, and what each is."""

    series: list[NDArray[np.float64]] = field(default_factory=list)
    """Each `(T, K)`, NaN where a value is missing."""
    labels: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    """Where each stands, for messages: `line 12`."""


def other_half(path: Path) -> tuple[Path, Path] | None:
    """The files `…_TRAIN.ts` and `…_TEST.ts`, of which `path` is one; None where it is neither.

    Raises DataError where the other one is not there.
    """
    stem = path.stem
    for own, other in (("_TRAIN", "_TEST"), ("_TEST", "_TRAIN")):
        if not stem.upper().endswith(own):
            continue
        wanted = f"{stem[: -len(own)]}{other}{path.suffix}".lower()
        found = [file for file in path.parent.iterdir() if file.name.lower() == wanted]
        if not found:
            raise DataError(f"its other half, {stem[: -len(own)]}{other}{path.suffix}, is not "
                            f"beside it. Put it there, or give the file a name without {own}: it "
                            "is then split here.")  # fmt: skip
        return (path, found[0]) if own == "_TRAIN" else (found[0], path)
    return None


def read(path: Path) -> Labelled:
    """All series of a file.

    Raises DataError, without the file's name, naming the line, where it is not of this form;
    OSError where it cannot be read.
    """
    found = Labelled()
    # What is not UTF-8 stands in comments of some published files.
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = enumerate(file, 1)
        header = _header(lines)
        _check(header)
        classes = header.get("classlabel", "true").split()[1:]
        channels: int | None = _count(header)
        for number, line in lines:
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            place = f"line {number}"
            *parts, label = (part.strip() for part in text.split(":"))
            if not parts:
                raise DataError(f"{place} has no : before its label. Expected values, then a "
                                "label, as 1.5,2.5:a.")  # fmt: skip
            if len(parts) != (channels := channels or len(parts)):
                raise DataError(f"{place} has {len(parts)} channels where {channels} were "
                                "expected. Every series has the same channels.")  # fmt: skip
            if classes and label not in classes:
                raise DataError(f"{place} has the label {label!r}, which is not one of "
                                f"@classLabel: {', '.join(classes[:20])}. Correct one of the "
                                "two.")  # fmt: skip
            found.series.append(_series(place, parts))
            found.labels.append(label)
            found.places.append(place)
    if not found.series:
        raise DataError("no series behind @data. Write or fetch it again.")
    return found


def _header(lines: Iterator[tuple[int, str]]) -> dict[str, str]:
    """Values by name, in small letters, up to the line @data, which is taken."""
    found: dict[str, str] = {}
    for number, line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if not text.startswith("@"):
            raise DataError(f"line {number} comes before @data and is neither a comment, #, nor a "
                            "header, @name value. Write @data above the first series.")  # fmt: skip
        name, _, value = text[1:].partition(" ")
        if name.lower() == "data":
            return found
        found[name.lower()] = value.strip()
    raise DataError("no line @data. Write it above the first series.")


def _check(header: dict[str, str]) -> None:
    if header.get("timestamps", "false").lower() == "true":
        raise DataError("@timeStamps true: values with times of their own are not read. Give "
                        "values at even steps.")  # fmt: skip
    if "targetlabel" in header or header.get("classlabel", "true").lower().startswith("false"):
        raise DataError("its series have no classes (@classLabel true a b …), which is what is to "
                        "be told. Numbers as labels are not read.")  # fmt: skip


def _count(header: dict[str, str]) -> int | None:
    """Channels, where the header says how many."""
    if header.get("univariate", "").lower() == "true":
        return 1
    said = header.get("dimensions") or header.get("dimension") or ""
    return int(said) if said.isdecimal() and int(said) else None


def _series(place: str, parts: list[str]) -> NDArray[np.float64]:
    """`(T, K)` of the text of K channels."""
    channels = [_values(f"{place}, channel {k + 1}", part) for k, part in enumerate(parts)]
    lengths = [len(channel) for channel in channels]
    if len(set(lengths)) > 1:
        k = next(k for k, length in enumerate(lengths) if length != lengths[0])
        raise DataError(f"{place} has {lengths[0]} values in channel 1 and {lengths[k]} in channel "
                        f"{k + 1}. Give all channels of a series as many, ? where one is "
                        "missing.")  # fmt: skip
    return np.stack(channels, 1)


def _values(place: str, text: str) -> NDArray[np.float64]:
    words = text.replace("?", "nan").split(",")
    try:
        values: NDArray[Any] = np.array(words, np.float64)
    except ValueError:
        values = np.array([])
    if len(values) and not np.isinf(values).any():
        return values
    for i, word in enumerate(words):
        if not _finite(word):
            raise DataError(f"{place}: value {i + 1} of {len(words)} is {word.strip()!r:.30}. "
                            "Expected a finite number, or ? where it is missing.")  # fmt: skip
    raise DataError(f"{place} is empty. Write ? for a missing value.")


def _finite(word: str) -> bool:
    try:
        return abs(float(word)) != float("inf")
    except ValueError:
        return False
