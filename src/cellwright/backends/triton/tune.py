"""Which tiles are fastest on a device, found by trying them.

Only where `torch.backends.cudnn.benchmark` is set, as for cuDNN's own algorithms: whoever sets it
says that sizes recur, and that sums need not be added up in the same order in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

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
    """Whether tiles are to be tried: not while others record what is launched."""
    if not torch.backends.cudnn.benchmark or device.type != "cuda":
        return False
    return not torch.cuda.is_current_stream_capturing()


def fastest(
    key: Hashable,
    candidates: Sequence[Tiles],
    run: Callable[[Tiles], None],
    timed: Callable[[Callable[[], None]], float] | None = None,
) -> Tiles:
    """The best of the candidates for what `key` stands for, tried once in a process. The first one
    is the rule's, which has to run; others may turn out to be too large for the device.

    `run` gives the same whenever it is called again; `timed` says how long a run takes.
    """
    if key not in FOUND:
        timed = timed or milliseconds
        taken = [_taken(candidate, run, timed, i > 0) for i, candidate in enumerate(candidates)]
        best = min(taken)
        better = best < CLEARLY * taken[0]
        FOUND[key] = candidates[taken.index(best) if better else 0]
    return FOUND[key]


def _taken(
    tiles: Tiles,
    run: Callable[[Tiles], None],
    timed: Callable[[Callable[[], None]], float],
    may_fail: bool,
) -> float:
    from triton.errors import TritonError

    try:
        run(tiles)  # compiles it
        return timed(lambda: run(tiles))
    except (TritonError, RuntimeError):  # the driver's errors are of the latter kind
        if not may_fail:
            raise
        return float("inf")


def milliseconds(run: Callable[[], None]) -> float:
    """The least time of a few turns, by the device's clock."""
    taken = []
    for _ in range(TURNS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(RUNS):
            run()
        end.record()
        end.synchronize()
        taken.append(float(start.elapsed_time(end)))
    return min(taken) / RUNS
