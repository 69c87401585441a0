"""One run of a Program: its memory, and the kernels and products that work on it, in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial

import torch
from torch import Tensor

from cellwright.backends.reference import Env, scalar
from cellwright.backends.triton import tiles as tiling
from cellwright.backends.triton import tune
from cellwright.backends.triton.build import constants, device_limits, load, options
from cellwright.backends.triton.emit import emit
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import layout
from cellwright.backends.triton.products import Joined, outer
from cellwright.backends.triton.replay import repeat
from cellwright.backends.triton.tiles import Loop, Tiles, segment_tiles
from cellwright.program.ops import Value
from cellwright.program.program import Program

__all__ = ["Call"]


class Call:
    """A run, while it runs."""

    def __init__(
        self,
        program: Program,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        parameters: Sequence[Tensor],
        lengths: Tensor | None,
        resets: Tensor | None,
        reverse: bool,
        blocks: Mapping[str, int] | None = None,
    ) -> None:
        self.program, self.reverse = program, reverse
        self.of = layout(program)
        self.heads = self.of.heads(blocks or {})
        self.like = inputs[0]
        self.T, self.B = self.like.shape[:2]
        shapes = [x.shape for x in (*inputs, *states, *parameters)]
        self.sizes = _sizes(program, self.T, self.B, tuple(shapes))
        self._check((*inputs, *states, *parameters), lengths, resets)
        device = self.like.device
        self.lengths = None if lengths is None else lengths.to(device, torch.int32).clamp(0, self.T)
        self.resets = None if resets is None else resets.contiguous().view(torch.uint8)
        self.memory: dict[tuple[str, Value], Tensor] = {}
        for v, x in zip(program.inputs, inputs, strict=True):
            self.memory["in", v] = x if x.stride(-1) == 1 or x.shape[-1] == 1 else x.contiguous()
        for v, x in zip(program.states, self._cut(states), strict=True):
            self.memory["initial", v] = x.contiguous()
            self.memory["final", v] = torch.empty_like(x, memory_format=torch.contiguous_format)
        self.env = self._once(parameters)
        for v in self.of.once:
            if len(v.shape) < 2:
                self.memory["once", v] = self.env[v].contiguous()
        for v in self.of.matrices:  # in 16 bits it is as good to multiply by a turned one
            short = self.like.element_size() == 2
            self.memory["matrix", v] = self.env[v] if short else self.env[v].contiguous()
        if self.of.accumulated:
            for v, x in self._each_total(self._totals):
                self.memory["total", v] = x
        for members in self.of.beside:
            for v, x in zip(members, self._side_by_side(members), strict=True):
                self.memory["out", v] = x
        self.alike = self._alike()
        self.kernels = emit(program, self.alike)

    def _alike(self) -> tuple[int, ...]:
        """A number for each tensor of many strides: that of the first one with the same."""
        first: dict[object, int] = {}
        alone = self.T == 1 or self.B == 1  # strides of one step, or one sequence, are anything
        found = []
        for i, ((kind, v), group) in enumerate(self.of.grouped):
            strides = self.memory[kind, v].stride()[:2]
            if alone and kind in ("in", "out"):
                strides = (strides[0] * (self.T > 1), strides[1] * (self.B > 1))
            found.append(first.setdefault((group, strides), i))
        return tuple(found)

    @property
    def wide(self) -> torch.dtype:
        """What kernels compute in."""
        return torch.float64 if self.like.dtype == torch.float64 else torch.float32

    def _check(
        self, given: Sequence[Tensor], lengths: Tensor | None, resets: Tensor | None
    ) -> None:
        """Kernels trust addresses: nothing may be smaller than they take it to be."""
        T, B = self.T, self.B
        if any(x.device != self.like.device for x in given):
            where = sorted({str(x.device) for x in given})
            raise ValueError(f"all tensors have to be on one device, got {', '.join(where)}")
        if lengths is not None and (lengths.shape != (B,) or lengths.is_floating_point()):
            raise ValueError(
                f"lengths has to be integers {(B,)}, got {lengths.dtype} {tuple(lengths.shape)}"
            )
        if resets is not None and (resets.shape != (T, B) or resets.dtype != torch.bool):
            raise ValueError(
                f"resets has to be bool {(T, B)}, got {resets.dtype} {tuple(resets.shape)}"
            )

    def _cut(self, states: Sequence[Tensor]) -> Sequence[Tensor]:
        """The initial states, zero where a sequence begins anew in its first step."""
        if self.resets is None or self.reverse:
            return states
        anew = self.resets[0] > 0
        if self.lengths is not None:
            anew = anew & (self.lengths > 0)
        return [x.masked_fill(anew.unsqueeze(1), 0) for x in states]

    def _once(self, parameters: Sequence[Tensor]) -> Env:
        """What is the same in every step; what is made of parameters, in what kernels compute in.
        Matrices stay what they are."""
        of = self.of
        given = dict(zip((q.value for q in self.program.parameters), parameters, strict=True))
        env: Env = {
            v: x.to(self.wide) if of.made and (x.dim() < 2 or v in of.applied) else x
            for v, x in given.items()
        }
        for v in of.numbers:
            number = scalar(v, self.program, self.sizes)
            env[v] = torch.tensor(number, dtype=self.wide, device=self.like.device)
        of.evaluation(env, self.sizes)
        as_given = {v: x for v, x in given.items() if v in of.applied}
        return env | as_given | {v: given[v.args[0]].mT for v in of.turned}

    # --- memory ----------------------------------------------------------------------------------

    def _width(self, v: Value) -> int:
        return self.sizes[v.shape[0]] if v.shape else 1

    def _rows(self, v: Value, dtype: torch.dtype, times: int = 1) -> Tensor:
        """Memory for a value of one step."""
        return self.like.new_empty(times * self.B, self._width(v), dtype=dtype)

    @cached_property
    def _totals(self) -> Tensor:
        """Memory for what is added up over steps, of each sequence, side by side."""
        width = sum(map(self._width, self.of.accumulated))
        return self.like.new_zeros(self.B, width, dtype=self.wide)

    def _each_total(self, totals: Tensor) -> Iterable[tuple[Value, Tensor]]:
        widths = [self._width(v) for v in self.of.accumulated]
        return zip(self.of.accumulated, torch.split(totals, widths, -1), strict=True)

    def _side_by_side(self, values: Sequence[Value]) -> Sequence[Tensor]:
        """Memory for streams; zeros where sequences end."""
        widths = [self._width(v) for v in values]
        new = self.like.new_empty if self.lengths is None else self.like.new_zeros
        whole = new(self.T, self.B, sum(widths))
        return torch.split(whole, widths, -1) if len(values) > 1 else (whole,)

    def stream(self, v: Value) -> Tensor:
        """What lies in memory for every step, `(T, B, n)`, as it was given or computed."""
        given = self.memory.get(("in", v))
        if given is None:
            return self.memory["out", v]
        return given

    def all_rows(self, v: Value) -> Tensor:
        """The rows of a stream, `(T * B, n)`."""
        return _flat(self.stream(v))

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the three phases."""
        if not self.B:
            return
        self._all_steps("ahead", self.kernels.ahead)
        tiles = self._tiles()
        if tiles is None:
            self._by_segments()
        else:
            self._in_one(tiles)
        self._all_steps("behind", self.kernels.behind)

    def _tiles(self) -> Tiles | None:
        """Those of the loop; None where it runs by segments."""
        sizes = tuple(self.sizes[name] for name in self.of.sizes)
        x = self.like
        most = device_limits(x.device)
        loop = Loop(self.of, sizes, self.B, x.element_size(), most, self.heads)
        rule = _tiles(loop, tiling.REGIMES)
        if rule is None or not tune.wanted(x.device):
            return rule
        kernels = (self.program, self.alike, tiling.REGIMES, x.dtype, *self._asked)
        key = (*kernels, sizes, self.B, tiling.power(self.T), self.heads, x.device)
        return tune.fastest(key, rule, partial(loop.candidates, tiling.REGIMES), self._in_one)

    def _in_one(self, tiles: Tiles) -> None:
        """The loop as one kernel."""
        if tiles.regime == "shared":
            self._meeting(tiles)
        else:
            self.launch(self.kernels.fused, tiles)

    def _all_steps(self, phase: str, kernels: Sequence[Kernel | None]) -> None:
        for segment, kernel in zip(self.of.segments[phase], kernels, strict=True):
            for group in self.of.groups[segment]:
                made = [self.memory["out", v] for v in group]
                to = made[0] if len(made) == 1 else _joined(made)
                joined = Joined.of(group, self.env)
                joined.multiply(self.all_rows, _flat(to))
                if self.lengths is not None:
                    to.masked_fill_(self._over, 0)
            if kernel is not None:
                rows = self.T * self.B
                self.launch(kernel, segment_tiles(self.of, kernel, self.sizes, rows))

    @cached_property
    def _over(self) -> Tensor:
        """`(T, B, 1)`: where sequences are over."""
        assert self.lengths is not None
        steps = torch.arange(self.T, device=self.like.device)
        return (steps.unsqueeze(1) >= self.lengths).unsqueeze(-1)

    def _meeting(self, tiles: Tiles) -> None:
        """The loop where programs meet."""
        for kind, values, dtype in (
            ("whole", self.of.whole, self.like.dtype),
            ("summed", self.of.summed, self.wide),
        ):
            for v in values:
                self.memory[kind, v] = x = self._rows(v, dtype, 2)
                if v in self.program.states:
                    x[: self.B] = self.memory["initial", v]
        arrived = self.like.new_zeros(tiles.grid[0], dtype=torch.int32)
        self.launch(self.kernels.meeting, tiles, arrived=arrived)

    def _by_segments(self) -> None:
        """The loop by segments."""
        of = self.of
        for v in of.buffers:
            self.memory["buffer", v] = self._rows(v, self.wide)
        for width in {self._width(v) for v in of.whole}:
            members = [v for v in of.whole if self._width(v) == width]
            beside = self.like.new_empty(self.B, width * len(members))
            for v, x in zip(members, torch.split(beside, width, 1), strict=True):
                self.memory["whole", v] = x
        for s in self.program.states:
            self.memory["state", s] = self.memory["initial", s].to(self.wide, copy=True)
            if s in of.whole:
                self.memory["whole", s].copy_(self.memory["initial", s])
        counter = torch.zeros(1, dtype=torch.int32, device=self.like.device)
        parts: list[tuple[list[tuple[Joined, Tensor]], Kernel, Tiles]] = []
        for segment, kernel in zip(of.loop, self.kernels.step, strict=True):
            made = []
            for group in of.groups[segment]:
                joined = Joined.of(group, self.env)
                widths = [self._width(v) for v in group]
                to = self.like.new_empty(self.B, sum(widths))
                for v, x in zip(group, torch.split(to, widths, 1), strict=True):
                    self.memory["product", v] = x
                made.append((joined, to))
            parts.append((made, kernel, segment_tiles(of, kernel, self.sizes, self.B)))

        def step() -> None:
            for made, kernel, tiles in parts:
                for joined, to in made:
                    joined.multiply(self._seen, to)
                self.launch(kernel, tiles, counter=counter)
            counter.add_(1)

        repeat(step, self.T, self.like.device)
        for s in self.program.states:
            self.memory["final", s].copy_(self.memory["state", s])

    def _seen(self, v: Value) -> Tensor:
        """A vector that a product of a step is applied to."""
        return self.memory["whole", v]

    def launch(self, kernel: Kernel, tiles: Tiles, **more: Tensor) -> None:
        """Run a kernel; with `more` that `arguments` takes."""
        given, fixed = self.arguments(kernel, tiles, **more)
        load(kernel)[tiles.grid](*given, **fixed, **options(tiles, self.like.element_size()))

    def arguments(
        self,
        kernel: Kernel,
        tiles: Tiles,
        counter: Tensor | None = None,
        arrived: Tensor | None = None,
    ) -> tuple[list[object], Mapping[str, object]]:
        """What a kernel is given, in its order, and what it is compiled for."""
        given: list[object] = [self.memory[a.kind, a.value] for a in kernel.arguments]
        for a in kernel.strided:
            given += self.memory[a.kind, a.value].stride()[: len(a.dimensions)]
        given += [self.lengths, self.resets, counter, arrived, self.T, self.B]
        for name, width in zip(self.of.sizes, tiles.widths, strict=True):
            given += [self.sizes[name], width]
        return given, constants(tiles, self.like.dtype, *self._asked)

    @cached_property
    def _asked(self) -> tuple[bool, bool, bool, bool]:
        """What kernels are compiled for besides tiles and type: see `constants`."""
        tf32 = self.like.dtype == torch.float32 and _tf32()
        return self.reverse, self.lengths is not None, self.resets is not None, tf32

    # --- results ---------------------------------------------------------------------------------

    def outputs(self) -> list[Tensor]:
        """The streams out."""
        return [self.memory["out", v] for v in self.of.schedule.outputs]

    @property
    def final(self) -> list[Tensor]:
        """The states behind the last step."""
        return [self.memory["final", s] for s in self.program.states]

    def sums(self) -> list[Tensor]:
        """What is added up over steps and sequences."""
        found = outer(self.of.by_right, self._clean_rows)
        if self.of.accumulated:
            found.update(self._each_total(self._totals.sum(0).to(self.like.dtype)))
        for v in self.of.totals:
            if v not in found:
                total = self.memory["out", v].sum((0, 1), dtype=self.wide)
                found[v] = total.to(self.like.dtype)
            if not v.shape:
                found[v] = found[v].squeeze(0)
        return [found[v] for v in self.of.schedule.sums]

    def _clean_rows(self, v: Value) -> Tensor:
        """The rows of a stream, zero where a sequence is over, whatever is there of one given."""
        x = self.stream(v)
        if self.lengths is not None and ("in", v) in self.memory:
            x = x.masked_fill(self._over, 0)
        return _flat(x)


