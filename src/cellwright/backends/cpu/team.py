"""How many threads work on a call, and how they share it.

The numbers are from `benchmarks/cpu_engine.py threads`.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cellwright.backends.cpu.layout import Layout

__all__ = ["Team", "team"]

CALL = 250_000
"""Multiplications of a call that a thread is worth waking up for."""
STAGE = 50_000
"""Multiplications of a stage that a thread is worth waiting for, at the end of each."""
TILE = 6
"""Sequences of a group, below which a thread makes better use of a matrix by having half of it."""


class Team(NamedTuple):
    """Groups of sequences, each worked on by some threads that share its units."""

    groups: int
    sharing: int


def team(made: Layout, T: int, B: int, sizes: dict[str, int], block: int, threads: int) -> Team:
    """The team for T steps of B sequences, whose units come in blocks."""
    stages = made.schedule.loop
    elementwise = sum(sizes[v.shape[0]] for g in stages for v in g.vectors)
    matrices = {phase: 0 for phase, _ in made.schedule.phases}
    for panel in made.panels:
        matrices[panel.phase] += prod(sizes[n] for n in panel.matrix.shape)
    threads = min(threads, T * B * (sum(matrices.values()) + 4 * elementwise) // CALL)
    if threads <= 1:
        return Team(1, 1)
    if not made.alone:
        groups = min(threads, max(1, B // TILE))
        units = min(sizes[v.shape[0]] for v in made.schedule.next) if made.states else 0
        stage = -(-B // groups) * matrices["loop"] // len(stages)
        sharing = min(threads // groups, -(-units // block), stage // STAGE)
        if sharing > 1:
            return Team(groups, sharing)
    return Team(min(threads, B), 1)
