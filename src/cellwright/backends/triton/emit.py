"""Triton from a Layout: the loop as one kernel, and each segment as one."""

from __future__ import annotations

from functools import lru_cache

from cellwright.backends.triton.body import Body
from cellwright.backends.triton.kernel import Kernel, Kernels
from cellwright.backends.triton.layout import Layout, Segment, layout
from cellwright.backends.triton.template import ALL, ALL_STEPS, ENDS, LONGEST, LOOP, ONE_STEP
from cellwright.program.ops import Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import terms
from cellwright.schedule.stages import WHOLE

__all__ = ["emit"]


@lru_cache(maxsize=1024)
def emit(p: Program) -> Kernels:
    """The kernels of a program."""
    of = layout(p)
    segments = {
        phase: tuple(_Segment(of, g).kernel() if g.values else None for g in of.segments[phase])
        for phase in ("ahead", "behind")
    }
    return Kernels(
        ahead=segments["ahead"],
        fused=_Loop(of, meets=False).kernel(),
        meeting=_Loop(of, meets=True).kernel(),
        step=tuple(_Segment(of, g).kernel() for g in of.loop),
        behind=segments["behind"],
    )


class _Segment(Body):
    """One segment: of a step of the loop, or of all steps at once, ahead of it or behind it."""

    def __init__(self, of: Layout, segment: Segment) -> None:
        super().__init__(of)
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

    def __init__(self, of: Layout, meets: bool) -> None:
        super().__init__(of)
        self.meets = meets
        self.wholes: dict[Value, str] = {}

    def kernel(self) -> Kernel:
        """The kernel of the loop."""
        of = self.of
        self.reduces = bool(of.whole)
        self._begin()
        self.begin_step()
        for i, stage in enumerate(self.schedule.loop):
            if self.meets and i and any(v.op in WHOLE for v in stage.values):
                self._meet()
            for v in stage.products:
                self._multiply(v)
            for v in (*stage.products, *stage.scalars, *stage.vectors):
                if v not in self.known:
                    self.compute(v)
                self.store(v)
                if self.meets:
                    self._show(v, self.value(v))
        self._set_states()
        if self.meets and (of.whole or of.summed):
            self._meet()
        for k, v in enumerate(of.accumulated):
            self._put_behind("total", k, v)
        body = LOOP.format(
            steps=ALL if self.meets else LONGEST,
            before="\n".join(f"    {line}" for line in self.before),
            lines="\n".join(f"        {line}" for line in self.steps()),
            behind="\n".join(f"    {line}" for line in self.behind),
        )
        return self.source("The loop over all steps.", "loop", ENDS + body)

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
            for z in range(len(self.of.sizes)):
                self._first(f"all{z}", f"tl.arange(0, A{z})[None, :]")
                self._first(f"inall{z}", f"all{z} < n{z}")

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

    # --- whole vectors ---------------------------------------------------------------------------

    def _multiply(self, v: Value) -> None:
        self.comment(v)
        name = self.known[v] = f"t{self.number_of[v]}"
        for i, (m, x) in enumerate(terms(v)):
            onto = f"{name}, " if i else ""
            self.lines.append(
                f"{name} = tl.dot({self._whole(x)}, {self._matrix(m)}, {onto}"
                "input_precision=PRECISION, out_dtype=ACC)"
            )

    def _whole(self, x: Value) -> str:
        """A vector with all its units, as tl.dot takes it."""
        if x not in self.wholes:
            name = self.wholes[x] = f"w{len(self.wholes)}"
            if self.meets:
                text = self._seen("whole", self.of.whole.index(x), x)
            else:
                text = f"tl.where({self.mask(x)}, {self.value(x)}, 0.0)"
            self.lines.append(f"{name} = {text}.to(DTYPE).to(DOT)")
        return self.wholes[x]

    def total(self, x: Value) -> str:
        if not self.meets:
            return super().total(x)
        self.reduces = True
        return f"tl.sum({self._seen('summed', self.of.summed.index(x), x)}, 1, keep_dims=True)"

    def _matrix(self, m: Value) -> str:
        """The part of a matrix that a program multiplies by, `(units in, units out)`."""
        k = self.of.matrices.index(m)
        name = self.argument("matrix", k, m)
        r, c = (self.of.sizes.index(n) for n in m.shape)
        before, inside = f"lane{c}", f"in{c}"
        if self.meets:
            before, inside = f"all{c}", f"inall{c}"
        at = f"{name} + tl.trans({before}) * {name}_c + lane{r} * {name}_r"
        mask = f"tl.trans({inside}) & in{r}"
        self._first(f"m{k}", f"tl.load({at}, mask={mask}, other=0.0).to(DOT)")
        return f"m{k}"

    # --- meeting ---------------------------------------------------------------------------------

    def _meet(self) -> None:
        self.lines += ["met += PROGRAMS", "meet(arrived + tl.program_id(0), met)"]

    def _show(self, v: Value, text: str) -> None:
        """Put a vector where all programs see it. States have two places, which take turns, as
        another program may still read the one before."""
        for kind, things in (("whole", self.of.whole), ("summed", self.of.summed)):
            if v in things:
                k = things.index(v)
                name = self.argument(kind, k, v)
                at = f"{name} + {self._row(kind, k, v, 1)} + lane{self.size(v)}"
                self.lines.append(f"tl.store({at}, {text}, mask={self.mask(v, 'there')})")

    def _seen(self, kind: str, k: int, v: Value) -> str:
        name, z = self.argument(kind, k, v), self.size(v)
        at = f"{name} + {self._row(kind, k, v, 0)} + all{z}"
        return f'tl.load({at}, mask=live & inall{z}, other=0.0, cache_modifier=".cg")'

    def _row(self, kind: str, k: int, v: Value, later: int) -> str:
        turn = f"(i + {later}) % 2 * B + " if v in self.states else ""
        return f"({turn}b) * {kind}{k}_b"
