"""What changes from one cell to another: their equations side by side, the changed parts marked.

Equations are paired by the name they set. Within a pair the words of the language are compared, not
characters, and a name that only one of the cells knows is compared by what it is: `W_i x` in one
and `U_i x` in the other are the same matrix under two names, as long as the two always stand in
each other's place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import TypeAlias

from cellwright.language.cell import Cell, Equation
from cellwright.program.ops import TABLE

__all__ = ["Row", "Span", "difference"]

Span: TypeAlias = tuple[str, bool]
"""A stretch of an equation's text, and whether the other cell differs there."""


@dataclass(frozen=True)
class Row:
    """One equation of both cells, or of the one that has it."""

    name: str
    """What it sets; the first cell's name for it where they differ."""
    left: tuple[Span, ...] | None
    """The first cell's text, complete and in order; None where it has no such equation."""
    right: tuple[Span, ...] | None
    left_caption: str = ""
    right_caption: str = ""

    @property
    def changed(self) -> bool:
        """Whether the cells differ here."""
        if self.left is None or self.right is None:
            return True
        return any(mark for _, mark in self.left + self.right)


def difference(a: Cell, b: Cell) -> tuple[Row, ...]:
    """Every equation of `a` in its order, with `b`'s beside it; what only `b` has in between."""
    pairs = _paired(_lines(a, b), _lines(b, a))
    different = _not_renamed(pairs)
    return tuple(_row(left, right, different) for left, right in pairs)


# --- words --------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]\w*['′]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|\^T|\S")
_TWINS = {"⊙": "*", "−": "-", "ᵀ": "^T"} | {
    twin: name for name, operation in TABLE.items() for twin in operation.also
}


@dataclass(frozen=True)
class _Word:
    start: int
    text: str
    key: str
    """What it is compared by: its kind, if it is a name that the other cell has not."""

    @property
    def tells(self) -> bool:
        """Whether it is a name or a number; signs and brackets are alike by chance."""
        return self.text[0].isalnum()

    @property
    def private(self) -> bool:
        return self.key.startswith("a ")


@dataclass(frozen=True)
class _Line:
    equation: Equation
    words: tuple[_Word, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(word.key for word in self.words)


_Pair: TypeAlias = tuple[_Line | None, _Line | None]


def _plain(text: str) -> str:
    """One spelling for what has several."""
    text = _TWINS.get(text, text).replace("′", "'")
    return repr(float(text)) if text[0] in ".0123456789" and text != "." else text


def _names(cell: Cell) -> frozenset[str]:
    return frozenset(_plain(w) for e in cell.equations for w in _WORD.findall(e.text))


def _lines(cell: Cell, other: Cell) -> list[_Line]:
    known = _names(other)
    targets = {_plain(e.name) for e in cell.equations}

    def key(text: str) -> str:
        name = _plain(text)
        if name in known or not name[0].isalpha():
            return name
        if name[0].isupper():
            return "a matrix"
        if name.endswith("'"):
            return "a new state"
        if f"{name}'" in targets:
            return "a state"
        return "a value" if name in targets else "a learned value"

    return [_Line(e, tuple(_Word(m.start(), m[0], key(m[0])) for m in _WORD.finditer(e.text)))
            for e in cell.equations]  # fmt: skip


# --- pairs --------------------------------------------------------------------------------------


def _paired(left: Sequence[_Line], right: Sequence[_Line]) -> list[_Pair]:
    partner = _partners(left, right)
    pairs: list[_Pair] = [(line, partner.get(line)) for line in left]
    at = 0  # behind the row of the equation that precedes in `right`
    for line in right:
        if line in partner.values():
            at = next(i for i, (_, r) in enumerate(pairs, start=1) if r is line)
        else:
            pairs.insert(at, (None, line))
            at += 1
    return pairs


def _partners(left: Sequence[_Line], right: Sequence[_Line]) -> dict[_Line, _Line]:
    """By name; then, of those left over, what reads alike and nothing else does."""
    named = {_plain(line.equation.name): line for line in right}
    found = {line: named[name] for line in left if (name := _plain(line.equation.name)) in named}
    lone_left = [line for line in left if line not in found]
    lone_right = [line for line in right if line not in found.values()]
    alike = {line.keys: line for line in lone_right}
    times = Counter(line.keys for line in (*lone_left, *lone_right))
    for line in lone_left:
        if line.keys in alike and times[line.keys] == 2:
            found[line] = alike[line.keys]
    return found


# --- what is marked -----------------------------------------------------------------------------


def _matches(left: _Line, right: _Line) -> list[tuple[int, int]]:
    """Indices of the words that stand for each other.

    Where the right sides share less than half of their names nothing is the same but by chance,
    so only the left sides match.
    """
    blocks = SequenceMatcher(None, left.keys, right.keys, autojunk=False).get_matching_blocks()
    found = [(b.a + i, b.b + i) for b in blocks for i in range(b.size)]
    shared = sum(left.words[i].tells for i, _ in found if i > 1)
    fewer = min(sum(w.tells for w in line.words[2:]) for line in (left, right))
    return found if 2 * shared >= fewer else [(0, 0), (1, 1)]


def _not_renamed(pairs: Sequence[_Pair]) -> frozenset[tuple[str, str]]:
    """Names matched by kind that also match another: then they are not one thing with two names."""
    matched = {
        (left.words[i].text, right.words[j].text)
        for left, right in pairs
        if left is not None and right is not None
        for i, j in _matches(left, right)
        if left.words[i].private
    }
    times_left = Counter(name for name, _ in matched)
    times_right = Counter(name for _, name in matched)
    return frozenset((a, b) for a, b in matched if times_left[a] > 1 or times_right[b] > 1)


def _row(left: _Line | None, right: _Line | None, different: Collection[tuple[str, str]]) -> Row:
    same: list[tuple[int, int]] = []
    if left is not None and right is not None:
        same = [(i, j) for i, j in _matches(left, right)
                if (left.words[i].text, right.words[j].text) not in different]  # fmt: skip
    named = left or right
    assert named is not None
    return Row(
        name=named.equation.name,
        left=left and tuple(_spans(left, {i for i, _ in same})),
        right=right and tuple(_spans(right, {j for _, j in same})),
        left_caption=left.equation.caption if left else "",
        right_caption=right.equation.caption if right else "",
    )


def _spans(line: _Line, same: Collection[int]) -> Iterator[Span]:
    """The text in stretches; the space between two words is marked if both are."""
    text, words = line.equation.text, line.words
    if not same:
        yield text, True
        return
    marks = [False] * len(text)
    for i, word in enumerate(words):
        if i not in same:
            end = word.start + len(word.text)
            marks[word.start : end] = [True] * len(word.text)
    for (i, word), (j, following) in pairwise(enumerate(words)):
        if i not in same and j not in same:
            gap = slice(word.start + len(word.text), following.start)
            marks[gap] = [True] * len(text[gap])
    for mark, group in groupby(zip(text, marks, strict=True), key=lambda pair: pair[1]):
        yield "".join(char for char, _ in group), mark
