"""Where lines run: on a grid of tracks, so that two values never share a stretch.

Every column and row of nodes is three tracks wide, for three lines into one side of a node, and
between two of them are tracks for lines to pass. A line looks for the way with the fewest bends and
crossings (Dijkstra); a value that several nodes read branches where that is best. Then every value
is led once more, knowing all the others. Tracks that stay empty take no space (layout.py).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cellwright.export.diagram.graph import Graph, Kind, Line, Node
from cellwright.export.diagram.placement import Cell

__all__ = ["CENTRE", "WIDE", "Grid", "Net", "Point", "route"]

Point = tuple[int, int]
"""Numbers of a vertical and of a horizontal track."""
WIDE, CENTRE = 3, 1
"""Tracks of a column or row of nodes, and which of them is the middle."""
EAST, WEST, SOUTH, NORTH = (1, 0), (-1, 0), (0, 1), (0, -1)

BEND, CROSSING, BRANCH, STEP, CELL, EDGE, ASIDE, ABOVE = (
    2.0, 3.0, 1.2, 0.04, 0.35, 0.2, 4.0, 2.5,
)  # fmt: skip
"""What a way costs: a bend, another value's line, a branch, a track, a track of a column or row of
nodes, one that is not its middle, a side of a node that is meant for something else."""
OFF_CENTRE: Mapping[Kind, float] = {Kind.OPERATION: 2.5, Kind.FUNCTION: 2.0}
"""What it costs to come in beside the middle of a side; 0.8 where nothing is said."""
ROUNDS = 2


@dataclass
class Net:
    """A value's lines: a tree from the node that makes it to those that read it."""

    source: Node
    lines: list[Line]
    parent: dict[Point, Point] = field(default_factory=dict)
    """The tree: for each point of it the one before."""
    ends: dict[int, Point] = field(default_factory=dict)
    """Where each of `lines` ends, by its place among them."""
    sides: dict[int, Point] = field(default_factory=dict)
    """In which direction it goes in there."""

    def way(self, i: int) -> list[Point]:
        """From the source to the end of a line."""
        points = [self.ends[i]]
        while points[-1] in self.parent:
            points.append(self.parent[points[-1]])
        return points[::-1]


@dataclass(frozen=True)
class Grid:
    """The tracks; `spare` of them between two columns or rows, and outside."""

    cells: Mapping[Node, Cell]
    spare: int

    @property
    def size(self) -> Point:
        """How many vertical and horizontal tracks there are."""
        across = max(c for c, _ in self.cells.values()) + 1
        down = max(r for _, r in self.cells.values()) + 1
        return self.first(across), self.first(down)

    def first(self, index: int) -> int:
        """The first track of a column or row of nodes."""
        return self.spare + index * (WIDE + self.spare)

    def points(self, node: Node) -> Iterator[Point]:
        """The points that a node stands on."""
        c, r = self.cells[node]
        for dx in range(WIDE):
            for dy in range(WIDE):
                yield self.first(c) + dx, self.first(r) + dy

    def exit(self, node: Node) -> Point:
        """Where a value leaves its node."""
        c, r = self.cells[node]
        return self.first(c) + WIDE - 1, self.first(r) + CENTRE

    def ports(self, node: Node) -> Iterator[tuple[Point, Point, bool]]:
        """Where lines may go in: a point, the direction, and whether it is the side's middle."""
        c, r = self.cells[node]
        x, y = self.first(c), self.first(r)
        for i in range(WIDE):
            yield (x, y + i), EAST, i == CENTRE
            yield (x + i, y), SOUTH, i == CENTRE
            yield (x + i, y + WIDE - 1), NORTH, i == CENTRE

    def cost(self, index: int) -> float:
        """Of a step to a track, which counts more where nodes are."""
        return CELL if (index - self.spare) % (WIDE + self.spare) < WIDE else STEP

    def beside(self, index: int) -> bool:
        """Whether a track belongs to a column or row of nodes and is not its middle."""
        at = (index - self.spare) % (WIDE + self.spare)
        return at < WIDE and at != CENTRE


class _NoWayError(Exception):
    """A line does not fit."""


def route(
    graph: Graph, cells: Mapping[Node, Cell], chains: Sequence[Sequence[Node]]
) -> tuple[Grid, list[Net]]:
    """Lead every line; where one does not fit, with more tracks."""
    spare = 3
    while True:
        grid = Grid(cells, spare)
        try:
            return grid, _Router(graph, grid, chains).run()
        except _NoWayError:
            spare += 2


