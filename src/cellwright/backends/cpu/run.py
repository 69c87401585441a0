"""Running a Program on the engine: what is hoisted goes through torch, the loop through C++."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.cpu.build import BuildError, compiler, load, source
from cellwright.backends.cpu.emit import Emitted, emit
from cellwright.backends.reference import Env, Result, rows, scalar
from cellwright.backends.steps import Steps
from cellwright.program.ops import TABLE, Value, topological
from cellwright.program.program import Program
from cellwright.schedule.stages import Schedule, terms

__all__ = ["obstacle", "run"]


def obstacle(p: Program | None, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the engine cannot run a program (None: any program), and what to do about it."""
    if device.type != "cpu":
        return f"it runs on the CPU, not on {device}: move the layer and its input there"
    if dtype not in (torch.float32, torch.float64):
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
            load(emit(p).source, double)
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
) -> Result:
    """Run all steps; arguments and results as `reference.run`, which is the specification."""
    plan = _plan(program)
    s, made = plan.emitted.schedule, plan.emitted
    T, B = inputs[0].shape[:2]
    like = inputs[0]
    steps = Steps.of(T, B, lengths, like.device)
    sizes = program.sizes(x.shape for x in (*inputs, *states, *parameters))
    env: Env = dict(zip((q.value for q in program.parameters), parameters, strict=True))
    env |= {v: steps.flat(x) for v, x in zip(program.inputs, inputs, strict=True)}
    for v in plan.leaves:
        env[v] = torch.tensor(scalar(v, program, sizes), dtype=like.dtype)
    _evaluate(s.once, env, sizes)
    _evaluate(s.before, env, sizes)

    N = steps.N
    outputs = {
        v: like.new_empty(
            *((T, B) if steps.index is None else (N,)), *([sizes[n] for n in v.shape] or [1])
        )
        for v in plan.outputs
    }
    env |= {v: x.view(N, x.shape[-1]) for v, x in outputs.items()}
    env |= plan.memory(like, N, sizes)
    groups, sharing = _team(plan, N, B, sizes)
    final = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in states]
    totals = [like.new_empty(groups, *(sizes[n] for n in v.shape or ())) for v in plan.totals]
    call = _Call()
    call.integers(len(steps.counts), B, groups, sharing, int(reverse))
    call.tensor(torch.tensor(steps.counts))
    if resets is None:
        call.integers(0)
    else:
        call.tensor(steps.flat(resets.unsqueeze(-1)).contiguous())
    call.integers(*(sizes[n] for n in made.sizes))
    for v in made.inputs:
        call.stream(env[v])
    for v in made.outputs:
        call.stream(env[v])
    for x, y in zip(states, final, strict=True):
        call.tensor(steps.sort(x).contiguous())
        call.tensor(y)
    for v in (*made.vectors, *made.numbers):
        call.tensor(env[v].contiguous())
    for v in made.matrices:
        call.tensor(env[v])
        call.integers(*env[v].stride())
    for x in totals:
        call.tensor(x)
    if load(made.source, like.dtype == torch.float64)(call.array()):
        raise MemoryError("the CPU engine could not get the memory for its states and matrices")

    _evaluate(s.after, env, sizes)
    found = dict(zip((t.name for t in s.totals), (x.sum(0) for x in totals), strict=True))
    found |= _sums(s, env, N, sizes)
    return Result(
        [
            outputs[o] if o in outputs and steps.index is None else steps.padded(rows(env[o], N))
            for o in s.outputs
        ],
        [steps.unsort(x) for x in final],
        [found[t.name] for t in program.sums],
    )


