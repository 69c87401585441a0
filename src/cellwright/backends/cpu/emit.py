"""C++ from a Schedule: the tables and stages that engine.hpp puts a loop around.

No name of a cell becomes an identifier: values are numbered, and equations stand in comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from textwrap import indent

from cellwright.language import print_program
from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program
from cellwright.schedule.stages import Schedule, Stage, schedule, terms

__all__ = ["Emitted", "emit"]


@dataclass(frozen=True)
class Emitted:
    """A source, and what its entry `run` takes, each in the order in which it takes them."""

    schedule: Schedule
    source: str
    sizes: tuple[str, ...]
    inputs: tuple[Value, ...]
    """Streams in, `(N, n)`; a scalar is `(N, 1)`."""
    outputs: tuple[Value, ...]
    """Streams out, as well."""
    vectors: tuple[Value, ...]
    numbers: tuple[Value, ...]
    """Scalars that are the same in every step."""
    matrices: tuple[Value, ...]


@lru_cache(maxsize=1024)
def emit(p: Program) -> Emitted:
    """The C++ of a program's loop."""
    return _Emitter(schedule(p)).emitted()


class _Emitter:
    def __init__(self, s: Schedule) -> None:
        self.schedule = s
        computed = [v for g in s.stages for v in (*g.products, *g.scalars, *g.vectors)]
        self.stage = {
            v: i for i, g in enumerate(s.stages) for v in (*g.products, *g.scalars, *g.vectors)
        }
        self.number_of = dict(zip(computed, count()))
        self.inputs = s.fed
        self.outputs = s.kept
        self.states = s.program.states
        stepped = {*computed, *s.fed, *self.states}
        fixed = dict.fromkeys(
            leaf
            for v in (*computed, *s.next)
            for a in ((v,) if v in s.next else ()) + v.args
            for leaf in (_unspread(a) if a not in stepped else a,)
            if leaf not in stepped and leaf.op not in ("number", "size")
        )
        self.vectors = tuple(v for v in fixed if len(v.shape) == 1)
        self.numbers = tuple(v for v in fixed if v.shape == ())
        self.matrices = tuple(
            dict.fromkeys(m for g in s.stages for v in g.products for m, _ in terms(v))
        )
        self.totals = tuple(t.value for t in s.totals)
        self.buffers = tuple(
            dict.fromkeys(
                a
                for v in computed
                for a in v.args
                if len(a.shape) == 1
                and a in self.stage
                and a not in s.kept
                and (self.stage[a] < self.stage[v] and v.op != "sum")
            )
        )
        self.scalars = tuple(v for g in s.stages for v in g.scalars)
        self.partials = tuple(v for v in self.scalars if v.op == "sum")
        used = (*computed, *self.inputs, *self.outputs, *self.states, *self.vectors, *s.next)
        shapes = [v.shape for v in used] + [m.shape for m in self.matrices]
        leaves = (a for v in computed for a in v.args if a.op == "size")
        self.sizes = tuple(
            dict.fromkeys([n for shape in shapes for n in shape] + [str(v.attr) for v in leaves])
        )
        lines = print_program(s.program).splitlines()
        equations = {line.split(" = ")[0]: line for line in lines if " = " in line}
        self.comments: dict[Value, str] = {}
        for e in s.names:
            self.comments.setdefault(e.value, equations[e.name])

    def emitted(self) -> Emitted:
        return Emitted(
            self.schedule,
            "\n".join(self.text()),
            self.sizes,
            self.inputs,
            self.outputs,
            self.vectors,
            self.numbers,
            self.matrices,
        )

    def text(self) -> Iterator[str]:
        products = max(len(g.products) for g in self.schedule.stages)
        chunk = 48 if products <= 4 else 24 if products <= 8 else 12
        for name, things in (
            ("SIZES", self.sizes),
            ("INPUTS", self.inputs),
            ("OUTPUTS", self.outputs),
            ("STATES", self.states),
            ("BUFFERS", self.buffers),
            ("SCALARS", self.scalars),
            ("PARTIALS", self.partials),
            ("TOTALS", self.totals),
            ("VECTORS", self.vectors),
            ("NUMBERS", self.numbers),
            ("MATRICES", self.matrices),
        ):
            yield f"constexpr int {name} = {len(things)};"
        yield f"constexpr int PRODUCTS = {products};  // of a stage, at the most"
        yield f"constexpr long CHUNK = {chunk};  // rows whose products are made at once"
        yield "// Sizes by their place among the sizes of a call; -1 for a scalar."
        for name, values in (
            ("STATE_SIZE", self.states),
            ("BUFFER_SIZE", self.buffers),
            ("TOTAL_SIZE", self.totals),
            ("VECTOR_SIZE", self.vectors),
            ("MATRIX_ROWS", self.matrices),
        ):
            yield self._table(name, (v.shape[0] if v.shape else None for v in values))
        yield self._table("MATRIX_COLUMNS", (m.shape[1] for m in self.matrices))
        yield ""
        yield '#include "engine.hpp"'
        yield ""
        yield "namespace {"
        for i, g in enumerate(self.schedule.stages):
            yield from self._stage(i, g)
        yield ""
        yield "void step(Part& p) {"
        for i, _ in enumerate(self.schedule.stages):
            yield f"    stage_{i}(p);"
            yield "    meet(p.barrier, p.sharing);"
        yield "}"
        yield ""
        yield "}  // namespace"
        yield ""
        yield 'extern "C" int run(const int64_t* call) { return run_all(call); }'
        yield ""

    def _table(self, name: str, sizes: Iterable[str | None]) -> str:
        found = [-1 if s is None else self.sizes.index(s) for s in sizes]
        return f"constexpr int {name}[] = {{{', '.join(map(str, [*found, -1]))}}};"

    # --- stages ------------------------------------------------------------------------------

    def _stage(self, i: int, g: Stage) -> Iterator[str]:
        sized: list[tuple[int, str, list[Value]]] = []
        for k, size in enumerate(self.sizes):
            products = [v for v in g.products if v.shape == (size,)]
            body = list(self._vectors(i, g, size))
            if body or products:
                yield ""
                yield f"// Stage {i}, units of size {k}: elementwise work on some rows of a block."
                yield "template <bool Full>"
                yield (f"void units_{i}_{k}(Part& p, long u, long left, long from, long rows) {{")
                yield from body
                yield "}"
                sized.append((k, size, products))
        if g.scalars:
            yield ""
            yield f"// Stage {i}: what is one number a row."
            yield f"void scalars_{i}(Part& p) {{"
            yield from self._scalars(i, g)
            yield "}"
        yield ""
        yield f"void stage_{i}(Part& p) {{"
        if g.scalars:
            yield f"    scalars_{i}(p);"
        for v in self.partials:
            if self.stage[v] == i + 1:
                k = self.partials.index(v)
                yield f"    memset(p.partial[{k}], 0, p.n * LANES * sizeof(REAL));"
        for k, _, products in sized:
            yield f"    for (long b = p.first[{k}]; b < p.last[{k}]; b++) {{"
            yield f"        const long u = b * BLOCK, left = p.size[{k}] - u;"
            yield "        for (long from = 0; from < p.n; from += CHUNK) {"
            yield "            const long rows = p.n - from < CHUNK ? p.n - from : CHUNK;"
            for at, v in enumerate(products):
                yield from indent(self._multiply(at, v), 12 * " ").splitlines()
            yield f"            if (left >= BLOCK) units_{i}_{k}<true>(p, u, left, from, rows);"
            yield f"            else units_{i}_{k}<false>(p, u, left, from, rows);"
            yield "        }"
            yield "    }"
        yield "}"

    def _multiply(self, at: int, v: Value) -> str:
        rows = []
        for m, x in terms(v):
            k = self.sizes.index(m.shape[1])
            if x in self.states:
                a, stride = f"p.old[{self.states.index(x)}]", f"p.padded[{k}]"
            elif x in self.outputs:
                o = self.outputs.index(x)
                a, stride = f"p.out[{o}].at", f"p.out[{o}].stride"
            elif x in self.inputs:
                o = self.inputs.index(x)
                a, stride = f"p.in[{o}].at", f"p.in[{o}].stride"
            else:
                a, stride = f"p.buffer[{self.buffers.index(x)}]", f"p.padded[{k}]"
            panel = f"p.panels[{self.matrices.index(m)}] + u * p.size[{k}]"
            rows.append(f"    {{{a} + from * {stride}, {stride}, {panel}, p.size[{k}]}},")
        lines = ["{", *self._comment(v), "const Term terms[] = {", *rows, "};"]
        lines.append(f"multiply(p.scratch + {at} * CHUNK * BLOCK, rows, terms, {len(rows)});")
        return "\n".join((lines[0], *("    " + line for line in lines[1:]), "}"))

    def _comment(self, v: Value) -> list[str]:
        return [f"// {self.comments[v]}"] if v in self.comments else []

    def _scalars(self, i: int, g: Stage) -> Iterator[str]:
        body = _Body(self, i, None)
        for v in g.scalars:
            body.compute(v)
            body.line(f"p.scalar[{self.scalars.index(v)}][n] = {body.value(v)}[0];")
            if v in self.outputs:
                o = self.outputs.index(v)
                body.line(f"p.out[{o}].at[n * p.out[{o}].stride] = {body.value(v)}[0];")
            body.total(v)
        yield from (f"    {line}" for line in body.before)
        yield "    for (long n = 0; n < p.n; n++) {"
        yield from (f"        {line}" for line in body.lines)
        yield "    }"
        yield from (f"    {line}" for line in body.behind)

    def _vectors(self, i: int, g: Stage, size: str) -> Iterator[str]:
        body = _Body(self, i, size)
        own = [v for v in g.vectors if v.shape == (size,)]
        products = [v for v in g.products if v.shape == (size,)]
        stored = [*products, *own]
        if i == 0:
            leaves = (*self.outputs, *self.schedule.next, *self.totals)
            stored = [
                *dict.fromkeys(v for v in leaves if v not in self.stage and v.shape == (size,)),
                *stored,
            ]
        for at, v in enumerate(products):
            body.product(v, at)
        for v in [v for v in self.partials if self.stage[v] == i + 1]:
            if v.args[0] not in self.stage and v.args[0].shape == (size,):
                body.partial(v)
        for v in stored:
            if v in own:
                body.compute(v)
            body.store(v)
        if not body.lines:
            return
        yield "    for (long j = 0; j < BLOCK && (Full || j < left); j += LANES) {"
        yield "        const long at = u + j;"
        yield "        const I mask = lanes(left - j);"
        yield from (f"        {line}" for line in body.before)
        yield "        for (long r = 0; r < rows; r++) {"
        yield from (f"            {line}" for line in body.lines)
        yield "        }"
        yield from (f"        {line}" for line in body.behind)
        yield "    }"


