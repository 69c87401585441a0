"""The cheapest way on the grid: A*, with bends and crossings as what costs most."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from cellwright.export.diagram.graph import Node
from cellwright.export.diagram.tracks import EAST, NORTH, SOUTH, WEST, Grid, Net, Point

__all__ = ["Field", "NoWayError"]

BEND, CROSSING, STEP, AMONG_NODES, BESIDE = 2.0, 3.0, 0.04, 0.35, 0.2
"""What a way costs: a bend, another value's line, a step to a track, to one of a column or row of
nodes, and along one that is not its middle."""
SIDES = (EAST, WEST, SOUTH, NORTH)
TURNS = ((2, 3), (2, 3), (0, 1), (0, 1))
"""For each of the sides, where a bend leads."""
FAR = 1e9


class NoWayError(Exception):
    """A line of a value does not fit."""

    def __init__(self, net: Net) -> None:
        super().__init__(net.source.label)
        self.net = net


class Field:
    """Which value runs where. A point is a number here, and a state a point with a direction."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.across, down = grid.size
        count = self.across * down
        self.horizontal: list[Net | None] = [None] * count
        self.vertical: list[Net | None] = [None] * count
        """Who passes a point from left to right or back, and up or down; a bend is both."""
        self.steps_x, beside_x = _costs(grid, self.across)
        self.steps_y, beside_y = _costs(grid, down)
        self.costs = (
            [x + beside for beside in beside_y for x in self.steps_x],
            [y + beside for y in self.steps_y for beside in beside_x],
        )
        """Of a step to a point, from the side and from above or below."""
        self.closed = bytearray(count)
        """Nodes, what is left or right of all of them, and the grid's edge."""
        for x in range(self.across):
            self.closed[x] = self.closed[count - 1 - x] = 1
        beyond = [*range(grid.spare), *range(self.across - grid.spare, self.across)]
        for y in range(down):
            for x in beyond:
                self.closed[y * self.across + x] = 1
        self.straight = bytearray(count)
        """Right before a node no line bends, so that the way in and out stays free for others."""
        for node in grid.cells:
            for p in grid.points(node):
                self.closed[self.number(p)] = 1
            for p, side, _ in grid.ports(node):
                self.straight[self.number((p[0] - side[0], p[1] - side[1]))] = 1
            x, y = grid.exit(node)
            self.straight[self.number((x + 1, y))] = 1

    def number(self, p: Point) -> int:
        """The number of a point."""
        return p[1] * self.across + p[0]

    def is_free(self, p: Point, net: Net) -> bool:
        """Whether a value may bend or branch at a point."""
        at = self.number(p)
        return not (self.closed[at] or self.straight[at]) and all(
            table[at] is None or table[at] is net for table in (self.horizontal, self.vertical)
        )

    def take(self, p: Point, net: Net, sides: Iterable[Point]) -> None:
        """A value passes a point in these directions."""
        for side in sides:
            table = self.horizontal if side[1] == 0 else self.vertical
            table[self.number(p)] = net

    def clear(self, net: Net) -> None:
        """A value is nowhere."""
        for table in (self.horizontal, self.vertical):
            table[:] = [None if owner is net else owner for owner in table]

    def way(
        self,
        net: Net,
        starts: Iterable[tuple[Point, Point, float]],
        goals: Mapping[tuple[Point, Point], float],
        target: Node,
    ) -> tuple[list[Point], Point]:
        """From one of some points, in a direction, to one; with what each of them costs.

        It does not come back to a point that the value has been at. Raises NoWayError.
        """
        ends = {self.number(p) * 4 + SIDES.index(d): cost for (p, d), cost in goals.items()}
        own = {self.number(p) for p in net.points}
        far_x, far_y = self._far(target)
        across, closed = self.across, self.closed
        ahead = (1, -1, across, -across)
        tables = ((self.horizontal, self.vertical), (self.vertical, self.horizontal))
        best: dict[int, float] = {}
        came: dict[int, int] = {}
        done: set[int] = set()
        waiting: list[tuple[float, int]] = []
        for p, side, cost in starts:
            state = self.number(p) * 4 + SIDES.index(side)
            best[state] = cost
            heapq.heappush(waiting, (cost + far_x[p[0]] + far_y[p[1]], state))
        while waiting:
            _, state = heapq.heappop(waiting)
            if state < 0:
                return self._back(-state, came)
            if state in done:
                continue
            done.add(state)
            d = state & 3
            q = (state >> 2) + ahead[d]
            if q in own:
                continue
            cost = best[state] + self.costs[d >> 1][q]
            if closed[q]:
                if (end := q * 4 + d) in ends and cost + ends[end] < best.get(-end, FAR):
                    best[-end], came[end] = cost + ends[end], state
                    heapq.heappush(waiting, (best[-end], -end))
                continue
            along, over = tables[d >> 1]
            if along[q] is not None and along[q] is not net:
                continue
            crossed = over[q] is not None and over[q] is not net
            cost += CROSSING * crossed
            left = far_x[q % across] + far_y[q // across]
            for turn in (d,) if crossed or self.straight[q] else (d, *TURNS[d]):
                after = q * 4 + turn
                whole = cost if turn == d else cost + BEND
                if whole < best.get(after, FAR):
                    best[after], came[after] = whole, state
                    heapq.heappush(waiting, (whole + left, after))
        raise NoWayError(net)

    def _back(self, state: int, came: Mapping[int, int]) -> tuple[list[Point], Point]:
        side = SIDES[state & 3]
        way = [state >> 2]
        while state in came:
            state = came[state]
            way.append(state >> 2)
        return [(p % self.across, p // self.across) for p in reversed(way)], side

    def _far(self, target: Node) -> tuple[list[float], list[float]]:
        """What it takes at the least from each track to a node: A* looks there first."""
        x, y = zip(*self.grid.points(target), strict=True)
        return _sums(self.steps_x, min(x), max(x)), _sums(self.steps_y, min(y), max(y))


def _costs(grid: Grid, count: int) -> tuple[list[float], list[float]]:
    """Of steps to tracks, and of steps along them."""
    steps = [AMONG_NODES if grid.among_nodes(i) else STEP for i in range(count)]
    return steps, [BESIDE * grid.beside(i) for i in range(count)]


def _sums(steps: Sequence[float], first: int, last: int) -> list[float]:
    """The steps from each track to the nearest of `first` to `last`."""
    found = [0.0] * len(steps)
    for i in range(first - 1, -1, -1):
        found[i] = found[i + 1] + steps[i + 1]
    for i in range(last + 1, len(steps)):
        found[i] = found[i - 1] + steps[i - 1]
    return found
