"""C++ from a Layout: the tables and stages that engine.hpp puts a loop around.

No name of a cell becomes an identifier: values are numbered, and equations stand in comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain

from cellwright.backends.cpu.layout import Layout, Panel, layout
from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import terms
from cellwright.schedule.printer import equations
from cellwright.schedule.stages import Stage

__all__ = ["emit"]


@lru_cache(maxsize=1024)
def emit(p: Program) -> str:
    """The C++ of a program's loop."""
    return "\n".join(_Emitter(layout(p)).text())


class _Emitter:
    def __init__(self, of: Layout) -> None:
        self.of = of
        self.number_of = {v: i for i, v in enumerate(of.at)}
        self.comments = equations(of.schedule)

    def text(self) -> Iterator[str]:
        of = self.of
        stages = [g for _, group in of.schedule.phases for g in group]
        products = max((len(g.products) for g in stages), default=0)
        slice_ = 48 if products <= 4 else 24 if products <= 8 else 12
        yield "// How many there are of everything."
        for name, things in (
            ("SIZES", of.sizes),
            ("INPUTS", of.inputs),
            ("OUTPUTS", of.outputs),
            ("PREVIOUS", of.previous),
            ("STATES", of.states),
            ("BUFFERS", of.buffers),
            ("CHUNKS", of.chunks),
            ("SCALARS", of.scalars),
            ("PARTIALS", of.partials),
            ("TOTALS", of.totals),
            ("VECTORS", of.vectors),
            ("NUMBERS", of.numbers),
            ("PANELS", of.panels),
            ("MATRIX_SUMS", of.matrix_sums),
            ("OUTERS", of.outers),
        ):
            yield f"constexpr int {name} = {len(things)};"
        yield f"constexpr int PRODUCTS = {products};  // of a stage, at the most"
        yield f"constexpr long SLICE = {slice_};  // rows whose products are made at once"
        yield "// Sizes, by their place among the sizes of a call; -1 for a scalar."
        for name, values in (
            ("INPUT_SIZE", of.inputs),
            ("OUTPUT_SIZE", of.outputs),
            ("STATE_SIZE", of.states),
            ("BUFFER_SIZE", of.buffers),
            ("CHUNK_SIZE", of.chunks),
            ("TOTAL_SIZE", of.totals),
            ("VECTOR_SIZE", of.vectors),
            ("PANEL_ROWS", of.matrices),
        ):
            yield _table(name, (self._size(v) for v in values))
        yield _table("PANEL_COLUMNS", (of.sizes.index(m.shape[1]) for m in of.matrices))
        yield "// Whether a stream is read or written for many steps at once, not only in the loop."
        yield _table("INPUT_OF_CHUNK", (of.is_of_chunk(v) for v in of.inputs))
        yield _table("OUTPUT_OF_CHUNK", (of.goes_out_of_chunk(v) for v in of.outputs))
        yield "// The state that goes out as it is read."
        yield _table("PREVIOUS_STATE", (of.states.index(v) for v in of.previous))
        yield "// The input that a chunk is a copy of, or -1."
        yield _table("COPY_OF", (of.inputs.index(v) if v in of.inputs else -1 for v in of.chunks))
        yield "// Outer products: left and right are chunks; the sum that each is a term of."
        for i, name in enumerate(("OUTER_LEFT", "OUTER_RIGHT")):
            yield _table(name, (of.chunks.index(pair[i]) for pair in of.outers))
        yield _table("OUTER_SUM", (of.matrix_sums.index(total) for _, _, total in of.outers))
        yield ""
        yield '#include "engine.hpp"'
        yield ""
        yield "namespace {"
        for phase, group in of.schedule.phases:
            for i, g in enumerate(group):
                yield from self._stage(phase, i, g)
        for phase, group in of.schedule.phases:
            yield ""
            yield f"void {phase}(Part& p) {{"
            for i, _ in enumerate(group):
                yield f"    {phase}_{i}(p);"
                yield "    meet(p);"
            yield "}"
        yield ""
        yield "}  // namespace"
        yield ""
        yield 'extern "C" int run(const void* kernels, const int64_t* call) {'
        yield "    return run_all((const Kernels*)kernels, call);"
        yield "}"
        yield ""

    def _size(self, v: Value) -> int:
        return self.of.sizes.index(v.shape[0]) if v.shape else -1

    # --- stages ----------------------------------------------------------------------------------

    def _stage(self, phase: str, i: int, g: Stage) -> Iterator[str]:
        leaves = self.of.stored_leaves() if (phase, i) == ("loop", 0) else ()
        sized = []
        for k, size in enumerate(self.of.sizes):
            products = [v for v in g.products if v.shape == (size,) and not self._home(v)]
            body = list(self._units(phase, i, g, size, products, leaves))
            if body:
                yield ""
                yield f"// {_title(phase, i)}: elementwise work on some rows of a block of units."
                yield "template <bool Full>"
                yield f"void {phase}_{i}_units_{k}(Part& p, long block, long from, long rows) {{"
                yield from body
                yield "}"
                sized.append((k, products))
        numbers = list(self._scalars(phase, i, g, leaves))
        if numbers:
            yield ""
            yield f"// {_title(phase, i)}: what is one number a row."
            yield f"void {phase}_{i}_scalars(Part& p) {{"
            yield from numbers
            yield "}"
        yield ""
        yield f"void {phase}_{i}(Part& p) {{"
        if numbers:
            yield f"    {phase}_{i}_scalars(p);"
        for k, v in enumerate(self.of.partials):
            if self.of.at[v] == (phase, i + 1):
                yield f"    memset(p.partial[{k}], 0, p.n * LANES * sizeof(REAL));"
        for v in g.products:
            if (home := self._home(v)) is not None:
                yield from (f"    {line}" for line in self._make(phase, i, v, home))
        for k, products in sized:
            yield f"    each_block(p, {k}, [&](long block, long from, long rows) {{"
            for slot, v in enumerate(products):
                yield from (f"        {line}" for line in self._multiply(phase, i, slot, v))
            call = f"{phase}_{i}_units_{k}"
            yield f"        if (is_full(p, {k}, block)) {call}<true>(p, block, from, rows);"
            yield f"        else {call}<false>(p, block, from, rows);"
            yield "    });"
        yield "}"

    def _make(self, phase: str, i: int, v: Value, home: tuple[str, int]) -> Iterator[str]:
        """A product where it is kept."""
        if v in self.comments:
            yield f"// {self.comments[v]}"
        size = self.of.sizes.index(v.shape[0])
        own = "false" if home[0] == "out" else "true"
        yield "make<{}>(p, {}, p.{}[{}], {{".format(own, size, *home)
        for a, panel, k in self._factors(phase, i, v):
            yield f"    {{{a}, {panel}, {k}}},"
        yield "});"

    def _multiply(self, phase: str, i: int, slot: int, v: Value) -> Iterator[str]:
        """A product of some rows and one block, to be read at once."""
        if v in self.comments:
            yield f"// {self.comments[v]}"
        yield "{"
        yield "    const Term terms[] = {"
        for a, panel, k in self._factors(phase, i, v):
            yield f"        term({a}, from, {panel}, block, {k}),"
        yield "    };"
        wide = f"width(p, {self.of.sizes.index(v.shape[0])}, block)"
        to = f"{{p.scratch + {slot} * SLICE * BLOCK, BLOCK, {wide}}}"
        yield f"    kernels->multiply({to}, rows, terms, {len(terms(v))}, false);"
        yield "}"

    def _factors(self, phase: str, i: int, v: Value) -> Iterator[tuple[str, str, str]]:
        of = self.of
        for m, x in terms(v):
            kind, k = self.source(phase, x)
            panel, columns = of.panels.index(Panel(phase, i, m)), of.sizes.index(m.shape[1])
            yield f"p.{kind}[{k}]", f"p.matrix[{panel}]", f"p.size[{columns}]"

    def _home(self, v: Value) -> tuple[str, int] | None:
        """Where a product is made right away: the one memory that it is kept in, where nothing
        else is done with it in its stage."""
        of = self.of
        used = any(v in u.args and of.at[u] == of.at[v] for u in of.at if u.op != "products")
        used |= any(s.args[0] is v for s in of.partials) or v in of.totals
        kept = [(kind, things.index(v)) for kind, things in self._kept.items() if v in things]
        kept += [("out", of.outputs.index(v))] if v in of.outputs else []
        if of.at[v][0] == "loop":
            kept += [("now", k) for k, u in enumerate(of.schedule.next) if u is v]
        return kept[0] if len(kept) == 1 and not used else None

    @property
    def _kept(self) -> dict[str, tuple[Value, ...]]:
        return {"chunk": self.of.chunks, "buffer": self.of.buffers}

    def source(self, phase: str, v: Value) -> tuple[str, int]:
        """The memory in which a phase finds a vector."""
        of = self.of
        if phase == "loop" and v in of.states:
            return "old", of.states.index(v)
        if phase == "loop" and v in of.schedule.next and of.at.get(v, ("",))[0] == phase:
            return "now", of.schedule.next.index(v)
        for kind, things in (*self._kept.items(), ("in", of.inputs), ("out", of.outputs)):
            if v in things:
                return kind, things.index(v)
        raise AssertionError(f"{v!r} is in no memory")

    # --- elementwise work ------------------------------------------------------------------------

    def _scalars(self, phase: str, i: int, g: Stage, leaves: Iterable[Value]) -> Iterator[str]:
        body = _Body(self, phase, i, None)
        for v in (*(v for v in leaves if v.shape == ()), *g.scalars):
            if v in g.scalars:
                body.compute(v)
            body.store_scalar(v)
        if body.lines:
            yield from (f"    {line}" for line in body.before)
            yield "    for (long r = 0; r < p.n; r++) {"
            yield from (f"        {line}" for line in body.lines)
            yield "    }"
            yield from (f"    {line}" for line in body.behind)

    def _units(
        self,
        phase: str,
        i: int,
        g: Stage,
        size: str,
        products: list[Value],
        leaves: Iterable[Value],
    ) -> Iterator[str]:
        of = self.of
        body = _Body(self, phase, i, size)
        own = [v for v in g.vectors if v.shape == (size,)]
        for slot, v in enumerate(products):
            body.product(v, slot)
        for v in of.partials:
            of_others = of.at[v] == (phase, i + 1) and of.at.get(v.args[0]) != (phase, i)
            if of_others and v.args[0].shape == (size,):
                body.partial(v)
        for v in (*(v for v in leaves if v.shape == (size,)), *products, *own):
            if v in own:
                body.compute(v)
            body.store(v)
        if not body.lines:
            return
        yield f"    const long wide = Full ? BLOCK : width(p, {of.sizes.index(size)}, block);"
        yield "    for (long j = 0; j < wide; j += LANES) {"
        yield "        const long at = block * BLOCK + j;"
        yield f"        const I mask = lanes(p.size[{of.sizes.index(size)}] - at);"
        yield from (f"        {line}" for line in body.before)
        yield "        for (long r = 0; r < rows; r++) {"
        yield from (f"            {line}" for line in body.lines)
        yield "        }"
        yield from (f"        {line}" for line in body.behind)
        yield "    }"


