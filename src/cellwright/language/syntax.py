"""Text to syntax: one statement a line, with the place of everything in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from math import isinf
from typing import TypeAlias, TypeVar

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from cellwright.language.errors import CellError, Place

__all__ = [
    "HEADERS", "Apply", "Binary", "Call", "Declare", "Equation", "Expression", "Init", "Matrix",
    "Name", "Negative", "New", "Number", "Output", "Statement", "Syntax", "read",
]  # fmt: skip

HEADERS: Mapping[str, str] = {
    "title": "what the cell is, in a few words",
    "paper": "where it was published",
    "like": "the cell it varies, for differences",
    "alias": "another name it is found under",
    "note": "what else a reader should know; may be repeated",
}
DEEPEST = 100
"""How deep brackets, signs and matrices may nest: far beyond any paper, within Python's stack."""


@dataclass(frozen=True)
class Node:
    """A piece of an expression, at columns `start` to `end` of its line."""

    start: int
    end: int
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Number(Node):
    value: float = 0.0  # noqa: D101


@dataclass(frozen=True)
class Name(Node):
    """A value by its name: an input, a state of the step before, an equation, a learned vector."""

    name: str = ""


@dataclass(frozen=True)
class New(Node):
    """The new value of a state: `c'`; the name comes without the prime."""

    name: str = ""


@dataclass(frozen=True)
class Matrix(Node):
    name: str = ""  # noqa: D101
    transposed: bool = False


@dataclass(frozen=True)
class Apply(Node):
    """A matrix before the vector it is applied to."""

    matrix: Matrix = Matrix(0, 0)
    argument: Expression = Number(0, 0)


@dataclass(frozen=True)
class Call(Node):
    function: Name = Name(0, 0)  # noqa: D101
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Binary(Node):
    operator: str = "+"  # noqa: D101
    left: Expression = Number(0, 0)
    right: Expression = Number(0, 0)


@dataclass(frozen=True)
class Negative(Node):
    argument: Expression = Number(0, 0)  # noqa: D101


Expression: TypeAlias = Number | Name | New | Matrix | Apply | Call | Binary | Negative


@dataclass(frozen=True)
class Equation:
    """`target = expression`, or `sum target = expression`."""

    target: Name | New
    expression: Expression
    sum: bool = False


@dataclass(frozen=True)
class Init:
    """`init name = value`."""

    target: Name
    value: float


@dataclass(frozen=True)
class Declare:
    """`scalar`, `const`, `input`, `state`, `vector` or `matrix`: names with a shape or a number."""

    kind: str
    names: tuple[Name | Matrix, ...]
    shape: tuple[Matrix, ...] = ()
    """Size names, which look like matrices."""
    value: float | None = None


@dataclass(frozen=True)
class Output:
    """`output name, …`."""

    names: tuple[Name | New, ...]


Content: TypeAlias = Equation | Init | Declare | Output


@dataclass(frozen=True)
class Statement:
    """One line that is not a header."""

    content: Content
    place: Place
    """The whole line, without its caption."""
    caption: str

    def at(self, node: Node) -> Place:
        """The place of a part of the line."""
        p = self.place
        return Place(p.source, p.line, p.text, node.start, node.end)


@dataclass(frozen=True)
class Syntax:
    """A whole text: headers as written, statements in order."""

    source: str
    headers: tuple[tuple[str, str, Place], ...]
    statements: tuple[Statement, ...]

    def header(self, name: str) -> str:
        """The header's text, its lines joined; empty where there is none."""
        return " ".join(text for key, text, _ in self.headers if key == name)


class _RefusedError(Exception):
    """Raised while the parser runs: message, remedy, first and last column."""


_N = TypeVar("_N", bound=Node)


def _checked(node: _N, *inside: Node) -> _N:
    depth = 1 + max((n.depth for n in inside), default=0)
    if depth > DEEPEST:
        raise _RefusedError(f"this expression nests deeper than {DEEPEST}",
                            "Give parts of it names, in equations of their own.",
                            node.start, node.end)  # fmt: skip
    object.__setattr__(node, "depth", depth)
    return node


def _span(t: Token) -> tuple[int, int]:
    assert t.column is not None
    return t.column - 1, t.column - 1 + len(t)


