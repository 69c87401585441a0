"""The specification of every other backend: a Program in plain torch operations.

Works on any device and dtype, under torch's transforms, and is differentiable any number of times.
Shapes: `T` steps, `B` sequences, `N` pairs of a step and a sequence that is not over by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.steps import Steps
from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program
from cellwright.schedule.phases import phases

__all__ = ["Env", "Evaluation", "Kept", "Result", "rows", "run", "scalar"]

Env: TypeAlias = dict[Value, Tensor]


class Kept(NamedTuple):
    """Streams out that one run keeps for another on the same backend, in a form of its own."""

    tensors: list[Tensor]
    about: Any = None
    """What else there is to know of them."""


class Result(NamedTuple):
    """What a Program gives."""

    outputs: list[Float[Tensor, "T B _"]]
    """Streams out, each `(T, B, n)`; zeros past a sequence's end."""
    states: list[Float[Tensor, "B _"]]
    """The states after each sequence's last step, each `(B, n)`."""
    sums: list[Float[Tensor, "..."]]
    """The sums over all steps and sequences, each of its parameter's shape."""
    kept: Kept | None = None
    """The streams out that were to be kept."""
    again: Callable[[], None] | None = None
    """Runs once more on the same memory, whatever is in the arguments by then, and gives the result
    in the same tensors; None where a backend cannot, or where it had to copy an argument."""


def run(
    program: Program,
    inputs: Sequence[Float[Tensor, "T B _"]],
    states: Sequence[Float[Tensor, "B _"]],
    parameters: Sequence[Float[Tensor, "..."]],
    *,
    lengths: Int[Tensor, " B"] | None = None,
    resets: Bool[Tensor, "T B"] | None = None,
    reverse: bool = False,
    keep: int = 0,
    kept: Kept | None = None,
    onto: Sequence[Tensor] | None = None,
    blocks: Mapping[str, int] | None = None,
) -> Result:
    """Run all steps.

    `inputs` are streams, with one feature for a scalar, `states` initial values, `parameters`
    tensors of the parameters' shapes, all in the program's order.

    `lengths` `(B,)`, integers from 0 to `T`: a sequence keeps its state past its end.
    `reverse` goes from the last step of each sequence to the first.
    `resets` `(T, B)`, bool: a state does not pass between step t - 1 and step t where `resets[t]`
    is true, in either direction; it is zero there instead. At t = 0 that is the initial state, or,
    in reverse, the final one.
    `keep`: how many of the last streams out are not given, but kept for a backward run on the same
    backend; that is given them as `kept`, for its last streams in.
    `onto`: what the sums are added to, the sums of another run; a backend may do that in place.
    `blocks`: how many blocks on its diagonal a matrix has, by the parameter's name, and zeros
    elsewhere, which a backend may leave out.
    """
    if kept is not None:
        inputs = [*inputs, *kept.tensors]
    T, B = inputs[0].shape[:2]
    steps = Steps.of(T, B, lengths, inputs[0].device)
    env: Env = dict(zip((p.value for p in program.parameters), parameters, strict=True))
    env |= {v: steps.flat(x) for v, x in zip(program.inputs, inputs, strict=True)}
    sizes = program.sizes(x.shape for x in (*inputs, *states, *parameters))
    like = inputs[0]
    for v in program.values:
        if v.op in ("number", "size", "constant"):
            number = torch.tensor(scalar(v, program, sizes), dtype=torch.float64)
            env[v] = number.to(like.device, like.dtype)
    cut = phases(program)
    plan = _plans(program)
    plan.once(env, sizes)
    for phase in (plan.before, plan.loop, plan.after):
        env |= phase.join(env)
    plan.before(env, sizes)

    current = [steps.sort(s) for s in states]
    restart = (
        None if resets is None else torch.split(steps.flat(resets.unsqueeze(-1)), steps.counts)
    )
    streams = {v: torch.split(rows(env[v], steps.N), steps.counts) for v in cut.fed}
    still = {v: x for v, x in env.items() if v not in program.stepped}
    columns: dict[Value, list[Tensor]] = {v: [] for v in cut.kept}
    order = range(len(steps.counts))
    for t in reversed(order) if reverse else order:
        n = steps.counts[t]
        read = [s if n == B else s[:n] for s in current]
        if restart is not None and not reverse:
            read = [s.masked_fill(restart[t], 0) for s in read]
        here: Env = {
            **still,
            **{v: x[t] for v, x in streams.items()},
            **dict(zip(program.states, read, strict=True)),
        }
        plan.loop(here, sizes)
        for v, column in columns.items():
            column.append(here[v])
        new = [rows(here[program.next(s)], n) for s in program.states]
        if restart is not None and reverse:
            new = [s.masked_fill(restart[t], 0) for s in new]
        current = (
            new if n == B else [torch.cat((a, b[n:])) for a, b in zip(new, current, strict=True)]
        )

    for v, column in columns.items():
        empty = like.new_zeros(0, sizes[v.shape[0]] if v.shape else 1)
        env[v] = torch.cat([empty, *(reversed(column) if reverse else column)])
    plan.after(env, sizes)
    N = steps.N
    outputs = [steps.padded(rows(env[program.named[o]], N)) for o in program.outputs]
    given = len(outputs) - keep
    sums = [_total(s.value, env, N) for s in program.sums]
    return Result(
        outputs[:given],
        [steps.unsort(s) for s in current],
        sums if onto is None else [a + b for a, b in zip(onto, sums, strict=True)],
        Kept(outputs[given:]) if keep else None,
    )


