"""The first pass over a text: what each name is, and which sizes everything has.

Equations are gone through in the order in which a person reads them, so that the first mistake is
the one that is told.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain, count

from cellwright.language import hints
from cellwright.language import syntax as s
from cellwright.language.errors import CellError, Place
from cellwright.language.names import (
    FORMS,
    FUNCTIONS,
    base,
    check_order,
    declare,
    names_in,
    plain,
    target_of,
)
from cellwright.language.sizes import SizeClashError, Sizes
from cellwright.program.ops import TABLE, Shape
from cellwright.program.program import prime

__all__ = ["Inference"]

STATE_LETTERS = ("h", "c")
"""Never learned vectors: an equation is missing where these are read and not set."""

VECTORS = ("norm", "outer", "mean", "deviation", "standardize")
"""What takes vectors only."""
SCALARS = ("sum", "mean", "deviation")
"""What gives a scalar, whatever it takes."""

# A size while it is being inferred: a scalar has none, a vector one, a matrix two.
Extent = tuple[int, ...]


class Inference:
    """The names and sizes of one text, known once it is made.

    Raises CellError for everything that has no meaning.
    """

    def __init__(self, text: s.Syntax) -> None:
        self.text = text
        self.names = declare(text)
        self.equations = tuple(
            (st, st.content) for st in text.statements if isinstance(st.content, s.Equation)
        )
        self.gains: dict[int, str] = {}
        """The gain of each `norm`, by what the call is: repetition makes equal ones."""
        self.sizes_at: dict[str, Place] = {}
        """Where a size is named in an expression."""
        # Who declares that something has the size I says that it is another than H.
        declared = (*self.names.shapes.values(), *self.names.inputs.values())
        self._sizes = Sizes(distinct="I" in (*chain(*declared), *self.names.states.values()))
        self._extents: dict[str, Extent] = {}
        self._read: set[str] = set()
        self._supposed: set[str] = set()
        """What is a learned vector only because no line says what it is."""
        self._families = {base(n) for n in self.names.places if n.removesuffix("'") != base(n)}
        """What is set with an index: no other of its kind is learned."""
        self._here = text.statements[0]
        check_order([st for st, _ in self.equations], self.names)
        for st, equation in self.equations:
            self._here = st
            self._infer_equation(equation)
        self._unused()

    # --- what is known ------------------------------------------------------------------------

    def is_there(self, name: str) -> bool:
        """Whether an equation reads it, or it is a declared input."""
        return name in self._extents or name in self.names.inputs

    def shape(self, name: str) -> Shape:
        """Of a value, an input or a parameter; also of an input that is declared and never read."""
        if name not in self._extents:
            return self.names.inputs[name]
        return tuple(self._sizes.name(e) for e in self._extents[name])

    def state_size(self, name: str) -> str:
        """Of a state, without its prime."""
        return self._sizes.name(*self._state_extent(name))

    def final_size(self, name: str) -> str:
        """The name a size has in the end: `I` is `H` where the two are one."""
        return self._sizes.name(self._sizes.known(name))

    # --- what is inferred ---------------------------------------------------------------------

    def _infer_equation(self, equation: s.Equation) -> None:
        target = target_of(equation)
        extent = self._infer(equation.expression, matrix=equation.sum)
        if len(extent) == 2 and not equation.sum:
            raise self._error(
                "outer makes a matrix",
                "Only sum takes a matrix: sum dW = outer(…).",
                equation.expression,
            )
        if target.endswith("'"):
            own = self._state_extent(target[:-1])
            if extent:
                self._unify(own, extent, equation.expression, f"the new value of {target[:-1]}")
        elif not equation.sum:
            self._extents[target] = extent

    def _state_extent(self, name: str) -> Extent:
        return (self._sizes.known(self.names.states.get(name, "H")),)

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
                known = (*self.names.inputs, *self._extents, *self.names.updated)
                raise self._error(*hints.matrix_alone(e.name, known), e)
            case s.Apply():
                rows, columns = self._matrix(e.matrix)
                argument = self._infer(e.argument)
                if not argument:
                    raise self._error(
                        "a matrix is applied to a single number",
                        "Apply it to a vector, or multiply a vector: a * h.",
                        e.argument,
                    )
                self._check_applied(e)
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
        self._read.add(name)
        if name in self._extents:
            return self._extents[name]
        if name in self.names.inputs or (name == "x" and not self.names.inputs):
            shape = self.names.inputs.get(name, ("I",))
            self._extents[name] = tuple(self._sizes.known(n) for n in shape)
        elif name in self.names.scalars or name in self.names.constants:
            self._extents[name] = ()
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
        elif base(name) in STATE_LETTERS:
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
        elif name not in self.names.shapes and base(name) in self._families:
            raise self._error(*hints.never_set(name, self.names.places), e)
        else:
            declared = self.names.shapes.get(name)
            self._extents[name] = tuple(self._sizes.known(n) for n in declared or ()) or (
                self._sizes.new(),
            )
            if declared is None and name not in self.names.inits:
                self._supposed.add(name)
        return self._extents[name]

    def _check_applied(self, e: s.Apply) -> None:
        """Refuse a matrix on nothing but learned vectors, which is one learned vector, where no
        line says that they are learned: one may be a misspelt state."""
        numbers = {*self.names.scalars, *self.names.constants}
        read = [(name, node) for name, node in names_in(e.argument) if name not in numbers]
        if read and all(name in self._supposed for name, _ in read):
            name, node = read[0]
            known = (*self.names.inputs, "x", *self.names.updated, *self.names.places)
            hint = hints.never_varies(e.matrix.name, name, known, self.names.updated)
            raise self._error(*hint, node)

    def _matrix(self, m: s.Matrix) -> tuple[int, int]:
        if len(m.name) > 1 and (function := m.name.lower()) in (*FUNCTIONS, *FORMS):
            raise self._error(
                f"{m.name} would be a matrix, as its first letter is a capital",
                f"Write {function}(…) for the function.",
                m,
            )
        self._read.add(m.name)
        if m.name not in self._extents:
            declared = self.names.shapes.get(m.name)
            self._extents[m.name] = tuple(self._sizes.known(n) for n in declared or ()) or (
                self._sizes.new(),
                self._sizes.new(),
            )
        rows, columns = self._extents[m.name]
        return (columns, rows) if m.transposed else (rows, columns)

    def _infer_call(self, e: s.Call, matrix: bool) -> Extent:
        name = e.function.name
        if name not in FUNCTIONS and name not in FORMS:
            inside = self._here.place.text[e.arguments[0].start : e.arguments[0].end]
            hint = hints.unknown_function(name, inside, name in self._extents)
            raise self._error(*hint, e.function)
        arity = (
            TABLE[FUNCTIONS[name]].arity
            if name in FUNCTIONS
            else (2 if name in ("spread", "outer") else 1)
        )
        if len(e.arguments) != arity:
            raise self._error(
                f"{name} takes {arity} argument{'s' * (arity > 1)}, got {len(e.arguments)}",
                f"Write {hints.usage(name)}.",
                e,
            )
        if name == "size":
            self._sizes.known(self._size(e.arguments[0]))
            return ()
        if name == "spread":
            if self._infer(e.arguments[0]):
                raise self._error(
                    "spread repeats a single number, and this is a vector",
                    f"Write {hints.usage(name)}.",
                    e.arguments[0],
                )
            return (self._sizes.known(self._size(e.arguments[1])),)
        extents = [self._infer(a) for a in e.arguments]
        if name in VECTORS and not all(extents):
            raise self._error(
                f"{name} takes {'vectors' if arity > 1 else 'a vector'}, and this is "
                "a single number",
                f"Write {hints.usage(name)}.",
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
        return () if name in SCALARS else self._same(extents, e)

    def _size(self, e: s.Expression) -> str:
        if not isinstance(e, s.Matrix) or e.transposed:
            raise self._error("a size is expected here", "Write the name of a size: H or I.", e)
        self.sizes_at.setdefault(e.name, self._here.at(e))
        return e.name

    def _gain(self, e: s.Call, extent: Extent) -> None:
        """A `norm` learns a gain of its own, named after the equation it stands in."""
        assert isinstance(self._here.content, s.Equation)
        start = f"gain_{plain(self._here.content.target.name)}"
        name = next(n for i in count(1) if (n := f"{start}_{i}") not in self._taken)
        self._taken.add(name)
        self.gains[id(e)] = name
        self._extents[name] = extent

    @cached_property
    def _taken(self) -> set[str]:
        """What no gain can be called."""
        found = (node for st in self.text.statements for node in s.nodes(st.content))
        return {plain(v.name) for v in found if isinstance(v, s.Name | s.New | s.Matrix)}

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
                self._sizes.unify(left, right)
        except SizeClashError as clash:
            one, two = clash.args
            raise self._error(
                f"mixed sizes: {what} would need {one} and {two} to be equal",
                "Bring one to the size of the other with a matrix.",
                e,
            ) from None

    def _error(self, message: str, remedy: str, node: s.Node) -> CellError:
        return CellError(message, remedy, self._here.at(node))

    # --- what is left over ---------------------------------------------------------------------

    def _unused(self) -> None:
        declared = {**self.names.scalars, **self.names.constants, **self.names.shapes}
        spared = {base(name) for name in self._read if name != base(name)} | self.text.unread
        for name in declared:
            if name not in self._read and base(name) not in spared:
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
