"""Stages: how an engine runs a Program, step by step.

A stage is matrix products over whole vectors, then elementwise work on what they give. Within a
stage units are independent of one another; between two stages every unit has to be there. An LSTM
has one stage, a GRU whose reset gate comes before the matrix two, a cell without recurrent matrices
has one without products. The backward pass of a cell is a Program like any other.

For that a Program is lowered: what reduces over units becomes sums and elementwise work, and the
products in a sum become one value, `products(m1, v1, m2, v2, …)` = m1 v1 + m2 v2 + …, which an
engine adds up in registers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cellwright.program.ops import (
    EPSILON,
    LEAVES,
    Shape,
    Value,
    build,
    size_of,
    spread,
    topological,
)
from cellwright.program.program import Program

__all__ = ["Labelled", "Schedule", "Stage", "schedule", "terms"]


@dataclass(frozen=True)
class Stage:
    """What needs nothing but the stages before it; each group in a runnable order."""

    products: tuple[Value, ...]
    scalars: tuple[Value, ...]
    """Sums over the units of vectors of earlier stages, and what is made of them."""
    vectors: tuple[Value, ...]


@dataclass(frozen=True)
class Labelled:
    """A value with its name; of `totals` and `sums`, what is summed over steps and sequences."""

    name: str
    value: Value


@dataclass(frozen=True)
class Schedule:
    """A lowered Program, by when its values run. Leaves are in no group."""

    program: Program
    once: tuple[Value, ...]
    """Built from parameters and constants only: once a call."""
    before: tuple[Value, ...]
    """Matrix products and sums over units that read no state, and what they need: for all steps at
    once, before the loop."""
    stages: tuple[Stage, ...]
    """A step of the loop."""
    after: tuple[Value, ...]
    """Matrix products and sums over units that no later step waits for, and what needs them: for
    all steps at once, after the loop."""
    fed: tuple[Value, ...]
    """What the loop reads step by step: streams in, and values of `before`."""
    kept: tuple[Value, ...]
    """What of the loop, states as read included, is wanted outside of it."""
    next: tuple[Value, ...]
    """The new values of the states, in their order."""
    outputs: tuple[Value, ...]
    """The streams out."""
    totals: tuple[Labelled, ...]
    """What the loop adds up over steps."""
    names: tuple[Labelled, ...]
    """The equations of the program whose value there still is."""
    sums: tuple[Labelled, ...]
    """What is added up outside of the loop: a matrix as one GEMM over all steps."""

    @property
    def reduces(self) -> bool:
        """Whether units wait for one another in a step other than through matrices."""
        return any(s.scalars for s in self.stages)


@lru_cache(maxsize=1024)
def schedule(p: Program) -> Schedule:
    """Cut a program into what runs once, before, in and after the loop, and the loop in stages."""
    low = _lowered(p.values)
    wanted = [p.next(s) for s in p.states] + [p.named[o] for o in p.outputs]
    wanted += [s.value for s in p.sums]
    joined = _joined([low[v] for v in wanted], [low[p.next(s)] for s in p.states])
    roots = [joined[low[v]] for v in wanted]
    n, m = len(p.states), len(p.outputs)
    after_step, outputs, summed = roots[:n], roots[n : n + m], roots[n + m :]

    values = [v for v in topological(roots) if v.op not in LEAVES]
    stepped = _reached(topological(roots), ("input", "state"))
    recurrent = _reached(topological(roots), ("state",))
    looped = set(topological(after_step)) & recurrent
    once, before, loop, after = [], [], [], []
    ahead = {
        a
        for v in values
        if v in stepped and v not in recurrent and v.op in _WHOLE
        for a in topological([v])
    }
    late: set[Value] = set()
    for v in values:
        if len(v.shape) == 2 and v.op != "transpose":
            continue
        if v not in stepped:
            once.append(v)
        elif v in ahead:
            before.append(v)
        elif v not in looped and (v.op in _WHOLE or any(a in late for a in v.args)):
            late.add(v)
            after.append(v)
        else:
            loop.append(v)

    in_loop = {*loop, *p.states}
    left = {a for v in after for a in v.args} | set(outputs)
    left |= {v for s in summed if len(s.shape) == 2 for v in topological([s], stop=_is_vector)}
    totals = [
        Labelled(s.name, v)
        for s, v in zip(p.sums, summed, strict=True)
        if len(v.shape) < 2 and v in in_loop
    ]
    sums = [
        Labelled(s.name, v)
        for s, v in zip(p.sums, summed, strict=True)
        if not (len(v.shape) < 2 and v in in_loop)
    ]
    kept = tuple(v for v in topological(roots) if v in left and v in in_loop)
    read = {a for v in loop for a in v.args} | {*after_step}
    return Schedule(
        program=p,
        once=tuple(once),
        before=tuple(before),
        stages=_stages(loop, recurrent),
        after=tuple(after),
        fed=tuple(
            v
            for v in topological(roots)
            if v in read and v in stepped and v not in in_loop and _is_vector(v)
        ),
        kept=kept,
        next=tuple(after_step),
        outputs=tuple(outputs),
        totals=tuple(totals),
        names=tuple(
            Labelled(e.name, joined[low[e.value]]) for e in p.equations if low[e.value] in joined
        ),
        sums=tuple(sums),
    )


_WHOLE = ("apply", "products", "sum")
"""What needs every unit of its argument."""


def _is_vector(v: Value) -> bool:
    return len(v.shape) < 2


def _reached(values: Iterable[Value], leaves: tuple[str, ...]) -> set[Value]:
    """The values that are built from leaves of these kinds."""
    found: set[Value] = set()
    for v in values:
        if v.op in leaves or any(a in found for a in v.args):
            found.add(v)
    return found


# --- lowering -----------------------------------------------------------------------------------


def _lowered(values: Iterable[Value]) -> dict[Value, Value]:
    """Each value with `sum` as the only operation that reduces over units."""
    done: dict[Value, Value] = {}
    for v in values:
        args = tuple(done[a] for a in v.args)
        if not args:
            done[v] = v
        elif v.op == "spread":
            done[v] = spread(args[0], *v.shape)
        elif v.op in _REDUCTIONS:
            done[v] = _REDUCTIONS[v.op](args[0])
        elif v.op == "sum" and args[0].shape == ():
            done[v] = args[0]
        else:
            done[v] = build(v.op, *args)
    return done


def _mean(x: Value) -> Value:
    return build("sum", x) / size_of(*x.shape)


def _deviation(x: Value) -> Value:
    centred = x - _mean(x)
    return build("sqrt", _mean(centred * centred) + EPSILON)


def _standardize(x: Value) -> Value:
    return (x - _mean(x)) / _deviation(x)


_REDUCTIONS = {"mean": _mean, "deviation": _deviation, "standardize": _standardize}


def _joined(roots: list[Value], next_states: list[Value]) -> dict[Value, Value]:
    """What `roots` are built from, with the recurrent products of each sum in one value.

    Joined are those that run in the same stage, or after the loop.
    """
    values = topological(roots)
    uses = Counter(a for v in values for a in v.args) + Counter(roots)
    recurrent = _reached(values, ("state",))
    looped = set(topological(next_states))
    depth: dict[Value, int] = {}
    for v in values:
        own = v in recurrent and v.op in ("apply", "sum")
        depth[v] = own + max((depth[a] for a in v.args), default=0)
    inner = {a for v in values if v.op == "add" for a in v.args if a.op == "add" and uses[a] == 1}
    done: dict[Value, Value] = {}
    for v in values:
        if v in inner and len(v.shape) == 1:
            continue
        if v.op == "add" and len(v.shape) == 1:
            groups: dict[tuple[bool, int], list[Value]] = {}
            rest: list[Value] = []
            for t in _addends(v, inner):
                if t.op == "apply" and t in recurrent and uses[t] == 1:
                    groups.setdefault((t in looped, depth[t]), []).append(t)
                else:
                    rest.append(done[t])
            rest += [_products(group, done) for group in groups.values()]
            total = rest[0]
            for t in rest[1:]:
                total = total + t
            done[v] = total if total.shape == v.shape else spread(total, *v.shape)
        elif v.op == "apply" and v in recurrent:
            done[v] = _products([v], done)
        elif not v.args:
            done[v] = v
        elif v.op == "spread":
            done[v] = spread(done[v.args[0]], *v.shape)
        else:
            done[v] = build(v.op, *(done[a] for a in v.args))
    return done


def _addends(v: Value, inner: set[Value]) -> Iterator[Value]:
    stack = [v]
    while stack:
        top = stack.pop()
        if top is v or (top in inner and top.op == "add" and len(top.shape) == 1):
            stack.extend(reversed(top.args))
        else:
            yield top


def _products(applies: list[Value], done: dict[Value, Value]) -> Value:
    shape: Shape = applies[0].shape
    return Value("products", tuple(done[a] for v in applies for a in v.args), shape)


def terms(products: Value) -> list[tuple[Value, Value]]:
    """The matrices of a `products` value with what each is applied to."""
    return list(zip(products.args[::2], products.args[1::2], strict=True))


# --- stages -------------------------------------------------------------------------------------


def _stages(loop: list[Value], recurrent: set[Value]) -> tuple[Stage, ...]:
    inside = set(loop)
    at: dict[Value, int] = {}
    for v in loop:
        of = max((at.get(a, -1) for a in v.args), default=-1)
        if v.op == "products":
            at[v] = of + 1
        elif v.op == "sum":
            at[v] = max(of, 0) + 1
        else:
            at[v] = max(of, 0)
    # What reads no state is cheap to put off until it is used: its arguments are in memory.
    users: dict[Value, list[int]] = {v: [] for v in loop}
    for v in reversed(loop):
        if v not in recurrent and users[v]:
            at[v] = max(at[v], min(users[v]))
        for a in v.args:
            if a in inside:
                users[a].append(at[v] - (v.op in _WHOLE))
    return tuple(
        Stage(
            products=tuple(v for v in loop if at[v] == i and v.op == "products"),
            scalars=tuple(v for v in loop if at[v] == i and v.shape == ()),
            vectors=tuple(v for v in loop if at[v] == i and v.shape and v.op != "products"),
        )
        for i in range(max(at.values(), default=0) + 1)
    )
