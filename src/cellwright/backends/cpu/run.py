"""Running a Program on the engine: one call into C++ for a whole sequence."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.cpu.build import BuildError, Entry, compiler, load
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
            _plan(p).entry(double)
    except BuildError as e:
        return str(e)
    return None


def run(
    program: Program,
    inputs: Sequence[Float[Tensor, "T B _"]],
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
    made = plan.layout
    T, B = like.shape[:2]
    sizes = plan.sizes(inputs, states, parameters)
    numbers = tuple(sizes[n] for n in made.sizes)
    fixed = plan.fixed(parameters, sizes, like.dtype)
    alias = private and resets is None and not (reverse and lengths is not None)
    outputs, previous = plan.streams(like, T, B, sizes, states, private if alias else 0, reverse)
    final = [like.new_empty(B, x.shape[-1]) for x in states]
    sums = plan.sums(like, sizes)
    groups, sharing = plan.team(T, B, numbers, torch.get_num_threads())
    held: list[Tensor] = []  # what the engine is given an address of

    def address(x: Tensor) -> int:
        held.append(x)
        return x.data_ptr()

    given = [T, B, groups, sharing, int(reverse)]
    given.append(0 if lengths is None else address(lengths.to(torch.int64).contiguous()))
    given.append(0 if resets is None else address(resets.contiguous()))
    given += numbers
    for i in plan.inputs:
        given += address(inputs[i].contiguous()), inputs[i].shape[-1]
    for v in made.outputs:
        given += outputs[v].data_ptr(), outputs[v].shape[-1]
    for v in made.previous:
        given += (0, 0) if v in previous else (outputs[v].data_ptr(), outputs[v].shape[-1])
    for x, y in zip(states, final, strict=True):
        given += address(x.contiguous()), y.data_ptr()
    given += [address(fixed[v].contiguous()) for v in plan.vectors]
    for m in made.matrices:
        given += address(fixed[m]), *fixed[m].stride()
    given += [sums[v].data_ptr() for v in plan.sums_in_order]
    call = array("q", given)
    if plan.entry(like.dtype == torch.float64)(call.buffer_info()[0]):
        raise MemoryError("the CPU engine could not get the memory for its states and matrices")
    s = made.schedule
    return Result([outputs[v] for v in s.outputs], final, [sums[v] for v in s.sums])


# --- what is known of a program -----------------------------------------------------------------


@lru_cache(maxsize=1024)
def _plan(p: Program) -> _Plan:
    return _Plan(p, layout(p))


@dataclass(frozen=True)
class _Plan:
    program: Program
    layout: Layout

    @cached_property
    def _entries(self) -> dict[bool, Entry]:
        return {}

    def entry(self, double: bool) -> Entry:
        """The compiled engine.

        Raises BuildError where it cannot be had.
        """
        if double not in self._entries:
            self._entries[double] = load(emit(self.program), double)
        return self._entries[double]

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Which streams in are read."""
        return tuple(self.program.inputs.index(v) for v in self.layout.inputs)

    # --- sizes -----------------------------------------------------------------------------------

    @cached_property
    def _first_with(self) -> dict[str, tuple[int, int]]:
        """For each size an argument that has it, and the place of the size in its shape."""
        found: dict[str, tuple[int, int]] = {}
        for i, v in enumerate(self.program.arguments):
            for k, size in enumerate(reversed(v.shape)):
                found.setdefault(size, (i, -1 - k))
        return found

    def sizes(self, *given: Sequence[Tensor]) -> dict[str, int]:
        """The sizes of a call."""
        shapes = [x.shape for xs in given for x in xs]
        return {name: shapes[i][k] for name, (i, k) in self._first_with.items()}

    def team(self, T: int, B: int, sizes: tuple[int, ...], threads: int) -> tuple[int, int]:
        """How many groups of rows there are, and how many threads share the units of each."""
        key = (T, B, sizes, threads)
        if key not in self._teams:
            self._teams[key] = _team(self.layout, T, B, sizes, threads)
        return self._teams[key]

    @cached_property
    def _teams(self) -> dict[tuple[int, int, tuple[int, ...], int], tuple[int, int]]:
        return {}

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

    # --- what comes out --------------------------------------------------------------------------

    def streams(
        self,
        like: Tensor,
        T: int,
        B: int,
        sizes: dict[str, int],
        states: Sequence[Tensor],
        private: int,
        reverse: bool,
    ) -> tuple[Env, set[Value]]:
        """Memory for the streams out, and the states among them that nothing has to be written
        for: such a state is its new value, one step later."""
        s, env = self.layout.schedule, {}
        shared: set[Value] = set()
        public, own = s.outputs[: len(s.outputs) - private], s.outputs[len(s.outputs) - private :]
        for state, new, initial in zip(self.program.states, s.next, states, strict=True):
            if state in own and new in own and state not in public and new not in public:
                both = like.new_empty(T + 1, B, initial.shape[-1])
                both[T if reverse else 0] = initial
                earlier, later = both[:T], both[1:]
                env[state], env[new] = (later, earlier) if reverse else (earlier, later)
                shared.add(state)
        for v in s.outputs:
            if v not in env:
                env[v] = like.new_empty(T, B, sizes[v.shape[0]] if v.shape else 1)
        return env, shared

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


def _team(
    made: Layout, T: int, B: int, numbers: tuple[int, ...], threads: int
) -> tuple[int, int]:
    sizes = dict(zip(made.sizes, numbers, strict=True))
    stages = made.schedule.loop
    matrices = sum(prod(sizes[n] for n in m.shape) for m in made.matrices)
    elementwise = sum(sizes[v.shape[0]] for g in stages for v in g.vectors)
    if threads == 1 or B == 0 or T * B * (matrices + 4 * elementwise) < 200_000:
        return 1, 1
    groups = min(threads, B)
    sharing = threads // groups
    each = matrices * -(-B // groups) // len(stages)
    return (groups, 1) if made.alone or sharing == 1 or each < 8_000 else (groups, sharing)
