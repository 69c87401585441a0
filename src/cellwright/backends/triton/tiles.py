"""Which way the loop runs, by size, and what each program of a kernel's grid works on.

Four regimes: units are *independent* of each other; or a program has all of them, and the matrices
with them, as the matrices *fit*; or they are *shared* among the programs of a grid, each with its
part of the matrices, and those meet; or the loop runs by *segments*, with torch's products. What
fits is a matter of shared memory, where a loop keeps its matrices for all steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from cellwright.backends.triton.interpreter import interpreting
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import Layout
from cellwright.errors import CellwrightError
from cellwright.program.ops import Value

__all__ = [
    "HOPPER",
    "REGIMES",
    "Limits",
    "Loop",
    "Tiles",
    "limits",
    "segment_tiles",
]

REGIMES: tuple[str, ...] = ("independent", "fit", "shared", "segments")
"""In the order in which they are tried; the last one takes everything."""


SHARING = 8
"""Warps of a program that shares units with others."""


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


@dataclass(frozen=True)
class Loop:
    """A loop, what it runs on, and what it may have there: its tiles follow from that."""

    of: Layout
    sizes: tuple[int, ...]
    """Units of each of the layout's sizes."""
    B: int
    itemsize: int
    most: Limits = HOPPER
    heads: int = 1
    """Groups of units that do not wait for each other, see `Layout.heads`."""

    def tiles(self, regimes: tuple[str, ...] | None = None) -> Tiles | None:
        """The tiles in the first regime that can run it; None for `segments`.

        Raises CellwrightError where none of `regimes` can, which are all of `REGIMES` unless said.
        """
        obstacles = {name: self._obstacle(name) for name in regimes or REGIMES}
        regime = next((name for name, obstacle in obstacles.items() if obstacle is None), None)
        if regime is None:
            said = "; ".join(f"{name}: {obstacle}" for name, obstacle in obstacles.items())
            raise CellwrightError(f"no regime of the loop can run this: {said}")
        n, B, of = self.sizes, self.B, self.of
        if regime == "independent":
            return _elementwise(n, B, regime, 256 if self.itemsize > 2 else 512)
        if regime == "fit" and of.whole:  # 16 are multiplied by matrices, 8 units by a warp
            tiles = _rows(self.head.sizes, B, regime, of.held, least=16)
            warps, across = min(16, max(4, max(tiles.units) // 8)), self.heads
            return replace(tiles, warps=warps, grid=(tiles.grid[0], across))
        if regime == "fit":
            return _rows(n, B, regime, of.held)
        if regime == "shared":
            rows = next(rows for rows in (16, 32) if self._shares(rows))
            return _slices(n, B, rows, self.slots, self._parts(SHARING))
        return None

    def candidates(self, regimes: tuple[str, ...] | None = None) -> tuple[Tiles, ...]:
        """Tiles that are worth trying: first the rule's, then with half or twice the sequences of a
        program, or its warps, in every regime that can run the loop as one kernel; that in which
        units are independent needs no other beside it. None where the rule has segments."""
        found: list[Tiles] = []
        for regime in regimes or REGIMES:
            if self._obstacle(regime) is not None:
                continue
            tiles = self.tiles((regime,))
            if tiles is None:
                break
            rows, warps = tiles.rows, tiles.warps
            other = ((rows, warps // 2), (rows, 2 * warps), (rows // 2, warps), (2 * rows, warps))
            found += [tiles, *filter(None, (self._with(tiles, *each) for each in other))]
            if regime == "independent":
                break
        return tuple(found)

    def _with(self, tiles: Tiles, rows: int, warps: int) -> Tiles | None:
        """The same with other rows and warps; None where that cannot be, or leaves threads idle."""
        least = 16 if self.of.whole else 1
        idle = rows * max(tiles.units) < 32 * warps or (rows > least and rows >= 2 * self.B)
        if not 2 <= warps <= 16 or rows < least or idle:
            return None
        grid = (ceil(self.B / rows), tiles.grid[1])
        if tiles.regime != "shared":
            return replace(tiles, rows=rows, warps=warps, grid=grid)
        if not self._shares(rows):
            return None
        return replace(tiles, rows=rows, warps=warps, grid=grid, parts=self._parts(warps))

    @property
    def head(self) -> Loop:
        """That of one head."""
        if self.heads == 1:
            return self
        return replace(self, sizes=tuple(ceil(n / self.heads) for n in self.sizes), heads=1)

    # --- what fits -------------------------------------------------------------------------------

    def _obstacle(self, regime: str) -> str | None:
        """Why it cannot run in a regime; None where it can."""
        of, most = self.of, self.most
        if regime == "independent" and (of.whole or of.summed):
            return "its units wait for one another"
        if regime == "fit":
            needed, fits = self.head._bytes(1), most.matrices
            widest = power(max(self.head.sizes))
            if needed > fits:
                return f"its matrices take {needed} bytes of a multiprocessor's, and {fits} fit"
            if widest > most.tile:
                return f"a vector has {widest} units, and {most.tile} fit"
        if regime == "shared" and not of.whole:
            return "it has no matrix to share"
        if regime == "shared" and not any(map(self._shares, (16, 32))):
            return (
                f"its matrices and vectors do not fit {most.programs} programs of {most.shared} "
                "bytes"
            )
        return None

    def _shares(self, rows: int) -> bool:
        """Whether programs of so many sequences can share the units."""
        if interpreting():
            return True
        needed = self._bytes(self.slots) + 2 * rows * self._widest * self.itemsize
        programs = self.slots * ceil(self.B / rows)
        return self.slots > 1 and programs <= self.most.programs and needed <= self.most.shared

    def _units(self, v: Value, dimension: int = 0) -> int:
        return self.sizes[self.of.sizes.index(v.shape[dimension])]

    def _bytes(self, slots: int) -> int:
        """Of the matrices of the loop, padded, of which a program has a share of the units out, but
        at least 16; float32 is two numbers of TF32."""
        each = 8 if self.itemsize == 4 else self.itemsize
        padded = (
            power(max(16, ceil(self._units(m) / slots))) * power(self._units(m, 1), 16)
            for m in self.of.matrices
        )
        return each * sum(padded)

    @property
    def _widest(self) -> int:
        """Units, padded, of the widest vector that a matrix of the loop multiplies."""
        return power(max(map(self._units, self.of.whole)), 16)

    @property
    def slots(self) -> int:
        """How many programs share the units of some sequences, each with 16 of the widest vector:
        one, in Triton's interpreter, which runs programs one after another, so that none may wait
        for a later one."""
        return 1 if interpreting() else self._widest // 16

    def _parts(self, warps: int) -> int:
        """In how many parts warps multiply: each of 16 units of the narrowest vector, or more."""
        return min(warps, power(min(map(self._units, self.of.whole)), 16) // 16)


def segment_tiles(of: Layout, kernel: Kernel, sizes: Mapping[str, int], rows: int) -> Tiles:
    """Those of a segment over so many rows.

    Raises CellwrightError where it sums over more units than a program can have.
    """
    n = tuple(sizes[name] for name in of.sizes)
    if not kernel.reduces:
        return _elementwise(n, rows, "segments", 128 if rows < 2**14 else 1024)
    if power(max(n)) > 2**16:
        raise CellwrightError(f"sums over units go up to {2**16} of them, got {max(n)}")
    return _rows(n, rows, "segments", kernel.values)


# --- tiles --------------------------------------------------------------------------------------


def _elementwise(n: Sequence[int], rows: int, regime: str, numbers: int) -> Tiles:
    """Tiles of so many numbers: a few sequences by up to 128 units."""
    units = tuple(min(128, power(k)) for k in n)
    high = max(1, numbers // max(units))
    across = max(ceil(k / u) for k, u in zip(n, units, strict=True))
    whole = tuple(power(k) for k in n)
    return Tiles(regime, high, units, units, whole, 4, (ceil(rows / high), across))


def _rows(n: Sequence[int], rows: int, regime: str, held: int, least: int = 1) -> Tiles:
    """Tiles of whole rows, of at least so many units and sequences. 4 warps, or 8 where a thread
    would have more numbers than registers; with more than that, threads have fewer registers
    each."""
    units = tuple(power(k, least) for k in n)
    high = max(least, min(4, 256 // max(units)), 1)
    warps = 4 if high * max(units) * held <= 4 * 32 * 400 else 8
    return Tiles(regime, high, units, tuple(n), units, warps, (ceil(rows / high), 1))


def _slices(n: Sequence[int], B: int, rows: int, slots: int, parts: int) -> Tiles:
    """Tiles of some sequences by 16 units."""
    widths = tuple(max(16, ceil(k / slots)) for k in n)
    units = tuple(power(w) for w in widths)
    across = max(ceil(k / w) for k, w in zip(n, widths, strict=True))
    whole = tuple(power(k, 16) for k in n)
    return Tiles("shared", rows, units, widths, whole, SHARING, (ceil(B / rows), across), parts)
