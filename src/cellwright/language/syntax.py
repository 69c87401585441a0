"""Syntax: what a text says, line by line, with the place of everything in it.

A `Text` is as it was read, with repetitions; a `Syntax` has those spelled out (repetition.py), and
neither indices nor ranges: there the name of `n[l]`, for l = 2, is `n[2]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from cellwright.language.errors import Place

__all__ = [
    "HEADERS",
    "REPEATED",
    "Apply",
    "Binary",
    "Block",
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
    "Part",
    "Range",
    "Statement",
    "Syntax",
    "Text",
    "Whole",
    "is_number",
    "mentioned",
    "named",
    "nodes",
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
    index: Whole | None = None


@dataclass(frozen=True)
class New(Node):
    """The new value of a state: `c'`; the name comes without the prime."""

    name: str = ""
    index: Whole | None = None


@dataclass(frozen=True)
class Matrix(Node):
    """A matrix, where it stands alone a mistake."""

    name: str = ""
    transposed: bool = False
    index: Whole | None = None


@dataclass(frozen=True)
class Whole(Node):
    """A whole number, as `l - 1`: an index, or one end of a range."""

    terms: tuple[tuple[int, Number | Name], ...] = ()
    """Each with its sign, 1 or -1."""


@dataclass(frozen=True)
class Range(Node):
    """`for l = 2..L`: what a name stands for, one after the other."""

    variable: Name = Name(0, 0)
    first: Whole = Whole(0, 0)
    last: Whole = Whole(0, 0)


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
    over: Range | None = None


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
    """`scalar`, `const`, `count`, `size`, `input`, `state`, `vector` or `matrix`: names with a
    shape or a number."""

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
    spelled: str = ""
    """An equation's text, with numbers in the place of what is repeated; known in a Syntax."""

    def at(self, node: Node) -> Place:
        """The place of a part of the line."""
        return self.place.within(node.start, node.end)


@dataclass(frozen=True)
class Block:
    """What a `for` repeats: the lines indented below it, or the line that it ends."""

    over: Range
    place: Place
    """Of the line with the `for`."""
    caption: str
    parts: tuple[Part, ...]


Part: TypeAlias = Statement | Block


@dataclass(frozen=True)
class _Headed:
    source: str
    headers: tuple[tuple[str, str, Place], ...]

    def header(self, name: str) -> str:
        """The header's text, its lines joined; empty where there is none."""
        return " ".join(text for key, text, _ in self.headers if key == name)


@dataclass(frozen=True)
class Text(_Headed):
    """A whole text as it was read: headers as written, statements and repetitions in order."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Syntax(_Headed):
    """A whole text: headers as written, statements in order, each as often as it is repeated."""

    statements: tuple[Statement, ...]
    unread: frozenset[str]
    """Names, without indices, that are read in what is repeated 0 times."""


def nodes(of: Node | Content) -> Iterator[Node]:
    """Everything that a statement or a part of one consists of, from left to right."""
    stack: list[Any] = [of]
    while stack:
        top = stack.pop()
        if isinstance(top, Node):
            yield top
        if isinstance(top, Sequence) and not isinstance(top, str):
            stack.extend(reversed(top))
        elif isinstance(top, Node | Equation | Init | Declare | Output):
            stack.extend(getattr(top, f.name) for f in reversed(fields(top)))


def named(of: Node | Content) -> set[str]:
    """Every name in a statement or a part of one, without indices."""
    return {node.name for node in nodes(of) if isinstance(node, Name | New | Matrix)}


def settled(parts: Iterable[Part]) -> dict[str, int]:
    """The names without indices that some lines set or declare, counts and sizes aside, and the
    first line of each."""
    found: dict[str, int] = {}
    for part in parts:
        if isinstance(part, Block):
            found = settled(part.parts) | found
        elif not is_number(part):
            for node in _targets(part.content):
                if node.index is None:
                    found.setdefault(node.name, part.place.line)
    return found


def _targets(content: Content) -> tuple[Name | New | Matrix, ...]:
    match content:
        case Equation(target) | Init(target):
            return (target,)
        case Declare(_, names):
            return names
        case Output():
            return ()


def mentioned(parts: Iterable[Part]) -> set[str]:
    """Every name in some lines, those aside that declare a count or a size."""
    found: set[str] = set()
    for part in parts:
        if isinstance(part, Block):
            found |= mentioned(part.parts) | named(part.over)
        elif not is_number(part):
            found |= named(part.content)
    return found


def is_number(part: Part) -> bool:
    """Whether it declares a count or a size."""
    content = part.content if isinstance(part, Statement) else None
    return isinstance(content, Declare) and content.kind in ("count", "size")
