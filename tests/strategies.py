"""What hypothesis makes for tests: legal Programs, and texts that look like cells."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from math import e
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from cellwright.language import cell, cell_names
from cellwright.program.legality import check
from cellwright.program.ops import (
    TABLE,
    Shape,
    Value,
    build,
    constant,
    input_,
    number,
    parameter,
    size_of,
    spread,
    state,
    topological,
)
from cellwright.program.program import Constant, Named, Parameter, Program, prime

__all__ = ["FUZZED", "expressions", "programs", "texts"]

FUZZED = 2_000 if os.environ.get("CI") else 500
"""How many texts, and how many files of random bytes, the reader is given."""

# --- programs -----------------------------------------------------------------------------------

SCALAR: Shape = ()
SHAPES: tuple[Shape, ...] = (SCALAR, ("H",), ("I",), ("K",))
# Words of the language that are names too where no declaration starts, and names of all forms.
NAMES = ("i", "f", "output", "init", "λ_2", "like", "state", "aB_9", "vector", "input", "matrix",
         "scalar", "const", "z", "note", "sigma", "nU", "τ", "title", "o")  # fmt: skip
STATES = (("h", "c", "m"), ("c", "h", "s_1"), ("state_", "h", "c"))
FUNCTIONS = tuple(n for n, row in TABLE.items() if row.function)
OF_VECTORS = ("mean", "deviation", "standardize")
KINDS = ("add", "sub", "mul", "div", "neg", "apply", "apply", "sum", "spread", *FUNCTIONS)
FORMS = len(KINDS)


def programs(smooth: bool = False, sums: bool = True) -> SearchStrategy[Program]:
    """Legal programs of a few equations, of sizes H, I and K, with every operation of the table.

    `smooth` ones are differentiable where values come from `conftest.arguments`: every operation
    is kept within its domain, and values and slopes within some tens, so that float64 leaves ten
    digits of a gradient. `sums` allows sums over steps.
    """
    return _programs(smooth, sums)


@st.composite
def _programs(draw: DrawFn, smooth: bool, sums: bool) -> Program:
    make = _Maker(draw, smooth)
    x = make.leaf(input_("x", ("I",)))
    inputs = [x]
    if (shape := draw(st.sampled_from((None, None, SCALAR, ("H",))))) is not None:
        inputs.append(make.leaf(input_("u", shape)))
    sizes = ["H", *draw(st.lists(st.sampled_from("HHIK"), max_size=2))]
    names = draw(st.sampled_from(STATES))
    states = [make.leaf(state(n, s)) for n, s in zip(names, sizes, strict=False)]
    free = iter(NAMES[draw(st.integers(0, 7)) :])
    equations: list[Named] = []
    unset = list(states)
    for _ in range(draw(st.integers(2, 10))):
        v = make.value()
        what = draw(st.integers(0, 3))
        if what >= 2:
            equations.append(Named(next(free), v))
        elif what == 1 and unset and v.shape == unset[-1].shape:
            equations.append(Named(prime(unset.pop().name), v))
    for s in unset:
        v = make.any(s.shape)
        if s is states[0]:
            v = make.kept(v + (x if s.shape == x.shape else make.matrix("H", "I") @ x))
        equations.append(Named(prime(s.name), v))
    many = draw(st.integers(0, 2)) if sums else 0
    added = [Named(f"total_{i}", make.total()) for i in range(many)]
    outputs = draw(st.lists(st.sampled_from([q.name for q in equations]), min_size=1, max_size=3))
    leaves = topological(q.value for q in (*added, *equations))
    inits = st.sampled_from((None, 1.0, -2.5, 1e-7, 3e22))
    return check(
        Program(
            inputs=tuple(inputs),
            states=tuple(states),
            parameters=tuple(
                Parameter(v, draw(inits) if len(v.shape) < 2 else None)
                for v in leaves
                if v.op == "parameter"
            ),
            constants=tuple(
                Constant(v.name, draw(st.sampled_from((0.1, -1.0, 2.0))))
                for v in leaves
                if v.op == "constant"
            ),
            equations=tuple(equations),
            outputs=tuple(outputs),
            sums=tuple(added),
        ),
        "the strategy",
    )


class _Maker:
    """Builds values from those it built before, so that subexpressions are shared."""

    def __init__(self, draw: DrawFn, smooth: bool) -> None:
        self.draw = draw
        self.smooth = smooth
        self.pool: dict[Shape, list[Value]] = {shape: [] for shape in SHAPES}
        self.bounds: dict[Value, tuple[float, float]] = {}
        """About how large a value gets, and its slope by the leaves."""

    def pick(self, among: Any) -> Any:
        return among[self.draw(st.integers(0, len(among) - 1))]

    def leaf(self, v: Value) -> Value:
        self.pool[v.shape].append(v)
        return v

    def any(self, shape: Shape) -> Value:
        """A value of that shape, met before or a new leaf."""
        i = self.draw(st.integers(0, 3))
        if i and self.pool[shape]:  # mostly values met before: programs are deep and shared
            return self.pick(self.pool[shape])
        k = self.draw(st.integers(1, 2))
        if shape != SCALAR:
            return parameter(f"b_{shape[0]}_{k}", shape)
        scalars = (parameter(f"alpha_{k}", SCALAR), constant(f"dt_{k}"), size_of("HI"[k - 1]),
                   number(self.pick((0.0, 1.0, -0.5, 2.0, 1e-3))))  # fmt: skip
        return self.pick(scalars)

    def matrix(self, rows: str, columns: str) -> Value:
        if rows == "I" or (rows == columns and self.draw(st.booleans())):
            return self.matrix_of(columns, rows).T
        return self.matrix_of(rows, columns)

    def matrix_of(self, rows: str, columns: str) -> Value:
        return parameter(f"W_{rows}{columns}_{self.draw(st.integers(1, 2))}", (rows, columns))

    def value(self) -> Value:
        """A new value from old ones, kept."""
        kind = self.pick(KINDS)
        shape = self.pick(SHAPES)
        if kind == "apply":
            argument = self.any(self.pick(SHAPES[1:]))
            size = argument.shape[0]
            v = self.matrix("H" if size == "I" else self.pick("HHIK"), size) @ argument
        elif kind == "spread":
            v = spread(self.any(SCALAR), self.pick("HI"))
        elif TABLE[kind].arity > 1:
            others = range(TABLE[kind].arity - 1)
            several = [self.any(shape)]
            several += [self.any(self.pick((shape, shape, SCALAR))) for _ in others]
            if self.draw(st.booleans()):
                several.reverse()
            v = self.smoothly(kind, *several)
        elif kind in OF_VECTORS:
            v = self.smoothly(kind, self.any(self.pick(SHAPES[1:])))
        else:
            v = self.smoothly(kind, self.any(shape))
        v = self.kept(v)
        self.pool[v.shape].append(v)
        return v

    def smoothly(self, op: str, *args: Value) -> Value:
        """`op` on `args`; where it has to be smooth, on something near them in its domain."""
        a = args[0]
        if self.smooth and op in TAMED:
            return TAMED[op](*args)
        return build(op, a, *args[1:])

    def kept(self, v: Value) -> Value:
        """`v`, scaled down where it or its slope may be large; only if it has to be smooth."""
        if not self.smooth:
            return v
        bound, slope = self.bound(v)
        factor = max(bound / 8, slope / 8)
        return v * round(1 / factor, 3) if factor > 1 else v

    def bound(self, v: Value) -> tuple[float, float]:
        if v not in self.bounds:
            for w in topological([v], stop=self.bounds.__contains__):
                self.bounds.setdefault(w, _bound(w, *(self.bounds[a] for a in w.args)))
        return self.bounds[v]

    def total(self) -> Value:
        """What a sum over steps takes: also a matrix."""
        shape = self.pick((*SHAPES, ("H", "I"), ("H", "H")))
        if len(shape) < 2:
            return self.any(shape)
        v = build("outer", *(self.any((size,)) for size in shape))
        if self.draw(st.booleans()):
            v = v + build("outer", *(self.any((size,)) for size in shape))
        return v


def _uneven(v: Value) -> Value:
    """A vector near `v` whose units are not all alike: those have no standard deviation."""
    return build("tanh", v) + 3 * parameter(f"b_{v.shape[0]}_1", v.shape)


TAMED: dict[str, Callable[..., Value]] = {
    "log": lambda v: build("log", build("softplus", v) + 0.5),
    "sqrt": lambda v: build("sqrt", v * v + 1),
    "div": lambda a, b: a / (1 + b * b),
    "exp": lambda v: build("exp", build("tanh", v)),
    "sign": lambda v: build("sin", v),
    "step": lambda v: build("sigmoid", v),
    "deviation": lambda v: build("deviation", _uneven(v)),
    "standardize": lambda v: build("standardize", _uneven(v)),
}


def _bound(v: Value, *of: tuple[float, float]) -> tuple[float, float]:
    """How large `v` may be and how steep, from the same of its arguments; up to 4 units."""
    match v.op, *of:
        case "number", *_:
            assert isinstance(v.attr, float)
            return abs(v.attr), 0.0
        case "size", *_:
            return 4.0, 0.0
        case "input" | "state" | "parameter" | "constant", *_:
            return 2.0, 1.0
        case "add" | "sub", (a, s), (b, t):
            return a + b, s + t
        case "mul", (a, s), (b, t):
            return a * b, a * t + b * s
        case "div", (a, s), (b, t):  # by 1 + b * b, or by less than that is large
            return a, s + a * t / max(1.0, b) ** 0.5
        case "apply", _, (b, t):
            return 4 * b, 4 * t + b
        case "sum", (a, s):
            return 4 * a, 4 * s
        case (("min" | "max"), (a, s), (b, t)):
            return max(a, b), max(s, t)
        case "where", _, (a, s), (b, t):
            return max(a, b), max(s, t)
        case "deviation", (a, s):
            return a, s
        case "standardize", (_, s):
            return 2.0, 3 * s
        case "exp", (_, s):
            return e, e * s
        case "softplus" | "sqrt", (a, s):
            return a + 1, s
        case (("sigmoid" | "tanh" | "sin" | "cos"), (_, s)):
            return 1.0, s
        case _, (a, s), *_:
            return a, s
    return 1.0, 1.0


# --- expressions --------------------------------------------------------------------------------


def expressions() -> SearchStrategy[Value]:
    """Expressions in which brackets matter: of signs and matrices mostly."""
    return _expressions()


@st.composite
def _expressions(draw: DrawFn) -> Value:
    return _expression(draw, draw(st.integers(1, 4)))


def _expression(draw: DrawFn, depth: int) -> Value:
    H = ("H", "H")
    if not depth:
        return draw(st.sampled_from(
            (state("h", "H"), parameter("p", H[:1]), constant("dt"), number(2), number(-0.5))
        ))  # fmt: skip
    kind = draw(st.sampled_from(("add", "sub", "mul", "div", "neg", "apply", "tanh", "leaf")))
    first = _expression(draw, depth - 1 if kind != "leaf" else 0)
    if kind in ("neg", "tanh"):
        return build(kind, first)
    if kind == "apply":
        R = parameter("R", H)
        m = draw(st.sampled_from((R, R.T, parameter("V", H))))
        return m @ (first if first.shape else spread(first, "H"))
    return first if kind == "leaf" else build(kind, first, _expression(draw, depth - 1))


# --- texts --------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\w+['′]?|\^T|[^\S\n]+|.")
_EXTRA = (
    "init b_f = 1",
    "scalar alpha = 0.5",
    "const dt = .1e-1",
    "output h'",
    "note: free text",
    "h' = norm(W x + R^T h) + spread(mean(h), H)",
    "z = min(σ(x), size(I)) − max(W x, h) ⊙ sqrt(h / 2)",
    "vector p, b : H",
    "matrix W, R : (H, I)",
    "input u : I",
    "state h : H",
    "sum dW = outer(h, x) + outer(h, x)",
    "count L = 2",
    "s[l] = W[l] s[l-1] + b_s[l] for l = 1..2",
    "for k = 1..2\n  past[k]' = norm(past[k-1] * k)\n  init b[k] = k",
    "z = sum(W[j] x for j = 0..3) + past[1]'",
    "scalar a[l] for l = 1…L",
    "size K = 3",
    "state q[l] : K for l = 0..2",
    "vector p : K",
    "matrix W : (K, I)",
)
_CELLS = tuple(
    tuple(
        line.partition("#")[0].rstrip()
        for line in cell(name).text.splitlines()
        if line and not re.match(r"[a-z]+:", line)
    )
    for name in cell_names()
)


def _split(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(t for line in lines for t in (*_TOKEN.findall(line), "\n"))


_CELLS_SPLIT = tuple(_split(lines) for lines in _CELLS)
_EXTRA_SPLIT = tuple(_split((line,)) for line in _EXTRA)
_USED = tuple(sorted({t for split in (*_CELLS_SPLIT, *_EXTRA_SPLIT) for t in split}))
_ODD = (
    "(", ")", "=", "'", "^T", "ᵀ", ":", "#", "\n", "\t", "1e999", "0", "@", "Ω", "é", "\u200b",
    "\0", "sum ", "init ", "output ", "W ", "x", "h'", "c", "norm(", "outer(", ", ", "-", "\r",
    "[", "]", "[l]", "[l-1]", "[L]", "[0]", "..", " for l = 1..L", "for l = 0..2\n ",
    "count L = 2\n",
)  # fmt: skip
_WORDS = _USED + _ODD
_NAMES = tuple(w for w in _USED if w[0].isalpha() and len(w) < 4)
_SMALL = st.integers(0, 2**16 - 1)
_CHANGES = st.lists(st.tuples(st.integers(0, 6), _SMALL, _SMALL), max_size=3)


@st.composite
def _mutated(draw: DrawFn) -> str:
    """A cell of the catalogue, perhaps with another line, and up to three changes."""
    tokens = list(_CELLS_SPLIT[draw(_SMALL) % len(_CELLS_SPLIT)])
    if extra := draw(_SMALL) % (2 * len(_EXTRA)):
        tokens[:0] = _EXTRA_SPLIT[extra % len(_EXTRA)]
    for kind, a, b in draw(_CHANGES):
        at, other = a % len(tokens), b % len(tokens)
        match kind:
            case 0:
                tokens[at] = ""
            case 1:
                tokens[at] += _WORDS[b % len(_WORDS)]
            case 2:
                tokens[at] = _WORDS[b % len(_WORDS)]
            case 3:
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 4:
                tokens[at] = tokens[other]
            case _:  # a name for a name leaves the line well formed
                names = [i for i, t in enumerate(tokens) if t[:1].isalpha()]
                if names:
                    tokens[names[a % len(names)]] = _NAMES[b % len(_NAMES)]
    return "".join(tokens)


def texts() -> SearchStrategy[str]:
    """Texts near the language: lines of cells with words lost, added and exchanged; words and
    characters of the language in any order; any text at all."""
    words = st.lists(st.sampled_from(_WORDS), max_size=30)
    alphabet = "xhcWRb_iz'′=+-*⊙/()[]^Tᵀ.,:# \t\n01e9σλΣinitousarflL"
    return st.one_of(
        _mutated(),
        _mutated(),
        words.map("".join),
        words.map(" ".join),
        st.text(alphabet, max_size=60),
        st.text(max_size=60),
    )
