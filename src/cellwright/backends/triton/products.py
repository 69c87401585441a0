"""Matrix products by torch: those of many steps at once, and those of a step, where the loop runs
by segments. What lies side by side in memory is one product."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import torch
from torch import Tensor

from cellwright.program.ops import Value
from cellwright.schedule.lowering import terms

__all__ = ["Joined", "across", "groups", "outer"]


def groups(products: Sequence[Value], apart: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
    """Products by what they are applied to: those of a group are one. Each that is `apart` is a
    group of its own."""
    found: dict[object, list[Value]] = {}
    for v in products:
        key: object = v if v in apart else tuple(x for _, x in terms(v))
        found.setdefault(key, []).append(v)
    return [tuple(group) for group in found.values()]


@dataclass(frozen=True)
class Joined:
    """Products of one group: their matrices, ready to be multiplied by."""

    products: tuple[Value, ...]
    operands: tuple[Value, ...]
    matrices: tuple[Tensor, ...]
    """For each operand `(its units, all units of the products)`."""

    @staticmethod
    def of(products: tuple[Value, ...], env: Mapping[Value, Tensor]) -> Joined:
        """The matrices are in `env`."""
        by_product = [terms(v) for v in products]
        operands = tuple(x for _, x in by_product[0])
        columns = [one([env[each[i][0]] for each in by_product]) for i in range(len(operands))]
        return Joined(products, operands, tuple(m.mT for m in columns))

    def multiply(self, operand: Callable[[Value], Tensor], to: Tensor) -> None:
        """Into `to`, `(rows, all units of the products)`, from operands `(rows, units)`."""
        given = [operand(x) for x in self.operands]
        wide = across(given)
        if wide is not None:
            torch.mm(wide, self._whole, out=to)
            return
        for i, (x, m) in enumerate(zip(given, self.matrices, strict=True)):
            if i:
                to.addmm_(x, m)
            else:
                torch.mm(x, m, out=to)

    @cached_property
    def _whole(self) -> Tensor:
        return self.matrices[0] if len(self.matrices) == 1 else torch.cat(self.matrices)


def one(parts: Sequence[Tensor]) -> Tensor:
    """Matrices as one, each below the one before; without a copy, where memory has them so."""
    found = _in_a_row(parts, 0)
    return torch.cat(list(parts)) if found is None else found


def across(parts: Sequence[Tensor]) -> Tensor | None:
    """Matrices as one, where they lie side by side in memory; None where they do not."""
    first = parts[0]
    if len(parts) == 1:
        return first
    apart = first.stride(1) != 1 or sum(x.shape[1] for x in parts) > first.stride(0)
    return None if apart else _in_a_row(parts, 1)


def _in_a_row(parts: Sequence[Tensor], dim: int) -> Tensor | None:
    """Matrices as one, where each begins in memory where the one before ends in that dimension."""
    first = parts[0]
    shape = list(first.shape)
    shape[dim] = 0
    for x in parts:
        begins = first.data_ptr() + shape[dim] * first.stride(dim) * first.element_size()
        same = x.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if x.data_ptr() != begins or not same or x.stride() != first.stride():
            return None
        shape[dim] += x.shape[dim]
    return first.as_strided(shape, first.stride())


def outer(
    by_right: Mapping[Value, Sequence[tuple[Value, Value]]], rows: Callable[[Value], Tensor]
) -> dict[Value, Tensor]:
    """The sums over rows of outer products, by the right one: each left one, and the sum it is a
    term of."""
    found: dict[Value, list[Tensor]] = {}
    for right, members in by_right.items():
        lefts = [rows(left) for left, _ in members]
        wide = across(lefts)
        if wide is None:
            made = [x.mT @ rows(right) for x in lefts]
        else:
            made = list(torch.split(wide.mT @ rows(right), [x.shape[1] for x in lefts]))
        for (_, total), part in zip(members, made, strict=True):
            found.setdefault(total, []).append(part)
    return {total: reduce(torch.add, parts) for total, parts in found.items()}
