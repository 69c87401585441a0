"""Running a Program on the engine: one call into C++ for whole sequences."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.cpu.build import BuildError
from cellwright.backends.cpu.plan import Place, Plan, plan
from cellwright.backends.reference import Kept, Result
from cellwright.program.ops import Value
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
        like, made, e = self.like, self.plan.layout, self.extent
        self._check("lengths", lengths, (e.B,), lengths is not None and lengths.is_floating_point())
        self._check("resets", resets, (e.T, e.B), resets is not None and resets.dtype != torch.bool)
        s = made.schedule
        public, own = s.outputs[: len(s.outputs) - keep], s.outputs[len(s.outputs) - keep :]
        parted = resets is not None or (self.reverse and lengths is not None)
        candidates = () if parted else self.plan.pairs
        pairs = [pair for pair in candidates if {*pair} <= {*own} - {*public}]
        shared = [state for state, _ in pairs]
        places, room = e.places([v for v in own if v not in public], pairs, self.reverse)
        pool = like.new_empty(room)
        outputs = {v: self._empty(v) for v in public}
        streams = {v: (pool, place) for v, place in places.items()}
        for v, x in outputs.items():
            streams[v] = x, Place(0, (x.stride(0), x.stride(1), e.block))
        final = [like.new_empty(e.B, x.shape[-1]) for x in self.states]
        if onto is None:
            sums = self.plan.sums(like, e.sizes)
        else:
            sums = {v: x.contiguous() for v, x in zip(s.sums, onto, strict=True)}

        given = [e.T, e.B, *e.team, int(self.reverse), int(onto is not None)]
        if lengths is not None:
            lengths = self._hold(lengths, lengths.to(torch.int64))
        given.append(0 if lengths is None else self._address(lengths))
        given.append(0 if resets is None else self._address(resets))
        given += pool.data_ptr(), pool.nbytes
        given += [e.sizes[n] for n in made.sizes]
        given += self._streams_in(kept)
        for v in (*made.outputs, *made.previous):
            x, place = streams[v]
            given += place.given(x)
            if v in made.previous:
                given.append(v in shared)
        for x, y in zip(self.states, final, strict=True):
            given += self._address(x), y.data_ptr()
        given += [self._address(self.fixed[v]) for v in self.plan.vectors]
        for m, turned in self.plan.matrices:
            x = self.fixed[m]
            self.held.append(x)
            given += x.data_ptr(), *(x.stride()[::-1] if turned else x.stride())
        given += [sums[v].data_ptr() for v in self.plan.sums_in_order]
        numbers = array("q", given)
        alive = pool, sums, self

        def again() -> None:
            assert alive  # all that an address stands for
            failure = self.engine.run(numbers.buffer_info()[0])
            if failure == 1:
                raise MemoryError("the CPU engine could not get memory for its states and matrices")
            assert not failure, "a cell and its kernels were compiled for different processors"

        again()
        return Result(
            [outputs[v] for v in public],
            final,
            [sums[v] for v in s.sums],
            _kept([streams[v] for v in own]) if keep else None,
            None if self.copied else again,
        )

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

    def _empty(self, v: Value) -> Tensor:
        e = self.extent
        return self.like.new_empty(e.T, e.B, e.sizes[v.shape[0]] if v.shape else 1)

    def _streams_in(self, kept: Kept | None) -> list[int]:
        """Address and strides of each stream that is read."""
        found: list[int] = []
        for i in self.plan.inputs:
            if i < len(self.inputs):
                x = self.inputs[i]
                x = self._hold(x, x if x.stride(-1) == 1 else x.contiguous())
                found += x.data_ptr(), x.stride(0), x.stride(1), self.extent.block
            else:
                assert kept is not None
                tensor, place = kept.about[i - len(self.inputs)]
                found += place.given(kept.tensors[tensor])
        return found


def _kept(streams: Sequence[tuple[Tensor, Place]]) -> Kept:
    """Streams as a run keeps them: most share a tensor; one that is given too is kept as given."""
    tensors = list({id(x): x for x, _ in streams}.values())
    numbers = {id(x): i for i, x in enumerate(tensors)}
    return Kept(tensors, [(numbers[id(x)], place) for x, place in streams])
