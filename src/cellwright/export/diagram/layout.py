"""Coordinates: a place for every track that is used, as wide as what stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cellwright.export.diagram.graph import Node
from cellwright.export.diagram.measure import Extent
from cellwright.export.diagram.tracks import CENTRE, WIDE, Grid, Net, Point

__all__ = ["Layout", "lay_out"]

MARGIN = 16.0
ACROSS, DOWN = 10.0, 9.0
"""From one track to the next."""
BEFORE, ABOVE = 18.0, 12.0
"""From a node to the next track: there is an arrowhead in it."""
APART, BELOW = 28.0, 18.0
"""From node to node where no track is between."""


@dataclass(frozen=True)
class Layout:
    """Where the tracks are."""

    x: Mapping[int, float]
    y: Mapping[int, float]
    width: float
    height: float
    centres: Mapping[Node, tuple[float, float]]

    def at(self, p: Point) -> tuple[float, float]:
        """The place of a point."""
        return self.x[p[0]], self.y[p[1]]


def lay_out(grid: Grid, nets: Sequence[Net], extents: Mapping[Node, Extent]) -> Layout:
    """Place columns from left to right and rows from top to bottom."""
    across: set[int] = set()
    down: set[int] = set()
    for net in nets:
        for b, a in net.parent.items():
            (across if a[0] == b[0] else down).add(a[0] if a[0] == b[0] else a[1])
    columns: dict[int, tuple[float, float]] = {}
    rows: dict[int, tuple[float, float]] = {}
    for node, (c, r) in grid.cells.items():
        e = extents[node]
        columns[c] = _larger(columns.get(c, (0, 0)), (e.left, e.right))
        rows[r] = _larger(rows.get(r, (0, 0)), (e.up, e.down))
    x, wide = _axis(grid, columns, across, ACROSS, BEFORE, APART)
    y, high = _axis(grid, rows, down, DOWN, ABOVE, BELOW)
    centres = {
        n: (x[grid.first(c) + CENTRE], y[grid.first(r) + CENTRE])
        for n, (c, r) in grid.cells.items()
    }
    return Layout(x, y, wide, high, centres)


def _larger(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return max(a[0], b[0]), max(a[1], b[1])


def _axis(
    grid: Grid,
    reach: Mapping[int, tuple[float, float]],
    used: set[int],
    pitch: float,
    gap: float,
    apart: float,
) -> tuple[dict[int, float], float]:
    """Coordinates of tracks, and where the last one's nodes end with a margin."""
    found: dict[int, float] = {}
    at = MARGIN
    last = max(reach)
    for index in range(last + 2):
        tracks = [t for t in range(grid.first(index) - grid.spare, grid.first(index)) if t in used]
        if index == 0 and tracks:
            at += pitch * (len(tracks) - 1) + gap
            for i, t in enumerate(tracks):
                found[t] = MARGIN + i * pitch
        elif index > last:
            for i, t in enumerate(tracks):
                found[t] = at + gap + i * pitch
            at += gap + pitch * (len(tracks) - 1) if tracks else 0
            return found, at + MARGIN
        elif index:
            for i, t in enumerate(tracks):
                found[t] = at + gap + i * pitch
            at += 2 * gap + pitch * (len(tracks) - 1) if tracks else apart
        before, behind = reach[index]
        sides = [i - CENTRE for i in range(WIDE) if grid.first(index) + i in used and i != CENTRE]
        if sides:
            before, behind = max(before, pitch), max(behind, pitch)
        centre = at + before
        for i in range(WIDE):
            found[grid.first(index) + i] = centre + (i - CENTRE) * (pitch - 1)
        at = centre + behind
    raise AssertionError
