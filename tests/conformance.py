"""The conformance suite: what every backend must do with every program.

A backend's outputs, final states and every gradient are held against torch's autograd through the
reference loop in float64: `errors` says how far they are from it, `excess` how much further than
torch is itself in float32. Tests choose programs, sizes and what is varied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from cellwright.backends import reference
from cellwright.backends.cpu.plan import Extent
from cellwright.backends.cpu.plan import Plan as CpuPlan
from cellwright.backends.cpu.team import Team
from cellwright.language import print_program
from cellwright.layers.operator import execute
from cellwright.layers.passes import Given, Plan
from cellwright.program.program import Program

__all__ = [
    "Arguments",
    "arguments",
    "errors",
    "excess",
    "in_team",
    "plan_of",
    "relative_error",
    "training_step",
]


@dataclass(frozen=True)
class Arguments:
    """What a program is run on; every tensor requires a gradient."""

    inputs: list[Tensor]
    states: list[Tensor]
    parameters: list[Tensor]

    @property
    def all(self) -> list[Tensor]:
        return [*self.inputs, *self.states, *self.parameters]

    def to(self, dtype: torch.dtype) -> Arguments:
        """The same numbers, as leaves of their own."""
        parts = (self.inputs, self.states, self.parameters)
        return Arguments(*([x.detach().to(dtype).requires_grad_() for x in xs] for xs in parts))


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


@contextmanager
def in_team(team: Team) -> Iterator[None]:
    """The CPU engine works in such a team, as far as there are sequences for it, and units may be
    shared."""
    extent = CpuPlan.extent

    def with_team(self: CpuPlan, *about: Any) -> Extent:
        found = extent(self, *about)
        sharing = 1 if self.layout.alone else team.sharing
        return replace(found, team=Team(min(team.groups, max(found.B, 1)), sharing))

    CpuPlan.extent = with_team  # type: ignore[method-assign]
    try:
        yield
    finally:
        CpuPlan.extent = extent  # type: ignore[method-assign]


def relative_error(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest finite value expected (or 1, if that is
    larger). What is infinite or no number where it is expected to be, as h' = h * h is after some
    steps, is no difference."""
    assert found.shape == expected.shape
    found, expected = found.detach(), expected.detach()
    alike = (found == expected) | (found.isnan() & expected.isnan())
    scale = max(1.0, _largest(expected[expected.isfinite()]))
    return _largest((found - expected)[~alike]) / scale


def plan_of(p: Program, backend: str, memory: str = "fast", reverse: bool = False) -> Plan:
    """A run of a program that is given each of its parameters by itself."""
    n = len(p.parameters)
    by = tuple(range(len(p.inputs)))
    return Plan(print_program(p), backend, memory, (1,) * n, tuple(range(n)), reverse, by)


def errors(p: Program, given: Arguments, backend: str, **options: Any) -> dict[str, float]:
    """The relative error of everything a training step gives, by name.

    `options` are `lengths`, `resets`, `reverse` and `memory`.
    """
    found, expected = (training_step(p, given, b, **options) for b in (backend, None))
    assert all(x.dtype == expected[name].dtype for name, x in found.items())
    return {name: relative_error(x, expected[name]) for name, x in found.items()}


def excess(
    p: Program, draws: Iterable[Arguments], backend: str, **options: Any
) -> dict[str, float]:
    """The error of everything a training step gives in float32, as a multiple of torch's: what all
    but a quarter of the draws stay below. A single draw may be anything, where it comes near a
    division by nothing or torch is lucky."""
    found: dict[str, list[float]] = defaultdict(list)
    for given in draws:
        exact = training_step(p, given.to(torch.float64), None, **options)
        own, near = (training_step(p, given, b, **options) for b in (backend, None))
        for name, right in exact.items():
            rounding = torch.finfo(torch.float32).eps * max(1.0, _largest(right))
            usual = max(rounding, _largest(near[name].double() - right))
            found[name].append(_largest(own[name].double() - right) / usual)
    return {name: sorted(ratios)[-1 - len(ratios) // 4] for name, ratios in found.items()}


def _largest(x: Tensor) -> float:
    found = float(x.abs().max()) if x.numel() else 0.0
    return found if found == found else float("inf")


def training_step(
    p: Program,
    given: Arguments,
    backend: str | None,
    *,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
    memory: str = "fast",
) -> dict[str, Tensor]:
    """Outputs, final states and gradients by name, from a backend; without one, from autograd
    through the reference loop."""
    if backend is None:
        options = {"lengths": lengths, "resets": resets, "reverse": reverse}
        ran = reference.run(p, given.inputs, given.states, given.parameters, **options)
        outputs, states = ran.outputs, ran.states
    else:
        outputs, states = execute(
            plan_of(p, backend, memory, reverse),
            Given(given.inputs, given.states, given.parameters, lengths, resets),
        )
    rng = torch.Generator().manual_seed(1)
    results = [*outputs, *states]
    weights = [torch.randn(y.shape, generator=rng, dtype=torch.float64) for y in results]
    names = [v.name for v in (*p.inputs, *p.states)] + [q.name for q in p.parameters]
    gradients = zip(names, _gradients(results, weights, given.all), strict=True)
    return {
        **{f"output {i}": y.detach() for i, y in enumerate(outputs)},
        **{f"final state {i}": y.detach() for i, y in enumerate(states)},
        **{f"gradient of {name}": g for name, g in gradients},
    }


def _gradients(
    results: Sequence[Tensor], weights: Sequence[Tensor], by: Sequence[Tensor]
) -> list[Tensor]:
    pairs = [(y, w.to(y.dtype)) for y, w in zip(results, weights, strict=True) if y.requires_grad]
    found = torch.autograd.grad([y for y, _ in pairs], by, [w for _, w in pairs], allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, by, strict=True)]
