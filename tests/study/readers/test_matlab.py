"""Reading MATLAB v5: SciPy is the oracle, and a file written here byte by byte, in both orders."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from cellwright.study.readers.matlab import Cells, MatlabError, Other, is_matlab, variables


@pytest.mark.parametrize("compressed", [False, True])
def test_equal_to_scipy(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(0)
    kinds = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
    wanted = {kind: (100 * rng.random((3, 4))).astype(kind) for kind in kinds}
    wanted |= {"a_long_name_of_more_than_a_word": np.ones((2, 3, 4)), "logical": np.eye(3) > 0}
    wanted |= {"one": np.array([[7]], np.uint8), "empty": np.zeros((0, 5))}
    cells = np.empty((2, 3), object)
    cells.ravel()[:] = [rng.random((n, 2)) for n in range(6)]
    scipy.io.savemat(tmp_path / "a.mat", wanted | {"cells": cells}, do_compression=compressed)
    data = (tmp_path / "a.mat").read_bytes()
    assert is_matlab(data)
    found = variables(data)
    theirs = scipy.io.loadmat(tmp_path / "a.mat")
    assert found.keys() == wanted.keys() | {"cells"}
    for name in wanted:
        assert np.array_equal(found[name], theirs[name])
        assert found[name].dtype.kind == theirs[name].dtype.kind
    ours = found["cells"]
    assert isinstance(ours, Cells)
    assert ours.shape == (2, 3)
    assert all(map(np.array_equal, ours.values, theirs["cells"].ravel(order="F")))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("text", "char"),
        ({"field": 1}, "struct"),
        (scipy.sparse.csc_array(np.eye(3)), "sparse"),
        (np.ones((2, 2)) * 1j, "complex"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, value: object, kind: str) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"x": value})
    found = variables((tmp_path / "a.mat").read_bytes())["x"]
    assert isinstance(found, Other)
    assert found.kind == kind


def element(order: str, kind: int, content: bytes) -> bytes:
    if 0 < len(content) <= 4:
        return struct.pack(order + "I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    return struct.pack(order + "2I", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(order: str, shape: tuple[int, ...], values: bytes, stored: int, kind: int = 6) -> bytes:
    return element(order, 14, (
        element(order, 6, struct.pack(order + "2I", kind, 0))
        + element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape))
        + element(order, 1, b"x") + element(order, stored, values)))  # fmt: skip


def file(order: str, content: bytes) -> bytes:
    return b"text".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI") + content


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders(order: str) -> None:
    """A double array that MATLAB stores as int16, for its values allow that; scipy agrees."""
    data = file(order, matrix(order, (3, 2), struct.pack(order + "6h", 1, 2, 3, -4, 5, 300), 3))
    assert np.array_equal(variables(data)["x"], [[1, -4], [2, 5], [3, 300]])


BROKEN = {
    "more values than bytes": (matrix("<", (3, 2), bytes(40), 9), "3 x 2 in 40 bytes"),
    "a size no memory holds": (matrix("<", (2**31 - 1,) * 4, bytes(8), 9), "in 8 bytes"),
    "a negative size": (matrix("<", (-1, -1), bytes(8), 9), "negative size"),
    "one dimension": (matrix("<", (1,), bytes(8), 9), "without flags and size"),
    "values of no type": (matrix("<", (1, 1), bytes(8), 77), "without values"),
    "cells of no array": (matrix("<", (2, 2), bytes(8), 9, kind=1), "a cell that holds no array"),
    "more cells than there are": (matrix("<", (9, 9), b"", 14, kind=1), "1 cells of 81"),
    "no size": (element("<", 14, element("<", 6, bytes(8))), "without flags, size and name"),
    "a tag cut short": (matrix("<", (1, 1), bytes(8), 9) + b"\0\0\0", "breaks off"),
    "an element cut short": (matrix("<", (1, 1), bytes(8), 9)[:-1], "breaks off"),
    "a small element of 5 bytes": (struct.pack("<4I", 5 << 16 | 1, 0, 0, 0), "breaks off"),
    "no deflate": (element("<", 15, b"no deflate"), "incorrect header"),
    "deflate cut short": (element("<", 15, b"x\x9c\xed")[:12], "breaks off"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str) -> None:
    content, expected = BROKEN[name]
    with pytest.raises(MatlabError, match=expected):
        variables(file("<", content))
