"""The lines that states run along, from the old value to the new one, past learned weights."""

from __future__ import annotations

from collections import deque

from cellwright.export.diagram.graph import Graph, Kind, Line, Node

__all__ = ["chains"]


def chains(graph: Graph) -> list[list[Node]]:
    """A path for each state that has one, the one with most valves first; they share no node.

    It goes from the state at the left edge to its new value at the right one, the short way.
    """
    found: list[list[Node]] = []
    ends = {node.label: node for node in graph.nodes if node.kind is Kind.OUTPUT}
    for start in (node for node in graph.nodes if node.kind is Kind.INPUT):
        end = ends.get(f"{start.label}'")
        if end and (path := _path(graph, start, end)):
            found.append(path)
    taken: set[Node] = set()
    apart: list[list[Node]] = []
    for path in sorted(found, key=lambda p: -_valves(p)):
        if taken.isdisjoint(path):
            apart.append(path)
            taken.update(path)
    return apart


def _valves(path: list[Node]) -> int:
    """How many signs are on it."""
    return sum(node.kind is Kind.OPERATION for node in path)


def _path(graph: Graph, start: Node, end: Node) -> list[Node] | None:
    came: dict[Node, Line] = {}
    waiting = deque([start])
    while waiting:
        node = waiting.popleft()
        if node is end:
            path = [end]
            while path[-1] is not start:
                path.append(came[path[-1]].source)
            return path[::-1]
        for line in graph.out_of(node):
            if not line.weight and line.target.kind is not Kind.BUNDLE and line.target not in came:
                came[line.target] = line
                waiting.append(line.target)
    return None