# --- evaluation ---------------------------------------------------------------------------------


class Evaluation:
    """Values in an order in which they can run.

    `joined`: matrices on one operand are joined into one GEMM; `join` has to be called before.
    """

    def __init__(self, values: Iterable[Value], joined: bool) -> None:
        self.values = tuple(values)
        groups: dict[Value, list[Value]] = {}
        for v in self.values:
            if joined and v.op == "apply":
                groups.setdefault(v.args[1], []).append(v)
        self._groups = {group[0]: group for group in groups.values() if len(group) > 1}
        self._joined = {
            first: Value("joined", tuple(v.args[0] for v in group))
            for first, group in self._groups.items()
        }
        self._later = {v for group in self._groups.values() for v in group[1:]}

    def join(self, env: Env) -> Env:
        """The joined matrices; `env` holds the matrices."""
        return {m: torch.cat([env[a] for a in m.args]) for m in self._joined.values()}

    def __call__(self, env: Env, sizes: dict[str, int]) -> None:
        """Add the values to `env`, which holds what they are built from."""
        for v in self.values:
            if v in self._later:
                continue
            if v in self._groups:
                group, m = self._groups[v], self._joined[v]
                heights = [env[a].shape[0] for a in m.args]
                joined = torch.nn.functional.linear(env[v.args[1]], env[m])
                env.update(zip(group, torch.split(joined, heights, -1), strict=True))
            elif v.op == "spread":
                x = env[v.args[0]]
                env[v] = x.expand(*x.shape[:-1], sizes[v.shape[0]])
            else:
                env[v] = TABLE[v.op].torch(torch, *(env[a] for a in v.args))


class _Plans(NamedTuple):
    once: Evaluation
    before: Evaluation
    loop: Evaluation
    after: Evaluation


@lru_cache(maxsize=1024)
def _plans(program: Program) -> _Plans:
    cut = phases(program)
    by_step = (Evaluation(values, joined=True) for values in (cut.before, cut.loop, cut.after))
    return _Plans(Evaluation(cut.once, joined=False), *by_step)


def scalar(v: Value, program: Program, sizes: dict[str, int]) -> float:
    """What a leaf that is no tensor stands for: a number, a size or a constant."""
    if v.op == "size":
        return float(sizes[str(v.attr)])
    if v.op == "constant":
        return next(c.default for c in program.constants if c.name == v.attr)
    assert isinstance(v.attr, float)
    return v.attr


def rows(x: Tensor, n: int) -> Tensor:
    """A value that is the same in every row, as rows."""
    return x if x.dim() == 2 else x.expand(n, x.shape[-1] if x.dim() else 1)


def _total(v: Value, env: Env, n: int) -> Tensor:
    """The sum of a value over all rows; of an outer product, one GEMM."""
    if v.op == "add" and len(v.shape) == 2:
        return _total(v.args[0], env, n) + _total(v.args[1], env, n)
    if v.op == "outer":
        left, right = (rows(env[a], n) for a in v.args)
        return left.mT @ right
    total = rows(env[v], n).sum(0)
    return total if v.shape else total.sum()
