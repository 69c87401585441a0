"""How many lines would cross if all were drawn straight, counted anew only where they moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cellwright.export.diagram.graph import Line, Node

__all__ = ["Crossings"]

Ends = tuple[int, int]
"""The rows where a line begins and ends."""


class Crossings:
    """Pairs of lines that cross, for rows that change; two from one node never do."""

    def __init__(self, lines: Sequence[Line], column: Mapping[Node, int]) -> None:
        self.others: list[list[tuple[int, float, float, float, float]]] = [[] for _ in lines]
        """For a line, those it may cross, and where on both the first and last common column is."""
        for i, one in enumerate(lines):
            a, b = column[one.source], column[one.target]
            for j, two in enumerate(lines):
                c, d = column[two.source], column[two.target]
                left, right = max(a, c), min(b, d)
                if left < right and one.source is not two.source:
                    self.others[i].append(
                        (
                            j,
                            (left - a) / (b - a),
                            (right - a) / (b - a),
                            (left - c) / (d - c),
                            (right - c) / (d - c),
                        )
                    )
        self.known: list[Ends | None] = [None] * len(lines)
        self.crossed: list[set[int]] = [set() for _ in lines]
        self.total = 0
        self.before: list[tuple[int, Ends | None]] = []

    def count(self, ends: Sequence[Ends]) -> int:
        """The number of pairs that cross."""
        moved = [i for i, (new, old) in enumerate(zip(ends, self.known, strict=True)) if new != old]
        self.before = [(i, self.known[i]) for i in moved]
        for i in moved:
            self.known[i] = ends[i]
        self._recount(moved)
        return self.total

    def keep(self) -> None:
        """The rows counted last are those to go on from."""
        self.before = []

    def undo(self) -> None:
        """Back to the rows before the last count."""
        for i, ends in self.before:
            self.known[i] = ends
        self._recount([i for i, _ in self.before])
        self.before = []

    def _recount(self, moved: Sequence[int]) -> None:
        for i in moved:
            self.total -= len(self.crossed[i])
            for j in self.crossed[i]:
                self.crossed[j].discard(i)
            self.crossed[i] = {j for j, *where in self.others[i] if self._cross(i, j, *where)}
            for j in self.crossed[i]:
                self.crossed[j].add(i)
            self.total += len(self.crossed[i])

    def _cross(self, i: int, j: int, a: float, b: float, c: float, d: float) -> bool:
        one, two = self.known[i], self.known[j]
        if one is None or two is None:
            return False
        (up, down), (up2, down2) = one, two
        first = up + (down - up) * a - up2 - (down2 - up2) * c
        last = up + (down - up) * b - up2 - (down2 - up2) * d
        return first * last < -1e-12
