"""Checkpoints of torch's recurrent modules, in and out."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from cellwright.language import cell
from cellwright.layers.parameters import Gate, gates, stacks
from cellwright.program.program import Program
from cellwright.program.transforms import alike

__all__ = ["fold_biases", "split_biases", "twin"]


TWINS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
"""The modules of torch.nn, by the cell of the catalogue that has their equations."""


@lru_cache(maxsize=256)
def twin(p: Program) -> Callable[..., nn.RNNBase] | None:
    """The module of torch.nn that computes what a cell's program does, if there is one."""
    return next((m for name, m in TWINS.items() if alike(p, cell(name).program)), None)


@lru_cache(maxsize=256)
def _layout(p: Program) -> tuple[tuple[Gate, ...], int]:
    found = {g.bias: g for g in gates(p)}
    order = [q.name for s in stacks(p) if s.name == "bias" for q in s.members]
    blocks = max(len(s.members) for s in stacks(p) if s.name in ("weight_ih", "weight_hh"))
    return tuple(found[name] for name in order), blocks


def fold_biases(state_dict: dict[str, Any], prefix: str, suffix: str, p: Program) -> None:
    """Replace torch's `bias_ih` and `bias_hh` in a state_dict by this program's `bias`.

    torch adds one bias to `W x` and another to `R h`; where an equation has one for both it is
    their sum. `p` is a program that has a `twin`. Does nothing where the keys are absent or do not
    have the shapes expected, so that `load_state_dict` reports them.
    """
    keys = [f"{prefix}bias_{side}{suffix}" for side in ("ih", "hh")]
    order, blocks = _layout(p)
    if any(k not in state_dict for k in keys):
        return
    sides = [state_dict[k] for k in keys]
    if any(
        not isinstance(b, Tensor)
        or b.dim() != 1
        or b.shape != sides[0].shape
        or b.shape[0] % blocks
        for b in sides
    ):
        return
    ih, hh = (torch.split(b, b.shape[0] // blocks) for b in sides)
    parts = []
    for g in order:
        terms = [side[at] for side, at in ((ih, g.ih), (hh, g.hh)) if at is not None]
        parts.append(sum(terms[1:], terms[0]))
    for k in keys:
        del state_dict[k]
    state_dict[f"{prefix}bias{suffix}"] = torch.cat(parts)


def split_biases(bias: Tensor, p: Program) -> tuple[Tensor, Tensor]:
    """torch's `bias_ih` and `bias_hh` for this `bias`; one that serves both goes to the first."""
    order, blocks = _layout(p)
    parts = torch.split(bias, bias.shape[0] // len(order))
    zero = torch.zeros_like(parts[0])
    ih, hh = [zero] * blocks, [zero] * blocks
    for g, b in zip(order, parts, strict=True):
        if g.ih is not None:
            ih[g.ih] = b
        elif g.hh is not None:
            hh[g.hh] = b
    return torch.cat(ih), torch.cat(hh)
