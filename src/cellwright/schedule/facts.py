"""Facts of a cell: what follows from its Program, so that nobody has to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from cellwright.program.derivative import derivative
from cellwright.program.ops import TABLE, Value, input_, topological
from cellwright.program.program import Program
from cellwright.program.recurrence import undelayed
from cellwright.schedule.lowering import reduce
from cellwright.schedule.stages import WHOLE

__all__ = ["Facts", "Products", "facts", "products"]


@dataclass(frozen=True)
class Facts:
    """What a cell costs in a step of one sequence, and what kind of recurrence it is."""

    parameters: int
    """Learned values."""
    macs: int
    """Multiply-adds of the matrix products in a forward step."""
    states: tuple[str, ...]
    stages: int
    """How often a step has to wait for every unit: the longest chain of matrix products, and sums
    over units, from a state to a new one."""
    linear: bool
    """Whether new states are affine in the old ones, with coefficients that no state changes: an
    associative scan can run it."""
    kept: int
    """Numbers that the forward pass keeps for the backward pass, a step. The input and the output
    are not among them: those are the caller's."""

    @property
    def elementwise(self) -> bool:
        """Whether each unit goes through time by itself."""
        return self.stages == 0

    @property
    def memory(self) -> int:
        """Bytes of what is kept a step, in float32."""
        return 4 * self.kept


@dataclass(frozen=True)
class Products:
    """Multiply-adds of the matrix products in a step, by what they are applied to."""

    ahead: int
    """To what is known before the step before has run: the input."""
    recurrent: int
    """To what a state is needed for."""


def facts(p: Program, sizes: Mapping[str, int]) -> Facts:
    """The facts of a forward program, for sizes as `{"I": 88, "H": 36}`."""
    made = products(p, sizes)
    known = undelayed(p)
    return Facts(
        parameters=p.count(sizes),
        macs=made.ahead + made.recurrent,
        states=tuple(s.name for s in p.states),
        stages=_stages(known),
        linear=_is_linear(known),
        kept=sum(_units(v, sizes) for v in _kept(p)),
    )


def products(p: Program, sizes: Mapping[str, int]) -> Products:
    """What the matrix products in a step of a forward program take."""
    found = [v for v in p.values if v.op == "apply" and v in p.stepped]
    ahead, recurrent = (
        sum(_units(v.args[0], sizes) for v in found if (v in p.recurrent) == late)
        for late in (False, True)
    )
    return Products(ahead, recurrent)


def _units(v: Value, sizes: Mapping[str, int]) -> int:
    return prod(sizes[s] for s in v.shape)


# --- the recurrence -----------------------------------------------------------------------------


def _stages(p: Program) -> int:
    low = reduce(p.values)
    wanted = [low[p.next(s)] for s in p.states]
    waits: dict[Value, int] = {}
    for v in topological(wanted):
        below = [waits[a] for a in v.args if a in waits]
        if v.op == "state":
            waits[v] = 0
        elif below:
            waits[v] = max(below) + (v.op in WHOLE)
    return max((waits[v] for v in wanted if v in waits), default=0)


def _is_linear(p: Program) -> bool:
    """Whether no state bends what another or itself becomes."""
    bent: set[Value] = set()
    for v in p.values:
        if v.op in TABLE and v in p.recurrent and (bent & set(v.args) or _bends(v, p)):
            bent.add(v)
    return not any(p.next(s) in bent for s in p.states)


def _bends(v: Value, p: Program) -> bool:
    """Whether an operation is not affine in those of its arguments that states change: its
    derivative by one of them is not the same for all states, or counts as 0 though it jumps."""
    gradient = input_("gradient", v.shape)
    parts = TABLE[v.op].derivative(gradient, v, *v.args)
    return any(
        part is None or not p.recurrent.isdisjoint(topological([part]))
        for a, part in zip(v.args, parts, strict=True)
        if a in p.recurrent
    )


# --- training -----------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _kept(p: Program) -> frozenset[Value]:
    """What the forward pass saves in a step, beside its outputs. A state that is saved as it is
    read is its own new value, one step later."""
    forward, given = derivative(p).forward, len(p.outputs)
    saved = {forward.named[o] for o in forward.outputs[given:]}
    saved -= {forward.named[o] for o in forward.outputs[:given]}
    read: dict[Value, Value] = {}
    for s in p.states:
        if p.next(s) not in p.states:
            read.setdefault(p.next(s), s)
    return frozenset(read.get(v, v) for v in saved)
