"""Triton from a Layout: one template around what a kernel computes on a tile.

A tile is some sequences by some units: a vector is `(ROWS, U)`, a number of each sequence
`(ROWS, 1)`, what is the same for all sequences `(1, U)` or `(1, 1)`. All is computed in ACC, which
is float32 for float32 and all that is smaller. No name of a cell becomes an identifier: values are
numbered, and equations stand in comments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

from cellwright.backends.triton.layout import Layout, Segment, layout
from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import terms
from cellwright.schedule.printer import equations
from cellwright.schedule.stages import WHOLE

__all__ = ["Argument", "Kernel", "Kernels", "emit"]


@dataclass(frozen=True)
class Argument:
    """A tensor that a kernel is given, with some of its strides."""

    name: str
    kind: str
    """`in` and `out`: streams; `once`: what is the same in every step; `matrix`; `initial` and
    `final`: states; `total`. By segments also `state`, `buffer` and `product`; `whole` and `summed`
    are what programs of a grid read of each other, or torch of them."""
    value: Value

    @property
    def strides(self) -> tuple[str, ...]:
        """The strides, by the name of the dimension that each is for."""
        if self.kind in ("in", "out"):
            return ("t", "b")
        if self.kind == "matrix":
            return ("r", "c")
        return () if self.kind == "once" else ("b",)


@dataclass(frozen=True)
class Kernel:
    """A kernel's source, and what it is to be given."""

    name: str
    source: str
    arguments: tuple[Argument, ...]
    reduces: bool
    """Whether a program has to have all units, as it sums over them or multiplies by a matrix."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of a program; one that has nothing to do is None."""

    ahead: tuple[Kernel | None, ...]
    fused: Kernel
    """The whole loop, where a program of the grid has all units that it needs."""
    meeting: Kernel
    """The whole loop, where programs have some units each, and meet after every stage."""
    step: tuple[Kernel, ...]
    """The loop by segments."""
    behind: tuple[Kernel | None, ...]


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


# --- the template -------------------------------------------------------------------------------

_KERNEL = '''\
"""{title}"""

import triton
import triton.language as tl

from cellwright.backends.triton.functions import *


@triton.jit
def {name}(
    {tensors}
    lengths, resets, counter, arrived, T, B,
    {sizes}
    REVERSE: tl.constexpr, LENGTHS: tl.constexpr, RESETS: tl.constexpr,
    ACC: tl.constexpr, DTYPE: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    PROGRAMS: tl.constexpr, ROWS: tl.constexpr, {tiles}
):
    zero = tl.full((1, 1), 0, tl.int64)
    first = tl.program_id(1) == 0
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
{lanes}
{body}
'''

_SIZE = """\
    lane{z} = tl.program_id(1) * width{z} + tl.arange(0, U{z})[None, :]
    in{z} = (tl.arange(0, U{z})[None, :] < width{z}) & (lane{z} < n{z})
"""

_ENDS = """\
    there = rows < B
    b = rows.to(tl.int64)
    ends = T
    if LENGTHS:
        ends = tl.load(lengths + rows, mask=there, other=0)
"""

_LOOP = """\
{steps}
{before}
    for i in range(0, steps):
        t = zero + i
        if REVERSE:
            t = zero + (steps - 1 - i)
        live = there & (t < ends)
{lines}
{behind}
"""

_ALL = "    steps = T"
"""Programs that meet take as many steps, however long their sequences are."""

_LONGEST = """\
    steps = T
    if LENGTHS:
        steps = tl.max(tl.max(ends, 1), 0)"""

_ALL_STEPS = """\
    there = rows < T * B
    t = (rows // B).to(tl.int64)
    b = (rows % B).to(tl.int64)
    ends = T
    if LENGTHS:
        ends = tl.load(lengths + b, mask=there, other=0)
    live = there & (t < ends)
{lines}
"""

_ONE_STEP = """\
    t = zero + tl.load(counter)
    if REVERSE:
        t = T - 1 - t
    live = there & (t < ends)
{lines}
"""


# --- what a kernel computes ---------------------------------------------------------------------


