"""One step, many times: on CUDA it is recorded once and replayed, which spares its launches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch

__all__ = ["repeat"]

_IN_FLIGHT: deque[tuple[torch.cuda.Event, torch.cuda.CUDAGraph]] = deque()
"""Graphs that the device may still run, each with the event behind its last replay."""


def repeat(step: Callable[[], None], times: int, device: torch.device) -> None:
    """Do `step`, which only launches work that allocates nothing, so many times.

    Where somebody else is recording, it is launched again and again, and becomes part of that.
    """
    by_itself = device.type == "cuda" and not torch.cuda.is_current_stream_capturing()
    if times < 4 or not by_itself:
        for _ in range(times):
            step()
        return
    step()  # the first one compiles what has to be
    graph = _recorded(step, device)
    for _ in range(times - 1):
        graph.replay()
    while _IN_FLIGHT and _IN_FLIGHT[0][0].query():  # type: ignore[no-untyped-call]
        _IN_FLIGHT.popleft()
    passed = torch.cuda.Event()  # type: ignore[no-untyped-call]
    passed.record(torch.cuda.current_stream(device))
    _IN_FLIGHT.append((passed, graph))


def _recorded(step: Callable[[], None], device: torch.device) -> torch.cuda.CUDAGraph:
    """The work of a step, which is not done yet; recording needs a stream of its own."""
    graph = torch.cuda.CUDAGraph()
    here, apart = torch.cuda.current_stream(device), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    apart.wait_stream(here)
    with torch.cuda.stream(apart):
        graph.capture_begin(capture_error_mode="thread_local")
        step()
        graph.capture_end()
    here.wait_stream(apart)
    return graph