class _Body:
    """The code of one loop over rows; `size` is None where a row has one number."""

    def __init__(self, of: _Emitter, stage: int, size: str | None) -> None:
        self.of, self.stage, self.size = of, stage, size
        self.before: list[str] = []
        self.lines: list[str] = []
        self.behind: list[str] = []
        self.known: dict[Value, str] = {}
        self.declared: set[str] = set()

    def line(self, text: str) -> None:
        self.lines.append(text)

    def first(self, text: str) -> None:
        if text not in self.declared:
            self.declared.add(text)
            self.before.append(text)

    def product(self, v: Value, at: int) -> None:
        name = f"t{self.of.number_of[v]}"
        self.first(f"const REAL* const made{at} = p.scratch + {at} * CHUNK * BLOCK + j;")
        self.lines += self.of._comment(v)
        self.line(f"const V {name} = load(made{at} + r * BLOCK);")
        self.known[v] = name

    def compute(self, v: Value) -> None:
        name = f"t{self.of.number_of[v]}"
        if v.op == "sum":
            k = self.of.partials.index(v)
            text = f"splat(added_up(load(p.partial[{k}] + n * LANES)))"
        else:
            template = TABLE[v.op].cpp
            assert template is not None, v.op
            text = template.format(*(self.value(a) for a in v.args))
        self.lines += self.of._comment(v)
        self.line(f"const V {name} = {text};")
        self.known[v] = name

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
        if v in of.inputs:
            k = of.inputs.index(v)
            at = self._stream("in", k, v)
            text = f"read<Full>({at}, mask)" if v.shape else f"splat(*({at}))"
            name = f"x{k}"
        elif v in of.states:
            k = of.states.index(v)
            text, name = f"load({self._own('old', k, v)})", f"s{k}"
        elif v in of.scalars:
            k = of.scalars.index(v)
            self.first(f"const REAL* const scalar{k} = p.scalar[{k}]{self._from()};")
            text, name = f"splat(scalar{k}[{self._row()}])", f"a{k}"
        elif v in of.outputs:
            k = of.outputs.index(v)
            text, name = f"read<Full>({self._stream('out', k, v)}, mask)", f"y{k}"
        elif v in of.buffers:
            k = of.buffers.index(v)
            text, name = f"load({self._own('buffer', k, v)})", f"b{k}"
        else:
            assert v.op == "spread", v
            return self.value(v.args[0])
        self.line(f"const V {name} = {text};")
        return name

    def _row(self) -> str:
        return "n" if self.size is None else "r"

    def _from(self) -> str:
        return "" if self.size is None else " + from"

    def _stream(self, kind: str, k: int, v: Value) -> str:
        """Where a row of a stream lies."""
        units = " + at" if v.shape else ""
        start = "" if self.size is None else f" + from * p.{kind}[{k}].stride"
        self.first(f"REAL* const {kind}{k} = p.{kind}[{k}].at{start}{units};")
        self.first(f"const long {kind}{k}_stride = p.{kind}[{k}].stride;")
        return f"{kind}{k} + {self._row()} * {kind}{k}_stride"

    def _own(self, kind: str, k: int, v: Value) -> str:
        """Where a row of the engine's own memory lies."""
        size = self.of.sizes.index(v.shape[0])
        self.first(f"const long padded{size} = p.padded[{size}];")
        self.first(f"REAL* const {kind}{k} = p.{kind}[{k}] + from * padded{size} + at;")
        return f"{kind}{k} + r * padded{size}"

    def store(self, v: Value) -> None:
        """Put a vector wherever it is wanted."""
        of = self.of
        if v in of.outputs:
            at = self._stream("out", of.outputs.index(v), v)
            self.line(f"write<Full>({at}, {self.value(v)}, mask);")
        if v in of.buffers:
            self.line(f"store({self._own('buffer', of.buffers.index(v), v)}, {self.value(v)});")
        for k, new in enumerate(of.schedule.next):
            if new is v:
                self.line(f"store({self._own('now', k, v)}, {self.value(v)});")
        for s in of.partials:
            if s.args[0] is v and v in of.stage:
                self.partial(s)
        self.total(v)

    def partial(self, s: Value) -> None:
        """Add a vector to what is to be its sum over units."""
        k = self.of.partials.index(s)
        self.first(f"REAL* const partial{k} = p.partial[{k}] + from * LANES;")
        at = f"partial{k} + r * LANES"
        self.line(f"store({at}, load({at}) + within<Full>({self.value(s.args[0])}, mask));")

    def total(self, v: Value) -> None:
        """Add a value to what is its sum over rows and steps."""
        for k, total in enumerate(self.of.totals):
            if total is v:
                self.before.append(f"V total{k} = {{}};")
                self.line(f"total{k} += {self.value(v)};")
                if self.size is None:
                    self.behind.append(f"p.total[{k}][0] += total{k}[0];")
                else:
                    at = f"p.total[{k}] + at"
                    self.behind.append(f"store({at}, load({at}) + total{k});")


def _unspread(v: Value) -> Value:
    """A value that is the same in every step as it is passed: a repeated scalar as the scalar."""
    return v.args[0] if v.op == "spread" else v
