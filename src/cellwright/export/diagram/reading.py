"""Equations to a graph: what a textbook would draw of them.

A *layer* is a function over a sum with learned weights in it, and is one box, however long the sum.
What else is added, multiplied or squashed is a node of its own. Coefficients are not drawn: a value
that is scaled is the same line, and the tooltip of what reads it says by how much.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from cellwright.export.diagram.graph import Graph, Kind, Line, Node
from cellwright.export.diagram.terms import Term, leaves, spelled_out, terms
from cellwright.language import Cell
from cellwright.language.names import FUNCTIONS, plain, target_of
from cellwright.language.reader import read
from cellwright.language.repetition import unrolled
from cellwright.language.syntax import Apply, Binary, Call, Equation, Expression, Name, New
from cellwright.program.ops import TABLE
from cellwright.program.program import prime

__all__ = ["graph_of"]

LONGEST = 14
"""Characters of an expression that are still shown inside a node."""


def graph_of(cell: Cell, differs: Mapping[str, Sequence[bool]]) -> Graph:
    """The graph of a cell; `differs` says for an equation which of its characters are changed."""
    reader = _Reader(cell, differs)
    for e in cell.equations:
        [statement] = unrolled(read(e.text, cell.name), {}).statements
        assert isinstance(statement.content, Equation)
        reader.equation(statement.content)
    reader.outputs()
    return reader.graph


class _Reader:
    def __init__(self, cell: Cell, differs: Mapping[str, Sequence[bool]]) -> None:
        self.program, self.differs = cell.program, differs
        self.texts = {e.name: e.text for e in cell.equations}
        self.graph = Graph()
        self.values: dict[str, Node] = {}
        """What inputs, states and equations so far are drawn as."""
        self.learned = {q.name for q in self.program.parameters}
        self.made: dict[str, Node] = {}
        """Nodes by what they compute."""
        self.here = ""
        for leaf in self.program.inputs:
            self.values[leaf.name] = self._node(Kind.INPUT, leaf.name, f"{leaf.name}: the input")
        for leaf in self.program.states:
            text = f"{leaf.name}: what the step before left"
            self.values[leaf.name] = self._node(Kind.INPUT, leaf.name, text)

    # --- equations ------------------------------------------------------------------------------

    def equation(self, content: Equation) -> None:
        self.here = plain(target_of(content))
        node = self._build(content.expression)
        node.names.append(self.here)
        self.values[self.here] = node
        marked = [part.changed for part in self.graph.nodes]
        marked += [part.changed for part in self.graph.lines]
        if self.here in self.differs and not any(self.here in names for names in marked):
            node.changed.append(self.here)

    def outputs(self) -> None:
        """The right edge: new states, and what the layer returns."""
        names = [prime(s.name) for s in self.program.states]
        for name in dict.fromkeys((*names, *self.program.outputs)):
            self.here = name
            node = self._node(Kind.OUTPUT, name, self.texts[name])
            self.graph.lines.append(Line(self.values[name], node))

    # --- expressions ----------------------------------------------------------------------------

    def _stepped(self, e: Expression) -> bool:
        """Whether it is drawn: built from an input, a state or an equation."""
        return any(not isinstance(leaf, Apply) and self._named(leaf) for leaf in leaves(e))

    def _named(self, leaf: Name | New) -> str | None:
        """What a leaf is drawn as, by name; None for what is learned or constant."""
        name = plain(leaf.name)
        if isinstance(leaf, New):
            return prime(name)
        return name if name in self.values else None

    def _is_learned(self, e: Expression) -> bool:
        return any(isinstance(u, Name) and plain(u.name) in self.learned for u in leaves(e))

    def _build(self, e: Expression) -> Node:
        if isinstance(e, Name | New) and (name := self._named(e)):
            return self.values[name]
        text = spelled_out(e)
        if text not in self.made:
            self.made[text] = self._new(e)
        return self.made[text]

    def _new(self, e: Expression) -> Node:
        if not self._stepped(e):
            text = spelled_out(e)
            return self._node(Kind.FUNCTION, _short(text, "fixed"), text, e)
        match e:
            case Call():
                return self._call(e)
            case Binary(operator="/", right=right) if self._stepped(right):
                return self._quotient(e)
        summands = terms(e, self._stepped)
        return self._product(summands[0]) if len(summands) == 1 else self._sum(e, summands)

    def _quotient(self, e: Binary) -> Node:
        above = terms(e.left, self._stepped)
        scaled = above[0] if len(above) == 1 and above[0].factors else None
        source: Node | None = None
        if scaled and not isinstance(scaled.factors[0], Apply):
            source = self._factor(scaled)
        elif self._stepped(e.left):
            scaled, source = None, self._build(e.left)
        below = self._build(e.right)
        label = "÷" if source else "1 ÷"
        node = self._node(Kind.OPERATION, label, spelled_out(e), e, e.left, e.right)
        if source and scaled:
            self._term_line(source, node, scaled)
        elif source:
            self._line(source, node, e.left, e.left)
        self._line(below, node, e.right, e.right, aside=source is not None)
        return node

    def _product(self, term: Term) -> Node:
        """What a term is without its sign."""
        if len(term.factors) == 1:
            return self._scaled(term, term.factors[0])
        sources = [self._build(f) for f in term.factors]
        label = "×" if len(set(sources)) > 1 else "square"
        node = self._node(
            Kind.OPERATION if label == "×" else Kind.FUNCTION,
            label,
            spelled_out(term.whole),
            term.whole,
            *term.factors,
        )
        for source, factor in zip(sources, term.factors, strict=True):
            self._line(source, node, factor, factor)
        return node

    def _scaled(self, term: Term, factor: Expression) -> Node:
        if isinstance(factor, Apply):
            return self._layer(self._matrix(factor), term.whole, [term])
        node = self._build(factor)
        if not (term.coefficients or term.negative):
            return node
        before = "−" * term.negative + "".join(f"{spelled_out(c)} " for c in term.coefficients)
        if node.kind is Kind.INPUT or node.names or len(before) > LONGEST:
            text = spelled_out(term.whole, factor)
            kind = Kind.LAYER if any(map(self._is_learned, term.coefficients)) else Kind.FUNCTION
            label = _short(text, "scale")
            scaled = self._node(kind, label, spelled_out(term.whole), term.whole, factor)
            self._line(node, scaled, factor, factor)
            return scaled
        node.label = _short(before, "") + node.label
        node.text = spelled_out(term.whole)
        return node

    def _sum(self, e: Expression, summands: Sequence[Term]) -> Node:
        drawn = [t for t in summands if t.factors]
        weighted = [t for t in drawn if self._is_weighted(t)]
        plain = [t for t in drawn if t not in weighted]
        matrices = [t for t in weighted if isinstance(t.factors[0], Apply)]
        if len(drawn) == 1 and not matrices:
            return self._shifted(e, drawn[0])
        seen = {read for t in weighted if (read := self._read(t))}
        if matrices and all(len(t.factors) == 1 and self._read(t) in seen for t in plain):
            # What is added to the products is read by them anyway.
            return self._layer(self._linear(matrices), e, drawn)
        if len(matrices) > 1:
            plain = [t for t in drawn if t not in matrices]
            whole = self._layer("Σ", e, matrices)
        elif matrices:
            plain = [t for t in drawn if t not in matrices]
            whole = self._product(matrices[0])
        else:
            plain, whole = drawn, None
        signs = {t.negative for t in plain} | ({False} if whole else set())
        label = "+" if signs == {False} else "−" if len(plain) + bool(whole) == 2 else "±"
        sources = [self._factor(t) for t in plain]
        node = self._node(Kind.OPERATION, label, spelled_out(e), e, *(t.whole for t in drawn))
        if whole:
            self._line(whole, node)
        for source, t in zip(sources, plain, strict=True):
            self._term_line(source, node, t, aside=label == "−" and t.negative)
        return node

    def _shifted(self, e: Expression, term: Term) -> Node:
        """One value, and what does not change: `1 - z`."""
        source = self._factor(term)
        text = spelled_out(e, term.whole)
        if isinstance(e, Binary) and e.operator == "-" and spelled_out(e.left) == "1":
            label, kind = "1−", Kind.OPERATION
        else:
            kind = Kind.LAYER if self._is_learned(e) else Kind.FUNCTION
            label = _short(text, "a + b ·")
        node = self._node(kind, label, spelled_out(e), e, term.whole)
        self._term_line(source, node, term)
        return node

    def _call(self, e: Call) -> Node:
        operation = FUNCTIONS.get(e.function.name, e.function.name)
        label = min((operation, *(TABLE[operation].also if operation in TABLE else ())), key=len)
        drawn = [a for a in e.arguments if self._stepped(a)]
        if len(e.arguments) == 1:
            return self._activation(label, e, e.arguments[0])
        sources = [self._build(a) for a in drawn]
        if len(drawn) == 1:
            text = spelled_out(e, drawn[0])
            label = _short(text, f"{label}(·)")
        kind = Kind.OPERATION if len(drawn) > 1 else Kind.FUNCTION
        node = self._node(kind, label, spelled_out(e), e, *drawn)
        for source, argument in zip(sources, drawn, strict=True):
            self._line(source, node, argument, argument)
        return node

    def _activation(self, label: str, e: Call, argument: Expression) -> Node:
        summands = terms(argument, self._stepped)
        drawn = [t for t in summands if t.factors]
        fixed = [c for t in summands if not t.factors for c in t.coefficients]
        if any(map(self._is_weighted, drawn)) or any(map(self._is_learned, fixed)):
            return self._layer(label, e, drawn)
        source = self._factor(drawn[0]) if len(drawn) == 1 else self._build(argument)
        kind = Kind.FUNCTION if _is_plain(e) else Kind.LAYER
        inside = drawn[0].whole if len(drawn) == 1 else argument
        node = self._node(kind, label, spelled_out(e), e, inside)
        self._line(source, node, inside, inside)
        return node

    def _layer(self, label: str, e: Expression, summands: Sequence[Term]) -> Node:
        """A box that reads every term."""
        sources = [
            self._build(t.factors[0].argument)
            if len(t.factors) == 1 and isinstance(t.factors[0], Apply)
            else self._factor(t)
            for t in summands
        ]
        node = self._node(Kind.LAYER, label, spelled_out(e), e, *(t.whole for t in summands))
        for source, t in zip(sources, summands, strict=True):
            self._term_line(source, node, t)
        return node

    # --- terms ----------------------------------------------------------------------------------

    def _is_weighted(self, t: Term) -> bool:
        """Whether it is one value times what is learned."""
        if len(t.factors) != 1:
            return False
        return isinstance(t.factors[0], Apply) or any(map(self._is_learned, t.coefficients))

    def _read(self, t: Term) -> str | None:
        """The name of what a term multiplies, if it has one."""
        [inside] = t.factors
        if isinstance(inside, Apply):
            inside = inside.argument
        return self._named(inside) if isinstance(inside, Name | New) else None

    def _factor(self, t: Term) -> Node:
        """What a term is, without sign and coefficients."""
        if len(t.factors) == 1 and not isinstance(t.factors[0], Apply):
            return self._build(t.factors[0])
        return self._product(t)

    def _linear(self, matrices: Sequence[Term]) -> str:
        [first, *more] = matrices
        assert isinstance(first.factors[0], Apply)
        return "Σ" if more else self._matrix(first.factors[0])

    def _matrix(self, e: Apply) -> str:
        return e.matrix.name + "ᵀ" * e.matrix.transposed

    # --- the graph ------------------------------------------------------------------------------

    def _node(
        self, kind: Kind, label: str, text: str, e: Expression | None = None, *inside: Expression
    ) -> Node:
        node = Node(kind, label, self.here, text=text)
        if e is not None and self._differs(e, inside):
            node.changed.append(self.here)
        self.graph.nodes.append(node)
        return node

    def _term_line(self, source: Node, target: Node, t: Term, aside: bool = False) -> None:
        inner = t.factors[0] if len(t.factors) == 1 else t.whole
        weight = ""
        if isinstance(inner, Apply):
            weight, inner = ("matrix", inner.argument) if target.kind is Kind.LAYER else ("", inner)
        elif len(t.factors) == 1 and any(map(self._is_learned, t.coefficients)):
            weight = "vector"
        self._line(source, target, t.whole, inner, weight, aside)

    def _line(
        self,
        source: Node,
        target: Node,
        whole: Expression | None = None,
        inner: Expression | None = None,
        weight: str = "",
        aside: bool = False,
    ) -> None:
        """One line between two nodes, even where a value is read twice."""
        for line in self.graph.lines:
            if line.source is source and line.target is target:
                line.weight = max(line.weight, weight, key=["vector", "", "matrix"].index)
                break
        else:
            line = Line(source, target, weight, aside)
            self.graph.lines.append(line)
        named = isinstance(inner, Name | New) or inner is None
        if whole is not None and self._differs(whole, () if named or inner is None else (inner,)):
            line.changed.append(self.here)

    def _differs(self, e: Expression, inside: Collection[Expression]) -> bool:
        """Whether a word of an expression is changed that none of its parts has."""
        marks = self.differs.get(self.here, ())
        without = {i for part in inside for i in range(part.start, part.end)}
        at = (i for i in range(e.start, e.end) if i not in without)
        return any(marks[i] for i in at if i < len(marks))


def _is_plain(e: Call) -> bool:
    """Whether a function has no learned weights of its own."""
    return e.function.name in FUNCTIONS


def _short(text: str, otherwise: str) -> str:
    """An expression as it is shown in a node, if it is short enough for that."""
    return text.replace("-", "−").replace("*", "×") if len(text) <= LONGEST else otherwise