class _Body(ABC):
    """The code of a kernel: reads what it meets first, and stores what is wanted elsewhere."""

    def __init__(self, of: Layout) -> None:
        self.of, self.schedule = of, of.schedule
        self.states, self.inputs = of.schedule.program.states, of.schedule.program.inputs
        self.number_of = {v: i for i, v in enumerate(of.at)}
        self.comments = equations(of.schedule)
        self.arguments: dict[str, Argument] = {}
        self.before: list[str] = []
        self.lines: list[str] = []
        self.behind: list[str] = []
        self.known: dict[Value, str] = {}
        self.reduces = False

    def source(self, title: str, name: str, body: str) -> Kernel:
        sizes = range(len(self.of.sizes))
        tensors = (
            ", ".join((a.name, *(f"{a.name}_{s}" for s in a.strides)))
            for a in self.arguments.values()
        )
        text = _KERNEL.format(
            title=title,
            name=name,
            tensors="\n    ".join(f"{line}," for line in tensors),
            sizes="\n    ".join(f"n{z}, width{z}," for z in sizes),
            tiles=" ".join(f"U{z}: tl.constexpr, A{z}: tl.constexpr," for z in sizes),
            lanes="".join(_SIZE.format(z=z) for z in sizes).rstrip("\n"),
            body=body.rstrip("\n"),
        )
        return Kernel(name, text, tuple(self.arguments.values()), self.reduces)

    # --- places ----------------------------------------------------------------------------------

    def argument(self, kind: str, k: int, v: Value) -> str:
        name = f"{_PREFIX.get(kind, kind)}{k}"
        self.arguments.setdefault(name, Argument(name, kind, v))
        return name

    def size(self, v: Value) -> int | None:
        return self.of.sizes.index(v.shape[0]) if v.shape else None

    def place(self, kind: str, k: int, v: Value) -> str:
        """Where a value lies in its memory."""
        name, z = self.argument(kind, k, v), self.size(v)
        text = f"{name} + t * {name}_t" if kind in ("in", "out") else name
        text += f" + b * {name}_b"
        return text if z is None else f"{text} + lane{z}"

    def mask(self, v: Value, rows: str = "live") -> str:
        z = self.size(v)
        return rows if z is None else f"{rows} & in{z}"

    # --- values ----------------------------------------------------------------------------------

    def comment(self, v: Value) -> None:
        if v in self.comments:
            self.lines.append(f"# {self.comments[v]}")

    def compute(self, v: Value) -> None:
        if v.op == "sum":
            text = self.total(v.args[0])
        else:
            template = TABLE[v.op].triton
            assert template is not None, v.op
            text = template.format(*(self.value(a) for a in v.args))
        self.comment(v)
        self.known[v] = f"t{self.number_of[v]}"
        self.lines.append(f"{self.known[v]} = {text}")

    def total(self, x: Value) -> str:
        """The sum of a vector over its units."""
        self.reduces = True
        return f"tl.sum(tl.where({self.mask(x)}, {self.value(x)}, 0.0), 1, keep_dims=True)"

    def value(self, v: Value) -> str:
        """The name that a value has here; it is read where it is met first."""
        if v not in self.known:
            self.known[v] = self.read(v)
        return self.known[v]

    def read(self, v: Value) -> str:
        if v.op in ("number", "size"):
            return self._number(v)
        if v in self.of.once:
            return self._once(v)
        if v.op == "spread" and v not in self.of.at:
            return self.value(v.args[0])
        kind, k = self.source_of(v)
        name = f"{kind}_{k}"
        place, mask = self.place(kind, k, v), self.mask(v)
        self.lines.append(f"{name} = tl.load({place}, mask={mask}, other=0.0).to(ACC)")
        return name

    def source_of(self, v: Value) -> tuple[str, int]:
        """The memory in which a vector is found."""
        if v in self.inputs:
            return "in", self.inputs.index(v)
        return "out", self.of.streams.index(v)

    def _number(self, v: Value) -> str:
        text = repr(v.attr) if v.op == "number" else f"n{self.of.sizes.index(str(v.attr))}"
        name = "c_" + "".join(c if c.isalnum() else "_" for c in text)
        self._first(name, f"tl.full((1, 1), {text}, ACC)")
        return name

    def _once(self, v: Value) -> str:
        k, z = self.of.once.index(v), self.size(v)
        name = self.argument("once", k, v)
        at = f"{name} + zero" if z is None else f"{name} + lane{z}, mask=in{z}, other=0.0"
        self._first(f"once_{k}", f"tl.load({at}).to(ACC)")
        return f"once_{k}"

    def _first(self, name: str, text: str) -> None:
        line = f"{name} = {text}"
        if line not in self.before:
            self.before.append(line)

    # --- storing ---------------------------------------------------------------------------------

    def store(self, v: Value) -> None:
        """Put what is computed or handed on into its stream, and add it to its total."""
        if v in self.of.streams:
            self.put("out", self.of.streams.index(v), v, self.value(v))
        if v in self.of.accumulated:
            self.accumulate(self.of.accumulated.index(v), v)

    def put(self, kind: str, k: int, v: Value, text: str) -> None:
        rows = "live" if v.shape else "live & first"
        self.lines.append(f"tl.store({self.place(kind, k, v)}, {text}, mask={self.mask(v, rows)})")

    @abstractmethod
    def accumulate(self, k: int, v: Value) -> None:
        """Add a value to what is its sum over steps."""

    def begin_step(self) -> None:
        """What is handed on, or added up, as it comes into a step."""
        for v in dict.fromkeys((*self.of.handed_on, *self.of.accumulated)):
            if v not in self.of.at:
                self.store(v)

    def new_states(self) -> None:
        """The states behind a step: zero where a sequence begins anew in the next one. Each is
        known before one is set, as one may be another's old value."""
        for k, v in enumerate(self.schedule.next):
            self.lines.append(f"new{k} = {self.value(v)}")
        if self.states:
            self.lines += _CUT
            self.lines += (f"    new{k} = tl.where(cut, 0.0, new{k})" for k in self._numbers)

    @property
    def _numbers(self) -> range:
        return range(len(self.states))


_PREFIX = {"in": "x", "out": "y"}
"""Names of arguments that are not those of their kind."""

_CUT = (
    "if RESETS:",
    "    edge = t + 1",
    "    if REVERSE:",
    "        edge = t",
    "    cut = tl.load(resets + edge * B + b, mask=live & (edge < ends), other=0) > 0",
)


class _Segment(_Body):
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
        lines = "\n".join(f"    {line}" for line in (*self.before, *self.lines))
        template = _ENDS + _ONE_STEP if in_step else _ALL_STEPS
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


class _Loop(_Body):
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
        body = _LOOP.format(
            steps=_ALL if self.meets else _LONGEST,
            before="\n".join(f"    {line}" for line in self.before),
            lines="\n".join(f"        {line}" for line in self.lines),
            behind="\n".join(f"    {line}" for line in self.behind),
        )
        return self.source("The loop over all steps.", "loop", _ENDS + body)

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
        self.behind.append(
            f"tl.store({self.place(kind, k, v)}, {text}, mask={self.mask(v, rows)})"
        )

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
