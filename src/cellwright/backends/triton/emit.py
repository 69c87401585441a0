"""Triton from a Layout: the loop as one kernel, and each segment as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from cellwright.backends.triton.body import Alike, Body
from cellwright.backends.triton.kernel import Kernel, Kernels
from cellwright.backends.triton.layout import Layout, Segment, layout
from cellwright.backends.triton.template import (
    ALL,
    ALL_STEPS,
    AT,
    ENDS,
    LONGEST,
    LOOP,
    ONE_STEP,
    PART,
)
from cellwright.program.ops import Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import terms
from cellwright.schedule.stages import WHOLE

__all__ = ["emit"]

AHEAD = 4
"""For how many steps ahead a loop reads that has nothing else to wait for."""


@lru_cache(maxsize=1024)
def emit(p: Program, numbers: tuple[int, ...] = ()) -> Kernels:
    """The kernels of a program. Of the tensors that its layout calls `strided`, those of the same
    one of the `numbers` have the same strides; without them each has its own."""
    of = layout(p)
    alike = dict(zip(of.strided, numbers, strict=bool(numbers)))
    segments = {
        phase: tuple(
            _Segment(of, alike, g).kernel() if g.values else None for g in of.segments[phase]
        )
        for phase in ("ahead", "behind")
    }
    return Kernels(
        ahead=segments["ahead"],
        fused=_Loop(of, alike, meets=False).kernel(),
        meeting=_Loop(of, alike, meets=True).kernel(),
        step=tuple(_Segment(of, alike, g).kernel() for g in of.loop),
        behind=segments["behind"],
    )


class _Segment(Body):
    """One segment: of a step of the loop, or of all steps at once, ahead of it or behind it."""

    def __init__(self, of: Layout, alike: Alike, segment: Segment) -> None:
        super().__init__(of, alike)
        self.segment = segment

    def kernel(self) -> Kernel:
        """The kernel of the segment."""
        g = self.segment
        in_step = g.phase == "loop"
        if in_step and g.index == 0:
            self.begin_step()
        for v in (*g.products, *g.values):
            if v in g.values:
                self.compute(v)
            if in_step or v in g.values:
                self.store(v)
            if in_step and v in self.of.buffers:
                self.put("buffer", self.of.buffers.index(v), v, self.value(v))
            if in_step and v in self.of.whole:
                self._put_whole(v, self.value(v))
        if in_step and g is self.of.loop[-1]:
            self._set_states()
        lines = "\n".join(f"    {line}" for line in (*self.before, *self.steps()))
        template = ENDS + ONE_STEP if in_step else ALL_STEPS
        title = f"{_TITLES[g.phase]}, segment {g.index}: elementwise work."
        return self.source(title, f"{g.phase}_{g.index}", template.format(lines=lines))

    def source_of(self, v: Value) -> tuple[str, int]:
        if self.segment.phase == "loop":
            if v in self.states:
                return "state", self.states.index(v)
            if v in self.of.buffers:
                return "buffer", self.of.buffers.index(v)
            if v.op == "products" and self.of.at[v].phase == "loop":
                return "product", self.number_of[v]
        return super().source_of(v)

    def accumulate(self, k: int, v: Value) -> None:
        at = self.place("total", k, v)
        rows = "live" if v.shape else "live & first"
        self.lines.append(f"total{k}_now = tl.load({at}, mask={self.mask(v, rows)}, other=0.0)")
        self.put("total", k, v, f"total{k}_now + {self.value(v)}")

    def _put_whole(self, v: Value, text: str) -> None:
        self.put("whole", self.of.whole.index(v), v, text)

    def _set_states(self) -> None:
        self.new_states()
        if self.states:
            self.lines.append("tl.debug_barrier()  # every thread has read the old ones")
        for k, s in enumerate(self.states):
            self.put("state", k, s, f"new{k}")
            if s in self.of.whole:
                self._put_whole(s, f"new{k}")


_TITLES = {"ahead": "Ahead of the loop", "loop": "A step", "behind": "Behind the loop"}


class _Loop(Body):
    """The whole loop. A program of the grid has all units that it needs, or, where it `meets` the
    others, finds theirs in memory."""

    def __init__(self, of: Layout, alike: Alike, meets: bool) -> None:
        super().__init__(of, alike)
        self.meets = meets
        self.wholes: dict[Value, str] = {}
        self.fetched: dict[str, str] = {}
        self.later: dict[str, str] = {}

    def kernel(self) -> Kernel:
        """The kernel of the loop."""
        of = self.of
        self.reduces = bool(of.whole)
        self._begin()
        self.begin_step()
        for i, stage in enumerate(self.schedule.loop):
            waits = self.meets and any(v.op in WHOLE for v in stage.values)
            if waits and i:
                self._meet()
            self._multiply(stage.products)
            for v in (*stage.products, *stage.scalars, *stage.vectors):
                if v not in self.known:
                    self.compute(v)
                self.store(v)
                if self.meets:
                    self._show(v, self.value(v))
        self._set_states()
        if self.meets and any(v.op in WHOLE for v in self.schedule.loop[0].values):
            self._meet()
        for k, v in enumerate(of.accumulated):
            self._put_behind("total", k, v)
        body = LOOP.format(
            steps=ALL if self.meets else LONGEST,
            before="\n".join(f"    {line}" for line in (*self.before, *self._first_steps())),
            soon="\n".join(f"        {line}" for line in self._soon()),
            lines="\n".join(f"        {line}" for line in self.steps()),
            behind="\n".join(f"    {line}" for line in self.behind),
        )
        return self.source("The loop over all steps.", "loop", ENDS + body)

    def steps(self) -> Iterator[str]:
        if self.of.crowded:
            yield "t = black_box(t)"
        yield from super().steps()

    # --- before and behind the steps -------------------------------------------------------------

    def _begin(self) -> None:
        for k, s in enumerate(self.states):
            at, mask = self.place("initial", k, s), self.mask(s, "there")
            self._first(f"state{k}", f"tl.load({at}, mask={mask}, other=0.0).to(ACC)")
            self.known[s] = f"state{k}"
            self._put_behind("final", k, s, f"state{k}")
        for k, v in enumerate(self.of.accumulated):
            z = self.size(v)
            shape = "(ROWS, 1)" if z is None else f"(ROWS, U{z})"
            self._first(f"total{k}_now", f"tl.full({shape}, 0.0, ACC)")
        if self.meets and (self.of.whole or self.of.summed):
            self._first("met", "0")

    def _put_behind(self, kind: str, k: int, v: Value, text: str | None = None) -> None:
        rows = "there" if v.shape else "there & first"
        text = text or f"total{k}_now"
        self.behind.append(f"tl.store({self.place(kind, k, v)}, {text}, mask={self.mask(v, rows)})")

    def accumulate(self, k: int, v: Value) -> None:
        self.lines.append(f"total{k}_now += tl.where(live, {self.value(v)}, 0.0)")

    def _set_states(self) -> None:
        self.new_states()
        for k, s in enumerate(self.states):
            self.lines.append(f"state{k} = tl.where(live, new{k}, state{k})")
            if self.meets:
                self._show(s, f"state{k}")

    # --- streams ---------------------------------------------------------------------------------

    def load(self, kind: str, k: int, v: Value) -> None:
        if not self._ahead:
            super().load(kind, k, v)
            return
        z = self.size(v)
        mask = "live" if z is None else f"live & in{z}"
        place = self.place(kind, k, v, self.later)
        self.fetched[f"{kind}_{k}"] = f"tl.load({place}, mask={mask}, other=0.0)"

    @property
    def _ahead(self) -> int:
        """For how many steps ahead streams are read: units that are independent wait for nothing
        else; where registers are short, none is kept for later."""
        if self.of.crowded:
            return 0
        return 1 if self.of.whole or self.of.summed else AHEAD

    def _first_steps(self) -> Iterator[str]:
        """The reading for the steps that the loop begins with."""
        for j in range(self._ahead if self.fetched else 0):
            yield from self._at(f"{j}")
            yield from (f"{name}_{j} = {text}" for name, text in self.fetched.items())

    def _soon(self) -> Iterator[str]:
        """What was read for this step; and the reading for the last of those ahead."""
        if not self.fetched:
            return
        last = self._ahead - 1
        for name in self.fetched:
            yield f"{name} = {name}_0.to(ACC)"
            yield from (f"{name}_{j} = {name}_{j + 1}" for j in range(last))
        yield from self._at(f"i + {last + 1}")
        yield from (f"{name}_{last} = {text}" for name, text in self.fetched.items())

    def _at(self, i: str) -> Iterator[str]:
        """Going to a later step, with the places that are read there."""
        yield from AT.format(i=i).splitlines()
        yield from (f"{name} = {text}" for name, text in self.later.items())

    # --- whole vectors ---------------------------------------------------------------------------

    def _multiply(self, products: Sequence[Value]) -> None:
        """The products of a stage. Where programs meet, threads share the work by units of the
        vector: each has a part of the sum, and they add those up."""
        wholes = list(dict.fromkeys(x for v in products for _, x in terms(v)))
        for v in products:
            self.comment(v)
            name = self.known[v] = f"t{self.number_of[v]}"
            for i, (m, x) in enumerate(terms(v)):
                # where they are read, one is on its way while the one before is multiplied
                for other in wholes[: wholes.index(x) + 2 if self.meets else None]:
                    self._whole(other)
                onto = f"{name}, " if i else ""
                self.lines.append(
                    f"{name} = tl.dot({self._whole(x)}, {self._matrix(m)}, {onto}"
                    "input_precision=PRECISION, out_dtype=ACC)"
                )
            self.lines.append(f"{name} = {'add_up' if self.meets else 'laid_out'}({name})")

    def _whole(self, x: Value) -> str:
        """A vector with all its units, as tl.dot takes it."""
        if x not in self.wholes:
            name = self.wholes[x] = f"w{len(self.wholes)}"
            if self.meets:
                text = self._seen("whole", self.of.whole.index(x), x, self._part(x))
            else:
                text = f"tl.where({self.mask(x)}, {self.value(x)}, 0.0)"
            self.lines.append(f"{name} = {text}.to(DTYPE).to(DOT)")
        return self.wholes[x]

    def total(self, x: Value) -> str:
        if not self.meets:
            return super().total(x)
        self.reduces = True
        z = self.size(x)
        self._first(f"all{z}", f"tl.arange(0, A{z})[None, :]")
        seen = self._seen("summed", self.of.summed.index(x), x, f"all{z}")
        return f"tl.sum({seen}, 1, keep_dims=True)"

    def _part(self, x: Value) -> str:
        z = self.size(x)
        for line in PART.format(z=z).splitlines():
            if line not in self.before:
                self.before.append(line)
        return f"part{z}"

    def _matrix(self, m: Value) -> str:
        """The part of a matrix that a program multiplies by, `(units in, units out)`; where it
        meets others, with its units in in parts."""
        k = self.of.matrices.index(m)
        name = self.argument("matrix", k, m)
        r, c = (self.of.sizes.index(n) for n in m.shape)
        if self.meets:
            rows, there = f"row{c}", f"(row{c} < n{c}) & in{r}[None, :, :]"
            columns = f"lane{r}[None, :, :]"
        else:
            rows, there, columns = f"tl.trans(lane{c})", f"tl.trans(in{c}) & in{r}", f"lane{r}"
        first = self.strides(name)
        at = f"{name} + {rows} * {first}_c + {columns} * {first}_r"
        self._first(f"m{k}", f"tl.load({at}, mask={there}, other=0.0).to(DOT)")
        return f"m{k}"

    # --- meeting ---------------------------------------------------------------------------------

    def _meet(self) -> None:
        self.lines += ["met += PROGRAMS", "meet(arrived + tl.program_id(0), met)"]

    def _show(self, v: Value, text: str) -> None:
        """Put a vector where all programs see it. It has two places, which take turns, as another
        program may still read the one before."""
        later = v in self.states
        for kind, things in (("whole", self.of.whole), ("summed", self.of.summed)):
            if v in things:
                k = things.index(v)
                name = self.argument(kind, k, v)
                at = f"{name} + {self._row(v, 'b', later)} + lane{self.size(v)}"
                self.lines.append(f"tl.store({at}, {text}, mask={self.mask(v, 'there')})")

    def _seen(self, kind: str, k: int, v: Value, units: str) -> str:
        """The same with all its units."""
        name, z = self.argument(kind, k, v), self.size(v)
        b, live = ("b[None, :, :]", "live[None, :, :]") if kind == "whole" else ("b", "live")
        at = f"{name} + {self._row(v, b, later=False)} + {units}"
        mask = f"{live} & ({units} < n{z})"
        return f'tl.load({at}, mask={mask}, other=0.0, cache_modifier=".cg")'

    def _row(self, v: Value, b: str, later: bool) -> str:
        turn = "(i + 1) % 2" if later else "i % 2"
        return f"({turn} * B + {b}) * {self.width(self.size(v))}"
