"""Running a Program on the engine: one call into C++ for whole sequences."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.cpu.build import BuildError
from cellwright.backends.cpu.form import BYTES, LENGTHS, POOL, RESETS, Asked, form
from cellwright.backends.cpu.plan import Plan, plan
from cellwright.backends.reference import Env, Kept, Result
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
    return None if p is None else _unbuilt(p, dtype == torch.float64)


@lru_cache(maxsize=4096)
def _unbuilt(p: Program, double: bool) -> str | None:
    try:
        plan(p).engine(double)
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
    keep: int = 0,
    kept: Kept | None = None,
    onto: Sequence[Tensor] | None = None,
    blocks: Mapping[str, int] | None = None,
) -> Result:
    """Run all steps; arguments and results as `reference.run`, which is the specification.

    What is kept lies in blocks of units, as the engine has it inside.

    Raises TypeError where tensors are not of one dtype, ValueError where shapes do not fit each
    other, MemoryError where there is not enough, BuildError where the program cannot be compiled.
    """
    like = inputs[0]
    if like.dtype in HALF:
        inputs, states, parameters = (
            [x.float() for x in xs] for xs in (inputs, states, parameters)
        )
    call = _Call(plan(program), inputs, states, parameters, reverse)
    if like.dtype in HALF and onto is not None:
        onto = [x.float() for x in onto]
    found = call.run(lengths, resets, keep, kept, onto)
    if like.dtype in HALF:
        outputs, final, sums = ([x.to(like.dtype) for x in xs] for xs in found[:3])
        return Result(outputs, final, sums, found.kept)
    return found


class _Call:
    """One call of the engine."""

    def __init__(
        self,
        known: Plan,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        parameters: Sequence[Tensor],
        reverse: bool,
    ) -> None:
        self.like = inputs[0]
        self.inputs, self.states, self.reverse = inputs, states, reverse
        given = (*inputs, *states, *parameters)
        if any(x.dtype != self.like.dtype for x in given):
            raise TypeError(f"all tensors have to be {self.like.dtype}, as the first one is")
        self.plan = known
        self.engine = known.engine(self.like.dtype == torch.float64)
        shapes = tuple([x.shape for x in given])
        self.extent = known.extent(shapes, self.engine.block, torch.get_num_threads())
        self.fixed = known.fixed(parameters, self.extent.sizes, self.like.dtype)
        self.held: list[Tensor] = []  # what the engine is given an address of
        self.copied = known.computes_once

    def run(
        self,
        lengths: Tensor | None,
        resets: Tensor | None,
        keep: int,
        kept: Kept | None,
        onto: Sequence[Tensor] | None,
    ) -> Result:
        like, e = self.like, self.extent
        self._check("lengths", lengths, (e.B,), lengths is not None and lengths.is_floating_point())
        self._check("resets", resets, (e.T, e.B), resets is not None and resets.dtype != torch.bool)
        asked = Asked(lengths is not None, resets is not None, self.reverse, keep, onto is not None)
        known = form(self.plan, e, asked)
        numbers = known.numbers[:]
        if lengths is not None:
            lengths = self._hold(lengths, lengths.to(torch.int64))
            numbers[LENGTHS] = self._address(lengths)
        if resets is not None:
            numbers[RESETS] = self._address(resets)
        self._put_streams_in(numbers, known.inputs, kept)
        outputs = {v: like.new_empty(shape) for v, shape in known.outputs.items()}
        for at, v in known.seen:
            numbers[at] = outputs[v].data_ptr()
        pool = like.new_empty(known.room)
        numbers[POOL], numbers[BYTES] = pool.data_ptr(), pool.nbytes
        for at, offset in known.inside:
            numbers[at] = numbers[POOL] + offset * like.itemsize
        final = [like.new_empty(e.B, x.shape[-1]) for x in self.states]
        if onto is None:
            sums = self.plan.sums(like, e.sizes)
        else:
            wanted = self.plan.layout.schedule.sums
            sums = {v: x.contiguous() for v, x in zip(wanted, onto, strict=True)}
        numbers.extend(self._rest(final, sums))
        alive = pool, sums, self

        def again() -> None:
            assert alive  # all that an address stands for
            failure = self.engine.run(numbers.buffer_info()[0])
            if failure == 1:
                raise MemoryError("the CPU engine could not get memory for its states and matrices")
            assert not failure, "a cell and its kernels were compiled for different processors"

        again()
        s = self.plan.layout.schedule
        return Result(
            [outputs[v] for v in s.outputs[: len(s.outputs) - keep]],
            final,
            [sums[v] for v in s.sums],
            Kept([pool, *(outputs[v] for v in known.seen_too)], known.about) if keep else None,
            None if self.copied else again,
        )

    def _rest(self, final: Sequence[Tensor], sums: Env) -> Iterator[int]:
        """Addresses of states, of what is the same in every step, and of sums."""
        for x, y in zip(self.states, final, strict=True):
            yield self._address(x)
            yield y.data_ptr()
        for v in self.plan.vectors:
            yield self._address(self.fixed[v])
        for m, turned in self.plan.matrices:
            x = self.fixed[m]
            self.held.append(x)
            yield x.data_ptr()
            yield from x.stride()[::-1] if turned else x.stride()
        for v in self.plan.sums_in_order:
            yield sums[v].data_ptr()

    def _check(self, name: str, x: Tensor | None, shape: tuple[int, ...], mistaken: bool) -> None:
        if x is not None and (mistaken or x.shape != shape or x.device.type != "cpu"):
            kind = "bool" if name == "resets" else "integers"
            raise ValueError(
                f"{name} has to be {kind} {shape} on the CPU, got {x.dtype} {tuple(x.shape)} on "
                f"{x.device}"
            )

    def _address(self, x: Tensor) -> int:
        return self._hold(x, x.contiguous()).data_ptr()

    def _hold(self, x: Tensor, as_given: Tensor) -> Tensor:
        """Keep what the engine is given for `x`, which may be a copy."""
        self.copied |= as_given is not x
        self.held.append(as_given)
        return as_given

    def _put_streams_in(self, numbers: array[int], at: int, kept: Kept | None) -> None:
        """Address and strides of each stream that is read."""
        block = self.extent.block
        for i in self.plan.inputs:
            if i < len(self.inputs):
                x = self.inputs[i]
                x = self._hold(x, x if x.stride(-1) == 1 else x.contiguous())
                here = (x.data_ptr(), x.stride(0), x.stride(1), block)
            else:
                assert kept is not None
                tensor, place = kept.about[i - len(self.inputs)]
                here = place.given(kept.tensors[tensor])
            numbers[at : at + 4] = array("q", here)
            at += 4
