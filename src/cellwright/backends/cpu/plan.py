"""What is known of a Program before a call, and of a call by the shapes of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cellwright.backends.cpu.build import Engine, load
from cellwright.backends.cpu.emit import emit
from cellwright.backends.cpu.layout import Layout, layout
from cellwright.backends.cpu.team import Team, team
from cellwright.backends.reference import Env, Evaluation, scalar
from cellwright.program.ops import LEAVES, Value, topological
from cellwright.program.program import Program

if TYPE_CHECKING:
    from cellwright.backends.cpu.form import Asked, Form

__all__ = ["Extent", "Place", "Plan", "plan"]


class Place(NamedTuple):
    """Where a stream lies in a tensor that it may share with others."""

    offset: int
    """Where its first step begins, in numbers."""
    strides: tuple[int, int, int]
    """From step to step, from sequence to sequence, from block to block of units."""

    def given(self, x: Tensor) -> tuple[int, ...]:
        """As the engine takes it: address and strides."""
        return (x.data_ptr() + self.offset * x.element_size(), *self.strides)


@dataclass(frozen=True)
class Extent:
    """What follows from the shapes of a call's arguments."""

    T: int
    B: int
    sizes: dict[str, int]
    team: Team
    block: int
    """How many units lie together in the engine's memory."""
    forms: dict[Asked, Form] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What form.py makes of it, once."""

    def places(
        self, values: Iterable[Value], pairs: Iterable[tuple[Value, Value]], reverse: bool
    ) -> tuple[dict[Value, Place], int]:
        """Places for streams in blocks of units, and how many numbers they take together.

        `pairs` are states as they are read and as they are set, which is the same one step later:
        they share their memory.
        """
        found: dict[Value, Place] = {}
        used = 0
        for state, new in pairs:
            each, strides = self._blocks(state)
            earlier, later = (used + each, used) if reverse else (used, used + each)
            found[state], found[new] = Place(earlier, strides), Place(later, strides)
            used += each * (self.T + 1)
        for v in values:
            if v not in found:
                each, strides = self._blocks(v)
                found[v] = Place(used, strides)
                used += each * self.T
        return found, used

    def _blocks(self, v: Value) -> tuple[int, tuple[int, int, int]]:
        """How many numbers a step of a stream takes, and its strides."""
        if not v.shape:
            return self.B, (self.B, 1, 1)
        wide = self.B * self.block
        each = wide * -(-self.sizes[v.shape[0]] // self.block)
        return each, (each, self.block, wide)


@lru_cache(maxsize=1024)
def plan(p: Program) -> Plan:
    """The plan of a program."""
    return Plan(p, layout(p))


@dataclass(frozen=True)
class Plan:
    """A program, and how the engine runs it."""

    program: Program
    layout: Layout

    @cached_property
    def _engines(self) -> dict[bool, Engine]:
        return {}

    def engine(self, double: bool) -> Engine:
        """The program, compiled.

        Raises BuildError where it cannot be.
        """
        if double not in self._engines:
            self._engines[double] = load(emit(self.program), double)
        return self._engines[double]

    @cached_property
    def pairs(self) -> tuple[tuple[Value, Value], ...]:
        """States as they are read and as they are set, which is the same one step later, unless
        something comes between: resets, or sequences that begin at ends of their own. Where a new
        value is that of several states, or a state itself, it has but one place."""
        found: dict[Value, Value] = {}
        for state, new in zip(self.program.states, self.layout.schedule.next, strict=True):
            if new not in self.program.states:
                found.setdefault(new, state)
        return tuple((state, new) for new, state in found.items())

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Which streams in are read."""
        return tuple(self.program.inputs.index(v) for v in self.layout.inputs)

    # --- shapes ----------------------------------------------------------------------------------

    def extent(self, shapes: tuple[torch.Size, ...], block: int, threads: int) -> Extent:
        """What follows from the shapes of streams in, states and parameters; the last streams in
        may be left out, where they come as they were kept.

        Raises ValueError where they do not fit each other: the engine looks at addresses only.
        """
        key = (shapes, block, threads)
        found = self._extents.get(key)
        if found is None:
            if len(self._extents) >= 1024:
                self._extents.clear()
            found = self._extents[key] = self._extent(shapes, block, threads)
        return found

    @cached_property
    def _extents(self) -> dict[tuple[tuple[torch.Size, ...], int, int], Extent]:
        return {}

    def _extent(self, shapes: tuple[torch.Size, ...], block: int, threads: int) -> Extent:
        p = self.program
        left_out = len(p.arguments) - len(shapes)
        given = len(p.inputs) - left_out
        arguments = (*p.inputs[:given], *p.arguments[len(p.inputs) :])
        T, B = shapes[0][:2]
        sizes: dict[str, int] = {}
        for v, shape in zip(arguments, shapes, strict=True):
            for name, size in zip(v.shape, shape[len(shape) - len(v.shape) :], strict=False):
                sizes.setdefault(name, size)
        for v, shape in zip(arguments, shapes, strict=True):
            n = [sizes[s] for s in v.shape]
            expected = (T, B, *(n or [1])) if v in p.inputs else (B, *n) if v in p.states else (*n,)
            if shape != expected:
                raise ValueError(f"{v.name} has to be {expected}, got {tuple(shape)}")
        return Extent(T, B, sizes, team(self.layout, T, B, sizes, block, threads), block)

    # --- what is the same in every step ----------------------------------------------------------

    @cached_property
    def vectors(self) -> tuple[Value, ...]:
        """Vectors, then numbers."""
        return (*self.layout.vectors, *self.layout.numbers)

    @cached_property
    def matrices(self) -> tuple[tuple[Value, bool], ...]:
        """Each matrix as it is given, and whether it is the transpose that is wanted."""
        return tuple(
            (m.args[0], True) if m.op == "transpose" else (m, False) for m in self.layout.matrices
        )

    @cached_property
    def _wanted(self) -> tuple[Value, ...]:
        return tuple(dict.fromkeys((*self.vectors, *(m for m, _ in self.matrices))))

    @cached_property
    def _leaves(self) -> tuple[Value, ...]:
        """The numbers, sizes and constants among them, or below them."""
        values = topological(self._wanted)
        return tuple(v for v in values if v.op in ("number", "size", "constant"))

    @cached_property
    def _once(self) -> Callable[[Env, dict[str, int]], None] | None:
        values = [v for v in topological(self._wanted) if v.op not in LEAVES]
        return Evaluation(values, joined=False) if values else None

    @property
    def computes_once(self) -> bool:
        """Whether a call computes something of its parameters, before the engine runs."""
        return self._once is not None

    def fixed(self, parameters: Sequence[Tensor], sizes: dict[str, int], dtype: torch.dtype) -> Env:
        """Parameters, and what is made of them."""
        env: Env = dict(zip((q.value for q in self.program.parameters), parameters, strict=True))
        for v in self._leaves:
            number = scalar(v, self.program, sizes)
            env[v] = torch.tensor(number, dtype=dtype, device="cpu")
        if self._once:
            self._once(env, sizes)
        return env

    # --- sums ------------------------------------------------------------------------------------

    @cached_property
    def _pools(self) -> tuple[tuple[Value, ...], ...]:
        """Sums by shape: side by side in memory, as layers stack their parameters."""
        pools: dict[tuple[str, ...], list[Value]] = {}
        for v in dict.fromkeys(self.layout.schedule.sums):
            pools.setdefault(v.shape, []).append(v)
        return tuple(map(tuple, pools.values()))

    @cached_property
    def sums_in_order(self) -> tuple[Value, ...]:
        """Vectors and scalars, then matrices."""
        return (*self.layout.totals, *self.layout.matrix_sums)

    def sums(self, like: Tensor, sizes: dict[str, int]) -> Env:
        """Memory for the sums."""
        env: Env = {}
        for pool in self._pools:
            shape = [sizes[n] for n in pool[0].shape]
            env.update(zip(pool, like.new_empty(len(pool), *shape).unbind(), strict=True))
        return env
