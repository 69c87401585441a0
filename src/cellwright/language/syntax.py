"""Syntax: what a text says, line by line, with the place of everything in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cellwright.language.errors import Place

__all__ = [
    "HEADERS",
    "REPEATED",
    "Apply",
    "Binary",
    "Call",
    "Declare",
    "Equation",
    "Expression",
    "Init",
    "Matrix",
    "Name",
    "Negative",
    "New",
    "Number",
    "Output",
    "Statement",
    "Syntax",
]

HEADERS: Mapping[str, str] = {
    "title": "what the cell is, in a few words",
    "paper": "where it was published",
    "like": "the cell it varies, for differences",
    "alias": "another name it is found under",
    "note": "what else a reader should know; may be repeated",
}
REPEATED = frozenset({"note"})
"""Headers whose lines are joined; of the others there is one."""


@dataclass(frozen=True)
class Node:
    """A piece of an expression, at columns `start` to `end` of its line."""

    start: int
    end: int
    depth: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Number(Node):
    """A literal."""

    value: float = 0.0


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
    """A matrix, where it stands alone a mistake."""

    name: str = ""
    transposed: bool = False


@dataclass(frozen=True)
class Apply(Node):
    """A matrix before the vector it is applied to."""

    matrix: Matrix = Matrix(0, 0)
    argument: Expression = Number(0, 0)


@dataclass(frozen=True)
class Call(Node):
    """A function with its arguments."""

    function: Name = Name(0, 0)
    arguments: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Binary(Node):
    """Two operands with one of + - * / between."""

    operator: str = "+"
    left: Expression = Number(0, 0)
    right: Expression = Number(0, 0)


@dataclass(frozen=True)
class Negative(Node):
    """A value with its sign changed."""

    argument: Expression = Number(0, 0)


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
        return self.place.within(node.start, node.end)


@dataclass(frozen=True)
class Syntax:
    """A whole text: headers as written, statements in order."""

    source: str
    headers: tuple[tuple[str, str, Place], ...]
    statements: tuple[Statement, ...]

    def header(self, name: str) -> str:
        """The header's text, its lines joined; empty where there is none."""
        return " ".join(text for key, text, _ in self.headers if key == name)
