"""Running a Program on the engine: one call into C++ for a whole sequence."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.cpu.build import BuildError, Engine, compiler, load
from cellwright.backends.cpu.emit import emit
from cellwright.backends.cpu.layout import Layout, layout
from cellwright.backends.reference import Env, Evaluation, Result, scalar
from cellwright.program.ops import LEAVES, Value, topological
from cellwright.program.program import Program

__all__ = ["obstacle", "run"]

HALF = (torch.bfloat16, torch.float16)
"""What is computed in float32 and rounded at the end."""


def obstacle(p: Program | None, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the engine cannot run a program (None: any program), and what to do about it."""
    if device.type != "cpu":
        return f"it runs on the CPU, not on {device}: move the layer and its input there"
    if dtype not in (torch.float32, torch.float64, *HALF):
        return (
            f"it computes in float32 and float64, not in {dtype}: convert the layer and its input"
        )
    return _unbuilt(p, dtype == torch.float64)


@lru_cache(maxsize=4096)
def _unbuilt(p: Program | None, double: bool) -> str | None:
    try:
        if p is None:
            compiler()
        else:
            _plan(p).engine(double)
    except BuildError as e:
        return str(e)
    return None


def run(
    program: Program,
    inputs: Sequence[Float[Tensor, "T B _"] | Float[Tensor, "T _ B _"]],
    states: Sequence[Float[Tensor, "B _"]],
    parameters: Sequence[Float[Tensor, "..."]],
    *,
    lengths: Int[Tensor, " B"] | None = None,
    resets: Bool[Tensor, "T B"] | None = None,
    reverse: bool = False,
    private: int = 0,
) -> Result:
    """Run all steps; arguments and results as `reference.run`, which is the specification."""
    like = inputs[0]
    if like.dtype in HALF:
        wide = ([x.float() for x in xs] for xs in (inputs, states, parameters))
        found = run(program, *wide, lengths=lengths, resets=resets, reverse=reverse)
        return Result(*([x.to(like.dtype) for x in xs] for xs in found))
    plan = _plan(program)
    made, s = plan.layout, plan.layout.schedule
    engine = plan.engine(like.dtype == torch.float64)
    given_all = (*inputs, *states, *parameters)
    T, B, sizes, groups, sharing = plan.extent(
        tuple([x.shape for x in given_all]), engine.block, torch.get_num_threads()
    )
    if any(x.dtype != like.dtype for x in given_all):
        raise TypeError(f"all tensors have to be {like.dtype}, as the first one is")
    fixed = plan.fixed(parameters, sizes, like.dtype)
    streams = _Streams(plan, like, T, B, sizes, engine.block)
    own = s.outputs[len(s.outputs) - private :] if private else ()
    shared = streams.shared(own) if resets is None and not (reverse and lengths is not None) else ()
    outputs = streams.made(own, shared, reverse)
    final = [like.new_empty(B, x.shape[-1]) for x in states]
    sums = plan.sums(like, sizes)
    held: list[Tensor] = []  # what the engine is given an address of

    def address(x: Tensor) -> int:
        held.append(x)
        return x.data_ptr()

    given = [T, B, groups, sharing, int(reverse)]
    given.append(0 if lengths is None else address(lengths.to(torch.int64).contiguous()))
    given.append(0 if resets is None else address(resets.contiguous()))
    given += [sizes[n] for n in made.sizes]
    for i in plan.inputs:
        x = inputs[i] if inputs[i].stride(-1) == 1 else inputs[i].contiguous()
        given += address(x), *_strides(x, engine.block)
    for v in made.outputs:
        given += outputs[v].data_ptr(), *_strides(outputs[v], engine.block)
    for v in made.previous:
        given += outputs[v].data_ptr(), *_strides(outputs[v], engine.block), v in shared
    for x, y in zip(states, final, strict=True):
        given += address(x.contiguous()), y.data_ptr()
    given += [address(fixed[v].contiguous()) for v in plan.vectors]
    for m in made.matrices:
        given += address(fixed[m]), *fixed[m].stride()
    given += [sums[v].data_ptr() for v in plan.sums_in_order]
    call = array("q", given)
    if engine.run(call.buffer_info()[0]):
        raise MemoryError("the CPU engine could not get the memory for its states and matrices")
    return Result([outputs[v] for v in s.outputs], final, [sums[v] for v in s.sums])


# --- streams out --------------------------------------------------------------------------------


def _strides(x: Tensor, block: int) -> tuple[int, int, int]:
    """From step to step, from sequence to sequence, from one block of units to the next."""
    if x.dim() == 3:
        return x.stride(0), x.stride(1), block
    step, blocks, row, _ = x.stride()
    return step, row, blocks


