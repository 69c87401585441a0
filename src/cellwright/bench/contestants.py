"""What is measured: layers of a cell, and what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from cellwright.backends import reference
from cellwright.errors import CellwrightError
from cellwright.language import Cell
from cellwright.layers.recurrent import Recurrent

__all__ = ["Loop", "MissingPeerError", "peer", "step"]


class MissingPeerError(CellwrightError):
    """There is nothing of that name to measure against."""


class Loop(nn.Module):
    """A cell as a loop over steps in torch, differentiated by autograd; matrices on one vector are
    one product, and those on the input one for all steps."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As the layer, in one direction."""
        p, own = self.layer.program, self.layer.views()
        sizes = self.layer.cell.sizes(self.layer.input_size, self.layer.hidden_size)
        states = [x.new_zeros(x.shape[1], sizes[s.shape[0]]) for s in p.states]
        found = reference.run(p, [x], states, list(own.values()))
        return found.outputs[0], found.states


def peer(name: str, cell: Cell, input_size: int, hidden_size: int) -> nn.Module:
    """`nn.LSTM` and its like; `plain`, the cell itself without variations; `small`, that with
    `memory="small"`; `loop`, see Loop;
    `torchrecurrent`, its layer of the same name, or `torchrecurrent.PeepholeLSTM`, one of another.

    Raises MissingPeerError where there is none.
    """
    library, _, wanted = name.partition(".")
    match library:
        case "plain":
            return Recurrent(cell, input_size, hidden_size)
        case "small":
            return Recurrent(cell, input_size, hidden_size, memory="small")
        case "loop":
            return Loop(Recurrent(cell, input_size, hidden_size))
        case "nn" if wanted in ("RNN", "LSTM", "GRU"):
            module: nn.Module = getattr(nn, wanted)(input_size, hidden_size)
            return module
        case "torchrecurrent":
            return _torchrecurrent(wanted or cell.origin, input_size, hidden_size)
    raise MissingPeerError(
        f"{name!r} is nothing to measure against: choose nn.LSTM, nn.GRU, nn.RNN, plain, small, "
        "loop, torchrecurrent, or one of its layers, as torchrecurrent.MGU"
    )


def _torchrecurrent(name: str, input_size: int, hidden_size: int) -> nn.Module:
    try:
        library = import_module("torchrecurrent")
    except ImportError:
        raise MissingPeerError(
            "torchrecurrent is not installed: pip install torchrecurrent"
        ) from None
    for layer in dir(library):
        if layer.lower() == name.replace("_", "").lower():
            made: nn.Module = getattr(library, layer)(input_size, hidden_size)
            return made
    raise MissingPeerError(f"torchrecurrent has no layer called {name!r}")


def step(module: nn.Module, x: Tensor, training: bool) -> Callable[[], None]:
    """One run over a batch: with the backward pass, or without and without what it needs."""

    def infer() -> None:
        with torch.no_grad():
            module(x)

    def train() -> None:
        output: Any = module(x)[0]
        output.backward(torch.ones_like(output))
        for w in _leaves(module, x):
            w.grad = None

    return train if training else infer


def _leaves(module: nn.Module, x: Tensor) -> Iterator[Tensor]:
    yield x
    yield from module.parameters()
