"""What changes from one cell to another: their equations side by side, the changed parts marked.

Equations are paired by the name they set. Within a pair the words of the language are compared, not
characters, and a name that only one of the cells knows is compared by what it is: `W_i x` in one
and `U_i x` in the other are the same matrix under two names, as long as the two always stand in
each other's place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import TypeAlias

from cellwright.language.cell import Cell, Equation
from cellwright.language.names import FORMS, FUNCTIONS, plain
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
    caption: str = ""
    """The first cell's."""

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

_WORD = re.compile(r"[^\W\d_]\w*(?:\[[^\]]*\])?['′]?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|\^T|\S")
_TWINS = {"⊙": "*", "−": "-", "ᵀ": "^T"} | {
    twin: name for name, operation in TABLE.items() for twin in operation.also
}
_LEARNED = ("a matrix", "a vector")


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
    def sets(self) -> str:
        """The name it sets, without a state's prime."""
        return _base(self.equation.name)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(word.key for word in self.words)


_Pair: TypeAlias = tuple[_Line | None, _Line | None]


def _plain(text: str) -> str:
    """One spelling for what has several."""
    text = _TWINS.get(text, text).replace("′", "'")
    if text[0].isalpha():
        return plain(text)
    return repr(float(text)) if text[0] in ".0123456789" and text != "." else text


def _base(name: str) -> str:
    return _plain(name).removesuffix("'")


def _names(cell: Cell) -> frozenset[str]:
    return frozenset(_plain(w) for e in cell.equations for w in _WORD.findall(e.text))


def _lines(cell: Cell, other: Cell) -> list[_Line]:
    known = _names(other)
    targets = {_plain(e.name) for e in cell.equations}

    def key(text: str) -> str:
        name = _plain(text)
        if name in known or name in FUNCTIONS or name in FORMS or not name[0].isalpha():
            return name
        if name[0].isupper():
            return _LEARNED[0]
        if name.endswith("'"):
            return "a new state"
        if f"{name}'" in targets:
            return "a state"
        return "a value" if name in targets else _LEARNED[1]

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
    """By name; then by name where one cell has made a state of it; then what alone reads alike."""
    found: dict[_Line, _Line] = {}

    def pair(key: Callable[[_Line], object]) -> None:
        lone = [line for line in right if line not in found.values()]
        times = Counter(key(line) for line in lone)
        once = {key(line): line for line in lone if times[key(line)] == 1}
        asked = Counter(key(line) for line in left if line not in found)
        for line in left:
            if line not in found and asked[key(line)] == 1 and key(line) in once:
                found[line] = once[key(line)]

    pair(lambda line: _plain(line.equation.name))
    pair(lambda line: line.sets)
    pair(lambda line: line.keys)
    return found


# --- what is marked -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Words `left` to `left + size` of one line stand for `right` to `right + size` of another."""

    left: int
    right: int
    size: int

    def gap(self, after: _Run) -> int:
        """How many words differ between this run and one behind it, on the side that has more."""
        return max(after.left - self.left, after.right - self.right) - self.size


def _matches(left: _Line, right: _Line) -> list[tuple[int, int]]:
    """Indices of the words that stand for each other.

    Where the right sides share less than half of their names nothing is the same but by chance,
    so only the left sides match.
    """
    matcher = SequenceMatcher(None, left.keys, right.keys, autojunk=False)
    runs = [_Run(*block) for block in matcher.get_matching_blocks()]
    shared = sum(left.words[i].tells for i, _ in _indices(runs) if i > 1)
    fewer = min(sum(w.tells for w in line.words[2:]) for line in (left, right))
    alike = 2 * shared >= fewer
    return [(i, j) for i, j in _indices(_without_islands(runs)) if alike or i < 2]


def _indices(runs: Sequence[_Run]) -> list[tuple[int, int]]:
    return [(run.left + i, run.right + i) for run in runs for i in range(run.size)]


def _without_islands(runs: Sequence[_Run]) -> list[_Run]:
    """Leave out runs no longer than the differences on both their sides: the eye wants one mark.

    `runs` ends with an empty one behind the last words, as difflib gives it.
    """
    kept: list[_Run] = []
    for run in runs:
        while len(kept) > 1 and kept[-1].size <= min(kept[-2].gap(kept[-1]), kept[-1].gap(run)):
            kept.pop()
        kept.append(run)
    return kept


def _not_renamed(pairs: Sequence[_Pair]) -> frozenset[tuple[str, str]]:
    """Names matched by kind that are not one thing with two names.

    One of them also matches another name, or their equations are not a pair.
    """
    both = [(left, right) for left, right in pairs if left is not None and right is not None]
    set_together = {(left.sets, right.sets) for left, right in both}
    matched = {(left.words[i], right.words[j]) for left, right in both
               for i, j in _matches(left, right) if left.words[i].private}  # fmt: skip
    names = {(a.text, b.text) for a, b in matched}
    times_left, times_right = Counter(a for a, _ in names), Counter(b for _, b in names)
    return frozenset(
        (a.text, b.text)
        for a, b in matched
        if times_left[a.text] > 1
        or times_right[b.text] > 1
        or (a.key not in _LEARNED and (_base(a.text), _base(b.text)) not in set_together)
    )


def _row(left: _Line | None, right: _Line | None, different: Collection[tuple[str, str]]) -> Row:
    same: list[tuple[int, int]] = []
    if left is not None and right is not None:
        same = [(i, j) for i, j in _matches(left, right)
                if (left.words[i].text, right.words[j].text) not in different]  # fmt: skip
    named = left or right
    assert named is not None
    return Row(
        name=named.equation.name,
        left=tuple(_spans(left, {i for i, _ in same})) if left else None,
        right=tuple(_spans(right, {j for _, j in same})) if right else None,
        caption=left.equation.caption if left else "",
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
