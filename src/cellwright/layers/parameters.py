"""How a Program's parameters are kept: stacked as torch stacks them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count

from cellwright.program.ops import Shape, Value
from cellwright.program.program import Parameter, Program
from cellwright.program.recurrence import applied, recurrent_matrices, undelayed
from cellwright.program.transforms import biases

__all__ = ["Gate", "Stack", "blocked", "gates", "stacks"]


@dataclass(frozen=True)
class Stack:
    """Parameters of one kind and shape, kept as one tensor, along its first dimension."""

    name: str
    """As in torch, without the layer: `weight_ih`, `weight_hh`, `weight_hr`, `bias`; `weight_ho` is
    in that manner; other learned vectors go by the letters before the underscore of their names.
    No two stacks have one name."""
    members: tuple[Parameter, ...]
    recurrent: bool
    """Whether they are matrices in the recurrence."""

    @property
    def shape(self) -> Shape:
        """The shape of each member."""
        return self.members[0].shape

    @property
    def cut(self) -> bool:
        """Whether heads cut them in blocks: no input is put through them."""
        return self.recurrent and "I" not in self.shape


def stacks(p: Program) -> tuple[Stack, ...]:
    """The stacks of a program: matrices first, in the order in which the equations read them.

    `weight_ih` holds the matrices applied to inputs, or to what is made of them alone; `weight_hh`
    those in the recurrence; `weight_hr` the projection; `weight_ho` what is applied to states for
    the output alone; `bias` the vectors that are only added. Where a kind has several shapes, the
    first has the kind's name.
    """
    groups: dict[tuple[str | None, str, Shape], list[Parameter]] = {}
    for q in sorted(p.parameters, key=lambda q: -len(q.shape)):
        kind = _kind(p, q)
        label = kind or (q.name.split("_")[0] if q.shape else q.name)
        groups.setdefault((kind, label, q.shape), []).append(q)
    names: set[str] = set()
    found = []
    for (kind, label, _), members in groups.items():
        first = members[0].name
        taken = names | set(KINDS) - {kind}
        candidates = chain((label, first), (f"{first}_{i}" for i in count(2)))
        names.add(name := next(n for n in candidates if n not in taken))
        found.append(Stack(name, tuple(members), kind == "weight_hh"))
    rank = {name: i for i, name in enumerate(KINDS)}
    return tuple(sorted(found, key=lambda s: rank.get(s.name, len(KINDS))))


def blocked(p: Program) -> tuple[str, ...]:
    """The names of the matrices that heads cut in blocks."""
    return tuple(q.name for s in stacks(p) if s.cut for q in s.members)


KINDS = ("weight_ih", "weight_hh", "weight_hr", "weight_ho", "bias")
"""The stacks that torch's layers have, and `weight_ho`, in their order."""


def _kind(p: Program, q: Parameter) -> str | None:
    """One of `KINDS`, if it is any of them."""
    if len(q.shape) == 2:
        if q.shape[0] == "P":
            return "weight_hr"
        if q.value in recurrent_matrices(p):
            return "weight_hh"
        known = undelayed(p)
        late = any(v.op == "apply" and applied(v) == q.value for v in known.recurrent)
        return "weight_ho" if late else "weight_ih"
    return "bias" if q in biases(p) else None


@dataclass(frozen=True)
class Gate:
    """What torch's two biases add to: one block of `weight_ih` with one of `weight_hh`.

    torch's cells have a bias for each; an equation that has one for both has their sum.
    """

    bias: str
    """A bias of the program."""
    ih: int | None
    """The block of `weight_ih` whose product it is added to, if to any."""
    hh: int | None


def gates(p: Program) -> tuple[Gate, ...]:
    """For each bias of `p`, the matrices it stands beside in a sum."""
    blocks = {q.name: (s.name, i) for s in stacks(p) for i, q in enumerate(s.members)}
    sums = [set(_terms(v)) for v in p.values if v.op == "add"]
    found = []
    for b in biases(p):
        beside = {
            t.args[0].name
            for terms in sums
            if b.value in terms
            for t in terms
            if t.op == "apply" and t.args[0].op == "parameter"
        }
        at = {blocks[name][0]: blocks[name][1] for name in sorted(beside)}
        found.append(Gate(b.name, at.get("weight_ih"), at.get("weight_hh")))
    return tuple(found)


def _terms(v: Value) -> Iterator[Value]:
    """The terms of a sum, however it is bracketed."""
    stack = [v]
    while stack:
        top = stack.pop()
        if top.op == "add":
            stack.extend(top.args)
        else:
            yield top
