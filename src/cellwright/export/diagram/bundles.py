"""Values that several layers read together go there as one line."""

from __future__ import annotations

from collections.abc import Sequence

from cellwright.export.diagram.graph import Graph, Kind, Line, Node

__all__ = ["bundle"]

FEWEST = 2
"""Layers that read the same values, or as many more values than this that one of them reads."""

MOST = 4
"""Lines into one bar, and into any other node: it has no room for many more."""


def bundle(graph: Graph) -> None:
    """Put a bar where two layers or more multiply the same values by matrices.

    What reads more than another bar has goes on from that bar.
    """
    reads = {
        node: frozenset(line.source for line in graph.into(node) if line.weight == "matrix")
        for node in graph.nodes
    }
    sets = sorted({r for r in reads.values() if len(r) >= FEWEST}, key=lambda r: _rank(graph, r))
    chosen: list[frozenset[Node]] = []
    for wanted in reversed(sets):
        users = sum(r == wanted for r in reads.values())
        beyond = sum(wanted < other for other in chosen)
        if users + beyond >= FEWEST or len(wanted) > FEWEST + 1:
            chosen.insert(0, wanted)
    bars: dict[frozenset[Node], Node] = {}
    for wanted in chosen:
        bars[wanted] = _bar(graph, wanted, bars)
    for node, wanted in reads.items():
        if wanted in bars:
            _redirect(graph, node, bars[wanted], wanted)
    for node in [n for n in graph.nodes if n.kind is not Kind.BUNDLE]:
        while len(lines := graph.into(node)) > MOST:
            _gather(graph, node, lines[-MOST:])


def _rank(graph: Graph, wanted: frozenset[Node]) -> tuple[int, list[int]]:
    return len(wanted), sorted(graph.nodes.index(node) for node in wanted)


def _bar(graph: Graph, wanted: frozenset[Node], bars: dict[frozenset[Node], Node]) -> Node:
    inside = max((b for b in bars if b < wanted), key=len, default=frozenset())
    sources = [bars[inside]] if inside else []
    sources += sorted(wanted - inside, key=graph.nodes.index)
    labels = [n.label if n.kind is Kind.INPUT else (n.names or [n.text])[0]
              for n in sorted(wanted, key=graph.nodes.index)]  # fmt: skip
    while len(sources) > MOST:
        part = Node(Kind.BUNDLE, "", text="some of what goes side by side")
        graph.nodes.insert(max(map(graph.nodes.index, sources[:MOST])) + 1, part)
        graph.lines += [Line(source, part) for source in sources[:MOST]]
        sources = [part, *sources[MOST:]]
    node = Node(Kind.BUNDLE, "", text=", ".join(labels))
    graph.nodes.insert(max(map(graph.nodes.index, sources)) + 1, node)
    graph.lines += [Line(source, node) for source in sources]
    return node


def _gather(graph: Graph, node: Node, lines: Sequence[Line]) -> None:
    """Lead some of a node's lines into a bar before it."""
    bar = Node(Kind.BUNDLE, "", text="part of what goes in there")
    graph.nodes.insert(graph.nodes.index(node), bar)
    weights = {line.weight for line in lines}
    graph.lines.append(Line(bar, node, weights.pop() if len(weights) == 1 else ""))
    for line in lines:
        graph.lines.append(Line(line.source, bar, changed=line.changed))
        graph.lines.remove(line)


def _redirect(graph: Graph, node: Node, bar: Node, wanted: frozenset[Node]) -> None:
    replaced = [line for line in graph.into(node) if line.source in wanted]
    line = Line(bar, node, "matrix")
    for old in replaced:
        line.changed += [e for e in old.changed if e not in line.changed]
        graph.lines.remove(old)
    graph.lines.append(line)
