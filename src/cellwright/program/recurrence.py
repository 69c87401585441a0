"""What goes round from step to step: the states that do, and the matrices on their way."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from cellwright.program.legality import check
from cellwright.program.ops import Value, input_, substitute, topological
from cellwright.program.program import Named, Program, prime
from cellwright.program.sharing import Fresh

__all__ = ["applied", "recurrent_matrices", "undelayed"]


@lru_cache(maxsize=1024)
def undelayed(p: Program) -> Program:
    """The same step with streams in for the states that only hand on what came in earlier: those
    are known for all steps before the first one runs."""
    held = set(p.states)
    while True:
        still = {s for s in held if held & set(topological([p.next(s)]))}
        if still == held:
            break
        held = still
    delays = {s: input_(s.name, s.shape) for s in p.states if s not in held}
    if not delays:
        return p
    fresh = Fresh(p.names)
    names = {prime(s.name): fresh(s.name) for s in delays}
    done = substitute(p.roots, delays)
    return check(
        replace(
            p,
            inputs=(*p.inputs, *delays.values()),
            states=tuple(s for s in p.states if s in held),
            equations=tuple(Named(names.get(e.name, e.name), done[e.value]) for e in p.equations),
            outputs=tuple(names.get(o, o) for o in p.outputs),
            sums=tuple(Named(t.name, done[t.value]) for t in p.sums),
        ),
        "undelayed",
    )


def recurrent_matrices(p: Program) -> frozenset[Value]:
    """The matrices in the recurrence: applied, on the way to the new value of a state, to what a
    state of the step before is needed for.

    One that is applied to states for the output alone is none, nor one that is applied to what came
    in earlier.
    """
    q = undelayed(p)
    way = topological(q.next(s) for s in q.states)
    return frozenset(applied(v) for v in way if v.op == "apply" and v in q.recurrent)


def applied(v: Value) -> Value:
    """The matrix of a product, as it is learned: not transposed."""
    m = v.args[0]
    return m.args[0] if m.op == "transpose" else m
