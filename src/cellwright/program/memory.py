"""What a step keeps of a state and what it writes over it, read off the equations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program

__all__ = ["FUNCTIONS", "Gate", "carriers", "gates", "kept", "written"]

LINEAR = ("add", "sub", "neg", "mul", "div")
"""What passes on a state elementwise, as a term or as a factor of one."""
FUNCTIONS = tuple(
    n for n, row in TABLE.items() if row.function and row.arity == 1 and row.cpp is not None
)
"""What works on each unit by itself."""


def carriers(p: Program, s: Value, under: Collection[str] = ()) -> frozenset[Value]:
    """The values that have the old `s` as a term, or as a factor of one, unit by unit; also `under`
    some functions, as `tanh(h)` has `h`.

    The new value of another state is itself, whatever it is made of.
    """
    others = {p.next(t) for t in p.states} - {p.next(s)}
    found = {s}
    for v in p.values:
        args = v.args[:1] if v.op == "div" else v.args
        passes = v.op in LINEAR or v.op in under
        if passes and v not in others and any(a in found for a in args):
            found.add(v)
    return frozenset(found)


def kept(p: Program, s: Value) -> Mapping[Value, tuple[Value, ...]]:
    """The way of a state from its old value to its new one: each value on it, with those of its
    arguments that are on it too. Empty where the new value has no term with the old one as a
    factor, as that of a simple recurrent network, which sees it through a matrix.

    In `c' = f * c + i * z` that is the sum, `f * c` and `c`; where there is no such way without
    functions, as in `h' = tanh(k * h + z)`, it leads through them. What is under a sigmoid is a
    gate, and no memory.
    """
    for under in ((), set(FUNCTIONS) - {"sigmoid"}):
        on = carriers(p, s, under)
        if p.next(s) in on:
            return _way(p.next(s), on)
    return {}


def _way(new: Value, on: Collection[Value]) -> dict[Value, tuple[Value, ...]]:
    found: dict[Value, tuple[Value, ...]] = {}
    stack = [new]
    while stack:
        v = stack.pop()
        through = tuple(a for a in v.args if a in on)
        if v.op == "mul" and len(through) > 1:  # a product of the state with itself is one term
            through = ()
        found[v] = through
        stack += [a for a in through if a not in found]
    return found


def written(p: Program) -> Mapping[Value, tuple[int, ...]]:
    """What is written to the states that have a memory: sums on the way from an old value to a new
    one, with the places of those of their arguments that are on no such way. A state that something
    is divided by, as the normaliser of an sLSTM, is left out: it is the weight of what is written.
    """
    found: dict[Value, tuple[int, ...]] = {}
    divisors = {v.args[1] for v in p.values if v.op == "div"}
    ways = [kept(p, s) for s in p.states if divisors.isdisjoint(carriers(p, s))]
    for way in ways:
        for v in way:
            if v.op in ("add", "sub"):
                on = {a for other in ways for a in other.get(v, ())}
                found[v] = tuple(i for i, a in enumerate(v.args) if a not in on)
    return {v: places for v, places in found.items() if places}


# --- gates --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """A sigmoid that is a factor of what a state keeps, or of what is written to it."""

    value: Value
    """The sigmoid, or for one that is written by its logarithm the softplus."""
    sign: int
    """1 where what it gates grows with it, -1 where it shrinks, as what `1 - z` gates."""
    biases: tuple[tuple[str, int], ...]
    """The learned vectors and scalars that are added up in it, each with the sign it has there."""


def gates(p: Program, s: Value) -> tuple[tuple[Gate, ...], tuple[Gate, ...]]:
    """The gates of what the new value of a state keeps of the old one, and those of what is written
    to it. One that does both, as the update gate of a GRU, is among the first."""
    way = kept(p, s)
    keeping: dict[Value, int] = {}
    writing: dict[Value, int] = {}
    for v, sign in _keeping(p.next(s), 1, (), way) if way else ():
        keeping.setdefault(v, sign)  # the first counts: `f / (f + i)` grows with f
    for total, places in written(p).items() if way else ():
        for i in places if total in way else ():
            turned = -1 if total.op == "sub" and i else 1
            for v, sign in _sigmoids(total.args[i], turned):
                if v not in keeping:
                    writing.setdefault(v, sign)
    return _gates(p, keeping), _gates(p, writing)


def _gates(p: Program, found: Mapping[Value, int]) -> tuple[Gate, ...]:
    learned = {q.value: q.name for q in p.parameters if len(q.shape) < 2}
    return tuple(Gate(v, sign, tuple(_added(v.args[0], 1, learned))) for v, sign in found.items())


def _keeping(
    v: Value,
    sign: int,
    factors: tuple[tuple[Value, int], ...],
    way: Mapping[Value, tuple[Value, ...]],
) -> Iterator[tuple[Value, int]]:
    """The sigmoids among the factors of the old value, in all terms of the new one, each with the
    sign of its term."""
    if not way[v]:
        yield from ((gate, sign * own) for gate, own in factors)
    for i, a in enumerate(v.args):
        if a in way[v]:
            others = v.args[:i] + v.args[i + 1 :] if v.op in ("mul", "div") else ()
            found = (f for b in others for f in _sigmoids(b, -1 if v.op == "div" else 1))
            turned = v.op == "neg" or (v.op == "sub" and i > 0)
            yield from _keeping(a, -sign if turned else sign, (*factors, *found), way)


def _sigmoids(v: Value, sign: int) -> Iterator[tuple[Value, int]]:
    """The sigmoids that `v` is made of by arithmetic; `u * σ(u)` is a function, and no gate.

    Also those that are written by their logarithms: exp(-softplus(u)) is σ(-u), and in the exponent
    a factor is a term.
    """
    if v.op == "sigmoid":
        yield v, sign
    elif v.op == "exp":
        for term, own in _terms(v.args[0], 1):
            if term.op == "softplus" and own < 0:
                yield term, -sign
            elif term.op == "log":
                yield from _sigmoids(term.args[0], own * sign)
    elif v.op in LINEAR:
        for i, a in enumerate(v.args):
            turned = v.op == "neg" or (v.op in ("sub", "div") and i > 0)
            if not (a.op == "sigmoid" and v.op == "mul" and a.args[0] in v.args):
                yield from _sigmoids(a, -sign if turned else sign)


def _terms(v: Value, sign: int) -> Iterator[tuple[Value, int]]:
    """The terms of a sum, however it is bracketed, each with its sign."""
    if v.op not in ("add", "sub", "neg"):
        yield v, sign
        return
    for i, a in enumerate(v.args):
        yield from _terms(a, -sign if v.op == "neg" or (v.op == "sub" and i > 0) else sign)


def _added(v: Value, sign: int, among: Mapping[Value, str]) -> Iterator[tuple[str, int]]:
    for term, own in _terms(v, sign):
        if term in among:
            yield among[term], own
