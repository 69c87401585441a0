"""The derivative as a Program against torch's autograd, twice over."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from torch import Tensor

from cellwright.backends import reference
from cellwright.language import cell, cell_names
from cellwright.program.derivative import derivative
from cellwright.program.program import Program
from conformance import arguments, relative_error
from strategies import programs

BOUND = 1e-10
SIZES = {"I": 3, "H": 4, "K": 2}


def backward(
    p: Program, tensors: list[Tensor], gradients: list[Tensor], reverse: bool = False
) -> list[Tensor]:
    """The gradients of `tensors` (inputs, states, parameters) by the derivative program alone."""
    n, m, k = len(p.inputs), len(p.states), len(p.outputs)
    inputs, states, parameters = tensors[:n], tensors[n : n + m], tensors[n + m :]
    d = derivative(p)
    with torch.no_grad():
        saved = reference.run(d.forward, inputs, states, parameters, reverse=reverse).outputs[k:]
        own = dict(zip((q.name for q in p.parameters), parameters, strict=True))
        own |= dict(zip(d.by_sums, gradients[k + m :], strict=True))
        found = reference.run(
            d.backward,
            [*gradients[:k], *_named(p, inputs, d.saved_inputs), *saved],
            gradients[k : k + m],
            [own[q.name] for q in d.backward.parameters],
            reverse=not reverse,
        )
    return [*found.outputs, *found.states, *found.sums]


def _named(p: Program, inputs: list[Tensor], names: tuple[str, ...]) -> list[Tensor]:
    by_name = dict(zip((v.name for v in p.inputs), inputs, strict=True))
    return [by_name[name] for name in names]


def worst_error(p: Program, sizes: dict[str, int], T: int = 4, B: int = 3) -> float:
    given_ = arguments(p, sizes, T, B, torch.float64)
    with torch.no_grad():
        for x in given_.inputs:  # where gates are, whose squares may be taken from 1
            x.tanh_()
    worst = 0.0
    for reverse in (False, True):
        made = reference.run(p, given_.inputs, given_.states, given_.parameters, reverse=reverse)
        results = [*made.outputs, *made.states, *made.sums]
        weights = [torch.randn(y.shape, dtype=torch.float64) for y in results]
        pairs = [(y, w) for y, w in zip(results, weights, strict=True) if y.requires_grad]
        expected = torch.autograd.grad(
            [y for y, _ in pairs], given_.all, [w for _, w in pairs], allow_unused=True
        )
        found = backward(p, [x.detach() for x in given_.all], weights, reverse)
        for a, b, x in zip(found, expected, given_.all, strict=True):
            worst = max(worst, relative_error(a, torch.zeros_like(x) if b is None else b))
    return worst


@pytest.mark.parametrize("name", cell_names())
def test_of_every_cell(name: str) -> None:
    p = cell(name).program
    assert worst_error(p, SIZES) <= BOUND


@pytest.mark.parametrize("name", cell_names())
def test_of_the_derivative_of_every_cell(name: str) -> None:
    """Programs are closed under differentiation: sums have parameters for gradients."""
    p = derivative(cell(name).program).backward
    assert worst_error(p, SIZES) <= BOUND


@given(programs(smooth=True))
def test_of_random_programs(p: Program) -> None:
    assert worst_error(p, SIZES, T=3, B=2) <= BOUND


@given(programs(smooth=True))
def test_of_the_derivative_of_random_programs(p: Program) -> None:
    q = derivative(p).backward
    assert worst_error(q, SIZES, T=3, B=2) <= BOUND
