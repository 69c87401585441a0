"""Text to syntax: one statement a line, by the grammar in cell.lark."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import TypeVar

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from cellwright.language import mistakes
from cellwright.language.blocks import Parts, Repeated
from cellwright.language.errors import CellError, Place
from cellwright.language.syntax import (
    HEADERS,
    REPEATED,
    Apply,
    Binary,
    Call,
    Content,
    Declare,
    Equation,
    Expression,
    Init,
    Matrix,
    Name,
    Negative,
    New,
    Node,
    Number,
    Output,
    Range,
    Text,
    Whole,
)
from cellwright.program.ops import LARGEST

__all__ = ["read"]

DEEPEST = 100
"""How deep brackets, signs and matrices may nest: far beyond any paper, within Python's stack."""

DIGITS = 9
"""Of a whole number."""

_SAME_LETTERS = {0xB5: "μ", 0x2126: "Ω"}
"""The signs for micro and ohm, which keyboards have, as the letters they look like."""


class _RefusedError(Exception):
    """Raised while the parser runs: message, remedy, first and last column."""


_N = TypeVar("_N", bound=Node)


def _checked(node: _N, *inside: Node) -> _N:
    depth = 1 + max((n.depth for n in inside), default=0)
    if depth > DEEPEST:
        raise _RefusedError(
            f"this expression nests deeper than {DEEPEST}",
            "Each sign, function and bracketed matrix is a level, also in a row: give parts of it "
            "names, in equations of their own.",
            node.start,
            node.end,
        )
    object.__setattr__(node, "depth", depth)
    return node


def _end(node: Node, index: Whole) -> int:
    """Where a name with an index ends."""
    if index.start != node.end:
        raise _RefusedError(
            "an index stands right behind its name",
            "Remove the blank between them: n[2].",
            node.start,
            index.end,
        )
    return index.end


def _span(t: Token) -> tuple[int, int]:
    assert t.column is not None
    return t.column - 1, t.column - 1 + len(t)


@v_args(inline=True)
class _Build(Transformer[Token, Content]):
    """Called by the parser as it reduces: no tree, and no recursion, in between."""

    NAME = staticmethod(lambda t: Name(*_span(t), name=str(t)))
    NEW = staticmethod(lambda t: New(*_span(t), name=str(t)[:-1]))
    MATRIX = staticmethod(lambda t: Matrix(*_span(t), name=str(t)))

    def value(self, n: Name, index: Whole | None = None) -> Name:
        return n if index is None else Name(n.start, _end(n, index), name=n.name, index=index)

    def new(self, n: Name, index: Whole, prime: Token) -> New:
        _end(n, index)
        return New(n.start, _span(prime)[1], name=n.name, index=index)

    def plain(self, m: Matrix, index: Whole | None = None) -> Matrix:
        return m if index is None else Matrix(m.start, _end(m, index), name=m.name, index=index)

    def transposed(self, m: Matrix, *behind: Whole | Token) -> Matrix:
        for piece in behind:
            if isinstance(piece, Whole):
                m = self.plain(m, piece)
            else:
                m = replace(m, end=_span(piece)[1], transposed=True)
        return m

    def INTEGER(self, t: Token) -> Number:  # noqa: N802 - the terminal's name
        if len(t) > DIGITS:
            shown = t if len(t) < 20 else "this number"
            raise _RefusedError(f"{shown} is too large", "Counts are small numbers.", *_span(t))
        return Number(*_span(t), value=int(t))

    def index(self, opening: Token, whole: Whole, closing: Token) -> Whole:
        return replace(whole, start=_span(opening)[0], end=_span(closing)[1])

    def whole(self, *parts: Token | Number | Name | Matrix) -> Whole:
        terms: list[tuple[int, Number | Name]] = []
        sign, start = 1, parts[0].start if isinstance(parts[0], Node) else _span(parts[0])[0]
        for part in parts:
            if isinstance(part, Token):
                sign = 1 if part == "+" else -1
                continue
            # A count may have a capital letter, as a matrix has.
            name = Name(part.start, part.end, name=part.name) if isinstance(part, Matrix) else part
            terms.append((sign, name))
            sign = 1
        return Whole(start, terms[-1][1].end, terms=tuple(terms))

    def range(self, variable: Name, first: Whole, last: Whole) -> Range:
        return Range(variable.start, last.end, variable=variable, first=first, last=last)

    def repeated(self, content: Content, over: Range) -> Repeated:
        return Repeated(content, over)

    def NUMBER(self, t: Token) -> Number:  # noqa: N802 - the terminal's name
        value = float(t)
        if value > LARGEST:
            raise _RefusedError(
                f"{t} is too large", f"Write a number up to {LARGEST:g}.", *_span(t)
            )
        return Number(*_span(t), value=value)

    def number(self, n: Number) -> Number:
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

    def bracketed(self, opening: Token, inside: Expression, closing: Token) -> Expression:
        return replace(inside, start=_span(opening)[0], end=_span(closing)[1])

    def call(self, function: Name, *parts: Expression | Range | Token) -> Call:
        *arguments, closing = parts
        assert isinstance(closing, Token)
        over = next((a for a in arguments if isinstance(a, Range)), None)
        inside = tuple(a for a in arguments if not isinstance(a, Token | Range))
        end = _span(closing)[1]
        node = Call(function.start, end, function=function, arguments=inside, over=over)
        return _checked(node, *inside)

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

    def count(self, name: Name | Matrix, value: Number) -> Declare:
        return Declare("count", (name,), value=value.value)

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

    def size(self, name: Matrix, value: Number) -> Declare:
        return Declare("size", (name,), value=value.value)

    def output(self, *names: Name | New) -> Output:
        return Output(names)


