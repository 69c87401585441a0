"""The conformance suite: what every backend must do with every program.

`compare` runs a program on a backend and holds outputs, final states and every gradient against
torch's autograd through the reference loop. Tests choose programs, sizes and what is varied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cellwright.backends import reference
from cellwright.language import print_program
from cellwright.layers.operator import execute
from cellwright.layers.passes import Given, Plan
from cellwright.program.program import Program

__all__ = ["Arguments", "arguments", "compare", "plan_of", "relative_error"]


@dataclass(frozen=True)
class Arguments:
    """What a program is run on; every tensor requires a gradient."""

    inputs: list[Tensor]
    states: list[Tensor]
    parameters: list[Tensor]

    @property
    def all(self) -> list[Tensor]:
        return [*self.inputs, *self.states, *self.parameters]


def arguments(
    p: Program, sizes: dict[str, int], T: int, B: int, dtype: torch.dtype, seed: int = 0
) -> Arguments:
    """Random arguments, of a size at which gates are neither open nor shut."""
    rng = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        x = torch.randn(shape, generator=rng, dtype=torch.float64) * 0.7
        return x.to(dtype).requires_grad_()

    return Arguments(
        [draw(T, B, *([sizes[s] for s in v.shape] or [1])) for v in p.inputs],
        [draw(B, sizes[v.shape[0]]) for v in p.states],
        [draw(*(sizes[s] for s in q.shape)) for q in p.parameters],
    )


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value expected (or 1, if that is larger)."""
    assert found.shape == expected.shape
    if expected.numel() == 0:
        return 0.0
    scale = max(1.0, float(expected.detach().abs().max()))
    error = float((found - expected).detach().abs().max()) / scale
    return error if error == error else float("inf")


def plan_of(p: Program, backend: str, memory: str = "fast", reverse: bool = False) -> Plan:
    """A run of a program that is given each of its parameters by itself."""
    n = len(p.parameters)
    return Plan(print_program(p), backend, memory, (1,) * n, tuple(range(n)), reverse)


def compare(
    p: Program,
    given: Arguments,
    *,
    backend: str,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    memory: str = "fast",
) -> dict[str, float]:
    """The relative error of everything a training step gives, by name."""
    options = {"lengths": lengths, "resets": resets, "reverse": reverse}
    expected = reference.run(p, given.inputs, given.states, given.parameters, **options)
    outputs, states = execute(
        plan_of(p, backend, memory, reverse),
        Given(given.inputs, given.states, given.parameters, lengths, resets),
    )
    rng = torch.Generator().manual_seed(1)
    weights = [
        torch.randn(y.shape, generator=rng, dtype=torch.float64).to(y.dtype)
        for y in (*expected.outputs, *expected.states)
    ]
    names = [v.name for v in (*p.inputs, *p.states)] + [q.name for q in p.parameters]
    pairs = zip(
        names,
        _gradients([*outputs, *states], weights, given.all),
        _gradients([*expected.outputs, *expected.states], weights, given.all),
        strict=True,
    )
    errors = {f"gradient of {name}": relative_error(a, b) for name, a, b in pairs}
    for kind, found, wanted in (
        ("output", outputs, expected.outputs),
        ("final state", states, expected.states),
    ):
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            errors[f"{kind} {i}"] = relative_error(a.detach(), b.detach())
    return errors


def _gradients(
    results: Sequence[Tensor], weights: Sequence[Tensor], by: Sequence[Tensor]
) -> list[Tensor]:
    pairs = [(y, w) for y, w in zip(results, weights, strict=True) if y.requires_grad]
    found = torch.autograd.grad([y for y, _ in pairs], by, [w for _, w in pairs], allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, by, strict=True)]
