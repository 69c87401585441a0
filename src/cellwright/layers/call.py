"""What a layer is called with: checked, and laid out as one thing inside, whatever the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from cellwright.errors import CellwrightError

__all__ = ["Call", "Expected", "LayerError", "State", "autocast_dtype", "check_lengths"]

State: TypeAlias = Tensor | tuple[Tensor, ...]


class LayerError(CellwrightError, ValueError):
    """A layer was made or called with something it cannot work with."""


@dataclass(frozen=True)
class Call:
    """The arguments of one call as `(T, B, …)`, and how to give results the caller's layout."""

    x: Tensor
    """`(T, B, I)`"""
    state: list[Tensor]
    """Each `(places, B, n)`."""
    lengths: Tensor | None
    resets: Tensor | None
    """`(T, B)`"""
    batched: bool
    swap: bool

    def resets_from(self, direction: int) -> Tensor | None:
        """In reverse a reset at the first step is no boundary: nothing comes before it."""
        if self.resets is None or not direction:
            return self.resets
        return torch.cat((torch.zeros_like(self.resets[:1]), self.resets[1:]))

    def restarts_from(self, direction: int) -> Tensor:
        """`(T, B, 1)`: positive in those steps, in this direction, that no state passes into."""
        starts = self.resets
        assert starts is not None
        if direction:
            starts = torch.cat((starts[1:], torch.zeros_like(starts[:1])))
            starts = starts if self.lengths is None else starts & self._goes_on(1)
        return starts.unsqueeze(-1).to(self.x.dtype)

    def unpadded(self, x: Tensor) -> Tensor:
        """A stream with zeros where a sequence is over, as outputs have them."""
        return x if self.lengths is None else x.masked_fill(~self._goes_on(0).unsqueeze(-1), 0)

    def _goes_on(self, by: int) -> Tensor:
        """`(T, B)`: whether a sequence has a step so many steps later."""
        T, device = self.x.shape[0], self.x.device
        assert self.lengths is not None
        return torch.arange(by, T + by, device=device).unsqueeze(1) < self.lengths.to(device)

    def restore(self, y: Tensor) -> Tensor:
        """A stream `(T, B, n)` in the caller's layout."""
        if not self.batched:
            return y.squeeze(1)
        return y.transpose(0, 1) if self.swap else y

    def restore_state(self, s: Tensor) -> Tensor:
        """A state `(places, B, n)` in the caller's layout."""
        return s if self.batched else s.squeeze(1)


@dataclass(frozen=True)
class Expected:
    """What a layer takes."""

    input_size: int
    places: int
    """Layers times directions."""
    states: Mapping[str, int]
    """Features of each state, by its name, in order."""
    batch_first: bool
    like: Tensor
    """A parameter: what x has to agree with in dtype and device."""
    starts: list[Tensor]
    """Of each state, `(places, n)`: what it begins with where none is given; none for zeros."""

    def call(
        self, x: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> Call:
        """Check the arguments of a call, and lay them out.

        Raises LayerError where a shape or a type does not fit.
        """
        self._check_input(x)
        batched = x.dim() == 3
        swap = batched and self.batch_first
        steps = x if batched else x.unsqueeze(1)
        steps = steps.transpose(0, 1) if swap else steps
        if resets is not None:
            if not (
                isinstance(resets, Tensor)
                and resets.dtype == torch.bool
                and resets.shape == x.shape[:-1]
                and resets.device == x.device
            ):
                raise _mismatch("resets", x.shape[:-1], f"bool values on {x.device}", resets)
            resets = resets if batched else resets.unsqueeze(1)
            resets = resets.transpose(0, 1) if swap else resets
        if lengths is not None:
            lengths = _lengths(lengths, steps.shape[1], batched)
        return Call(steps, self._states(state, steps, batched), lengths, resets, batched, swap)

    def _check_input(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or x.dim() not in (2, 3):
            got = f"{x.dim()} dimensions" if isinstance(x, Tensor) else type(x).__name__
            layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise LayerError(f"x must be a tensor {layout}, or (T, I) for one sequence, got {got}")
        if x.shape[-1] != self.input_size:
            raise LayerError(
                f"x must have {self.input_size} features in its last dimension (input_size), got "
                f"shape {tuple(x.shape)}"
            )
        if x.shape[1 if self.batch_first and x.dim() == 3 else 0] == 0:
            raise LayerError(f"x has no steps: its shape is {tuple(x.shape)}")
        self._check_type("x", x)

    def _check_type(self, name: str, x: Tensor) -> None:
        """Device and dtype as the layer's; of float types, autocast leaves float64 alone only."""
        like = self.like
        if x.device != like.device:
            raise LayerError(
                f"{name} is on {x.device} and the layer on {like.device}: move one of them with "
                ".to(device)"
            )
        cast = autocast_dtype(x) is not None and autocast_dtype(like) is not None
        if x.dtype != like.dtype and not cast:
            raise LayerError(
                f"{name} is {x.dtype} and the layer {like.dtype}: convert one of them with "
                ".to(dtype)"
            )

    def _states(self, state: State | None, x: Tensor, batched: bool) -> list[Tensor]:
        B = x.shape[1]
        if state is None and self.starts:
            return [s.unsqueeze(1).expand(-1, B, -1) for s in self.starts]
        if state is None:
            return [x.new_zeros(self.places, B, n) for n in self.states.values()]
        given = tuple(state) if isinstance(state, tuple | list) else (state,)
        if len(given) != len(self.states):
            several = len(self.states) > 1
            expected = f"a tuple ({', '.join(self.states)})" if several else "one tensor"
            raise LayerError(
                f"state must be {expected}, got {len(given)} tensor{'s' * (len(given) != 1)}"
            )
        for (name, n), s in zip(self.states.items(), given, strict=True):
            shape = (self.places, B, n) if batched else (self.places, n)
            if not isinstance(s, Tensor) or tuple(s.shape) != shape:
                got = tuple(s.shape) if isinstance(s, Tensor) else type(s).__name__
                raise LayerError(f"the initial {name} must have shape {shape}, got {got}")
            self._check_type(f"the initial {name}", s)
        return [s if batched else s.unsqueeze(1) for s in given]


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """What autocast casts `x` to; None where it does not, as with float64 everywhere in torch."""
    device = x.device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return None
    eligible = x.is_floating_point() and x.dtype != torch.float64
    return torch.get_autocast_dtype(device) if eligible else None


_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def _lengths(lengths: Tensor, B: int, batched: bool) -> Tensor:
    if isinstance(lengths, Tensor) and lengths.dtype in _INTEGERS:
        found = lengths if batched else lengths.reshape(-1)
        if found.shape == (B,):
            return found
    raise _mismatch("lengths", (B,), "integers", lengths)


def check_lengths(lengths: Tensor | None, T: int) -> None:
    """Look at the values of `lengths`, which only a run can: a trace has none.

    Raises LayerError where one is not from 1 to `T`.
    """
    if lengths is None or not len(lengths):
        return
    least, most = (int(bound) for bound in torch.aminmax(lengths))
    if not 1 <= least <= most <= T:
        raise LayerError(
            f"lengths must be from 1 to {T}, the steps of x; got from {least} to {most}"
        )


def _mismatch(name: str, shape: tuple[int, ...], values: str, got: object) -> LayerError:
    if isinstance(got, Tensor):
        found = f"{got.dtype} {tuple(got.shape)} on {got.device}"
    else:
        found = f"{type(got).__name__}: torch.tensor({name}) makes one of numbers"
    return LayerError(f"{name} must be a tensor of {values} of shape {tuple(shape)}, got {found}")