@cache
def _parser() -> Lark:
    grammar = files("cellwright.language").joinpath("cell.lark").read_text("utf-8")
    return Lark(
        grammar, parser="lalr", start="start", transformer=_Build(), maybe_placeholders=False
    )


def read(text: str, source: str) -> Text:
    """Split a text into headers, statements and blocks; `source` names it in errors.

    Raises CellError at the first line that is no statement, TypeError for what is no string.
    """
    if not isinstance(text, str):
        raise TypeError(
            f"the text of a cell is a string, got {type(text).__name__}; cellwright.cell finds "
            "cells by name or path"
        )
    headers: list[tuple[str, str, Place]] = []
    found = Parts()
    text = text.removeprefix("\ufeff").translate(_SAME_LETTERS)
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        code, _, caption = line.partition("#")
        place = Place(source, number, line, len(line) - len(line.lstrip()), len(line.rstrip()))
        if match := re.match(r"\s*([A-Za-z]+)[ \t]*:(?!=)(.*)", line):
            word = match[1]
            if word not in HEADERS:
                raise CellError(
                    f"{word} is no header",
                    f"Headers are {', '.join(HEADERS)}.",
                    place.within(match.start(1), match.end(1)),
                )
            if word not in REPEATED and any(word == before for before, _, _ in headers):
                raise CellError(
                    f"a second {word}:",
                    "Put it on one line; only note: may be repeated.",
                    place.within(match.start(1), match.end(1)),
                )
            headers.append((word, match[2].strip(), place))
        elif code.strip():
            found.add(_line(code, place), place, caption.strip())
    found.close()
    return Text(source, tuple(headers), tuple(found.parts))


def _columns(code: str, token: Token) -> tuple[int, int]:
    """Of a token that was not expected; past the end where the line ended."""
    if token.type == "$END":
        return len(code.rstrip()), len(code.rstrip()) + 1
    return _span(token)


def _line(code: str, place: Place) -> Content | Repeated | Range:
    mistakes.brackets(code, place)
    try:
        line = _parser().parse(code)
    except UnexpectedCharacters as e:
        raise mistakes.stray(code, e.pos_in_stream or 0, place) from None
    except UnexpectedToken as e:
        raise mistakes.misplaced(code, *_columns(code, e.token), place) from None
    except _RefusedError as e:
        message, remedy, *columns = e.args
        raise CellError(message, remedy, place.within(*columns)) from None
    assert isinstance(line, Content | Repeated | Range)
    return line
