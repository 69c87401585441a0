"""One run of a Program: its memory, and the kernels and products that work on it, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from cellwright.backends.reference import Env, Evaluation, scalar
from cellwright.backends.triton.build import constants, load, options
from cellwright.backends.triton.emit import emit
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import layout
from cellwright.backends.triton.products import Joined, groups, outer
from cellwright.backends.triton.replay import repeat
from cellwright.backends.triton.tiles import Tiles, loop_tiles, segment_tiles
from cellwright.program.ops import LEAVES, Value, topological
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
    ) -> None:
        self.program, self.reverse = program, reverse
        self.of, self.kernels = layout(program), emit(program)
        self.like = inputs[0]
        self.T, self.B = self.like.shape[:2]
        self.sizes = program.sizes(x.shape for x in (*inputs, *states, *parameters))
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
            kind = "matrix" if len(v.shape) == 2 else "once"
            self.memory[kind, v] = self.env[v] if kind == "matrix" else self.env[v].contiguous()
        for v in self.of.accumulated:
            self.memory["total", v] = self._rows(v, self.wide).zero_()
        self._make_streams()

    @property
    def wide(self) -> torch.dtype:
        """What kernels compute in."""
        return torch.float64 if self.like.dtype == torch.float64 else torch.float32

    def _check(
        self, given: Sequence[Tensor], lengths: Tensor | None, resets: Tensor | None
    ) -> None:
        """Kernels trust addresses: nothing may be smaller than they take it to be."""
        p, T, B = self.program, self.T, self.B
        for v, x in zip(p.arguments, given, strict=True):
            n = tuple(self.sizes[s] for s in v.shape)
            expected = (T, B, *(n or (1,))) if v in p.inputs else (B, *n) if v in p.states else n
            if x.shape != expected or x.device != self.like.device:
                raise ValueError(
                    f"{v.name} has to be {expected} on {self.like.device}, got {tuple(x.shape)} on "
                    f"{x.device}"
                )
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
        given = dict(zip((q.value for q in self.program.parameters), parameters, strict=True))
        values = topological(self.of.once)
        made = [v for v in values if v.op not in LEAVES and v.op != "transpose"]
        applied = set(topological(v.args[0] for v in made if v.op == "apply"))
        wide = {v for v, x in given.items() if made and (x.dim() < 2 or v in applied)}
        env: Env = {v: x.to(self.wide) if v in wide else x for v, x in given.items()}
        for v in values:
            if v.op in LEAVES and v.op != "parameter":
                number = scalar(v, self.program, self.sizes)
                env[v] = torch.tensor(number, dtype=self.wide, device=self.like.device)
        Evaluation((v for v in values if v.op not in LEAVES), joined=False)(env, self.sizes)
        as_given = {v: x for v, x in given.items() if v in applied}
        return env | as_given | {v: given[v.args[0]].mT for v in values if v.op == "transpose"}

    # --- memory ----------------------------------------------------------------------------------

    def _width(self, v: Value) -> int:
        return self.sizes[v.shape[0]] if v.shape else 1

    def _rows(self, v: Value, dtype: torch.dtype, times: int = 1) -> Tensor:
        """Memory for a value of one step."""
        return self.like.new_empty(times * self.B, self._width(v), dtype=dtype)

    def _make_streams(self) -> None:
        """Memory for every step of what is computed: what is multiplied by the same, or made by one
        product, lies side by side. Zeros where sequences end."""
        s = self.of.schedule
        beside = [group for phase in ("ahead", "behind") for group in self._groups(phase)]
        lefts: dict[int, list[Value]] = {}
        for left, _, _ in self.of.outers:
            lefts.setdefault(self._width(left), []).append(left)
        beside += [tuple(dict.fromkeys(group)) for group in lefts.values()]
        alone = {*s.outputs}
        for group in beside:
            members = [v for v in group if v in self.of.streams and v not in alone]
            for v, x in zip(members, self._side_by_side(members), strict=True):
                self.memory["out", v] = x
            alone.update(members)
        for v in self.of.streams:
            if ("out", v) not in self.memory:
                [self.memory["out", v]] = self._side_by_side([v])

    def _side_by_side(self, values: Sequence[Value]) -> Sequence[Tensor]:
        widths = [self._width(v) for v in values]
        new = self.like.new_empty if self.lengths is None else self.like.new_zeros
        return torch.split(new(self.T, self.B, sum(widths)), widths, -1) if values else ()

    def _groups(self, phase: str) -> Iterable[tuple[Value, ...]]:
        for segment in self.of.segments[phase]:
            yield from groups(segment.products, apart=self.of.schedule.outputs)

    def stream(self, v: Value) -> Tensor:
        """What lies in memory for every step, `(T, B, n)`, as it was given or computed."""
        given = self.memory.get(("in", v))
        if given is None:
            return self.memory["out", v]
        return given

    def all_rows(self, v: Value) -> Tensor:
        """The rows of a stream, `(T * B, n)`."""
        return self.stream(v).reshape(self.T * self.B, -1)

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the three phases."""
        if not self.B:
            return
        self._all_steps("ahead", self.kernels.ahead)
        tiles = loop_tiles(self.of, self.sizes, self.B, self.like.element_size())
        if tiles is None:
            self._by_segments()
        elif tiles.regime == "shared":
            self._meeting(tiles)
        else:
            self.launch(self.kernels.fused, tiles)
        self._all_steps("behind", self.kernels.behind)

    def _all_steps(self, phase: str, kernels: Sequence[Kernel | None]) -> None:
        for segment, kernel in zip(self.of.segments[phase], kernels, strict=True):
            for group in groups(segment.products, apart=self.of.schedule.outputs):
                made = [self.memory["out", v] for v in group]
                to = made[0] if len(made) == 1 else _joined(made)
                joined = Joined.of(group, self.env)
                joined.multiply(self.all_rows, to.view(self.T * self.B, -1))
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
                is_state = v in self.program.states
                self.memory[kind, v] = x = self._rows(v, dtype, 1 + is_state)
                if is_state:
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
            for group in groups(segment.products):
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

    def launch(
        self,
        kernel: Kernel,
        tiles: Tiles,
        counter: Tensor | None = None,
        arrived: Tensor | None = None,
    ) -> None:
        """Run a kernel."""
        given: list[object] = []
        for a in kernel.arguments:
            x = self.memory[a.kind, a.value]
            given.append(x)
            given += x.stride()[: len(a.strides)]
        given += [self.lengths, self.resets, counter, arrived, self.T, self.B]
        for name, width in zip(self.of.sizes, tiles.widths, strict=True):
            given += [self.sizes[name], width]
        asked = (self.reverse, self.lengths is not None, self.resets is not None)
        fixed = constants(tiles, self.like.dtype, *asked)
        load(kernel)[tiles.grid](*given, **fixed, **options(tiles))

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
        found = outer(self.of.outers, self._clean_rows)
        for v in self.of.totals:
            if v in self.of.accumulated:
                total = self.memory["total", v].sum(0)
            else:
                total = self.memory["out", v].sum((0, 1), dtype=self.wide)
            found[v] = (total if v.shape else total.sum()).to(self.like.dtype)
        return [found[v] for v in self.of.schedule.sums]

    def _clean_rows(self, v: Value) -> Tensor:
        """The rows of a stream, zero where a sequence is over, whatever is there of one given."""
        x = self.stream(v)
        if self.lengths is not None and ("in", v) in self.memory:
            x = x.masked_fill(self._over, 0)
        return x.reshape(self.T * self.B, -1)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Streams `(T, B, n)` that were made side by side, as the one they were made of."""
    first = parts[0]
    width = sum(x.shape[-1] for x in parts)
    return first.as_strided((*first.shape[:2], width), first.stride(), first.storage_offset())
