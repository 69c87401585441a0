"""How sequences of different lengths are laid out for a loop over steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """How `(T, B)` is laid out as `N` rows without padding: by step, longest sequence first."""

    T: int
    B: int
    counts: list[int]
    """How many sequences are not over, by step; steps that no sequence reaches are left out."""
    index: Tensor | None
    """`(N,)`: the row in `(T * B)` of each row; None where there is no padding."""
    order: Tensor | None

    @staticmethod
    def of(T: int, B: int, lengths: Tensor | None, device: torch.device) -> Steps:
        """The layout for `lengths` `(B,)`, or for sequences of T steps each."""
        if lengths is None:
            return Steps(T, B, [B] * T, None, None)
        order = torch.argsort(lengths, descending=True, stable=True).to(device)
        active = torch.arange(T).unsqueeze(1) < lengths.cpu()[order.cpu()]
        counts = [n for n in active.sum(1).tolist() if n]
        rows = torch.arange(T, device=device).unsqueeze(1) * B + order
        return Steps(T, B, counts, rows[active.to(device)], order)

    @property
    def N(self) -> int:  # noqa: N802 - as the other letters
        """How many rows there are."""
        return sum(self.counts)

    def flat(self, x: Shaped[Tensor, "T B n"]) -> Shaped[Tensor, "N n"]:
        """Without padding."""
        x = x.reshape(self.T * self.B, x.shape[-1])
        return x if self.index is None else x.index_select(0, self.index)

    def padded(self, x: Float[Tensor, "N n"]) -> Float[Tensor, "T B n"]:
        """With padding, zeros."""
        if self.index is not None:
            x = x.new_zeros(self.T * self.B, x.shape[-1]).index_copy(0, self.index, x)
        return x.view(self.T, self.B, x.shape[-1])

    def sort(self, state: Float[Tensor, "B n"]) -> Float[Tensor, "B n"]:
        """A state with the longest sequence first."""
        return state if self.order is None else state.index_select(0, self.order)

    def unsort(self, state: Float[Tensor, "B n"]) -> Float[Tensor, "B n"]:
        """A state in the order of the batch."""
        return state if self.order is None else state.index_select(0, torch.argsort(self.order))
