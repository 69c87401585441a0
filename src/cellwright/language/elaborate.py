"""Syntax to Program: what each name is, which shape it has, and what is wrong with it.

Two passes over the equations. The first settles names and sizes, in the order in which a person
reads; the second builds values, whose leaves now have shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from cellwright.language import syntax as s
from cellwright.language.errors import CellError, Place
from cellwright.language.names import FORMS, FUNCTIONS, check_order, declare, target_of
from cellwright.language.sizes import SizeClashError, Sizes
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

__all__ = ["elaborate"]

EPSILON = 1e-5
"""Added to the variance in `norm`, as `torch.nn.LayerNorm` does by default."""

STATE_LETTERS = ("h", "c")
"""Never learned vectors: an equation is missing where these are read and not set."""

# A size while it is being inferred: a scalar has none, a vector one, a matrix two.
Extent = tuple[int, ...]


def elaborate(text: s.Syntax, default_output: bool = False) -> Program:
    """The Program of a text; with `default_output` its first state is the output, where the text
    names none.

    Raises CellError for everything that has no meaning: an unknown function, a name read before it
    is set, a state that is never set, a name set twice, a cycle, a matrix where a vector is
    expected and the other way round, sizes that cannot be equal.
    """
    return _Elaboration(text, default_output).run()


class _Elaboration:
    def __init__(self, text: s.Syntax, default_output: bool) -> None:
        self.text = text
        self.default_output = default_output
        self.names = declare(text)
        self.sizes = Sizes()
        self.extents: dict[str, Extent] = {}
        self.read: set[str] = set()
        self.gains: dict[tuple[int, int], str] = {}
        """The gain of each `norm`, by line and column."""
        self.sizes_at: dict[str, Place] = {}
        """Where a size is named in an expression."""
        self.here = text.statements[0]

    def run(self) -> Program:
        equations = [st for st in self.text.statements if isinstance(st.content, s.Equation)]
        check_order(equations, self.names)
        for st in equations:
            self._infer_equation(st)
        self._unused()
        values: dict[str, Value] = {}
        named: list[Named] = []
        sums: list[Named] = []
        for st in equations:
            assert isinstance(st.content, s.Equation)
            self.here = st
            target = target_of(st.content)
            value = self._build(st.content.expression, values)
            if target.endswith("'") and value.shape == ():
                value = spread(value, self._state_size(target[:-1]))
            if st.content.sum:
                sums.append(Named(target, value))
            else:
                values[target] = value
                named.append(Named(target, value))
        return self._program(named, sums, values)

    def _program(self, named: list[Named], sums: list[Named], values: dict[str, Value]) -> Program:
        leaves = topological(n.value for n in (*sums, *named))
        for n in self.names.inits:
            if n not in {v.attr for v in leaves if v.op == "parameter" and len(v.shape) == 1}:
                raise CellError(
                    f"{n} is no learned vector",
                    "init gives a learned vector its "
                    "initial value: a name with a small first letter that no equation "
                    "sets.",
                    self.names.inits_at[n],
                )
        self._check_sizes(leaves)
        gains = dict.fromkeys(self.gains.values(), 1.0)
        inits: dict[str, float | None] = {**self.names.scalars, **gains, **self.names.inits}
        inputs = self.names.inputs or ["x"]
        program = Program(
            inputs=tuple(input_(n, self._input_shape(n)) for n in inputs if self._has(n)),
            states=tuple(state(n, self._state_size(n)) for n in self._state_order()),
            parameters=tuple(
                Parameter(v, inits.get(v.name)) for v in leaves if v.op == "parameter"
            ),
            constants=tuple(Constant(n, v) for n, v in self.names.constants.items()),
            equations=tuple(named),
            outputs=tuple(self._outputs(values)),
            sums=tuple(sums),
        )
        return check(program, "elaboration")

    def _check_sizes(self, values: Iterable[Value]) -> None:
        """Refuse a size that is named, and that nothing has whose size a layer knows."""
        has = {self._state_size(n) for n in self._state_order()}
        has |= {s for shape in self.names.inputs.values() for s in shape}
        has |= {s for v in values if v.op in ("input", "parameter") for s in v.shape}
        for name, place in self.sizes_at.items():
            if self.sizes.name(self.sizes.known(name)) not in has:
                raise CellError(
                    f"nothing here has the size {name}",
                    "Write H for the size of the states, or I where x is read for the size of x.",
                    place,
                )

    # --- names ------------------------------------------------------------------------------

    def _has(self, name: str) -> bool:
        return name in self.extents or name in self.names.inputs

    def _input_shape(self, name: str) -> Shape:
        """Also of an input that is declared and never read."""
        return self._shape(name) if name in self.extents else self.names.inputs[name]

    def _state_order(self) -> list[str]:
        """Declared states as declared; else `h` first, then in the order of their equations."""
        found = [n[:-1] for n in self.names.places if n.endswith("'")]
        order = [n for n in self.names.states if n in found]
        order += [n for n in ("h", *found) if n in found and n not in order]
        return list(dict.fromkeys(order))

    def _outputs(self, values: dict[str, Value]) -> Iterable[str]:
        states = self._state_order()
        if not self.names.outputs and states and self.default_output:
            yield prime(states[0])
        for node, place in self.names.outputs:
            name = prime(node.name) if isinstance(node, s.New) else node.name
            if isinstance(node, s.Name) and prime(name) in values:
                raise CellError(
                    f"{name} is the state of the step before",
                    f"Write output {prime(name)} for its new value.",
                    place,
                )
            if name not in values:
                raise CellError(
                    f"the output {name} is no equation", "Name one, for example h'.", place
                )
            yield name

    def _unused(self) -> None:
        declared = {**self.names.scalars, **self.names.constants, **self.names.shapes}
        for name in declared:
            if name not in self.read:
                raise CellError(
                    f"{name} is declared but never used",
                    "Use it in an equation, or remove this line.",
                    self.names.places[name],
                )
        for name in self.names.states:
            if prime(name) not in self.names.places:
                raise CellError(
                    f"the state {name} is never set",
                    f"Add an equation for {prime(name)}.",
                    self.names.places[name],
                )

    # --- first pass: sizes -------------------------------------------------------------------

    def _infer_equation(self, st: s.Statement) -> None:
        assert isinstance(st.content, s.Equation)
        self.here = st
        target = target_of(st.content)
        extent = self._infer(st.content.expression, matrix=st.content.sum)
        if len(extent) == 2 and not st.content.sum:
            raise self._error(
                "outer makes a matrix",
                "Only sum takes a matrix: sum dW = outer(…).",
                st.content.expression,
            )
        if target.endswith("'"):
            own = self._state_extent(target[:-1])
            if extent:
                self._unify(own, extent, st.content.expression, f"the new value of {target[:-1]}")
        elif not st.content.sum:
            self.extents[target] = extent

    def _state_extent(self, name: str) -> Extent:
        return (self.sizes.known(self.names.states.get(name, "H")),)

    def _state_size(self, name: str) -> str:
        return self.sizes.name(*self._state_extent(name))

    def _shape(self, name: str) -> Shape:
        return tuple(self.sizes.name(e) for e in self.extents[name])

    def _infer(self, e: s.Expression, matrix: bool = False) -> Extent:
        """The sizes of an expression; `matrix` where a matrix may stand: at the top of a sum."""
        match e:
            case s.Number():
                return ()
            case s.Name():
                return self._infer_name(e)
            case s.New():
                if prime(e.name) not in self.names.places:
                    raise self._error(
                        f"{e.name}' is read, but no equation sets it",
                        f"Add an equation {e.name}' = …, or write {e.name}.",
                        e,
                    )
                return self._state_extent(e.name)
            case s.Matrix():
                raise self._error(
                    f"{e.name} is a matrix and stands alone",
                    f"Apply it to a vector, as in {e.name} x; for a learned vector use a small "
                    f"first letter: {e.name[0].lower() + e.name[1:]}.",
                    e,
                )
            case s.Apply():
                rows, columns = self._matrix(e.matrix)
                argument = self._infer(e.argument)
                if not argument:
                    raise self._error(
                        "a matrix is applied to a single number",
                        "Apply it to a vector, or multiply a vector: a * h.",
                        e.argument,
                    )
                self._unify((columns,), argument, e.argument, f"what {e.matrix.name} is applied to")
                return (rows,)
            case s.Negative():
                return self._infer(e.argument)
            case s.Binary():
                pair = [self._infer(a, matrix and e.operator == "+") for a in (e.left, e.right)]
                return self._same(pair, e)
            case s.Call():
                return self._infer_call(e, matrix)
        raise AssertionError(e)

    def _infer_name(self, e: s.Name) -> Extent:
        name = e.name
        self.read.add(name)
        if name in self.extents:
            return self.extents[name]
        if name in self.names.inputs or (name == "x" and not self.names.inputs):
            shape = self.names.inputs.get(name, ("I",))
            self.extents[name] = tuple(self.sizes.known(n) for n in shape)
        elif name in self.names.scalars or name in self.names.constants:
            self.extents[name] = ()
        elif prime(name) in self.names.places or name in self.names.states:
            return self._state_extent(name)
        elif name in self.names.sums:
            raise self._error(
                f"{name} is a sum, known after the last step only",
                "Give what it sums a name, and read that.",
                e,
            )
        elif name == "x":
            raise self._error(
                "x is read, and is none of the inputs that are declared",
                "Add a line: input x : I.",
                e,
            )
        elif name in STATE_LETTERS:
            raise self._error(
                f"the state {name} is read, but no equation sets it",
                f"Add an equation {name}' = … for its new value; a learned vector "
                "needs another name.",
                e,
            )
        elif name in FUNCTIONS or name in FORMS:
            raise self._error(
                f"{name} is a function and stands alone",
                f"Give it an argument, as in {name}(h).",
                e,
            )
        else:
            declared = self.names.shapes.get(name)
            self.extents[name] = tuple(self.sizes.known(n) for n in declared or ()) or (
                self.sizes.new(),
            )
        return self.extents[name]

    def _matrix(self, m: s.Matrix) -> tuple[int, int]:
        self.read.add(m.name)
        if m.name not in self.extents:
            declared = self.names.shapes.get(m.name)
            self.extents[m.name] = tuple(self.sizes.known(n) for n in declared or ()) or (
                self.sizes.new(),
                self.sizes.new(),
            )
        rows, columns = self.extents[m.name]
        return (columns, rows) if m.transposed else (rows, columns)

    def _infer_call(self, e: s.Call, matrix: bool) -> Extent:
        name = e.function.name
        if name not in FUNCTIONS and name not in FORMS:
            raise self._unknown_function(e)
        arity = (
            TABLE[FUNCTIONS[name]].arity
            if name in FUNCTIONS
            else (2 if name in ("spread", "outer") else 1)
        )
        if len(e.arguments) != arity:
            raise self._error(
                f"{name} takes {arity} argument{'s' * (arity > 1)}, got {len(e.arguments)}",
                f"Write {_usage(name)}.",
                e,
            )
        if name == "size":
            self.sizes.known(self._size(e.arguments[0]))
            return ()
        if name == "spread":
            if self._infer(e.arguments[0]):
                raise self._error(
                    "spread repeats a single number, and this is a vector",
                    f"Write {_usage(name)}.",
                    e.arguments[0],
                )
            return (self.sizes.known(self._size(e.arguments[1])),)
        extents = [self._infer(a) for a in e.arguments]
        if name in ("norm", "mean", "outer") and not all(extents):
            raise self._error(
                f"{name} takes {'vectors' if arity > 1 else 'a vector'}, and this is "
                "a single number",
                f"Write {_usage(name)}.",
                e.arguments[extents.index(())],
            )
        if name == "outer":
            if not matrix:
                raise self._error(
                    "outer makes a matrix", "Only sum takes a matrix: sum dW = outer(…).", e
                )
            return (*extents[0], *extents[1])
        if name == "norm":
            self._gain(e, extents[0])
            return extents[0]
        return () if name in ("sum", "mean") else self._same(extents, e)

    def _size(self, e: s.Expression) -> str:
        if not isinstance(e, s.Matrix) or e.transposed:
            raise self._error("a size is expected here", "Write the name of a size: H or I.", e)
        self.sizes_at.setdefault(e.name, self.here.at(e))
        return e.name

    def _gain(self, e: s.Call, extent: Extent) -> None:
        """A `norm` learns a gain of its own, named after the equation it stands in."""
        assert isinstance(self.here.content, s.Equation)
        base = f"gain_{self.here.content.target.name}"
        written = " ".join(st.place.text for st in self.text.statements)
        taken = {*re.findall(r"\w+", written), *self.gains.values()}
        name = next(n for i in range(1, 10**6) if (n := f"{base}_{i}") not in taken)
        self.gains[self.here.place.line, e.start] = name
        self.extents[name] = extent

    def _unknown_function(self, e: s.Call) -> CellError:
        name = e.function.name
        if name in self.extents or "_" in name or len(name) == 1:
            inside = self._source(e.arguments[0])
            remedy = f"For the product write {name} * ({inside})"
            if len(name) == 1 or "_" in name:
                remedy += f"; a matrix has a capital first letter: {name.capitalize()} ({inside})"
            return self._error(f"{name} is no function", remedy + ".", e.function)
        near = get_close_matches(name, [*FUNCTIONS, *FORMS], 1, 0.6)
        known = ", ".join(sorted({*FUNCTIONS.values(), *FORMS}))
        remedy = f"Did you mean {near[0]}? " if near else ""
        return self._error(
            f"unknown function {name}", f"{remedy}Functions are {known}.", e.function
        )

    def _source(self, e: s.Expression) -> str:
        return self.here.place.text[e.start : e.end]

    def _same(self, extents: list[Extent], e: s.Binary | s.Call) -> Extent:
        wide = [x for x in extents if x]
        for other in wide[1:]:
            what = f"the two sides of {e.operator}" if isinstance(e, s.Binary) else "its arguments"
            self._unify(wide[0], other, e, what)
        return wide[0] if wide else ()

    def _unify(self, a: Extent, b: Extent, e: s.Expression, what: str) -> None:
        if len(a) != len(b):
            raise self._error(
                f"mixed sizes: {what} are a matrix and a vector",
                "A sum takes matrices or vectors, not both.",
                e,
            )
        try:
            for left, right in zip(a, b, strict=True):
                self.sizes.unify(left, right)
        except SizeClashError as clash:
            one, two = clash.args
            raise self._error(
                f"mixed sizes: {what} would need {one} and {two} to be equal",
                "Bring one to the size of the other with a matrix.",
                e,
            ) from None

    def _error(self, message: str, remedy: str, node: s.Node) -> CellError:
        return CellError(message, remedy, self.here.at(node))

    # --- second pass: values -----------------------------------------------------------------

    def _build(self, e: s.Expression, values: dict[str, Value]) -> Value:
        match e:
            case s.Number():
                return number(e.value)
            case s.Name():
                return self._leaf(e.name, values)
            case s.New():
                return values[prime(e.name)]
            case s.Matrix():
                m = parameter(e.name, self._shape(e.name))
                return m.T if e.transposed else m
            case s.Apply():
                return self._build(e.matrix, values) @ self._build(e.argument, values)
            case s.Negative():
                return -self._build(e.argument, values)
            case s.Binary():
                op = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[e.operator]
                return build(op, self._build(e.left, values), self._build(e.right, values))
            case s.Call():
                return self._build_call(e, values)
        raise AssertionError(e)

    def _leaf(self, name: str, values: dict[str, Value]) -> Value:
        if name in values:
            return values[name]
        if name in self.names.constants:
            return constant(name)
        if prime(name) in self.names.places:
            return state(name, self._state_size(name))
        if name in self.names.inputs or (name == "x" and not self.names.inputs):
            return input_(name, self._shape(name))
        return parameter(name, self._shape(name))

    def _build_call(self, e: s.Call, values: dict[str, Value]) -> Value:
        name = e.function.name
        if name == "size":
            return size_of(self._resolved(e.arguments[0]))
        if name == "spread":
            return spread(self._build(e.arguments[0], values), self._resolved(e.arguments[1]))
        arguments = [self._build(a, values) for a in e.arguments]
        if name == "mean":
            return _mean(arguments[0])
        if name == "norm":
            centred = arguments[0] - _mean(arguments[0])
            deviation = build("sqrt", _mean(centred * centred) + EPSILON)
            gain = self.gains[self.here.place.line, e.start]
            return parameter(gain, self._shape(gain)) * (centred / deviation)
        return build(FUNCTIONS.get(name, name), *arguments)

    def _resolved(self, e: s.Expression) -> str:
        """A size by the name it has in the end: `I` is `H` where the two are one."""
        return self.sizes.name(self.sizes.known(self._size(e)))


def _mean(x: Value) -> Value:
    return build("sum", x) / size_of(*x.shape)


def _usage(name: str) -> str:
    if name in FORMS:
        return FORMS[name][0]
    return f"{name}({', '.join('ab'[: TABLE[FUNCTIONS[name]].arity])})"
