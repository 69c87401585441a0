"""Losses of sequences side by side: a value a sequence, and nothing of what is past its end."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

__all__ = ["bernoulli", "categorical", "past"]


def bernoulli(logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence's negative log-likelihood `(B,)` in nats, summed over steps and features.

    `logits` and `targets`, of 0 and 1, are `(T, B, K)`, `lengths` `(B,)`.
    """
    each = binary_cross_entropy_with_logits(logits, targets, reduction="none")  # (T, B, K)
    if len(lengths) == 1:  # no padding, and a mask takes as long as the rest of it
        return each.sum((0, 2))
    steps = each.sum(2)
    return steps.masked_fill(past(steps, lengths), 0).sum(0)


def categorical(logits: Tensor, targets: Tensor) -> Tensor:
    """The negative log-likelihood in nats at each place; 0 where the target is below 0.

    `logits` are `(…, C)`, `targets`, from 0 to C - 1, and the result `(…)`.
    """
    flat = logits.flatten(0, -2)
    each = cross_entropy(flat, targets.flatten(), ignore_index=-1, reduction="none")
    return each.view_as(targets)


def past(steps: Tensor, lengths: Tensor) -> Tensor:
    """Where `steps`, `(T, B)`, is past a sequence's end."""
    return torch.arange(len(steps)).unsqueeze(1) >= lengths
