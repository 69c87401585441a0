"""The model every cell is compared in: one layer of the cell, and a linear readout."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from cellwright.language import Cell
from cellwright.layers.recurrent import Recurrent
from cellwright.study.sizes import output_size
from cellwright.study.tasks.task import Features, Form, Symbols

__all__ = ["Model", "State"]

State = Tensor | tuple[Tensor, ...]


class Model(nn.Module):
    """What a task asks for, of one cell.

    `dropout` is the probability of zeroing what the readout reads, in training; `start` the
    readout's biases before anything is learned.
    """

    def __init__(
        self,
        cell: Cell,
        form: Form,
        hidden_size: int,
        dropout: float = 0.0,
        start: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.form, ends = form, form.ends
        self.read = _reader(form.reads)
        self.recurrent = Recurrent(cell, ends.inputs, hidden_size)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.readout = nn.Linear(output_size(cell, ends.inputs, hidden_size), ends.outputs)
        if start is not None:
            with torch.no_grad():
                self.readout.bias.copy_(start)

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """The readout, and the state at each sequence's end.

        `inputs` are `(T, B, K)` or `(T, B)`, as the task reads them; `lengths` `(B,)`. The readout
        is `(T, B, outputs)`, of which what is past a sequence's end means nothing, or where the
        task reads the last step only `(B, outputs)`.
        """
        output, state = self.recurrent(self.read(inputs), state, lengths=lengths)
        return self.read_out(output, lengths), state

    def read_out(self, output: Tensor, lengths: Tensor) -> Tensor:
        """The readout of what the cell returned, `(T, B, n)`."""
        if self.form.last:
            output = output[lengths - 1, torch.arange(len(lengths))]
        read: Tensor = self.readout(self.dropout(output))
        return read


def _reader(reads: Features | Symbols) -> nn.Module:
    if isinstance(reads, Features):
        return nn.Identity()
    count = len(reads.names)
    return nn.Embedding(count, reads.embedding) if reads.embedding else _OneHot(count)


class _OneHot(nn.Module):
    """Symbols `(T, B)` to `(T, B, K)` of 0 and 1."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, symbols: Tensor) -> Tensor:
        return one_hot(symbols, self.count).to(torch.get_default_dtype())
