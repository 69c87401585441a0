"""Repetition spelled out: `for l = 2..L` and `n[l]`, so that nothing behind this knows of either.

A name with an index becomes one with a number: `n[l]`, for l = 2, is `n[2]`, which programs call
`n_2` (`names.plain`). Counts, and what a `for` counts, are numbers wherever a value can stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from cellwright.language import syntax as s
from cellwright.language.errors import CellError, Place
from cellwright.language.names import FORMS, FUNCTIONS, plain

__all__ = ["MOST", "unrolled"]

MOST = 30_000
"""What repetition may make, of names, numbers and operations, and for each eight letters of them:
hundreds of layers, and more than an engine is built for."""

CHAIN = 32
"""Terms of a sum in a row; a longer one is a sum of sums, so that no expression nests too deep."""

_N = TypeVar("_N", bound=s.Name | s.New | s.Matrix)


def unrolled(text: s.Text, counts: Mapping[str, int]) -> s.Syntax:
    """A text with everything as often as it says, given what its counts are.

    Raises CellError for an index that is none, for another use of a name that is a number, for a
    range that ends before it begins, and for more than `MOST`.
    """
    work = _Unrolling(counts, s.settled(text.parts))
    statements = tuple(work.parts(text.parts))
    if not statements:
        raise CellError(
            "there is no equation here",
            "Write at least one, for example h' = tanh(W x + R h + b).",
            text.source,
        )
    return s.Syntax(text.source, text.headers, statements, frozenset(work.unread))


class _Unrolling:
    def __init__(self, counts: Mapping[str, int], settled: Mapping[str, int]) -> None:
        self.settled = settled
        self.known = dict(counts)
        """Counts, and the variables of the ranges around here."""
        self.running: dict[str, Place] = {}
        """Those variables, from outside inwards, with the places of their ranges."""
        self.used: dict[str, None] = {}
        """What this line reads of `known`."""
        self.made = 0
        self.passed: set[int] = set()
        """Blocks that have been found empty."""
        self.unread: set[str] = set()
        self.written: dict[str, tuple[str, int]] = {}
        """Names as they are written, and the line, by what programs call them."""

    def parts(self, parts: Iterable[s.Part]) -> Iterator[s.Statement]:
        for part in parts:
            if isinstance(part, s.Block):
                yield from self._block(part)
            elif not s.is_number(part):
                yield self._statement(part)

    def _block(self, block: s.Block) -> Iterator[s.Statement]:
        self.here, self.used = block.place, {}
        self._count()
        times = self._times(block.over)
        if not times and id(block) not in self.passed:
            self.passed.add(id(block))
            self.unread |= s.mentioned(block.parts)
        for n in times:
            self.here = block.place
            self._enter(block.over, n)
            yield from self.parts(block.parts)
            self._leave()

    def _statement(self, st: s.Statement) -> s.Statement:
        self.here, self.used = st.place, {}
        content, spelled = self._content(st.content), self._spelled(st)
        self._count(1 + len(spelled) // 8)
        return s.Statement(content, replace(st.place, when=self._when()), st.caption, spelled)

    def _content(self, content: s.Content) -> s.Content:
        match content:
            case s.Equation(target, expression):
                return replace(
                    content, target=self._free(target), expression=self._expression(expression)
                )
            case s.Init(target):
                return replace(content, target=self._free(target))
            case s.Declare(_, names):
                return replace(content, names=tuple(map(self._free, names)))
            case s.Output(names):
                return s.Output(tuple(map(self._free, names)))

    # --- ranges -------------------------------------------------------------------------------

    def _times(self, over: s.Range) -> range:
        self._named(over.variable)
        name = over.variable.name
        if name in self.known or name == "x" or name in FUNCTIONS or name in FORMS:
            raise self._error(
                f"{name} stands for something else here",
                "Give what is counted a name of its own.",
                over.variable,
            )
        if name in self.settled:
            raise self._error(
                f"{name} stands for something else here",
                f"Line {self.settled[name]} sets it: give what is counted a name of its own.",
                over.variable,
            )
        first, last = self._whole(over.first), self._whole(over.last)
        if last < first - 1:
            raise self._error(
                f"{first}..{last} ends before it begins",
                "A range may be empty, as 1..0 is, and no less: a count is too small here.",
                over,
            )
        if last - first >= MOST:
            raise self._too_many(self._place(over))
        return range(first, last + 1)

    def _enter(self, over: s.Range, n: int) -> None:
        self.known[over.variable.name] = n
        self.running[over.variable.name] = self._place(over)
        self._count()

    def _leave(self) -> None:
        name, _ = self.running.popitem()
        del self.known[name]

    def _count(self, made: int = 1) -> None:
        if self.running:
            self.made += made
            if self.made > MOST:
                [*_, innermost] = self.running.values()
                raise self._too_many(innermost)

    def _too_many(self, over: Place) -> CellError:
        return CellError(
            "repetition makes too much of this",
            "Hundreds of layers and thousands of steps are too many: is a count too large?",
            replace(over, when=self._when()),
        )

    # --- names and indices --------------------------------------------------------------------

    def _whole(self, whole: s.Whole) -> int:
        self._count(len(whole.terms))
        total = 0
        for sign, term in whole.terms:
            if isinstance(term, s.Name) and term.name not in self.known:
                raise self._error(
                    f"{term.name} is no count, nor the variable of a for around this",
                    f"Declare it, as count {term.name} = 2; for a value from the step before, "
                    "write the name of the state alone.",
                    term,
                )
            if isinstance(term, s.Name):
                self.used[term.name] = None
                total += sign * self.known[term.name]
            else:
                total += sign * int(term.value)
        return total

    def _free(self, node: _N) -> _N:
        """A name that stands for no number."""
        if node.index is None and node.name in self.known:
            kind = "the variable of a for" if node.name in self.running else "a count"
            raise self._error(
                f"{node.name} is {kind}, and so a number",
                f"Give this another name; the product with a number is {node.name} * h.",
                node,
            )
        return self._named(node)

    def _named(self, node: _N) -> _N:
        if node.index is not None:
            node = self._indexed(node, node.index)
        first, line = self.written.setdefault(plain(node.name), (node.name, self.here.line))
        if first != node.name:
            raise self._error(
                f"{node.name} and {first}, of line {line}, would both be {plain(first)} in layers",
                "Give one of them another name.",
                node,
            )
        return node

    def _indexed(self, node: _N, index: s.Whole) -> _N:
        if node.name in FUNCTIONS or node.name in FORMS:
            raise self._error(
                f"{node.name} is a function and has no index",
                f"Write {node.name}(…), with round brackets.",
                node,
            )
        if node.name == "x":
            raise self._error(
                "x is the input of this step, and has no index",
                "A state keeps earlier ones: past[1]' = x, and past[k]' = past[k-1] for k = 2..K.",
                node,
            )
        n = self._whole(index)
        if n < 0:
            raise self._error(
                f"{node.name}[{n}] has an index below 0",
                "Begin the range later, or write what comes first on a line of its own.",
                node,
            )
        return replace(node, name=f"{node.name}[{n}]", index=None)

    # --- expressions --------------------------------------------------------------------------

    def _expression(self, e: s.Expression) -> s.Expression:
        self._count()
        match e:
            case s.Name(index=None, name=n) | s.Matrix(index=None, transposed=False, name=n) if (
                n in self.known
            ):
                self.used[n] = None
                return s.Number(e.start, e.end, value=self.known[n])
            case s.Name() | s.Matrix() | s.New():
                return self._free(e)
            case s.Apply(matrix=matrix, argument=argument):
                return replace(e, matrix=self._free(matrix), argument=self._expression(argument))
            case s.Negative(argument=argument):
                return replace(e, argument=self._expression(argument))
            case s.Binary(left=left, right=right):
                return replace(e, left=self._expression(left), right=self._expression(right))
            case s.Call(arguments=arguments, over=None):
                return replace(e, arguments=tuple(map(self._expression, arguments)))
            case s.Call(over=over):
                assert over is not None
                return self._sum(e, over)
        return e

    def _sum(self, e: s.Call, over: s.Range) -> s.Expression:
        if e.function.name != "sum" or len(e.arguments) != 1:
            raise self._error(
                "only a sum of one value takes a for",
                f"Write sum(v[k] for {over.variable.name} = …), and the function around it.",
                e,
            )
        [argument] = e.arguments
        times = self._times(over)
        if not times:
            self.unread |= s.named(argument)
            return s.Number(e.start, e.end, value=0.0)
        terms = []
        for n in times:
            self._enter(over, n)
            terms.append(self._expression(argument))
            self._leave()
        return _added(terms, e)

    # --- words --------------------------------------------------------------------------------

    def _spelled(self, st: s.Statement) -> str:
        """The text of an equation, with numbers for what is known here."""
        if not isinstance(st.content, s.Equation):
            return ""
        text, at, done = st.place.text, st.content.target.start, []
        for node in s.nodes(st.content):
            if node.start < at:
                continue  # within what has become a number
            number = self._number(node)
            if number is not None:
                done += [text[at : node.start], number]
                at = node.end
        return "".join((*done, text[at : st.content.expression.end]))

    def _number(self, node: s.Node) -> str | None:
        known = self.known
        match node:
            case s.Whole(terms=terms):
                if any(isinstance(t, s.Name) and t.name not in known for _, t in terms):
                    return None
                n = str(self._whole(node))
                return f"[{n}]" if self.here.text[node.start] == "[" else n
            case s.Name(index=None) | s.Matrix(index=None) if node.name in known:
                return str(known[node.name])
        return None

    def _when(self) -> str:
        names = dict.fromkeys((*self.running, *self.used))
        return ", ".join(f"{name} = {self.known[name]}" for name in names if name in self.known)

    def _place(self, node: s.Node) -> Place:
        return replace(self.here.within(node.start, node.end), when=self._when())

    def _error(self, message: str, remedy: str, node: s.Node) -> CellError:
        return CellError(message, remedy, self._place(node))


def _added(terms: Sequence[s.Expression], e: s.Call) -> s.Expression:
    if len(terms) > CHAIN:
        half = len(terms) // 2
        terms = [_added(terms[:half], e), _added(terms[half:], e)]
    left, *rest = terms
    for right in rest:
        left = s.Binary(e.start, e.end, operator="+", left=left, right=right)
    return left
