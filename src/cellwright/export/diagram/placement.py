"""Where nodes stand: a column and a row for each.

Columns follow the order of computation. Rows are found by improving a first guess, move by move,
until no move makes the lines shorter, straighter or less crossed: always the same for one cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from cellwright.export.diagram.crossings import Crossings
from cellwright.export.diagram.graph import Graph, Kind, Node

__all__ = ["Cell", "place"]

Cell = tuple[int, int]
"""A column and a row."""

BEND, BLOCKED, CROSSING, LENGTH, LOW = 1.0, 6.0, 2.0, 1.0, 0.02
"""What makes a picture worse: a bend, a node in the way, two lines that cross, a row that a line
climbs, and, to decide between equals, a node far down; but the input comes from below."""
SPARE = 1
"""Rows beyond those that the fullest column needs."""
EFFORT = 4_000_000
"""Lines looked at, until what is found is good enough: some seconds, for a very large cell."""


def place(graph: Graph, chains: Sequence[Sequence[Node]]) -> dict[Node, Cell]:
    """A cell of the grid for each node; a chain, of a state, has a row for itself."""
    columns = _columns(graph)
    tried = [_Rows(graph, columns, chains, order) for order in (1, -1)]
    for rows in tried:
        rows.improve()
    best = min(tried, key=lambda rows: rows.cost)
    used = sorted(set(best.row.values()))
    return {n: (columns[n], used.index(best.row[n])) for n in graph.nodes}


def _columns(graph: Graph) -> dict[Node, int]:
    """As early as what a node reads allows; what reads nothing stands right before its reader.

    A layer that can wait stands in the column that has most of them.
    """
    column: dict[Node, int] = {}
    for node in graph.nodes:
        before = [column[line.source] for line in graph.into(node)]
        column[node] = max(before) + 1 if before else 0
    last = max(column.values())
    layers = Counter(column[n] for n in graph.nodes if n.kind is Kind.LAYER)
    for node in reversed(graph.nodes):
        readers = [column[line.target] for line in graph.out_of(node)]
        if node.kind is Kind.LAYER and readers:
            layers[column[node]] -= 1
            column[node] = max(range(column[node], min(readers)), key=lambda c: (layers[c], -c))
            layers[column[node]] += 1
    for node in graph.nodes:
        if node.kind is Kind.OUTPUT:
            column[node] = last
        elif node.kind is not Kind.INPUT and not graph.into(node):
            column[node] = min(column[line.target] for line in graph.out_of(node)) - 1
    return column


class _Rows:
    """Rows that get better; the first chain stays on top."""

    def __init__(
        self,
        graph: Graph,
        column: Mapping[Node, int],
        chains: Sequence[Sequence[Node]],
        order: int,
    ) -> None:
        self.graph, self.column, self.chains = graph, column, chains
        self.free = [n for n in graph.nodes if not any(n in chain for chain in chains)]
        self.row: dict[Node, int] = {n: i for i, chain in enumerate(chains) for n in chain}
        columns: dict[int, list[Node]] = {}
        for node in self.free[::order]:
            columns.setdefault(column[node], []).append(node)
        for nodes in columns.values():
            self.row.update({node: len(chains) + i for i, node in enumerate(nodes)})
        self.count = len(chains) + max(map(len, columns.values()), default=0) + SPARE
        self.at: dict[Cell, Node] = {}
        self.in_row = [0] * self.count
        """The columns where a row has nodes, as bits."""
        self.in_column = [0] * (max(column.values()) + 1)
        for node in graph.nodes:
            self._stand(node)
        self.lined = set(range(len(chains)))
        states = {n.label.removesuffix("'") for n in graph.nodes if n.kind is Kind.OUTPUT}
        self.weight = {
            n: -2 * LOW if n.kind is Kind.INPUT and n.label not in states else LOW
            for n in graph.nodes
        }
        self.spans = [(column[e.source], column[e.target]) for e in graph.lines]
        self.crossings = Crossings(graph.lines, column)
        self.cost = self._total()
        self.effort = EFFORT // 2

    # --- moves ----------------------------------------------------------------------------------

    def improve(self) -> None:
        """Move nodes while that helps."""
        while self.effort > 0:
            before = self.cost
            for node in self.free:
                self._try_rows(node)
            for a in range(1 if self.chains else 0, self.count):
                for b in range(a + 1, self.count):
                    self._try({n: a + b - r for n, r in self.row.items() if r in (a, b)})
            for node in self.free:
                self._try_together(node)
            if self.cost > before - 1e-9:
                return

    def _try_rows(self, node: Node) -> None:
        """Every other row, in exchange with what is there."""
        for row in range(self.count):
            if row != self.row[node] and row not in self.lined:
                other = self.at.get((self.column[node], row))
                here = {} if other is None else {other: self.row[node]}
                self._try({node: row, **here})

    def _try_together(self, node: Node) -> None:
        """A node, with what it alone reads, one row up or down."""
        group = [node]
        group += [e.source for e in self.graph.into(node)
                  if len(self.graph.out_of(e.source)) == 1 and e.source in self.weight]  # fmt: skip
        for step in (-1, 1):
            change: dict[Node, int] = {}
            for member in group:
                row = self.row[member] + step
                other = self.at.get((self.column[member], row))
                if self.row[member] in self.lined or row in self.lined or other in group:
                    break
                if not 0 <= row < self.count:
                    break
                change[member] = row
                if other is not None:
                    change[other] = self.row[member]
            else:
                self._try(change)

    def _try(self, change: Mapping[Node, int]) -> None:
        """Keep a change if it makes the picture better."""
        if self.effort <= 0:
            return
        self.effort -= len(self.spans)
        before = {n: self.row[n] for n in change}
        self._set(change)
        cost = self._total()
        if cost < self.cost - 1e-9:
            self.cost = cost
            self.crossings.keep()
        else:
            self._set(before)
            self.crossings.undo()

    def _set(self, change: Mapping[Node, int]) -> None:
        for n in change:
            self._leave(self.column[n], self.row[n])
        self.row.update(change)
        for n in change:
            self._stand(n)
        self.lined = {self.row[chain[0]] for chain in self.chains}

    def _stand(self, node: Node) -> None:
        c, r = self.column[node], self.row[node]
        self.at[c, r] = node
        self.in_row[r] |= 1 << c
        self.in_column[c] |= 1 << r

    def _leave(self, c: int, r: int) -> None:
        self.at.pop((c, r), None)
        self.in_row[r] &= ~(1 << c)
        self.in_column[c] &= ~(1 << r)

    # --- what it costs --------------------------------------------------------------------------

    def _total(self) -> float:
        row = self.row
        ends = [(row[e.source], row[e.target]) for e in self.graph.lines]
        total = sum(
            self._edge(a, up, b, down) for (a, b), (up, down) in zip(self.spans, ends, strict=True)
        )
        total += CROSSING * self.crossings.count(ends)
        return total + sum(self.weight[n] * r for n, r in row.items())

    def _edge(self, a: int, up: int, b: int, down: int) -> float:
        """The length of a line, and the best of three ways from one node to another."""
        between = _bits(a + 1, b)
        if up == down:
            return BLOCKED * (self.in_row[up] & between).bit_count()
        low, high = min(up, down), max(up, down)
        crossed = CROSSING / 2 * sum(low < r < high for r in self.lined)
        there = b - a - 1 if down in self.lined else (self.in_row[down] & between).bit_count()
        here = (self.in_row[up] & between).bit_count()
        below = (self.in_row[up] & _bits(a + 1, b + 1)).bit_count()
        below += (self.in_column[b] & _bits(low + 1, high)).bit_count()
        bends = min(2 * BEND + BLOCKED * min(there, here), BEND + BLOCKED * below)
        return LENGTH * (high - low) + crossed + bends


def _bits(first: int, end: int) -> int:
    """Ones at `first` to `end`, less the last."""
    return (1 << end) - (1 << first) if end > first else 0
