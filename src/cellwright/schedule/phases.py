"""Hoisting: what of a step can run for all steps at once, before or after the loop over time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cellwright.program.ops import LEAVES, Value, topological
from cellwright.program.program import Program

__all__ = ["Phases", "phases"]


@dataclass(frozen=True)
class Phases:
    """A Program's values, leaves aside, by when they run; each group in a runnable order.

    Outer products are in no group: they are summed over steps, by one GEMM, and never made.
    """

    once: tuple[Value, ...]
    """Built from parameters and constants only: once a call."""
    before: tuple[Value, ...]
    """Built from streams in, not from states: for all steps at once. Every `W x` is here."""
    fed: tuple[Value, ...]
    """What the loop reads step by step: streams in, and values of `before`."""
    loop: tuple[Value, ...]
    """What the next step waits for: one step after the other."""
    after: tuple[Value, ...]
    """Built from states, but wanted outside only: all steps at once, from what the loop kept."""
    kept: tuple[Value, ...]
    """What of the loop, states as read included, is wanted outside of it."""


@lru_cache(maxsize=1024)
def phases(p: Program) -> Phases:
    """Cut a program into phases."""
    looped = set(topological(p.next(s) for s in p.states)) & p.recurrent
    values = [v for v in p.values if v.op not in LEAVES and _is_vector(v)]
    after = [v for v in values if v in p.recurrent and v not in looped]
    loop = [v for v in values if v in looped]
    fed = {a for v in loop for a in v.args} | {p.next(s) for s in p.states}
    wanted = {a for v in after for a in v.args}
    wanted |= {p.named[o] for o in p.outputs}
    wanted |= {v for s in p.sums for v in topological([s.value], stop=_is_vector)}
    return Phases(
        once=tuple(
            v for v in p.values if v.op == "transpose" or (v in values and v not in p.stepped)
        ),
        before=tuple(v for v in values if v in p.stepped and v not in p.recurrent),
        fed=tuple(v for v in p.values if v in fed and v in p.stepped and v not in p.recurrent),
        loop=tuple(loop),
        after=tuple(after),
        kept=tuple(
            v
            for v in p.values
            if v in wanted and v in p.recurrent and v not in after and _is_vector(v)
        ),
    )


def _is_vector(v: Value) -> bool:
    return len(v.shape) < 2