@v_args(inline=True)
class _Build(Transformer[Token, Content]):
    """Called by the parser as it reduces: no tree, and no recursion, in between."""

    NAME = staticmethod(lambda t: Name(*_span(t), name=str(t)))
    NEW = staticmethod(lambda t: New(*_span(t), name=str(t)[:-1]))
    MATRIX = staticmethod(lambda t: Matrix(*_span(t), name=str(t)))

    def matrix_(self, m: Matrix, transpose: Token | None = None) -> Matrix:
        end = m.end if transpose is None else _span(transpose)[1]
        return Matrix(m.start, end, name=m.name, transposed=transpose is not None)

    def NUMBER(self, t: Token) -> Number:  # noqa: N802 - the terminal's name
        value = float(t)
        if isinf(value):
            raise _RefusedError(f"{t} is too large", "Write a number below 1e308.", *_span(t))
        return Number(*_span(t), value=value)

    def number(self, n: Number) -> Number:
        return n

    def name(self, n: Name) -> Name:
        return n

    def new(self, n: New) -> New:
        return n

    def binary(self, left: Expression, operator: Token, right: Expression) -> Binary:
        symbol = {"⊙": "*", "−": "-"}.get(operator, str(operator))
        node = Binary(left.start, right.end, operator=symbol, left=left, right=right)
        return _checked(node, left, right)

    def negative(self, sign: Token, argument: Expression) -> Negative:
        return _checked(Negative(_span(sign)[0], argument.end, argument=argument), argument)

    def apply(self, matrix: Matrix, argument: Expression) -> Apply:
        node = Apply(matrix.start, argument.end, matrix=matrix, argument=argument)
        return _checked(node, argument)

    def call(self, function: Name, *arguments: Expression) -> Call:
        node = Call(function.start, arguments[-1].end, function=function, arguments=arguments)
        return _checked(node, *arguments)

    def signed(self, *parts: Token | Number) -> float:
        number = parts[-1]
        assert isinstance(number, Number)
        return number.value if len(parts) == 1 else -number.value

    def equation(self, target: Name | New, expression: Expression) -> Equation:
        return Equation(target, expression)

    def sum(self, target: Name, expression: Expression) -> Equation:
        return Equation(target, expression, sum=True)

    def init(self, target: Name, value: float) -> Init:
        return Init(target, value)

    def scalar(self, name: Name, value: float | None = None) -> Declare:
        return Declare("scalar", (name,), value=value)

    def const(self, name: Name, value: float) -> Declare:
        return Declare("const", (name,), value=value)

    def input(self, name: Name, *size: Matrix) -> Declare:
        return Declare("input", (name,), size)

    def state(self, name: Name, size: Matrix) -> Declare:
        return Declare("state", (name,), (size,))

    def vector(self, *parts: Name | Matrix) -> Declare:
        size = parts[-1]
        assert isinstance(size, Matrix)
        return Declare("vector", parts[:-1], (size,))

    def matrix(self, *parts: Matrix) -> Declare:
        return Declare("matrix", parts[:-2], parts[-2:])

    def output(self, *names: Name | New) -> Output:
        return Output(names)


@cache
def _parser() -> Lark:
    grammar = files("cellwright.language").joinpath("cell.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", start="statement", transformer=_Build(),
                maybe_placeholders=False)  # fmt: skip


def read(text: str, source: str) -> Syntax:
    """Split a text into headers and statements; `source` names it in errors.

    Raises CellError at the first line that is no statement.
    """
    headers: list[tuple[str, str, Place]] = []
    statements: list[Statement] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
        code, _, caption = line.partition("#")
        place = Place(source, number, line, len(line) - len(line.lstrip()), len(line.rstrip()))
        if match := re.match(r"\s*([A-Za-z]+)[ \t]*:(?!=)(.*)", line):
            word = match[1]
            if word not in HEADERS:
                raise CellError(f"{word} is no header", f"Headers are {', '.join(HEADERS)}.",
                                _within(place, match.start(1), match.end(1)))  # fmt: skip
            headers.append((word, match[2].strip(), place))
        elif code.strip():
            statements.append(Statement(_statement(code, place), place, caption.strip()))
    if not statements:
        raise CellError("there is no equation here",
                        "Write at least one, for example h' = tanh(W x + R h + b).", source)
    return Syntax(source, tuple(headers), tuple(statements))


def _within(place: Place, start: int, end: int) -> Place:
    return Place(place.source, place.line, place.text, start, end)


def _statement(code: str, place: Place) -> Content:
    _brackets(code, place)
    try:
        content = _parser().parse(code)
    except UnexpectedCharacters as e:
        raise _stray(code, e.pos_in_stream or 0, place) from None
    except UnexpectedToken as e:
        raise _unexpected(code, e, place) from None
    except _RefusedError as e:
        message, remedy, *columns = e.args
        raise CellError(message, remedy, _within(place, *columns)) from None
    assert isinstance(content, Content)
    return content


