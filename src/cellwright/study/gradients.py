"""What a batch says of a model's weights, without a graph through its recurrence.

Sequences are short and batches small where cells are studied. torch's graph, with all that a call
of a layer does before its engine runs, then takes several times as long as the engine. So a layer's
two passes are called directly, on memory that batches of one form share, and autograd has the
readout and the loss only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final, NamedTuple

import torch
from torch import Tensor

from cellwright.layers.passes import Given, Plan, backward, forward
from cellwright.layers.repeat import Repeat
from cellwright.study.model import Model
from cellwright.study.tasks.task import Batch, Target

__all__ = ["Gradients", "Judged"]

_SMALL: Final = 2048
"""Steps of all sequences of a batch up to which it is worth memory of its own: beyond, the engine
takes most of the time."""
_FORMS: Final = 256
"""Forms of batches that have it, at the most."""


class Judged(NamedTuple):
    """What a batch gave."""

    loss: float
    """The sum over its predictions."""
    predictions: int
    """How many that were."""
    states: Sequence[Tensor]
    """At the sequences' ends, `(B, n)` each; the next batch may overwrite them."""


class Gradients:
    """Gradients of a model's parameters, as autograd gives them."""

    def __init__(self, model: Model, target: Target, noise: float = 0.0) -> None:
        """`noise` is the standard deviation of what is added to each feature of the input."""
        self.model, self.target, self.noise = model, target, noise
        layer = model.recurrent
        self.plan = layer.steps[True, False].plan(
            layer.backend, layer.memory, reverse=False, heads=layer.variations.heads
        )
        sizes = layer.cell.sizes(layer.input_size, layer.hidden_size)
        self.widths = [sizes[s.shape[0]] for s in layer.program.states]
        self.stacks = list(layer.parameters())
        self.parameters = list(model.parameters())
        self._repeated: dict[torch.Size, _Repeated | None] = {}

    def of(self, batch: Batch, states: Sequence[Tensor] | None, summed: bool) -> Judged:
        """Set `grad` of every parameter, to that of the batch's losses, summed or their mean.

        `states` are `(B, n)` each, zeros where there are none. Where the sum of the losses is not
        finite, no gradient is computed.
        """
        for p in self.parameters:
            p.grad = None
        x = self.model.read(batch.inputs)
        if self.noise:
            x = torch.empty_like(x).normal_(0, self.noise).add_(x)
        passes = self._passes(x)
        output, final = passes.forward(x, batch.lengths, states)
        output = output.detach().requires_grad_()
        losses = self.target.loss(self.model.read_out(output, batch.lengths), batch)
        loss = losses.sums.sum()
        judged = Judged(loss.item(), int(losses.counts.sum()), final)
        if not isfinite(judged.loss):
            return judged
        (loss if summed else loss / judged.predictions).backward()  # type: ignore[no-untyped-call]
        assert output.grad is not None
        for p, grad in zip(self.stacks, passes.backward(output.grad), strict=True):
            p.grad = grad
        return judged

    def prepare(self) -> None:
        """Compile what a step needs, if it was not: that is no time of training."""
        x = self.parameters[0].new_zeros(1, 1, self.model.recurrent.input_size)
        passes = self._once(x)
        output, _ = passes.forward(x, torch.ones(1, dtype=torch.int64), None)
        passes.backward(torch.zeros_like(output))

    def _passes(self, x: Tensor) -> _Once | _Repeated:
        """Those for an input `(T, B, I)`, which may want a gradient."""
        form = x.shape
        if form not in self._repeated:
            small = form[0] * form[1] <= _SMALL and len(self._repeated) < _FORMS
            if x.requires_grad or not small:
                return self._once(x)
            repeated = _Repeated(self.plan, self.stacks, self._states(x), x)
            self._repeated[form] = repeated if repeated.works else None
        return self._repeated[form] or self._once(x)

    def _once(self, x: Tensor) -> _Once:
        return _Once(self.plan, self.stacks, self._states(x))

    def _states(self, x: Tensor) -> list[Tensor]:
        return [x.new_zeros(x.shape[1], n) for n in self.widths]


class _Once:
    """The two passes of a layer."""

    def __init__(self, plan: Plan, stacks: Sequence[Tensor], zeros: Sequence[Tensor]) -> None:
        self.plan, self.stacks, self.zeros = plan, stacks, zeros

    def forward(
        self, x: Tensor, lengths: Tensor, states: Sequence[Tensor] | None
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The output, and the final states."""
        # One sequence has no padding: the engine need not look for any.
        padded = lengths if x.shape[1] > 1 else None
        self.given = Given([x], self.zeros if states is None else states, self.stacks, padded, None)
        with torch.no_grad():
            self.results = forward(self.plan, self.given, save=True)
        return self.results[0][0], self.results[1]

    def backward(self, grad: Tensor) -> Sequence[Tensor]:
        """The gradients of the parameters; that of an input that learns goes on to what made it."""
        (_, *others), final, kept = self.results
        (x,) = self.given.inputs
        with torch.no_grad():
            grads = [grad, *map(torch.zeros_like, (*others, *final))]
            streams, _, sums = backward(self.plan, self.given, kept, grads, x.requires_grad)
        if x.requires_grad:
            x.backward(streams[0])  # type: ignore[no-untyped-call]
        return sums


class _Repeated:
    """The same on memory of its own, for inputs of one form, of which no gradient is wanted."""

    def __init__(
        self, plan: Plan, stacks: Sequence[Tensor], zeros: Sequence[Tensor], x: Tensor
    ) -> None:
        T, B = x.shape[:2]
        lengths = torch.full((B,), T) if B > 1 else None
        # What it runs on as it is made is anything.
        self.repeat = Repeat(plan, Given([torch.zeros_like(x)], zeros, stacks, lengths, None))
        self.from_zeros = True

    @property
    def works(self) -> bool:
        return self.repeat.works

    def forward(
        self, x: Tensor, lengths: Tensor, states: Sequence[Tensor] | None
    ) -> tuple[Tensor, Sequence[Tensor]]:
        given = self.repeat.given
        given.inputs[0].copy_(x)
        if given.lengths is not None:
            given.lengths.copy_(lengths)
        if states is not None or not self.from_zeros:
            for i, own in enumerate(given.states):
                own.zero_() if states is None else own.copy_(states[i])
        self.from_zeros = states is None
        self.repeat.forward()
        return self.repeat.outputs[0], self.repeat.states

    def backward(self, grad: Tensor) -> Sequence[Tensor]:
        self.repeat.grads[0].copy_(grad)
        return self.repeat.backward()
