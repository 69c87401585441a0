"""What is said below a picture: what its signs mean, and what another cell has or has not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from cellwright.export.diagram.graph import Graph, Kind, Line, Node
from cellwright.export.diagram.measure import Box, width
from cellwright.export.diagram.strokes import Stroke
from cellwright.export.diagram.svg import SMALL, drawn_line, drawn_node, drawn_text

__all__ = ["NARROWEST", "foot"]

NARROWEST = 340.0
"""The width that the words get, where a picture has less."""
MARGIN, HIGH, SIGN, SPACE = 16.0, 22.0, 22.0, 16.0
MEANING = {
    Kind.LAYER: "layer with weights",
    Kind.FUNCTION: "function",
    Kind.OPERATION: "unit by unit",
    Kind.BUNDLE: "read together",
}
"""In words, what is drawn in the form of a kind."""


@dataclass(frozen=True)
class _Entry:
    text: str
    draw: Callable[[float, float], str]
    """The sign, at a place."""


def foot(graph: Graph, top: float, wide: float, words: str) -> tuple[list[str], float]:
    """The signs that occur, then `words`, line by line; and where the last line ends."""
    parts: list[str] = []
    x, y = MARGIN, top + HIGH / 2
    for entry in _entries(graph):
        need = SIGN + 6 + width(entry.text, SMALL)
        if x > MARGIN and x + need > wide - MARGIN:
            x, y = MARGIN, y + HIGH
        parts.append(entry.draw(x + SIGN / 2, y))
        parts.append(drawn_text(x + SIGN + 6, y + 4, SMALL, "foot", entry.text))
        x += need + SPACE
    for line in _wrapped(words, wide - 2 * MARGIN):
        y += HIGH - 4
        parts.append(drawn_text(MARGIN, y + 4, SMALL, "foot", line))
    return parts, y + HIGH / 2 + MARGIN / 2


def _entries(graph: Graph) -> Iterator[_Entry]:
    for kind, text in MEANING.items():
        if any(node.kind is kind for node in graph.nodes):
            yield _Entry(text, partial(_sign, kind))
    if any(line.weight == "vector" for line in graph.lines):
        yield _Entry("one weight a unit", _dotted)
    yield _Entry("output", partial(_sign, Kind.OUTPUT, shown=True))


def _sign(kind: Kind, x: float, y: float, shown: bool = False) -> str:
    box = {
        Kind.LAYER: Box(20, 13, 3),
        Kind.FUNCTION: Box(20, 13, 6.5),
        Kind.BUNDLE: Box(5, 15, 2.5),
    }.get(kind, Box(14, 14, 7))
    return drawn_node(Node(kind, ""), (x, y), box, "", MEANING.get(kind, "output"), shown)


def _dotted(x: float, y: float) -> str:
    nowhere = Node(Kind.INPUT, "")
    ends = ((x - SIGN / 2, y), (x + SIGN / 2, y))
    return drawn_line([Stroke(ends, (Line(nowhere, nowhere, "vector"),), end=True)], [])


def _wrapped(words: str, wide: float) -> Iterator[str]:
    line = ""
    for word in words.split():
        longer = f"{line} {word}".strip()
        if line and width(longer, SMALL) > wide:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line