class _Call:
    """What the engine is given, in the order of `Given` in engine.hpp; keeps the memory alive."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._held: list[Tensor] = []

    def integers(self, *numbers: int) -> None:
        self._numbers += numbers

    def tensor(self, x: Tensor) -> None:
        self._held.append(x)
        self._numbers.append(x.data_ptr())

    def stream(self, x: Tensor) -> None:
        """A tensor `(N, n)` whose rows lie one after the other in memory, at any distance."""
        if x.stride(1) != 1 and x.shape[1] > 1:
            x = x.contiguous()
        self.tensor(x)
        self._numbers.append(x.stride(0))

    def array(self) -> ctypes.Array[ctypes.c_int64]:
        return (ctypes.c_int64 * len(self._numbers))(*self._numbers)


# --- what is known of a program -----------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    emitted: Emitted
    leaves: tuple[Value, ...]
    """Numbers, sizes and constants that torch or the engine is given."""
    totals: tuple[Value, ...]
    outputs: tuple[Value, ...]
    """Kept values that are streams out: each has memory of its own."""
    pools: tuple[tuple[str, tuple[Value, ...]], ...]
    """Other kept values, by size, side by side, in the order in which GEMMs read them together."""

    def memory(self, like: Tensor, N: int, sizes: dict[str, int]) -> Env:
        """Room for what the loop keeps."""
        found: Env = {}
        for size, values in self.pools:
            pool = like.new_empty(N, len(values) * sizes[size])
            found |= zip(values, torch.split(pool, sizes[size], 1), strict=True)
        return found


@lru_cache(maxsize=1024)
def _plan(p: Program) -> _Plan:
    emitted = emit(p)
    s = emitted.schedule
    together: dict[Value, None] = {}
    for v in topological([t.value for t in s.sums]):
        if v.op == "outer":
            together[v.args[0]] = None
    for v in s.after:
        if v.op == "products":
            together.update(dict.fromkeys(x for _, x in terms(v)))
    outputs = tuple(v for v in s.kept if v in s.outputs or v.shape == ())
    rest = [v for v in together if v in s.kept and v not in outputs]
    rest += [v for v in s.kept if v not in outputs and v not in together]
    pools: dict[str, list[Value]] = {}
    for v in rest:
        pools.setdefault(v.shape[0], []).append(v)
    used = topological(
        [*s.once, *s.before, *s.after, *s.outputs, *emitted.numbers, *(t.value for t in s.sums)]
    )
    return _Plan(
        emitted,
        tuple(v for v in used if v.op in ("number", "size", "constant")),
        tuple(t.value for t in s.totals),
        outputs,
        tuple((size, tuple(values)) for size, values in pools.items()),
    )


def _team(plan: _Plan, N: int, B: int, sizes: dict[str, int]) -> tuple[int, int]:
    """How many groups of rows there are, and how many threads share the units of each."""
    threads = torch.get_num_threads()
    s, made = plan.emitted.schedule, plan.emitted
    matrices = sum(prod(sizes[n] for n in m.shape) for m in made.matrices)
    elementwise = sum(sizes[v.shape[0]] for g in s.stages for v in g.vectors)
    if threads == 1 or N * (matrices + 4 * elementwise) < 200_000:
        return 1, 1
    groups = min(threads, B)
    sharing = threads // groups
    each = matrices * -(-B // groups) // len(s.stages)
    return (groups, 1) if s.reduces or sharing == 1 or each < 8_000 else (groups, sharing)


# --- all steps at once, by torch ----------------------------------------------------------------


def _evaluate(values: Iterable[Value], env: Env, sizes: dict[str, int]) -> None:
    """Add values to `env`, which holds what they are built from; matrices on one operand are one
    GEMM."""
    values = tuple(values)
    for v in values:
        if v in env:
            continue
        if v.op == "apply":
            x = v.args[1]
            group = [w for w in values if w.op == "apply" and w.args[1] is x]
            matrices = [env[w.args[0]] for w in group]
            joined = _linear(env[x], _beside(matrices, 0))
            env.update(
                zip(group, torch.split(joined, [m.shape[0] for m in matrices], -1), strict=True)
            )
        elif v.op == "products":
            pairs = terms(v)
            env[v] = _linear(
                _beside([env[x] for _, x in pairs], 1), _beside([env[m] for m, _ in pairs], 1)
            )
        elif v.op == "spread":
            repeated = env[v.args[0]]
            env[v] = repeated.expand(*repeated.shape[:-1], sizes[v.shape[0]])
        else:
            env[v] = TABLE[v.op].torch(torch, *(env[a] for a in v.args))


def _linear(x: Tensor, m: Tensor) -> Tensor:
    """`x @ m.T`; in float32 by oneDNN, which uses what the processor has where torch's own choice,
    MKL, does so on one maker's only."""
    if x.dtype == torch.float32 and x.dim() == 2 and torch.backends.mkldnn.is_available():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(x, m, None, "none", [], "")
        return found
    return torch.nn.functional.linear(x, m)


def _beside(tensors: Sequence[Tensor], dim: int) -> Tensor:
    """`torch.cat`, without a copy where the tensors lie side by side in memory already."""
    first = tensors[0]
    at = first.storage_offset()
    for x in tensors:
        lies = x.stride() == first.stride() and x.storage_offset() == at
        if not lies or x.untyped_storage().data_ptr() != first.untyped_storage().data_ptr():
            return torch.cat(list(tensors), dim)
        at += x.shape[dim] * x.stride(dim)
    shape = list(first.shape)
    shape[dim] = sum(x.shape[dim] for x in tensors)
    return first.as_strided(shape, first.stride())


def _sums(s: Schedule, env: Env, N: int, sizes: dict[str, int]) -> dict[str, Tensor]:
    """Sums over all rows; those of outer products all at once."""
    found: dict[str, Tensor] = {}
    terms_of: list[tuple[str, Value, Value]] = []
    for t in s.sums:
        if len(t.value.shape) < 2:
            total = rows(env[t.value], N).sum(0)
            found[t.name] = total if t.value.shape else total.sum()
        else:
            outers = [v for v in topological([t.value]) if v.op == "outer"]
            terms_of += [(t.name, *v.args) for v in outers]
    if not terms_of:
        return found
    lefts = tuple(dict.fromkeys(a for _, a, _ in terms_of))
    rights = tuple(dict.fromkeys(b for _, _, b in terms_of))
    call = _Call()
    like = env[lefts[0]]
    call.integers(N, len(lefts), len(rights), _threads(N * len(lefts) * like.shape[-1]))
    for v in (*lefts, *rights):
        x = rows(env[v], N)
        call.stream(x)
        call.integers(x.shape[1])
    parts: dict[tuple[Value, Value], Tensor] = {
        (a, b): like.new_empty(sizes[a.shape[0]], sizes[b.shape[0]])
        if N
        else like.new_zeros(sizes[a.shape[0]], sizes[b.shape[0]])
        for _, a, b in terms_of
    }
    for a in lefts:
        for b in rights:
            if (a, b) in parts:
                call.tensor(parts[a, b])
            else:
                call.integers(0)
    if load(source("outer.cpp"), like.dtype == torch.float64)(call.array()):
        raise MemoryError("the CPU engine could not get the memory for its matrices")
    for name, a, b in terms_of:
        found[name] = found[name] + parts[a, b] if name in found else parts[a, b]
    return found


def _threads(work: int) -> int:
    """How many threads a piece of work is worth."""
    return torch.get_num_threads() if work > 100_000 else 1
