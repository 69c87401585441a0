"""Where lines run, so that two values never share a stretch.

A line looks for the way with the fewest bends and crossings; a value that several nodes read
branches where that is best. Then every value is led once more, knowing all the others. Tracks that
stay empty take no space (layout.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from cellwright.errors import CellwrightError
from cellwright.export.diagram.graph import Graph, Kind, Line, Node
from cellwright.export.diagram.placement import Cell
from cellwright.export.diagram.search import SIDES, Field, NoWayError
from cellwright.export.diagram.tracks import EAST, SOUTH, Grid, Net, Point

__all__ = ["route"]

BRANCH, AT_BEND, ASIDE, NOT_ITS_SIDE, OFF_CENTRE = 1.2, 0.9, 4.0, 2.5, 0.8
"""What a way costs, beside what it is made of: a branch, one at a bend; going in where the other
operand of a difference or quotient belongs; into a layer where other lines belong; beside the
middle."""
ROUND = 2.5
"""What the last is in a round node."""
ROUNDS = 2
FEWEST = 5
"""Tracks between nodes, where there are few lines."""
ATTEMPTS = 60


def route(
    graph: Graph, cells: Mapping[Node, Cell], chains: Sequence[Sequence[Node]]
) -> tuple[Grid, list[Net]]:
    """Lead every line; where one does not fit, its value comes first the next time.

    Raises CellwrightError for a cell that is far too large for a picture.
    """
    first: list[Node] = []
    spare = FEWEST + len(graph.lines) // 40
    for attempt in range(ATTEMPTS):
        grid = Grid(cells, spare + 2 * (attempt // 4))
        try:
            return grid, _Router(graph, grid, chains, first).run()
        except NoWayError as e:
            first.insert(0, e.net.source)
    raise CellwrightError(
        f"a picture has no room for {len(graph.lines)} lines between {len(graph.nodes)} values: "
        "draw a cell with fewer equations"
    )


class _Router:
    def __init__(
        self,
        graph: Graph,
        grid: Grid,
        chains: Sequence[Sequence[Node]],
        first: Sequence[Node],
    ) -> None:
        self.grid, self.graph = grid, graph
        self.field = Field(grid)
        self.used: set[tuple[Point, Point]] = set()
        """Where lines go into nodes: a point and the direction."""
        on_chain = {(a, b) for chain in chains for a, b in pairwise(chain)}
        self.nets = [
            Net(
                node,
                sorted(
                    graph.out_of(node),
                    key=lambda e: ((e.source, e.target) not in on_chain, self._length(e)),
                ),
            )
            for node in graph.nodes
            if graph.out_of(node)
        ]
        self.order = sorted(
            self.nets,
            key=lambda n: (
                n.source not in first,
                (n.source, n.lines[0].target) not in on_chain,
                sum(map(self._length, n.lines)),
            ),
        )
        self.on_chain = on_chain

    def _length(self, line: Line) -> int:
        (a, up), (b, down) = self.grid.cells[line.source], self.grid.cells[line.target]
        return abs(a - b) + 2 * abs(up - down)

    def run(self) -> list[Net]:
        # The lines of states run straight, whatever comes after them.
        for net in self.order:
            if (net.source, net.lines[0].target) in self.on_chain:
                self._lead(net, [0])
        for net in self.order:
            self._lead(net, [i for i in range(len(net.lines)) if i not in net.ends])
        for _ in range(ROUNDS):
            for net in self.order:
                self._remove(net)
                self._lead(net, list(range(len(net.lines))))
        return self.nets

    # --- one value ------------------------------------------------------------------------------

    def _lead(self, net: Net, lines: Iterable[int]) -> None:
        for i in lines:
            line = net.lines[i]
            way, side = self.field.way(net, self._starts(net), self._goals(line), line.target)
            for a, b in pairwise(way):
                net.parent[b] = a
            net.ends[i], net.sides[i] = way[-1], side
            self.used.add((way[-1], side))
            self._take(net, way, side)

    def _take(self, net: Net, way: Sequence[Point], side: Point) -> None:
        """A point that is passed straight is free in the other direction; a bend is not."""
        after = [*(_direction(a, b) for a, b in pairwise(way)), side]
        # A way that begins at a node goes on straight; one that branches off takes all of a point.
        first = SIDES if way[0] != self.grid.exit(net.source) else [EAST]
        self.field.take(way[0], net, first)
        for p, came, goes in zip(way[1:], after, after[1:], strict=False):
            self.field.take(p, net, (came, goes))

    def _remove(self, net: Net) -> None:
        self.field.clear(net)
        for i, p in net.ends.items():
            self.used.discard((p, net.sides[i]))
        net.clear()

    def _starts(self, net: Net) -> Iterator[tuple[Point, Point, float]]:
        """Points from where a line may go on, with a direction and its cost."""
        if not net.ends:
            yield self.grid.exit(net.source), EAST, 0.0
            return
        taken = {(a, b) for b, a in net.parent.items()} | {*net.parent.items()}
        for p in net.points:
            if self.field.is_free(p, net):
                open_ = [side for side in SIDES
                         if (p, (p[0] + side[0], p[1] + side[1])) not in taken]  # fmt: skip
                straight = len(open_) == 2 and open_[0][0] == -open_[1][0]
                for side in open_:
                    yield p, side, BRANCH if straight else AT_BEND

    def _goals(self, line: Line) -> dict[tuple[Point, Point], float]:
        straight = (line.source, line.target) in self.on_chain
        has_aside = any(e.aside for e in self.graph.into(line.target))
        kind = line.target.kind
        off = ROUND if kind in (Kind.OPERATION, Kind.FUNCTION) else OFF_CENTRE
        right = max(p[0] for p in self.grid.points(line.target))
        goals: dict[tuple[Point, Point], float] = {}
        for p, side, middle in self.grid.ports(line.target):
            if (p, side) in self.used or (straight and not (middle and side == EAST)):
                continue
            if kind is Kind.BUNDLE and side != EAST and not middle:
                continue
            if kind is Kind.OUTPUT and not (middle and side == EAST):
                continue
            if kind is Kind.OPERATION and side == SOUTH and p[0] == right:
                continue  # its name is there
            cost = ASIDE * (has_aside and (side == EAST) == line.aside)
            if kind is Kind.LAYER:
                # From the left what its matrices read, and peepholes from elsewhere if they can.
                elsewhere = {"matrix": side != EAST, "vector": side == EAST and middle}
                cost += NOT_ITS_SIDE * elsewhere.get(line.weight, False)
            goals[p, side] = cost + (0 if middle else off)
        return goals


def _direction(a: Point, b: Point) -> Point:
    return b[0] - a[0], b[1] - a[1]
