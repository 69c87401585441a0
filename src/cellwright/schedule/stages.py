"""Stages: how an engine runs a Program.

A stage is matrix products over whole vectors, then elementwise work on what they give. Within a
stage units are independent of one another; between two stages every unit has to be there. An LSTM
has one stage a step, a GRU whose reset gate comes before the matrix two; a cell without recurrent
matrices has one without products. The backward pass of a cell is a Program like any other.

Stages run in three phases. What reads no state and needs more than its own unit, as every `W x`,
runs ahead of the loop, for many steps at once; so does, behind the loop, what no later step waits
for, as the gradient of the input. Elementwise work is in the loop, beside what it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cellwright.program.ops import LEAVES, Value, topological
from cellwright.program.program import Program
from cellwright.schedule.lowering import join, reduce

__all__ = ["WHOLE", "Labelled", "Schedule", "Stage", "schedule"]

WHOLE = ("apply", "products", "sum")
"""What needs every unit of its argument."""


@dataclass(frozen=True)
class Stage:
    """What needs nothing but the stages before it; each group in a runnable order."""

    products: tuple[Value, ...]
    scalars: tuple[Value, ...]
    """Sums over the units of vectors of earlier stages, and what is made of them."""
    vectors: tuple[Value, ...]

    @property
    def values(self) -> tuple[Value, ...]:
        """All of it."""
        return (*self.products, *self.scalars, *self.vectors)


@dataclass(frozen=True)
class Labelled:
    """A value with the name of an equation."""

    name: str
    value: Value


@dataclass(frozen=True)
class Schedule:
    """A lowered Program, by when its values run. Leaves are in no group."""

    program: Program
    once: tuple[Value, ...]
    """Built from parameters and constants only: once a call."""
    ahead: tuple[Stage, ...]
    """For many steps at once, before the loop comes to them."""
    loop: tuple[Stage, ...]
    """A step."""
    behind: tuple[Stage, ...]
    """For many steps at once, after the loop has passed them."""
    next: tuple[Value, ...]
    """The new values of the states, in their order."""
    outputs: tuple[Value, ...]
    """The streams out."""
    sums: tuple[Value, ...]
    """What is added up over steps and sequences: vectors, scalars, and sums of outer products."""
    equations: tuple[Labelled, ...]
    """Those of the program whose value there still is."""

    @property
    def phases(self) -> tuple[tuple[str, tuple[Stage, ...]], ...]:
        """The three phases, by name."""
        return (("ahead", self.ahead), ("loop", self.loop), ("behind", self.behind))

    @property
    def reduces(self) -> bool:
        """Whether units wait for one another other than through matrices."""
        return any(s.scalars for _, stages in self.phases for s in stages)


@lru_cache(maxsize=1024)
def schedule(p: Program) -> Schedule:
    """Cut a program into what runs once, ahead of the loop, in it and behind it, in stages."""
    low = reduce(p.values)
    wanted = [p.next(s) for s in p.states] + [p.named[o] for o in p.outputs]
    wanted += [s.value for s in p.sums]
    roots, n, m = [low[v] for v in wanted], len(p.states), len(p.outputs)
    cut = _Cut(roots, roots[:n])
    joined = join(roots, cut.when)
    roots = [joined[v] for v in roots]
    cut = _Cut(roots, roots[:n])
    return Schedule(
        program=p,
        once=cut.of("once"),
        ahead=_stages(cut.of("ahead"), cut.recurrent),
        loop=_stages(cut.of("loop"), cut.recurrent) or (Stage((), (), ()),),
        behind=_stages(cut.of("behind"), cut.recurrent),
        next=tuple(roots[:n]),
        outputs=tuple(roots[n : n + m]),
        sums=tuple(roots[n + m :]),
        equations=tuple(
            Labelled(e.name, joined[low[e.value]]) for e in p.equations if low[e.value] in joined
        ),
    )


class _Cut:
    """The phase of every value below `roots`, leaves and matrices of sums aside."""

    def __init__(self, roots: list[Value], after_step: list[Value]) -> None:
        self.values = topological(roots)
        stepped = _reached(self.values, ("input", "state"))
        self.recurrent = _reached(self.values, ("state",))
        looped = set(topological(after_step)) & self.recurrent
        hoisted = [v for v in self.values if v in stepped and v not in self.recurrent]
        ahead = set(topological(v for v in hoisted if v.op in WHOLE))
        self.phase: dict[Value, str] = {}
        for v in self.values:
            if v.op in LEAVES or (len(v.shape) == 2 and v.op != "transpose"):
                continue
            if v not in stepped:
                self.phase[v] = "once"
            elif v in ahead:
                self.phase[v] = "ahead"
            elif v not in looped and (
                v.op in WHOLE or any(self.phase.get(a) == "behind" for a in v.args)
            ):
                self.phase[v] = "behind"
            else:
                self.phase[v] = "loop"

    def of(self, phase: str) -> tuple[Value, ...]:
        return tuple(v for v in self.values if self.phase.get(v) == phase)

    def when(self, v: Value) -> str | None:
        """The phase of a product that an engine is to run."""
        phase = self.phase[v]
        return None if phase == "once" else phase


def _reached(values: Iterable[Value], leaves: tuple[str, ...]) -> set[Value]:
    """The values that are built from leaves of these kinds."""
    found: set[Value] = set()
    for v in values:
        if v.op in leaves or any(a in found for a in v.args):
            found.add(v)
    return found


def _stages(values: tuple[Value, ...], recurrent: set[Value]) -> tuple[Stage, ...]:
    if not values:
        return ()
    at: dict[Value, int] = {}
    for v in values:
        of = max((at.get(a, -1) for a in v.args), default=-1)
        if v.op == "products":
            at[v] = of + 1
        elif v.op == "sum":
            at[v] = max(of, 0) + 1
        else:
            at[v] = max(of, 0)
    # What reads no state is cheap to put off until it is used: its arguments are in memory.
    users: dict[Value, list[int]] = {v: [] for v in values}
    for v in reversed(values):
        if v not in recurrent and users[v]:
            at[v] = max(at[v], min(users[v]))
        for a in v.args:
            if a in users:
                users[a].append(at[v] - (v.op in WHOLE))
    return tuple(
        Stage(
            products=tuple(v for v in values if at[v] == i and v.op == "products"),
            scalars=tuple(v for v in values if at[v] == i and v.shape == ()),
            vectors=tuple(v for v in values if at[v] == i and v.shape and v.op != "products"),
        )
        for i in range(max(at.values()) + 1)
    )
