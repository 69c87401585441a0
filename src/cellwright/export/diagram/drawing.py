"""From a cell to its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cellwright.export.diagram.bundles import bundle
from cellwright.export.diagram.chains import chains
from cellwright.export.diagram.foot import NARROWEST, foot
from cellwright.export.diagram.graph import Graph, Kind, Node
from cellwright.export.diagram.layout import Layout, lay_out
from cellwright.export.diagram.measure import Box, box_of, extent_of, shown_names
from cellwright.export.diagram.placement import place
from cellwright.export.diagram.reading import graph_of
from cellwright.export.diagram.routing import route
from cellwright.export.diagram.strokes import joints, strokes
from cellwright.export.diagram.svg import document, drawn_line, drawn_node
from cellwright.export.diagram.tracks import Net
from cellwright.language import Cell
from cellwright.language.difference import Row, difference

__all__ = ["Picture", "diagram", "picture"]


@dataclass(frozen=True)
class Picture:
    """A graph with a place for everything."""

    cell: Cell
    graph: Graph
    chains: Sequence[Sequence[Node]]
    """The lines of states, node by node."""
    layout: Layout
    boxes: Mapping[Node, Box]
    names: Mapping[Node, str]
    """What is written beside or below a node's label."""
    nets: Sequence[Net]
    compared: str
    """In words, what is marked and what another cell has beyond this one."""


def diagram(cell: Cell, against: Cell | None = None) -> str:
    """A cell as an SVG; with `against`, what differs from that cell is marked.

    States run from left to right, and gates are valves on their lines. A line that branches has a
    dot; where two lines cross there is none, and a gap in one of them.
    """
    return written(picture(cell, against))


def picture(cell: Cell, against: Cell | None = None) -> Picture:
    """What is drawn, and where."""
    rows = difference(cell, against) if against else ()
    differs = {
        row.name: [mark for text, mark in row.left for _ in text]
        for row in rows
        if row.left is not None and row.changed
    }
    graph = graph_of(cell, differs)
    bundle(graph)
    lines = chains(graph)
    grid, nets = route(graph, place(graph, lines), lines)
    ends = frozenset(n.label for n in graph.nodes if n.kind is Kind.OUTPUT)
    names = {n: shown_names(n, ends) for n in graph.nodes}
    return Picture(
        cell,
        graph,
        lines,
        lay_out(grid, nets, {n: extent_of(n, names[n]) for n in graph.nodes}),
        {n: box_of(n, names[n]) for n in graph.nodes},
        names,
        nets,
        _compared(against, rows) if against else "",
    )


def written(p: Picture) -> str:
    """A picture as SVG."""
    parts = [drawn_line(strokes(net, p.layout, p.boxes), joints(net, p.layout)) for net in p.nets]
    shown = p.cell.program.outputs[0]
    parts += [
        drawn_node(
            node,
            p.layout.centres[node],
            p.boxes[node],
            p.names[node],
            _tip(node, p.cell),
            node.kind is Kind.OUTPUT and node.label == shown,
        )
        for node in p.graph.nodes
    ]
    wide = max(p.layout.width, NARROWEST)
    below, height = foot(p.graph, p.layout.height, wide, p.compared)
    title = f"{p.cell.name}: {p.cell.title}" if p.cell.title else p.cell.name
    about = "; ".join(e.text for e in p.cell.equations)
    return document(wide, height, title, about, [*parts, *below])


def _compared(against: Cell, rows: Sequence[Row]) -> str:
    changed = [row for row in rows if row.changed]
    said = []
    if any(row.left for row in changed):
        said.append(f"Heavy: differs from {against.name}.")
    if missing := [row.name for row in changed if row.left is None]:
        said.append(f"Only there: {', '.join(missing)}.")
    return " ".join(said) or f"The equations are those of {against.name}."


def _tip(node: Node, cell: Cell) -> str:
    """The equation with its caption; of a part of one, the part first."""
    equations = {e.name: f"{e.text}\n{e.caption}".strip() for e in cell.equations}
    lines = [equations[n] for n in node.names or [node.equation] if n in equations]
    if not node.names or node.kind is Kind.INPUT:
        lines.insert(0, node.text)
    return "\n".join(dict.fromkeys(lines))
