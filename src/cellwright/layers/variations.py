"""The variations of its cell that a layer is made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from cellwright.errors import CellwrightError
from cellwright.layers.arguments import flag, rate, whole
from cellwright.layers.call import LayerError
from cellwright.program.ops import Value
from cellwright.program.program import Program
from cellwright.program.transforms import project
from cellwright.program.variations import drop_states, drop_updates, layer_norm, zoneout

__all__ = ["NAMES", "Mask", "Variations", "Varied", "dense", "vary"]

DROPPED_ON = ("update", "state")
"""What `recurrent_dropout` drops."""


@dataclass(frozen=True)
class Variations:
    """Arguments of a layer's constructor: see `Recurrent`.

    Raises LayerError where one is out of range.
    """

    layer_norm: bool = False
    zoneout: float | Mapping[str, float] = 0.0
    recurrent_dropout: float = 0.0
    recurrent_dropout_on: str = "update"
    residual: bool = False
    learned_state: bool = False
    heads: int = 1

    def __post_init__(self) -> None:
        for name in ("layer_norm", "residual", "learned_state"):
            flag(name, getattr(self, name))
        if isinstance(self.zoneout, Mapping):
            zoned = {s: rate(f"zoneout of {s}", p) for s, p in self.zoneout.items()}
            object.__setattr__(self, "zoneout", zoned)
        else:
            object.__setattr__(self, "zoneout", rate("zoneout", self.zoneout))
        dropped = rate("recurrent_dropout", self.recurrent_dropout)
        object.__setattr__(self, "recurrent_dropout", dropped)
        object.__setattr__(self, "heads", whole("heads", self.heads))
        if self.recurrent_dropout_on not in DROPPED_ON:
            raise LayerError(
                f"recurrent_dropout_on must be {' or '.join(map(repr, DROPPED_ON))}, got "
                f"{self.recurrent_dropout_on!r}"
            )
        if self.recurrent_dropout_on != "update" and not dropped:
            raise LayerError(
                f"recurrent_dropout_on={self.recurrent_dropout_on!r} says where to drop and not "
                "how often: give recurrent_dropout, as 0.2, too"
            )

    def shown(self) -> list[str]:
        """Those that are not their defaults, as a call writes them."""
        return [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        ]


NAMES = tuple(f.name for f in fields(Variations))
"""The arguments."""


@dataclass(frozen=True)
class Mask:
    """A stream of ones and zeros that a layer draws, from torch's generator."""

    stream: Value
    ones: float
    """The probability of a one."""
    scaled: bool = False
    """Whether what is masked is to stay as large on average."""
    each_step: bool = True
    """Whether it is drawn anew in each step; else it takes the memory of one."""

    def draw(self, like: Tensor, size: int) -> Tensor:
        """`(T, B, size)`, for a stream `like`; the same under one seed in every dtype."""
        T, B = like.shape[:2]
        steps = T if self.each_step else 1
        drawn = torch.rand(steps, B, size, device=like.device, dtype=torch.float32)
        ones = (drawn < self.ones).to(like.dtype)
        return (ones / self.ones if self.scaled else ones).expand(T, B, size)


@dataclass(frozen=True)
class Varied:
    """A cell's program, varied."""

    program: Program
    """As it is evaluated."""
    training: Program
    """As it is trained: with `masks` as streams in behind the layer's input."""
    masks: tuple[Mask, ...]


def vary(p: Program, by: Variations, projected: bool) -> Varied:
    """Apply what changes the equations of a cell, in the order in which it stands here.

    Raises LayerError where something is not possible for this cell.
    """
    try:
        p = layer_norm(p) if by.layer_norm else p
        p = project(p) if projected else p
        training, masks = _dropped(p, by)
    except CellwrightError as e:
        raise LayerError(str(e)) from None
    rates = _zoned(p, by)
    if not rates:
        return Varied(p, training, masks)
    zoned = zoneout(training, rates, drawn=True)
    streams = zoned.inputs[len(training.inputs) :]
    masks += tuple(Mask(v, rates[name]) for v, name in zip(streams, rates, strict=True))
    return Varied(zoneout(p, rates, drawn=False), zoned, masks)


def _dropped(p: Program, by: Variations) -> tuple[Program, tuple[Mask, ...]]:
    if not by.recurrent_dropout:
        return p, ()
    each_step = by.recurrent_dropout_on == "update"
    try:
        q = drop_updates(p) if each_step else drop_states(p)
    except CellwrightError as e:
        raise LayerError(f"recurrent_dropout: {e}") from None
    streams = q.inputs[len(p.inputs) :]
    return q, tuple(Mask(v, 1 - by.recurrent_dropout, True, each_step) for v in streams)


def _zoned(p: Program, by: Variations) -> dict[str, float]:
    """The states that zoneout acts on, in the program's order, with how often."""
    names = [s.name for s in p.states]
    given = by.zoneout if isinstance(by.zoneout, Mapping) else dict.fromkeys(names, by.zoneout)
    for name in given:
        if name not in names:
            raise LayerError(f"zoneout: the cell has no state {name!r}; it has {', '.join(names)}")
    return {name: given[name] for name in names if given.get(name)}


# --- heads --------------------------------------------------------------------------------------


def dense(blocks: Tensor, members: int, heads: int) -> Tensor:
    """Matrices from the blocks on their diagonals, zero elsewhere: `(members * n, m / heads)` to
    `(members * n, m)`."""
    n, m = blocks.shape[0] // (members * heads), blocks.shape[1]
    apart = blocks.view(members, heads, n, m).permute(0, 2, 3, 1)
    return torch.diag_embed(apart).permute(0, 3, 1, 4, 2).reshape(-1, heads * m)
