"""What a word of the command line says: sizes, a range to search, a variation of a cell."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cellwright.errors import CellwrightError
from cellwright.language.hints import did_you_mean

if TYPE_CHECKING:
    from cellwright.bench.bench import Size

__all__ = ["range_of", "sizes_of_layer", "sizes_of_run", "variation"]


def sizes_of_layer(text: str) -> dict[str, int]:
    """`100,64` as the sizes I and H."""
    return dict(zip("IH", _numbers(text, "input size and hidden size", "100,64"), strict=True))


def sizes_of_run(text: str) -> Size:
    """`100,16,64,64` as the size of what is measured."""
    from cellwright.bench.bench import Size

    return Size(*_numbers(text, "steps, batch, input size and hidden size", "100,16,64,64"))


def _numbers(text: str, what: str, example: str) -> list[int]:
    parts = text.split(",")
    known = all(part.strip().isdecimal() and int(part) for part in parts)
    if len(parts) != len(example.split(",")) or not known:
        raise CellwrightError(f"a size is {what}, as {example}; got {text!r}")
    return [int(part) for part in parts]


def range_of(text: str) -> tuple[str, str]:
    """`NAME=VALUE` as both."""
    name, sign, value = text.partition("=")
    if not sign:
        raise CellwrightError(f"--range takes NAME=LOW,HIGH or NAME=VALUE; got {text!r}")
    name = name.strip()
    return name if " " in name else name.replace("-", "_"), value


def variation(text: str) -> tuple[str, object]:
    """A name with its value, a number or a word; without one it is True."""
    from cellwright.layers.variations import NAMES

    name, _, value = text.partition("=")
    if name not in NAMES:
        message = f"--with takes {', '.join(NAMES)}, as zoneout=0.1; got {text!r}"
        meant = did_you_mean(name, NAMES)
        raise CellwrightError(f"{message}. {meant}" if meant else message)
    if not value:
        return name, True
    for kind in (int, float):
        with suppress(ValueError):
            return name, kind(value)
    return name, value