class _Streams(NamedTuple):
    """Memory for the streams out of a call."""

    plan: _Plan
    like: Tensor
    T: int
    B: int
    sizes: dict[str, int]
    block: int

    def shared(self, own: Sequence[Value]) -> list[Value]:
        """The states that only the backward pass reads, as their new values: such a state is its
        new value, one step later."""
        s = self.plan.layout.schedule
        public = s.outputs[: len(s.outputs) - len(own)]
        return [
            state
            for state, new in zip(self.plan.program.states, s.next, strict=True)
            if state is not new and {state, new} <= {*own} - {*public}
        ]

    def made(self, own: Sequence[Value], shared: Sequence[Value], reverse: bool) -> Env:
        """Each stream `(T, B, n)`; those of the backward pass alone, where they have the size of a
        state, `(T, blocks, B, block)`, as the engine has them inside."""
        s, env = self.plan.layout.schedule, {}
        public = s.outputs[: len(s.outputs) - len(own)]
        for state, new in zip(self.plan.program.states, s.next, strict=True):
            if state in shared:
                both = self._empty(state, self.T + 1, own=True)
                env[state], env[new] = (both[1:], both[:-1]) if reverse else (both[:-1], both[1:])
        for v in s.outputs:
            if v not in env:
                env[v] = self._empty(v, self.T, own=v not in public)
        return env

    def _empty(self, v: Value, steps: int, own: bool) -> Tensor:
        n = self.sizes[v.shape[0]] if v.shape else 1
        if own and v.shape in (s.shape for s in self.plan.program.states):
            return self.like.new_empty(steps, -(-n // self.block), self.B, self.block)
        return self.like.new_empty(steps, self.B, n)


# --- what is known of a program -----------------------------------------------------------------


class _Extent(NamedTuple):
    T: int
    B: int
    sizes: dict[str, int]
    groups: int
    sharing: int


@lru_cache(maxsize=1024)
def _plan(p: Program) -> _Plan:
    return _Plan(p, layout(p))


@dataclass(frozen=True)
class _Plan:
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
    def inputs(self) -> tuple[int, ...]:
        """Which streams in are read."""
        return tuple(self.program.inputs.index(v) for v in self.layout.inputs)

    # --- sizes -----------------------------------------------------------------------------------

    def extent(self, shapes: tuple[torch.Size, ...], block: int, threads: int) -> _Extent:
        """What follows from the shapes of a call's arguments.

        Raises ValueError where they do not fit each other: the engine looks at addresses only.
        """
        key = (shapes, block, threads)
        if key not in self._extents:
            if len(self._extents) >= 1024:
                self._extents.clear()
            self._extents[key] = self._extent(shapes, block, threads)
        return self._extents[key]

    @cached_property
    def _extents(self) -> dict[tuple[tuple[torch.Size, ...], int, int], _Extent]:
        return {}

    def _extent(self, shapes: tuple[torch.Size, ...], block: int, threads: int) -> _Extent:
        p = self.program
        T, B = shapes[0][:2]
        arguments = list(zip(p.arguments, shapes, strict=True))
        sizes: dict[str, int] = {}
        # States come first: streams of their sizes may come in blocks.
        for v, shape in sorted(arguments, key=lambda a: a[0] not in p.states):
            for name, size in zip(v.shape, shape[len(shape) - len(v.shape) :], strict=True):
                sizes.setdefault(name, size)
        for v, shape in arguments:
            n = [sizes[s] for s in v.shape]
            expected = (T, B, *(n or [1])) if v in p.inputs else (B, *n) if v in p.states else (*n,)
            in_blocks = (T, -(-n[0] // block), B, block) if v in p.inputs and n else expected
            if shape not in (expected, in_blocks):
                raise ValueError(f"{v.name} has to be {expected}, got {tuple(shape)}")
        groups, sharing = _team(self.layout, T, B, sizes, threads)
        return _Extent(T, B, sizes, groups, sharing)

    # --- what is the same in every step ----------------------------------------------------------

    @cached_property
    def vectors(self) -> tuple[Value, ...]:
        """Vectors, then numbers."""
        return (*self.layout.vectors, *self.layout.numbers)

    @cached_property
    def _wanted(self) -> tuple[Value, ...]:
        return tuple(dict.fromkeys((*self.vectors, *self.layout.matrices)))

    @cached_property
    def _leaves(self) -> tuple[Value, ...]:
        """The numbers, sizes and constants among them, or below them."""
        values = topological(self._wanted)
        return tuple(v for v in values if v.op in ("number", "size", "constant"))

    @cached_property
    def _once(self) -> Evaluation | None:
        values = [v for v in topological(self._wanted) if v.op not in LEAVES]
        return Evaluation(values, joined=False) if values else None

    def fixed(self, parameters: Sequence[Tensor], sizes: dict[str, int], dtype: torch.dtype) -> Env:
        """Parameters, and what is made of them."""
        env: Env = dict(zip((q.value for q in self.program.parameters), parameters, strict=True))
        for v in self._leaves:
            env[v] = torch.tensor(scalar(v, self.program, sizes), dtype=dtype)
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


def _team(made: Layout, T: int, B: int, sizes: dict[str, int], threads: int) -> tuple[int, int]:
    """How many groups of rows there are, and how many threads share the units of each."""
    stages = made.schedule.loop
    matrices = sum(prod(sizes[n] for n in m.shape) for m in made.matrices)
    elementwise = sum(sizes[v.shape[0]] for g in stages for v in g.vectors)
    if threads == 1 or B == 0 or T * B * (matrices + 4 * elementwise) < 200_000:
        return 1, 1
    groups = min(threads, B)
    sharing = threads // groups
    each = matrices * -(-B // groups) // len(stages)
    return (groups, 1) if made.alone or sharing == 1 or each < 8_000 else (groups, sharing)
