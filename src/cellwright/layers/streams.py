"""What does not wait for each other, at the same time on a GPU: on two of its streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor

from cellwright.layers.operator import at_hand

__all__ = ["Fork"]


class Fork:
    """Two branches of work. The first one is done on the current stream; the second, which begins
    with nothing but what there was before the fork, on another. On CPUs, and where a tracer, a
    transform or checkpointing looks on, they are done one after the other.

    Autograd runs the backward pass of each on the stream of its forward pass, and makes streams
    wait where one needs another's gradients (PyTorch's notes on CUDA semantics, "Stream semantics
    of backward passes"), so what is here is all there is to it.
    """

    def __init__(self, given: Iterable[Tensor | None]) -> None:
        """`given` is all that the second branch reads, in the backward pass too, its parameters
        among it, as those of heads are made anew: memory that belongs to the current stream, and
        would be used again without waiting for another."""
        tensors = [x for x in given if x is not None and x.is_cuda]
        self.here = self.aside = None
        if tensors and at_hand(tensors) and not _hooked():
            self.here = torch.cuda.current_stream(tensors[0].device)
            self.aside = _second(self.here)
            self.aside.wait_stream(self.here)
            for x in tensors:
                x.record_stream(self.aside)

    def lent(self, parameters: Sequence[Sequence[Tensor]]) -> Sequence[Sequence[Tensor]]:
        """Those of each branch. Gradients of the second one's are added up on the current stream,
        where hooks, DistributedDataParallel and recording of CUDA graphs look for them."""
        if self.aside is None:
            return parameters
        first, second = parameters
        return first, [w.view_as(w) for w in second]

    def branch(self, number: int) -> AbstractContextManager[object]:
        """Where the work of a branch is to be done."""
        return torch.cuda.stream(self.aside) if self.aside is not None and number else nullcontext()

    def join(self, made: Iterable[Tensor]) -> None:
        """Goes on with what the second branch made, as soon as it has."""
        if self.here is not None and self.aside is not None:
            self.here.wait_stream(self.aside)
            for x in made:
                x.record_stream(self.here)


@lru_cache
def _second(here: torch.cuda.Stream) -> torch.cuda.Stream:
    return torch.cuda.Stream(here.device)  # type: ignore[no-untyped-call]


def _hooked() -> bool:
    """Whether somebody else keeps what is saved for backward passes, as `torch.utils.checkpoint`,
    which computes it again on the stream of the first one that asks, for all the others too.
    Before 2.8 torch does not say, so there it is taken for granted."""
    top = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)
    return top is None or top(False) is not None
