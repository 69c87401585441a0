"""How many threads work on a call, and how they share it."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cellwright.backends.cpu.layout import Layout

__all__ = ["Team", "team"]


class Team(NamedTuple):
    """Groups of sequences, each worked on by some threads that share its units."""

    groups: int
    sharing: int


def team(made: Layout, T: int, B: int, sizes: dict[str, int], threads: int) -> Team:
    """The team for T steps of B sequences."""
    stages = made.schedule.loop
    matrices = sum(prod(sizes[n] for n in m.shape) for m in made.matrices)
    elementwise = sum(sizes[v.shape[0]] for g in stages for v in g.vectors)
    if threads == 1 or T * B * (matrices + 4 * elementwise) < 200_000:
        return Team(1, 1)
    groups = min(threads, B)
    sharing = threads // groups
    each = matrices * -(-B // groups) // len(stages)
    return Team(groups, 1) if made.alone or sharing == 1 or each < 8_000 else Team(groups, sharing)
