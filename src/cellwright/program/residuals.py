"""Residuals: what the forward pass saves for the backward pass, and what that computes again.

Saving a value costs memory and the time to write and to read it; computing it again costs the time
of its operations, and needs what it is built from. The cheapest choice is a minimum cut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf

from cellwright.program.ops import TABLE, Value, topological

__all__ = ["SAVING", "residuals"]

SAVING = 10.0
"""What saving a vector costs, in additions of vectors: more than a few of those, less than an
exponential."""


def residuals(wanted: Sequence[Value], stepped: Collection[Value]) -> list[Value]:
    """What to save, so that `wanted` can be had: itself, or what it is computed from.

    `stepped` are the values that differ from step to step. Streams in are there anyway.
    """
    from networkx import DiGraph, minimum_cut  # late: it takes a while to import

    def known(v: Value) -> bool:
        return v not in stepped or v.op == "input"

    values = [v for v in topological(wanted, stop=known) if not known(v)]
    graph: DiGraph[object] = DiGraph()
    graph.add_nodes_from(("there", "back"))

    def edge(a: object, b: object, capacity: float) -> None:
        # An edge without a capacity is never cut.
        graph.add_edge(a, b, **({} if capacity == inf else {"capacity": capacity}))

    # A value is cut from `there` before it, computed again, or behind it, saved.
    for v in values:
        edge("there", (v, "made"), TABLE[v.op].cost if v.op in TABLE else inf)
        edge((v, "made"), (v, "had"), SAVING)
        for a in v.args:
            if not known(a):
                edge((a, "had"), (v, "made"), inf)
    for v in wanted:
        if not known(v):
            edge((v, "had"), "back", inf)
    _, (there, _) = minimum_cut(graph, "there", "back")
    return [v for v in values if (v, "made") in there and (v, "had") not in there]
