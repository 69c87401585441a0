"""Lines as they are drawn: a value's tree cut into strokes of one look each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from cellwright.export.diagram.graph import Line, Node
from cellwright.export.diagram.layout import Layout
from cellwright.export.diagram.measure import Box
from cellwright.export.diagram.tracks import Net, Point

__all__ = ["Stroke", "joints", "strokes"]

Place = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A stretch of a value's way that the same lines share."""

    points: tuple[Place, ...]
    """Its corners."""
    lines: tuple[Line, ...]
    """What runs along it."""
    end: bool
    """Whether it ends at a node, with an arrowhead."""

    @property
    def dotted(self) -> bool:
        """Whether all of it is multiplied by learned vectors, as a peephole is."""
        return all(line.weight == "vector" for line in self.lines)

    @property
    def changed(self) -> list[str]:
        """The equations that differ, where they do for all that runs along it."""
        if not all(line.changed for line in self.lines):
            return []
        return list(dict.fromkeys(e for line in self.lines for e in line.changed))


def strokes(net: Net, layout: Layout, boxes: Mapping[Node, Box]) -> list[Stroke]:
    """A value's strokes, from its node on."""
    ways = [net.way(i) for i in range(len(net.lines))]
    along: dict[Point, tuple[int, ...]] = {}
    for i, way in enumerate(ways):
        for p in way[1:]:
            along[p] = (*along.get(p, ()), i)
    found: list[Stroke] = []
    done: set[Point] = set()
    for i, way in enumerate(ways):
        start = 0
        while start < len(way) - 1:
            here = along[way[start + 1]]
            stop = start + 1
            while stop + 1 < len(way) and along[way[stop + 1]] == here:
                stop += 1
            if way[start + 1] not in done:
                done.update(way[start + 1 : stop + 1])
                points = [layout.at(p) for p in _corners(way[start : stop + 1])]
                if start == 0:
                    points[0] = _outline(net.source, (1, 0), points[0], layout, boxes)
                if stop == len(way) - 1:
                    dx, dy = net.sides[i]
                    points[-1] = _outline(
                        net.lines[i].target, (-dx, -dy), points[-1], layout, boxes
                    )
                found.append(
                    Stroke(tuple(points), tuple(net.lines[j] for j in here), stop == len(way) - 1)
                )
            start = stop
    return found


def joints(net: Net, layout: Layout) -> list[Place]:
    """Where a value's line branches."""
    children: dict[Point, int] = {}
    for a in net.parent.values():
        children[a] = children.get(a, 0) + 1
    return [layout.at(p) for p, count in children.items() if count > 1]


def _corners(way: Sequence[Point]) -> list[Point]:
    kept = [way[0]]
    for before, p, after in zip(way, way[1:], way[2:], strict=False):
        if (before[0] == p[0]) != (p[0] == after[0]):
            kept.append(p)
    return [*kept, way[-1]]


def _outline(
    node: Node,
    side: Point,
    at: Place,
    layout: Layout,
    boxes: Mapping[Node, Box],
) -> Place:
    """Where a line that comes to a side of a node meets its outline."""
    x, y = layout.centres[node]
    box = boxes[node]
    along = at[1] - y if side[0] else at[0] - x
    half, other = (box.width, box.height) if side[0] else (box.height, box.width)
    into = _rounded(half / 2, other / 2, min(box.radius, box.height / 2), abs(along))
    return (x + side[0] * into, at[1]) if side[0] else (at[0], y + side[1] * into)


def _rounded(half: float, other: float, radius: float, along: float) -> float:
    """How far from the centre the outline is, `along` beside the middle of the side."""
    beyond = along - (other - radius)
    if beyond <= 0:
        return half
    return half - radius + sqrt(max(0.0, radius**2 - beyond**2))