class _Body:
    """The code of one loop over rows; `size` is None where a row has one number."""

    def __init__(self, to: _Emitter, phase: str, stage: int, size: str | None) -> None:
        self.to, self.of = to, to.of
        self.phase, self.stage, self.size = phase, stage, size
        self.before: list[str] = []
        self.lines: list[str] = []
        self.behind: list[str] = []
        self.known: dict[Value, str] = {}

    def line(self, text: str) -> None:
        self.lines.append(text)

    def first(self, text: str) -> None:
        if text not in self.before:
            self.before.append(text)

    # --- values ----------------------------------------------------------------------------------

    def product(self, v: Value, slot: int) -> None:
        name = f"t{self.to.number_of[v]}"
        self.first(f"const REAL* const made{slot} = p.scratch + {slot} * SLICE * BLOCK + j;")
        self._comment(v)
        self.line(f"const V {name} = load(made{slot} + r * BLOCK);")
        self.known[v] = name

    def compute(self, v: Value) -> None:
        name = f"t{self.to.number_of[v]}"
        if v.op == "sum":
            k = self.of.partials.index(v)
            text = f"splat(added_up(load(p.partial[{k}] + r * LANES)))"
        else:
            template = TABLE[v.op].cpp
            assert template is not None, v.op
            text = template.format(*(self.value(a) for a in v.args))
        self._comment(v)
        self.line(f"const V {name} = {text};")
        self.known[v] = name

    def _comment(self, v: Value) -> None:
        if v in self.to.comments:
            self.line(f"// {self.to.comments[v]}")

    def value(self, v: Value) -> str:
        """The name that `v` has here; it is read where it is met first."""
        if v not in self.known:
            self.known[v] = self._read(v)
        return self.known[v]

    def _read(self, v: Value) -> str:
        of = self.of
        if v.op == "number":
            return f"splat(REAL({v.attr!r}))"
        if v.op == "size":
            return f"splat(REAL(p.size[{of.sizes.index(str(v.attr))}]))"
        if v in of.numbers:
            k = of.numbers.index(v)
            self.first(f"const V number{k} = splat(p.number[{k}]);")
            return f"number{k}"
        if v in of.vectors:
            k = of.vectors.index(v)
            self.first(f"const V fixed{k} = load(p.vector[{k}] + at);")
            return f"fixed{k}"
        if v in of.scalars:
            k = of.scalars.index(v)
            self.first(f"const REAL* const scalar{k} = p.scalar[{k}]{self._from};")
            name, text = f"a{k}", f"splat(scalar{k}[r])"
        elif v.shape == () and v in of.inputs:
            k = of.inputs.index(v)
            name, text = f"in{k}_r", f"splat(*({self._number('in', k)}))"
        elif v.op == "spread" and v not in of.at:
            return self.value(v.args[0])
        else:
            kind, k = self.to.source(self.phase, v)
            seen = kind in ("in", "out")
            at = self._place(kind, k)
            name, text = f"{kind}{k}_r", f"read<Full>({at}, mask)" if seen else f"load({at})"
        self.line(f"const V {name} = {text};")
        return name

    # --- places ----------------------------------------------------------------------------------

    @property
    def _from(self) -> str:
        return "" if self.size is None else " + from"

    def _number(self, kind: str, k: int) -> str:
        """Where the one number of a row lies in a stream."""
        self.first(f"REAL* const {kind}{k} = p.{kind}[{k}].at;")
        row = "r" if self.size is None else "(from + r)"
        return f"{kind}{k} + {row} * p.{kind}[{k}].row"

    def _place(self, kind: str, k: int) -> str:
        """Where some units of a row lie; rows of the engine's own memory are BLOCK apart."""
        self.first(f"REAL* const {kind}{k} = place(p.{kind}[{k}], block, from) + j;")
        if kind not in ("in", "out"):
            return f"{kind}{k} + r * BLOCK"
        self.first(f"const long {kind}{k}_row = p.{kind}[{k}].row;")
        return f"{kind}{k} + r * {kind}{k}_row"

    # --- storing ---------------------------------------------------------------------------------

    def store(self, v: Value) -> None:
        """Put a vector wherever it is wanted."""
        of = self.of
        here = of.at.get(v) == (self.phase, self.stage)
        if v in of.outputs and (here or v not in of.at):
            at = self._place("out", of.outputs.index(v))
            self.line(f"write<Full>({at}, {self.value(v)}, mask);")
        if v in of.buffers:
            self.line(f"store({self._place('buffer', of.buffers.index(v))}, {self.value(v)});")
        if v in of.chunks and v not in of.inputs and (here or v not in of.at):
            self.line(f"store({self._place('chunk', of.chunks.index(v))}, {self.value(v)});")
        if self.phase == "loop":
            for k, new in enumerate(of.schedule.next):
                if new is v:
                    self.line(f"store({self._place('now', k)}, {self.value(v)});")
        if here:
            for s in of.partials:
                if s.args[0] is v and of.at[s] == (self.phase, self.stage + 1):
                    self.partial(s)
        if here or v not in of.at:
            self._total(v)

    def store_scalar(self, v: Value) -> None:
        """Put what is one number a row wherever it is wanted."""
        of = self.of
        if v in of.scalars:
            k = of.scalars.index(v)
            self.line(f"p.scalar[{k}][r] = {self.value(v)}[0];")
        if v in of.outputs:
            self.line(f"*({self._number('out', of.outputs.index(v))}) = {self.value(v)}[0];")
        self._total(v)

    def partial(self, s: Value) -> None:
        """Add a vector to what is to be its sum over units."""
        k = self.of.partials.index(s)
        self.first(f"REAL* const partial{k} = p.partial[{k}] + from * LANES;")
        at = f"partial{k} + r * LANES"
        self.line(f"store({at}, load({at}) + within<Full>({self.value(s.args[0])}, mask));")

    def _total(self, v: Value) -> None:
        """Add a value to what is its sum over rows and steps."""
        if v not in self.of.totals:
            return
        k = self.of.totals.index(v)
        self.before.append(f"V total{k} = {{}};")
        self.line(f"total{k} += {self.value(v)};")
        if self.size is None:
            self.behind.append(f"p.total[{k}][0] += total{k}[0];")
        else:
            at = f"p.total[{k}] + at"
            self.behind.append(f"store({at}, load({at}) + total{k});")


def _title(phase: str, i: int) -> str:
    where = {"ahead": "Ahead of the loop", "loop": "A step", "behind": "Behind the loop"}[phase]
    return f"{where}, stage {i}"


def _table(name: str, numbers: Iterable[int]) -> str:
    return f"constexpr int {name}[] = {{{', '.join(str(int(k)) for k in chain(numbers, (-1,)))}}};"
