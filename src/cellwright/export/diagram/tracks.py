"""The grid that lines run on, and the ways they take there.

Every column and row of nodes is three tracks wide, for three lines into one side of a node, and
between two of them are tracks for lines to pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cellwright.export.diagram.graph import Line, Node
from cellwright.export.diagram.placement import Cell

__all__ = ["CENTRE", "EAST", "NORTH", "SOUTH", "WEST", "WIDE", "Grid", "Net", "Point"]

Point = tuple[int, int]
"""Numbers of a vertical and of a horizontal track."""
WIDE, CENTRE = 3, 1
"""Tracks of a column or row of nodes, and which of them is the middle."""
EAST, WEST, SOUTH, NORTH = (1, 0), (-1, 0), (0, 1), (0, -1)


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

    @property
    def points(self) -> list[Point]:
        """Every point of the tree."""
        return list(dict.fromkeys((*self.parent, *self.parent.values())))

    def clear(self) -> None:
        """Back to no way at all."""
        self.parent.clear()
        self.ends.clear()
        self.sides.clear()

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

    def among_nodes(self, index: int) -> bool:
        """Whether a track belongs to a column or row of nodes."""
        return (index - self.spare) % (WIDE + self.spare) < WIDE

    def beside(self, index: int) -> bool:
        """Whether a track belongs to a column or row of nodes and is not its middle."""
        at = (index - self.spare) % (WIDE + self.spare)
        return at < WIDE and at != CENTRE