def _brackets(code: str, place: Place) -> None:
    opened: list[int] = []
    for column, char in enumerate(code):
        if char == "(":
            opened.append(column)
        elif char == ")" and not opened:
            raise CellError("this bracket closes none", "Remove it, or open one before it with (.",
                            _within(place, column, column + 1))  # fmt: skip
        elif char == ")":
            opened.pop()
    if opened:
        raise CellError("this bracket is never closed",
                        "Close it with ) on the same line: an equation is one line.",
                        _within(place, opened[-1], opened[-1] + 1))  # fmt: skip


_INSTEAD = {
    "^": "There are no powers: write v * v. The transpose of a matrix is R^T.",
    "@": "A matrix stands before its vector without a sign: W x.",
    "×": "Write * for the elementwise product.",
    "∘": "Write * for the elementwise product.",
    "·": "Write * for the elementwise product.",
    "[": "Group with round brackets: ( ).",
    "{": "Group with round brackets: ( ).",
    "'": "A prime follows the name of a state: c' is its new value. There is only one.",
    "′": "A prime follows the name of a state: c' is its new value. There is only one.",
    ":": f"A header stands at the start of a line and is one of {', '.join(HEADERS)}.",
    "<": "There are no comparisons: write step(a - b) for 1 where a > b, else 0.",
    ">": "There are no comparisons: write step(a - b) for 1 where a > b, else 0.",
    ";": "Write one equation a line.",
    "_": "A name starts with a letter.",
}


def _stray(code: str, column: int, place: Place) -> CellError:
    char = code[column]
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    if char in _ACCEPTED:
        return _misplaced(code, column, column + 1, place)
    remedy = _INSTEAD.get(char) or (
        "Names are written in Latin or Greek letters, digits and _ (the language has σ for sigmoid)."
        if char.isalpha()
        else "Remove it. An equation has names, numbers, + - * / ( ) , and the prime of c'."
    )
    return CellError(f"{shown!r} means nothing here" if char.isprintable()
                     else f"the character {shown} means nothing here",
                     remedy, _within(place, column, column + 1))  # fmt: skip


_ACCEPTED = frozenset("+-−*⊙/(),=.0123456789") | frozenset(
    chr(c) for r in ((65, 91), (97, 123), (0x391, 0x3AA), (0x3B1, 0x3CA)) for c in range(*r)
)
"""Characters of the language: where one is refused it is in the wrong place, not a stray."""


def _unexpected(code: str, error: UnexpectedToken, place: Place) -> CellError:
    token = error.token
    if token.type == "$END":
        return _misplaced(code, len(code.rstrip()), len(code.rstrip()) + 1, place)
    return _misplaced(code, *_span(token), place)


_PIECE = re.compile(r"[A-Za-zΑ-Ωα-ω][A-Za-zΑ-Ωα-ω0-9_]*['′]?|[0-9.]+(?:[eE][+-]?\d+)?|\S")


def _misplaced(code: str, start: int, end: int, place: Place) -> CellError:
    """The language's own characters in an order it has no meaning for."""
    here = _within(place, start, end)
    before = list(_pieces(code[:start]))
    last = before[-1] if before else ""
    found = match[0] if (match := _PIECE.match(code, start)) else ""
    if found:
        here = _within(place, start, start + len(found))
    if "=" not in code:
        return CellError("this is no equation", "Write name = expression; a comment starts with #.",
                         _within(place, place.start, len(code.rstrip())))  # fmt: skip
    if found == "=" and "=" in before:
        return CellError("a second = in one line", "Write one equation a line.", here)
    if found == "=" or (found and "=" not in before):
        return CellError(f"{found} is not expected before the =",
                         "The left side is one name: i = …, or h' = … for a state.", here)  # fmt: skip
    if not found:
        return CellError("the equation ends too early",
                         f"After {last} a value is expected: a name, a number, a function "
                         "or a bracket.", here)  # fmt: skip
    if _ends_value(last) and (found[0].isalnum() or found[0] in "(."):
        return _side_by_side(last, found, here)
    return CellError(f"{found} is not expected after {last}",
                     "Here a value is expected: a name, a number, a function or a bracket.",
                     here)  # fmt: skip


def _side_by_side(last: str, found: str, here: Place) -> CellError:
    if last[0].isalpha() and last[-1] not in "'′":
        matrix = last[0].upper() + last[1:]
        remedy = (f"Write {last} * {found} for the elementwise product, or {matrix} {found} if "
                  f"{last} is a matrix: matrices have a capital first letter.")  # fmt: skip
    else:
        remedy = f"Write {last} * {found} for the elementwise product."
    return CellError(f"two values side by side: {last} {found}", remedy, here)


def _pieces(code: str) -> Iterator[str]:
    return (m[0] for m in _PIECE.finditer(code))


def _ends_value(piece: str) -> bool:
    return bool(piece) and (piece[0].isalnum() or piece == ")")
