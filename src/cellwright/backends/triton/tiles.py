"""Which way the loop runs, by size, and what each program of a kernel's grid works on.

Four regimes: units are *independent* of each other; or a program has all of them, and the matrices
with them, as the matrices *fit*; or they are *shared* among the programs of a grid, each with its
part of the matrices, and those meet; or the loop runs by *segments*, with torch's products. What
fits is a matter of registers: what a loop keeps is there for all its steps. `LIMITS` has what was
seen to compile without spills, by tests, for the whole catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from cellwright.backends.triton.interpreter import interpreting
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import Layout
from cellwright.errors import CellwrightError

__all__ = ["LIMITS", "REGIMES", "Limits", "Tiles", "loop_tiles", "segment_tiles"]

REGIMES: tuple[str, ...] = ("independent", "fit", "shared", "segments")
"""In the order in which they are tried; the last one takes everything."""


class Limits(NamedTuple):
    """What a program of a grid may have at the most."""

    matrices: int
    """Bytes of the matrices that it keeps in registers."""
    tile: int
    """Units of a vector, padded, that it works on at once."""
    programs: int
    """Programs that meet: all have to run at the same time."""


LIMITS = Limits(matrices=64 * 2**10, tile=4096, programs=96)


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


def power(n: int, least: int = 1) -> int:
    """The next power of two."""
    return max(least, 1 << max(n - 1, 0).bit_length())


def loop_tiles(of: Layout, sizes: Mapping[str, int], B: int, itemsize: int) -> Tiles | None:
    """The tiles of the loop in the first regime that can run it; None for `segments`.

    Raises CellwrightError where none of `REGIMES` can.
    """
    reasons = {
        "independent": _not_independent(of),
        "fit": _too_large(of, sizes, itemsize),
        "shared": _not_shared(of, sizes, B, itemsize),
        "segments": None,
    }
    regime = next((name for name in REGIMES if reasons[name] is None), None)
    if regime is None:
        said = "; ".join(f"{name}: {reasons[name]}" for name in REGIMES)
        raise CellwrightError(f"no regime of the loop can run this: {said}")
    n = [sizes[name] for name in of.sizes]
    if regime == "independent":
        return _elementwise(n, B, regime)
    if regime == "fit":
        least = 16 if of.whole else 1
        return _rows(n, B, regime, least, _held(of), _bytes(of, sizes, itemsize))
    if regime == "shared":
        slots = _slice(of, sizes, B, itemsize)
        assert slots
        return _slices(n, B, slots, _held(of))
    return None


def segment_tiles(of: Layout, kernel: Kernel, sizes: Mapping[str, int], rows: int) -> Tiles:
    """Those of a segment over so many rows.

    Raises CellwrightError where it sums over more units than a program can have.
    """
    n = [sizes[name] for name in of.sizes]
    if not kernel.reduces:
        return _elementwise(n, rows, "segments")
    if power(max(n)) > 2**16:
        raise CellwrightError(f"sums over units go up to {2**16} of them, got {max(n)}")
    return _rows(n, rows, "segments", 1, kernel.values)


# --- what fits ----------------------------------------------------------------------------------


def _not_independent(of: Layout) -> str | None:
    if of.whole or of.summed:
        return "its units wait for one another"
    return None


def _bytes(of: Layout, sizes: Mapping[str, int], itemsize: int) -> int:
    """Of the matrices of the loop, padded."""
    return sum(
        power(sizes[m.shape[0]], 16) * power(sizes[m.shape[1]], 16) * itemsize for m in of.matrices
    )


def _too_large(of: Layout, sizes: Mapping[str, int], itemsize: int) -> str | None:
    needed = _bytes(of, sizes, itemsize)
    if needed > LIMITS.matrices:
        return f"its matrices take {needed} bytes of a multiprocessor's, and {LIMITS.matrices} fit"
    widest = power(max(sizes[name] for name in of.sizes))
    if widest > LIMITS.tile:
        return f"a vector has {widest} units, and {LIMITS.tile} fit"
    return None


def _slice(of: Layout, sizes: Mapping[str, int], B: int, itemsize: int) -> int | None:
    """How many programs share the units of a batch of at most 16 sequences: one, in Triton's
    interpreter, which runs programs one after another, so that none may wait for a later one."""
    if interpreting():
        return 1
    needed = _bytes(of, sizes, itemsize)
    least = ceil(needed / LIMITS.matrices)
    slots = power(max(least, 2))
    if slots * ceil(B / 16) > LIMITS.programs or slots * 16 > power(max(sizes.values()), 16):
        return None
    return slots


def _not_shared(of: Layout, sizes: Mapping[str, int], B: int, itemsize: int) -> str | None:
    if not of.whole:
        return "it has no matrix to share"
    if _slice(of, sizes, B, itemsize) is None:
        return f"its matrices do not fit {LIMITS.programs} programs of {LIMITS.matrices} bytes each"
    return None


# --- tiles --------------------------------------------------------------------------------------


def _elementwise(n: list[int], rows: int, regime: str) -> Tiles:
    """Tiles of 128 numbers: a few sequences by up to 128 units."""
    units = tuple(min(128, power(k)) for k in n)
    high = max(1, 128 // max(units))
    across = max(ceil(k / u) for k, u in zip(n, units, strict=True))
    whole = tuple(power(k) for k in n)
    return Tiles(regime, high, units, units, whole, 4, (ceil(rows / high), across))


def _rows(
    n: list[int], rows: int, regime: str, least: int, held: int, of_matrices: int = 0
) -> Tiles:
    """Tiles of whole rows."""
    units = tuple(power(k, least) for k in n)
    high = max(least, min(4, 256 // max(units)), 1)
    warps = _warps(high * max(units) * held, 8 if of_matrices > LIMITS.matrices // 4 else 4)
    return Tiles(regime, high, units, tuple(n), units, warps, (ceil(rows / high), 1))


def _held(of: Layout) -> int:
    """How many tiles a step of the loop works with: not all at once, but the more, the more."""
    computed = sum(len(segment.products) + len(segment.values) for segment in of.loop)
    return computed + len(of.once) + len(of.accumulated)


def _warps(numbers: int, least: int) -> int:
    """4, or 8 where a thread would have more numbers than registers; with more than that, threads
    have fewer registers each."""
    return least if numbers <= least * 32 * 400 else 8


def _slices(n: list[int], rows: int, slots: int, held: int) -> Tiles:
    """Tiles of 16 sequences by a share of the units."""
    widths = tuple(max(16, ceil(k / slots)) for k in n)
    units = tuple(power(w) for w in widths)
    across = max(ceil(k / w) for k, w in zip(n, widths, strict=True))
    whole = tuple(power(k, 16) for k in n)
    warps = _warps(16 * max(units) * held, 8)
    return Tiles("shared", 16, units, widths, whole, warps, (ceil(rows / 16), across))
