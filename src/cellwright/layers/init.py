"""Initialisers that hold for every cell, in the manner of `torch.nn.init`.

Each writes to the parameters of a layer, in all its layers and directions, and leaves the others as
they are. Which parameters those are is read off the equations; `layer.views()` has each by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from numbers import Real

import torch
from torch import Tensor, nn

from cellwright.layers.call import LayerError
from cellwright.layers.recurrent import Recurrent
from cellwright.program.memory import Gate, gates

__all__ = ["chrono_", "forget_bias_", "orthogonal_"]


def forget_bias_(layer: Recurrent, value: float = 1.0) -> Recurrent:
    """Open the gates that keep memories, or with a negative value shut them.

    Jozefowicz, Zaremba, Sutskever (2015) give the forget gate of an LSTM a bias of 1. For any cell
    it is the bias in each sigmoid that multiplies the old value of a state in its new one, also one
    that is written by its logarithm; where that is 1 - σ(…), it starts at `-value`. Of several
    biases in a gate, the others start at 0.

    Returns the layer.

    Raises LayerError where no gate keeps a state, and where none has a bias.
    """
    if not isinstance(value, Real) or not abs(value) < inf:
        raise LayerError(f"value must be a number, got {value!r}")
    found = [gate for keeping, _ in _gates(layer) for gate in keeping]
    with torch.no_grad():
        for views in _views(layer):
            for gate in found:
                _set(views, gate, torch.full_like(views[gate.biases[0][0]], gate.sign * value))
    return layer


def chrono_(layer: Recurrent, longest: float) -> Recurrent:
    """Biases for memories of one to `longest` steps, drawn for each unit.

    Tallec, Ollivier (2018), arXiv 1804.11188: the bias of an LSTM's forget gate is log(u), with u
    uniform from 1 to `longest` - 1, and that of its input gate -log(u). For any cell: log(u) opens
    gates that keep, as those of `forget_bias_`, and shuts gates on what is written.

    Returns the layer.

    Raises LayerError as `forget_bias_`, and where `longest` is not more than 2.
    """
    if not isinstance(longest, Real) or not 2 < longest < inf:
        raise LayerError(f"longest must be a number of steps, more than 2, got {longest!r}")
    with torch.no_grad():
        found = _gates(layer)
        for views in _views(layer):
            seen: set[str] = set()
            for keeping, writing in found:
                like = views[keeping[0].biases[0][0]]
                times = torch.empty_like(like).uniform_(1, float(longest) - 1).log_()
                for gate, sign in (*((g, 1) for g in keeping), *((g, -1) for g in writing)):
                    names = {name for name, _ in gate.biases}
                    if names and not names & seen and views[gate.biases[0][0]].shape == like.shape:
                        _set(views, gate, sign * gate.sign * times)
                    seen |= names
    return layer


def orthogonal_(layer: Recurrent, gain: float = 1.0) -> Recurrent:
    """Draw the recurrent matrices orthogonal (Saxe et al. 2014), each gate's by itself; with
    `heads`, each block.

    Returns the layer.

    Raises LayerError where the cell has no recurrent matrix.
    """
    stacks = [s for s in layer.stacks if s.recurrent]
    if not stacks:
        raise LayerError(f"{layer.cell.name} has no recurrent matrix")
    with torch.no_grad():
        for views in _views(layer):
            for stack in stacks:
                for q in stack.members:
                    for block in views[q.name].chunk(layer.blocks(stack)):
                        nn.init.orthogonal_(block, gain)
    return layer


def _gates(layer: Recurrent) -> list[tuple[list[Gate], list[Gate]]]:
    """Of each state that has some: those that keep it, all with biases, and those of what is
    written to it."""
    p = layer.program
    found = [gates(p, s) for s in p.states]
    if not any(keeping for keeping, _ in found):
        raise LayerError(
            f"{layer.cell.name} has no gate that keeps a state: none of its new values has the old "
            "one times a sigmoid. layer.views() has each parameter by its name"
        )
    kept = [([g for g in keeping if g.biases], list(writing)) for keeping, writing in found]
    kept = [(keeping, writing) for keeping, writing in kept if keeping]
    if not kept:
        raise LayerError(f"the gates of {layer.cell.name} that keep a state have no bias")
    return kept


def _views(layer: Recurrent) -> Iterator[dict[str, Tensor]]:
    for k in range(layer.num_layers):
        for reverse in (False, True)[: 1 + layer.bidirectional]:
            yield layer.views(k, reverse)


def _set(views: dict[str, Tensor], gate: Gate, value: Tensor) -> None:
    """Make the sum of the biases in a gate `value`."""
    (first, sign), *others = gate.biases
    views[first].copy_(sign * value)
    for name, _ in others:
        views[name].zero_()
