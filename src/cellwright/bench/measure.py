"""Times and memory, measured so that a noisy machine does as little harm as it can."""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

import torch

from cellwright.backends.cpu.build import BuildError, load_kernels

__all__ = ["Timing", "extra_memory", "gemm_peak", "interleaved"]


@dataclass(frozen=True)
class Timing:
    """Of many runs, in milliseconds."""

    median: float
    low: float
    """A quarter of the runs took less."""
    high: float
    """A quarter took more."""
    runs: int


def interleaved(
    contestants: Mapping[str, Callable[[], object]], seconds: float, least: int = 7
) -> dict[str, Timing]:
    """Run each in turn, over and over, for some seconds a contestant, `least` times at the least.

    So noise hits all alike, and their medians can be divided. Each runs twice a turn, and its
    second run counts: what it finds in caches is its own.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    end = time.perf_counter() + seconds * len(contestants)
    names = list(contestants)
    for turn in count():
        if turn >= least and time.perf_counter() >= end:
            break
        at = turn % len(names)
        for name in (*names[at:], *names[:at]):
            run = contestants[name]
            run()
            start = time.perf_counter()
            run()
            taken[name].append(1e3 * (time.perf_counter() - start))
    return {name: _timing(times) for name, times in taken.items()}


def _timing(times: list[float]) -> Timing:
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, low, high, len(times))


def gemm_peak() -> float:
    """Operations a second, now, of torch's products of large float32 matrices, of the size that is
    best on the threads that torch has."""
    n = _best_side(torch.get_num_threads())
    return _rates([n], 0.3)[n]


@lru_cache
def _best_side(threads: int) -> int:
    rates = _rates([512, 768, 1024, 1536], 0.5)
    return max(rates, key=rates.__getitem__)


def _rates(sides: Sequence[int], seconds: float) -> dict[int, float]:
    timings = interleaved({str(n): _product(n) for n in sides}, seconds, least=5)
    return {n: 2 * n**3 / (timings[str(n)].median / 1e3) for n in sides}


def _product(n: int) -> Callable[[], object]:
    a, b = torch.randn(n, n), torch.randn(n, n)
    return lambda: a @ b


def extra_memory(run: Callable[[], object]) -> float | None:
    """How many MiB the process grows to beyond what it has, while this runs; None where the system
    does not tell (it is Linux that does)."""
    try:
        for _ in range(3):
            run()
        grown = [_growth(run) for _ in range(3)]
    except OSError:
        return None
    return statistics.median(grown)


def _growth(run: Callable[[], object]) -> float:
    _let_go()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
    run()
    return (_status("VmHWM") - before) / 1024


def _let_go() -> None:
    """Give back what the process has and does not use: what the engine keeps for its next call too,
    so that it counts."""
    gc.collect()
    with suppress(BuildError):  # no engine
        load_kernels(double=False).forget()
    with suppress(AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise OSError(f"no {field} in /proc/self/status")
