"""Which tiles are fastest on a device, found by trying them.

Only where `torch.backends.cudnn.benchmark` is set, as for cuDNN's own algorithms: whoever sets it
says that sizes recur, and that sums need not be added up in the same order in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch

from cellwright.backends.triton.tiles import Tiles

__all__ = ["FOUND", "fastest", "wanted"]

RUNS = 5
"""Runs that are timed as one, as launching a short one takes longer than running it."""

TURNS = 3

CLEARLY = 0.97
"""What a candidate may take of the time of the rule's tiles, to be better by more than noise."""

FOUND: dict[Hashable, Tiles] = {}
"""What trials have found, in this process."""


def wanted(device: torch.device) -> bool:
    """Whether tiles are to be tried."""
    return torch.backends.cudnn.benchmark and device.type == "cuda"


def fastest(
    key: Hashable,
    rule: Tiles,
    candidates: Callable[[], Sequence[Tiles]],
    run: Callable[[Tiles], None],
    timed: Callable[[Callable[[], None]], float] | None = None,
) -> Tiles:
    """The best tiles for what `key` stands for, tried once in a process; the `rule`'s, where others
    record what is launched before anything was tried.

    The first of the candidates is the rule's, which has to run; others may turn out to be too large
    for the device. `run` gives the same whenever it is called again; `timed` says how long that
    takes.
    """
    if key not in FOUND:
        if torch.cuda.is_current_stream_capturing():
            return rule
        FOUND[key] = _tried(rule, candidates(), run, timed or milliseconds)
    return FOUND[key]


def _tried(
    rule: Tiles,
    candidates: Sequence[Tiles],
    run: Callable[[Tiles], None],
    timed: Callable[[Callable[[], None]], float],
) -> Tiles:
    able = [tiles for tiles in candidates if _runs(tiles, run, may_fail=tiles != rule)]
    taken = dict.fromkeys(able, float("inf"))
    for _ in range(TURNS):  # in turns, so that noise hits all alike
        for tiles in able:
            taken[tiles] = min(taken[tiles], timed(partial(run, tiles)))
    best = min(able, key=taken.__getitem__)
    return best if taken[best] < CLEARLY * taken[rule] else rule


def _runs(tiles: Tiles, run: Callable[[Tiles], None], may_fail: bool) -> bool:
    """Whether a device can run it; which compiles it."""
    from triton.errors import TritonError

    try:
        run(tiles)
    except (TritonError, RuntimeError) as e:  # the driver's refusals are of the latter kind
        if not may_fail or isinstance(e, GRAVE):
            raise
        return False
    return True


GRAVE = (torch.OutOfMemoryError, getattr(torch, "AcceleratorError", torch.OutOfMemoryError))
"""What is not a matter of tiles."""


def milliseconds(run: Callable[[], None]) -> float:
    """Of a run, by the device's clock, when nothing else runs there."""
    torch.cuda.synchronize()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    for _ in range(RUNS):
        run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / RUNS