def _flat(x: Tensor) -> Tensor:
    """The rows of a stream, also where there are none."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Streams `(T, B, n)` that were made side by side, as the one they were made of."""
    first = parts[0]
    width = sum(x.shape[-1] for x in parts)
    return first.as_strided((*first.shape[:2], width), first.stride(), first.storage_offset())


def _tf32() -> bool:
    """Whether torch may multiply in TF32; reading what it was before 2.9 is an error in later
    versions, where the new setting was used."""
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):
        return bool(matmul.fp32_precision == "tf32")
    return bool(matmul.allow_tf32)


@lru_cache(maxsize=4096)
def _sizes(p: Program, T: int, B: int, shapes: tuple[torch.Size, ...]) -> dict[str, int]:
    """The sizes of a run. Raises ValueError where a shape is another than it has to be."""
    sizes = p.sizes(shapes)
    for v, shape in zip(p.arguments, shapes, strict=True):
        n = tuple(sizes[s] for s in v.shape)
        expected = (T, B, *(n or (1,))) if v in p.inputs else (B, *n) if v in p.states else n
        if shape != expected:
            raise ValueError(f"{v.name} has to be {expected}, got {tuple(shape)}")
    return sizes


_tiles = lru_cache(maxsize=4096)(Loop.tiles)
