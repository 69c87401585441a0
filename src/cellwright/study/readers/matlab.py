"""MATLAB v5 files: the numeric arrays in them, and the cell arrays of those.

scipy.io.loadmat reads more, but a damaged file can end the whole process there: it crashes
(SciPy 1.17), and it believes any size that it reads. Here a size is held against the bytes that
there are before anything is made of it. The format: MathWorks, "MAT-File Format", chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Final, TypeAlias

import numpy as np

__all__ = ["MOST", "Cells", "MatlabError", "Other", "Value", "is_matlab", "variables"]

MOST: Final = 1 << 30
"""Bytes that one variable may unpack to."""

_STORED: Final = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13),
                          ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"),
                          strict=True))  # fmt: skip
"""How the values of an array are stored, which may be narrower than its class."""
_MATRIX, _COMPRESSED = 14, 15
_CELL = 1
_NUMERIC = range(6, 16)
_COMPLEX = 0x0800
_OTHER: Final = {2: "struct", 3: "object", 4: "char", 5: "sparse"}


class MatlabError(Exception):
    """The bytes do not say what the format makes them say."""


@dataclass(frozen=True)
class Cells:
    """A cell array, in MATLAB's order: down the first dimension first."""

    shape: tuple[int, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Other:
    """An array that is not read, by MATLAB's name for its class."""

    kind: str
    shape: tuple[int, ...]


Value: TypeAlias = np.ndarray | Cells | Other


def is_matlab(head: bytes) -> bool:
    """Whether a file that begins so, with 128 bytes or more, is a MATLAB v5 file."""
    return head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def variables(data: bytes) -> dict[str, Value]:
    """The variables in a file of which `is_matlab` holds, by name.

    Raises MatlabError where the file is damaged or a variable is larger than MOST.
    """
    reader = _Reader("<" if data[126:128] == b"IM" else ">")
    found = {}
    for kind, content in reader.elements(memoryview(data)[128:]):
        if kind == _COMPRESSED:
            kind, content = next(reader.elements(_unpacked(content)), (0, content))
        if kind == _MATRIX and len(content):
            name, value = reader.matrix(content)
            found[name] = value
    return found


def _unpacked(content: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, MOST)
    except zlib.error as e:
        raise MatlabError(str(e)) from None
    if not unpacker.eof:
        raise MatlabError("larger than 1 GiB" if len(data) == MOST else "it breaks off")
    return memoryview(data)


@dataclass(frozen=True)
class _Reader:
    order: str
    """Of the bytes, as NumPy and struct write it."""

    def elements(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Type and content of the elements that follow one another in `data`."""
        at = 0
        while at < len(data):
            if at + 8 > len(data):
                raise MatlabError("it breaks off")
            kind, size = struct.unpack_from(self.order + "2I", data, at)
            if kind >> 16:  # so small that the content stands in its own tag
                kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            else:
                start = at + 8
                after = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
            if start + size > min(after, len(data)):
                raise MatlabError("it breaks off")
            yield kind, data[start : start + size]
            at = after

    def matrix(self, data: memoryview) -> tuple[str, Value]:
        """Name and value of the array that `data`, the content of an element, describes."""
        parts = self.elements(data)
        try:
            (_, flags), (_, sizes), (_, name) = next(parts), next(parts), next(parts)
        except StopIteration:
            raise MatlabError("an array without flags, size and name") from None
        if len(flags) != 8 or len(sizes) < 8 or len(sizes) % 4:
            raise MatlabError("an array without flags and size")
        about = struct.unpack_from(self.order + "I", flags)[0]
        shape = struct.unpack(f"{self.order}{len(sizes) // 4}i", sizes)
        if min(shape) < 0:
            raise MatlabError("an array of negative size")
        return bytes(name).decode("latin-1"), self._value(about, shape, parts)

    def _value(
        self, about: int, shape: tuple[int, ...], parts: Iterator[tuple[int, memoryview]]
    ) -> Value:
        kind = about & 0xFF
        if kind == _CELL:
            return Cells(shape, self._cells(prod(shape), parts))
        if kind not in _NUMERIC or about & _COMPLEX:
            return Other("complex" if kind in _NUMERIC else _OTHER.get(kind, "unknown"), shape)
        stored, values = next(parts, (0, memoryview(b"")))
        if stored not in _STORED:
            raise MatlabError("an array without values")
        dtype = np.dtype(self.order + _STORED[stored])
        if len(values) != prod(shape) * dtype.itemsize:
            raise MatlabError(f"an array of {' x '.join(map(str, shape))} in {len(values)} bytes")
        return np.frombuffer(values, dtype).reshape(shape, order="F")

    def _cells(self, count: int, parts: Iterator[tuple[int, memoryview]]) -> tuple[Value, ...]:
        values: list[Value] = []
        for kind, content in parts:
            if kind != _MATRIX:
                raise MatlabError("a cell that holds no array")
            values.append(self.matrix(content)[1] if len(content) else np.zeros((0, 0)))
        if len(values) != count:
            raise MatlabError(f"{len(values)} cells of {count}")
        return tuple(values)
