"""Which way the loop runs, by size, and what each program of a kernel's grid works on.

Four regimes: units are *independent* of each other; or a program has all of them, and the matrices
with them, as the matrices *fit*; or they are *shared* among the programs of a grid, each with its
part of the matrices, and those meet; or the loop runs by *segments*, with torch's products. What
fits is a matter of shared memory, where a loop keeps its matrices for all steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from cellwright.backends.triton.interpreter import interpreting
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import Layout
from cellwright.errors import CellwrightError

__all__ = ["HOPPER", "REGIMES", "Limits", "Tiles", "limits", "loop_tiles", "segment_tiles"]

REGIMES: tuple[str, ...] = ("independent", "fit", "shared", "segments")
"""In the order in which they are tried; the last one takes everything."""


class Limits(NamedTuple):
    """What a program of a grid may have at the most."""

    matrices: int
    """Bytes of the matrices that it keeps for all steps, where it has all of them."""
    shared: int
    """Bytes of its part of the matrices, where programs share them, and of vectors."""
    programs: int
    """Programs that meet: all have to run at the same time."""
    tile: int = 4096
    """Units of a vector, padded, that it works on at once."""


def limits(memory: int, multiprocessors: int) -> Limits:
    """For a device whose programs have at most so many bytes of shared memory: some of it is what
    values pass through between threads."""
    fit = memory - 32 * 2**10
    return Limits(min(fit, 128 * 2**10), min(fit, 192 * 2**10), multiprocessors)


HOPPER = limits(memory=227 * 2**10, multiprocessors=132)


@dataclass(frozen=True)
class Tiles:
    """How a kernel is launched."""

    regime: str
    rows: int
    """Sequences of a program."""
    units: tuple[int, ...]
    """Of each size, how many lanes a program has, a power of two."""
    widths: tuple[int, ...]
    """How many units those are for."""
    whole: tuple[int, ...]
    """Lanes for all units."""
    warps: int
    grid: tuple[int, int]
    parts: int = 1
    """In how many parts warps multiply vectors by matrices, where programs meet."""


def power(n: int, least: int = 1) -> int:
    """The next power of two."""
    return max(least, 1 << max(n - 1, 0).bit_length())


def loop_tiles(
    of: Layout,
    sizes: Mapping[str, int],
    B: int,
    itemsize: int,
    most: Limits = HOPPER,
    heads: int = 1,
    regimes: tuple[str, ...] | None = None,
) -> Tiles | None:
    """The tiles of the loop in the first regime that can run it; None for `segments`. Units of
    different `heads`, see `Layout.heads`, do not wait for each other.

    Raises CellwrightError where none of `regimes` can, which are all of `REGIMES` unless said.
    """
    regimes = regimes or REGIMES
    if heads > 1:
        head = {name: ceil(n / heads) for name, n in sizes.items()}
        tiles = _loop_tiles(of, head, B, itemsize, most, regimes)
        if tiles and tiles.regime == "fit":
            return replace(tiles, grid=(tiles.grid[0], heads))
    return _loop_tiles(of, sizes, B, itemsize, most, regimes)


def _loop_tiles(
    of: Layout,
    sizes: Mapping[str, int],
    B: int,
    itemsize: int,
    most: Limits,
    regimes: tuple[str, ...],
) -> Tiles | None:
    rows = _shared_rows(of, sizes, B, itemsize, most)
    reasons = {
        "independent": _not_independent(of),
        "fit": _too_large(of, sizes, itemsize, most),
        "shared": _not_shared(of, rows, most),
        "segments": None,
    }
    regime = next((name for name in regimes if reasons[name] is None), None)
    if regime is None:
        said = "; ".join(f"{name}: {reasons[name]}" for name in regimes)
        raise CellwrightError(f"no regime of the loop can run this: {said}")
    n = [sizes[name] for name in of.sizes]
    if regime == "independent":
        return _elementwise(n, B, regime, 256 if itemsize > 2 else 512)
    if regime == "fit":
        return _fit(n, B, of)
    if regime == "shared":
        assert rows
        narrowest = power(min(sizes[x.shape[0]] for x in of.whole), 16)
        return _slices(n, B, rows, _slots(of, sizes), narrowest)
    return None


def segment_tiles(of: Layout, kernel: Kernel, sizes: Mapping[str, int], rows: int) -> Tiles:
    """Those of a segment over so many rows.

    Raises CellwrightError where it sums over more units than a program can have.
    """
    n = [sizes[name] for name in of.sizes]
    if not kernel.reduces:
        return _elementwise(n, rows, "segments", 128 if rows < 2**14 else 1024)
    if power(max(n)) > 2**16:
        raise CellwrightError(f"sums over units go up to {2**16} of them, got {max(n)}")
    return _rows(n, rows, "segments", kernel.values)


# --- what fits ----------------------------------------------------------------------------------


def _not_independent(of: Layout) -> str | None:
    if of.whole or of.summed:
        return "its units wait for one another"
    return None


def _bytes(of: Layout, sizes: Mapping[str, int], itemsize: int, slots: int = 1) -> int:
    """Of the matrices of the loop, padded, of which a program has a share of the units out, but at
    least 16; float32 is two numbers of TF32."""
    each = 8 if itemsize == 4 else itemsize
    padded = (
        power(max(16, ceil(sizes[m.shape[0]] / slots))) * power(sizes[m.shape[1]], 16)
        for m in of.matrices
    )
    return each * sum(padded)


def _too_large(of: Layout, sizes: Mapping[str, int], itemsize: int, most: Limits) -> str | None:
    needed = _bytes(of, sizes, itemsize)
    if needed > most.matrices:
        return f"its matrices take {needed} bytes of a multiprocessor's, and {most.matrices} fit"
    widest = power(max(sizes[name] for name in of.sizes))
    if widest > most.tile:
        return f"a vector has {widest} units, and {most.tile} fit"
    return None


def _widest(of: Layout, sizes: Mapping[str, int]) -> int:
    """Units, padded, of the widest vector that a matrix of the loop multiplies."""
    return power(max(sizes[x.shape[0]] for x in of.whole), 16)


def _slots(of: Layout, sizes: Mapping[str, int]) -> int:
    """How many programs share the units of some sequences, each with 16 of the widest vector: one,
    in Triton's interpreter, which runs programs one after another, so that none may wait for a
    later one."""
    return 1 if interpreting() else _widest(of, sizes) // 16


def _shared_rows(
    of: Layout, sizes: Mapping[str, int], B: int, itemsize: int, most: Limits
) -> int | None:
    """How many sequences a program has where they share the units; None where that does not fit."""
    if not of.whole:
        return None
    if interpreting():
        return 16
    slots = _slots(of, sizes)
    matrices = _bytes(of, sizes, itemsize, slots)
    for rows in (16, 32):
        needed = matrices + 2 * rows * _widest(of, sizes) * itemsize
        if slots > 1 and slots * ceil(B / rows) <= most.programs and needed <= most.shared:
            return rows
    return None


def _not_shared(of: Layout, rows: int | None, most: Limits) -> str | None:
    if not of.whole:
        return "it has no matrix to share"
    if rows is None:
        return (
            f"its matrices and vectors do not fit {most.programs} programs of {most.shared} bytes"
        )
    return None


# --- tiles --------------------------------------------------------------------------------------


def _elementwise(n: list[int], rows: int, regime: str, numbers: int) -> Tiles:
    """Tiles of so many numbers: a few sequences by up to 128 units."""
    units = tuple(min(128, power(k)) for k in n)
    high = max(1, numbers // max(units))
    across = max(ceil(k / u) for k, u in zip(n, units, strict=True))
    whole = tuple(power(k) for k in n)
    return Tiles(regime, high, units, units, whole, 4, (ceil(rows / high), across))


def _fit(n: list[int], rows: int, of: Layout) -> Tiles:
    """Tiles of whole rows; of 16, and 8 units a warp, where they are multiplied by matrices."""
    if not of.whole:
        return _rows(n, rows, "fit", of.held)
    tiles = _rows(n, rows, "fit", of.held, least=16)
    return replace(tiles, warps=min(16, max(4, max(tiles.units) // 8)))


def _rows(n: list[int], rows: int, regime: str, held: int, least: int = 1) -> Tiles:
    """Tiles of whole rows, of at least so many units and sequences. 4 warps, or 8 where a thread
    would have more numbers than registers; with more than that, threads have fewer registers
    each."""
    units = tuple(power(k, least) for k in n)
    high = max(least, min(4, 256 // max(units)), 1)
    warps = 4 if high * max(units) * held <= 4 * 32 * 400 else 8
    return Tiles(regime, high, units, tuple(n), units, warps, (ceil(rows / high), 1))


def _slices(n: list[int], B: int, rows: int, slots: int, narrowest: int) -> Tiles:
    """Tiles of some sequences by 16 units."""
    widths = tuple(max(16, ceil(k / slots)) for k in n)
    units = tuple(power(w) for w in widths)
    across = max(ceil(k / w) for k, w in zip(n, widths, strict=True))
    whole = tuple(power(k, 16) for k in n)
    warps, grid = 8, (ceil(B / rows), across)
    return Tiles("shared", rows, units, widths, whole, warps, grid, min(warps, narrowest // 16))
