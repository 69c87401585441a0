"""What a batch says of a model's weights, without a graph through its recurrence.

Sequences are short and batches small where cells are studied, and torch's graph then takes as long
as the engine does: half of a step at a batch of one sequence. So the layer's two passes are called
directly, and autograd has the loss and the readout only.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from cellwright.layers.passes import Given, backward, forward
from cellwright.study.model import Model
from cellwright.study.tasks.task import Batch, Target

__all__ = ["Gradients", "Judged"]


class Judged(NamedTuple):
    """What a batch gave."""

    loss: float
    """The sum over its predictions."""
    predictions: int
    """How many that were."""
    states: list[Tensor]
    """At the sequences' ends, `(B, n)` each."""


class Gradients:
    """Gradients of a model's parameters, as autograd gives them."""

    def __init__(self, model: Model, target: Target, noise: float = 0.0) -> None:
        """`noise` is the standard deviation of what is added to each feature of the input."""
        self.model, self.target, self.noise = model, target, noise
        layer = model.recurrent
        self.plan = layer.steps[True, False].plan(layer.backend, layer.memory, reverse=False)
        sizes = {"I": layer.input_size, "H": layer.hidden_size}
        self.widths = [sizes[s.shape[0]] for s in layer.program.states]
        self.stacks = list(layer.parameters())
        self.parameters = list(model.parameters())

    def of(self, batch: Batch, states: Sequence[Tensor] | None, summed: bool) -> Judged:
        """Set `grad` of every parameter, to that of the batch's losses, summed or their mean.

        `states` are `(B, n)` each, zeros where there are none. Where the sum of the losses is not
        finite, no gradient is computed.
        """
        for p in self.parameters:
            p.grad = None
        x = self.model.read(batch.inputs)
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        if states is None:
            states = [x.new_zeros(x.shape[1], n) for n in self.widths]
        # One sequence has no padding: the engine need not look for any.
        given = Given([x], states, self.stacks, batch.lengths if x.shape[1] > 1 else None, None)
        with torch.no_grad():
            (output, *others), final, kept = forward(self.plan, given, save=True)
        output.requires_grad_()
        losses = self.target.loss(self.model.read_out(output, batch.lengths), batch)
        loss = losses.sums.sum()
        judged = Judged(loss.item(), int(losses.counts.sum()), final)
        if not isfinite(judged.loss):
            return judged
        (loss if summed else loss / judged.predictions).backward()  # type: ignore[no-untyped-call]
        assert output.grad is not None
        with torch.no_grad():
            grads = [output.grad, *map(torch.zeros_like, (*others, *final))]
            streams, _, sums = backward(self.plan, given, kept, grads, x.requires_grad)
        for p, grad in zip(self.stacks, sums, strict=True):
            p.grad = grad
        if x.requires_grad:  # an embedding is learned
            x.backward(streams[0])
        return judged
