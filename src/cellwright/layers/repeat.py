"""A training step's two passes, again and again on the same memory.

What a call takes before the engine runs, checking, laying out, finding addresses, is most of a step
of few and short sequences. It is the same for all calls of one form, so it is done once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cellwright.layers.passes import Given, Plan, beside, both, by_stack

__all__ = ["Repeat"]


class Repeat:
    """Both passes for inputs of one form; no gradient of the input is computed.

    Write to `given`, call `forward`, read `outputs` and `states`; write to `grads`, call
    `backward`, read `sums`, the gradients of the parameters. All that lies in the same memory each
    time; so do the parameters, which may change and not move.
    """

    def __init__(self, plan: Plan, given: Given) -> None:
        """Runs both passes once.

        Raises LayerError and BackendError as `passes.forward` does.
        """
        with torch.no_grad():
            there, self.grads, back = both(plan, given)
            self._parts = by_stack(plan, back.sums)
            self.sums = [beside(parts) for parts in self._parts]
        self.given, self.outputs, self.states = given, there.outputs, there.states
        self._there, self._back = there, back
        memory = {x.untyped_storage().data_ptr() for x in back.sums}
        self._apart = [x.untyped_storage().data_ptr() not in memory for x in self.sums]

    @property
    def works(self) -> bool:
        """Whether it can be repeated: a backend may not, or may have had to copy something."""
        return self._there.again is not None and self._back.again is not None

    def forward(self) -> None:
        """Run forward."""
        assert self._there.again
        self._there.again()

    def backward(self) -> list[Tensor]:
        """Run backward; returns `sums`."""
        assert self._back.again
        self._back.again()
        for parts, whole, apart in zip(self._parts, self.sums, self._apart, strict=True):
            if apart:
                torch.cat(parts, out=whole)
        return self.sums