class _Router:
    def __init__(self, graph: Graph, grid: Grid, chains: Sequence[Sequence[Node]]) -> None:
        self.grid, self.graph = grid, graph
        self.across, self.down = grid.size
        self.taken: dict[Point, Node] = {p: n for n in grid.cells for p in grid.points(n)}
        self.horizontal: dict[Point, Net] = {}
        self.vertical: dict[Point, Net] = {}
        self.used: set[tuple[Point, Point]] = set()
        """Ports: a point and the direction into it."""
        self.steps_x = [grid.cost(i) for i in range(self.across)]
        self.steps_y = [grid.cost(i) for i in range(self.down)]
        self.beside_x = [EDGE * grid.beside(i) for i in range(self.across)]
        self.beside_y = [EDGE * grid.beside(i) for i in range(self.down)]
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
            way, side = self._way(net, net.lines[i])
            for a, b in pairwise(way):
                net.parent[b] = a
            net.ends[i], net.sides[i] = way[-1], side
            self.used.add((way[-1], side))
            self._mark(net, way, side)

    def _mark(self, net: Net, way: Sequence[Point], side: Point) -> None:
        """A point that is passed straight is free in the other direction; a bend is not."""
        for i, p in enumerate(way):
            before = _direction(way[i - 1], p) if i else None
            after = _direction(p, way[i + 1]) if i + 1 < len(way) else side
            if before is None and p in self.taken:
                before = after
            if before == after:
                (self.horizontal if after[1] == 0 else self.vertical)[p] = net
            else:
                self.horizontal[p] = self.vertical[p] = net

    def _remove(self, net: Net) -> None:
        for table in (self.horizontal, self.vertical):
            for p in [p for p, owner in table.items() if owner is net]:
                del table[p]
        for i, p in net.ends.items():
            self.used.discard((p, net.sides[i]))
        net.parent.clear()
        net.ends.clear()
        net.sides.clear()

    def _starts(self, net: Net) -> Iterator[tuple[float, Point, Point]]:
        """Points from where a line may go on, with a direction and its cost."""
        if not net.ends:
            yield 0.0, self.grid.exit(net.source), EAST
            return
        children: dict[Point, set[Point]] = {}
        for b, a in net.parent.items():
            children.setdefault(a, set()).add(b)
        for p in {*net.parent, *net.parent.values()}:
            if p in self.taken:
                continue
            if any(table.get(p, net) is not net for table in (self.horizontal, self.vertical)):
                continue
            for d in (EAST, WEST, SOUTH, NORTH):
                q = (p[0] + d[0], p[1] + d[1])
                if q not in children.get(p, ()) and net.parent.get(p) != q:
                    yield BRANCH, p, d

    def _goals(self, net: Net, line: Line) -> dict[tuple[Point, Point], float]:
        straight = (line.source, line.target) in self.on_chain
        has_aside = any(e.aside for e in self.graph.into(line.target))
        off = OFF_CENTRE.get(line.target.kind, 0.8)
        goals: dict[tuple[Point, Point], float] = {}
        for p, side, middle in self.grid.ports(line.target):
            if (p, side) in self.used or (straight and not (middle and side == EAST)):
                continue
            wrong = has_aside and (side == EAST) == line.aside
            if line.target.kind is Kind.BUNDLE and side != EAST and not middle:
                continue
            if line.target.kind is Kind.OUTPUT and not (middle and side == EAST):
                continue
            # A layer reads from the left, peepholes from elsewhere if they can.
            meant_for_others = {
                "matrix": side != EAST,
                "vector": side == EAST and middle,
                "": False,
            }[line.weight] and line.target.kind is Kind.LAYER
            goals[p, side] = (0 if middle else off) + ASIDE * wrong + ABOVE * meant_for_others
        return goals

    def _way(self, net: Net, line: Line) -> tuple[list[Point], Point]:
        goals = self._goals(net, line)
        inside = {p for p, _ in goals}
        best: dict[tuple[Point, Point], float] = {}
        came: dict[tuple[Point, Point], tuple[Point, Point]] = {}
        waiting: list[_Waiting] = []
        far_x, far_y = self._far(line.target)

        def push(cost: float, p: Point, d: Point, before: tuple[Point, Point] | None) -> None:
            if cost < best.get((p, d), 1e9):
                best[p, d] = cost
                if before:
                    came[p, d] = before
                heapq.heappush(waiting, (cost + far_x[p[0]] + far_y[p[1]], cost, p, d, False))

        for cost, p, d in self._starts(net):
            push(cost, p, d, None)
        own = {*net.parent, *net.parent.values()}
        while waiting:
            _, cost, p, d, arrived = heapq.heappop(waiting)
            if arrived:
                way = [p]
                state = (p, d)
                while state in came:
                    state = came[state]
                    if state[0] != way[-1]:
                        way.append(state[0])
                return way[::-1], d
            if cost > best[p, d]:
                continue
            q = (p[0] + d[0], p[1] + d[1])
            if not (0 <= q[0] < self.across and 0 <= q[1] < self.down) or q in own:
                continue
            along = self.horizontal if d[1] == 0 else self.vertical
            over = self.vertical if d[1] == 0 else self.horizontal
            if d[1] == 0:
                step = self.steps_x[q[0]] + self.beside_y[q[1]]
            else:
                step = self.steps_y[q[1]] + self.beside_x[q[0]]
            if q in self.taken:
                if q in inside and (q, d) in goals:
                    final = cost + step + goals[q, d]
                    if final < best.get((q, d), 1e9):
                        best[q, d], came[q, d] = final, (p, d)
                        heapq.heappush(waiting, (final, final, q, d, True))
                continue
            if along.get(q, net) is not net:
                continue
            crossed = over.get(q, net) is not net
            straight = cost + step + CROSSING * crossed
            push(straight, q, d, (p, d))
            if not crossed:
                for turn in ((d[1], d[0]), (-d[1], -d[0])):
                    push(straight + BEND, q, turn, (p, d))
        raise _NoWayError

    def _far(self, target: Node) -> tuple[list[float], list[float]]:
        """What it takes at the least from each track to a node: A* looks there first."""
        x, y = zip(*self.grid.points(target), strict=True)
        return _sums(self.steps_x, min(x), max(x)), _sums(self.steps_y, min(y), max(y))


_Waiting = tuple[float, float, Point, Point, bool]
"""What a way is going to cost at the least, what it has cost, where it is, in which direction, and
whether it has arrived."""


def _sums(steps: Sequence[float], first: int, last: int) -> list[float]:
    """The steps from each track to the nearest of `first` to `last`."""
    found = [0.0] * len(steps)
    for i in range(first - 1, -1, -1):
        found[i] = found[i + 1] + steps[i + 1]
    for i in range(last + 1, len(steps)):
        found[i] = found[i - 1] + steps[i - 1]
    return found


def _direction(a: Point, b: Point) -> Point:
    return (b[0] > a[0]) - (b[0] < a[0]), (b[1] > a[1]) - (b[1] < a[1])
