"""The model every cell is compared in: one layer of the cell, and a linear readout to the keys."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cellwright.language import Cell
from cellwright.layers.recurrent import Recurrent
from cellwright.study.sizes import output_size

__all__ = ["NextFrame", "nats"]


class NextFrame(nn.Module):
    """Which of `keys` sound next, given all frames so far: `(T, B, K)` to logits `(T, B, K)`.

    `dropout` is the probability of zeroing what the readout reads, in training.
    """

    def __init__(self, cell: Cell, keys: int, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, keys, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(output_size(cell, keys, hidden_size), keys)

    def start_from(self, frequencies: Tensor) -> None:
        """Begin with what needs no learning: how often each key sounds, `(K,)` in (0, 1)."""
        with torch.no_grad():
            self.readout.bias.copy_(torch.logit(frequencies))

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Logits of the frame after each of `frames`; past `lengths` `(B,)` they mean nothing."""
        output, _ = self.recurrent(frames, lengths=lengths)
        logits: Tensor = self.readout(self.dropout(output))
        return logits


def nats(logits: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence's negative log-likelihood `(B,)`, summed over its frames and keys, in nats."""
    each = binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(2)  # (T, B)
    over = lengths.new_tensor(range(len(each))).unsqueeze(1) >= lengths
    return each.masked_fill(over, 0).sum(0)
