"""A kernel as text, with what it is to be given."""

from __future__ import annotations

from dataclasses import dataclass

from cellwright.program.ops import Value

__all__ = ["Argument", "Kernel", "Kernels"]


@dataclass(frozen=True)
class Argument:
    """A tensor that a kernel is given."""

    name: str
    kind: str
    """`in` and `out`: streams; `once`: what is the same in every step; `matrix`; `initial` and
    `final`: states; `total`. By segments also `state`, `buffer` and `product`; `whole` and `summed`
    are what programs of a grid read of each other, or torch of them."""
    value: Value

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions that its kernel has to be told the strides of. What is not named here lies
        row by row."""
        if self.kind in ("in", "out"):
            return ("t", "b")
        if self.kind == "matrix":
            return ("r", "c")
        return ("b",) if self.kind in ("total", "whole", "product") else ()


@dataclass(frozen=True)
class Kernel:
    """A kernel's source, and what it is to be given."""

    name: str
    source: str
    arguments: tuple[Argument, ...]
    strided: tuple[Argument, ...]
    """Those whose strides it is given, the first of all that have the same."""
    reduces: bool
    """Whether a program has to have all units, as it sums over them or multiplies by a matrix."""
    values: int
    """How many it computes."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of a program; one that has nothing to do is None."""

    ahead: tuple[Kernel | None, ...]
    fused: Kernel
    """The whole loop, where a program of the grid has all units that it needs."""
    meeting: Kernel
    """The whole loop, where programs have some units each, and meet after every stage."""
    step: tuple[Kernel, ...]
    """The loop by segments."""
    behind: tuple[Kernel | None, ...]
