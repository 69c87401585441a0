"""A laid out picture as SVG."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from xml.sax.saxutils import escape, quoteattr

from cellwright.export.diagram.graph import Kind, Node
from cellwright.export.diagram.measure import LABEL, NAME, Box
from cellwright.export.diagram.strokes import Place, Stroke

__all__ = ["SMALL", "document", "drawn_line", "drawn_node", "drawn_text"]

CORNER = 6.0
"""How round a bend is."""
SMALL = 11.0
"""The font size of what is said below a picture."""


def document(width: float, height: float, title: str, about: str, parts: Iterable[str]) -> str:
    """The whole file."""
    style = files("cellwright.export.diagram").joinpath("picture.css").read_text("utf-8")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cell-diagram" role="img" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}">'
    )
    return "\n".join(
        (
            head,
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(about)}</desc>",
            f"<style>\n{style}</style>",
            f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
            *parts,
            "</svg>\n",
        )
    )


def _n(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _spelled(text: str) -> str:
    """A name with its index lowered and a proper prime."""
    text = text.replace("'", "′")
    match = re.match(r"([^_]+)_(\w+)(.*)", text.replace("ᵀ", "⊤"))
    if not match:
        return escape(text)
    name, index, rest = (escape(part.replace("⊤", "ᵀ")) for part in match.groups())
    lowered = f'<tspan dy="3.5" font-size="75%">{index}</tspan>'
    return f'{name}{lowered}<tspan dy="-3.5">{rest}</tspan>' if rest else f"{name}{lowered}"


def _texts(names: str) -> str:
    """Several names, each with its index lowered."""
    return ", ".join(_spelled(name) for name in names.split(", "))


def drawn_node(node: Node, at: Place, box: Box, name: str, tip: str, shown: bool) -> str:
    """A node with its texts and its tooltip; `shown`: it is what the layer returns."""
    x, y = at
    classes = [node.kind.value, *(["changed"] if node.changed else [])]
    marks = f" data-changed={quoteattr(' '.join(node.changed))}" if node.changed else ""
    called = node.names if node.kind not in (Kind.INPUT, Kind.OUTPUT) else [node.label, *node.names]
    names = f" data-names={quoteattr(' '.join(called))}" if called else ""
    parts = [f'<g class="{" ".join(classes)}"{names}{marks}><title>{escape(tip)}</title>']
    parts.append(_rectangle(x, y, box, 0))
    if shown:
        parts.append(_rectangle(x, y, box, 3))
    inside = node.kind in (Kind.LAYER, Kind.FUNCTION) and name
    if node.label:
        parts.append(
            drawn_text(x, y + (-2.5 if inside else LABEL * 0.35), LABEL, "label", _label(node))
        )
    if inside:
        parts.append(drawn_text(x, y + 14.5, NAME, "name", _texts(name)))
    elif name:
        left = x + box.width / 2 - 2
        parts.append(drawn_text(left, y - box.height / 2 + 3, NAME, "name beside", _texts(name)))
    return "".join(parts) + "</g>"


def _label(node: Node) -> str:
    """What stands in a node, each name in it with its index lowered."""
    return " ".join(_spelled(word) for word in node.label.split(" "))


def _rectangle(x: float, y: float, box: Box, inset: float) -> str:
    wide, high = box.width - 2 * inset, box.height - 2 * inset
    radius = max(1.0, min(box.radius, box.height / 2) - inset)
    return (
        f'<rect class="shape" x="{_n(x - wide / 2)}" y="{_n(y - high / 2)}" width="{_n(wide)}" '
        f'height="{_n(high)}" rx="{_n(radius)}"/>'
    )


def drawn_text(x: float, y: float, size: float, kind: str, content: str) -> str:
    """A text at its baseline."""
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}">{content}</text>'


def drawn_line(strokes: Sequence[Stroke], joints: Sequence[Place]) -> str:
    """All strokes of a value; others' lines below have a gap where these cross them."""
    parts = ["<g>"]
    parts += [f'<path class="halo" d="{_path(s.points)}"/>' for s in strokes]
    for s in strokes:
        marks = f" data-changed={quoteattr(' '.join(s.changed))}" if s.changed else ""
        look = f'class="line{" dotted" if s.dotted else ""}"'
        parts.append(f"<g{' class=' + chr(34) + 'changed' + chr(34) if s.changed else ''}{marks}>")
        parts.append(f'<path {look} d="{_path(s.points)}"/>')
        if s.end:
            parts.append(_head(*s.points[-2:]))
        parts.append("</g>")
    parts += [f'<circle class="joint" cx="{_n(x)}" cy="{_n(y)}" r="3.2"/>' for x, y in joints]
    return "".join(parts) + "</g>"


def _path(points: Sequence[Place]) -> str:
    """Straight stretches with rounded corners."""
    text = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        a, b = _towards(corner, before), _towards(corner, after)
        text.append(f"L{_n(a[0])} {_n(a[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(b[0])} {_n(b[1])}")
    return "".join(text) + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _towards(corner: Place, other: Place) -> Place:
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    far = abs(dx) + abs(dy)
    step = min(CORNER, far / 2) / far if far else 0
    return corner[0] + dx * step, corner[1] + dy * step


def _head(before: Place, tip: Place) -> str:
    dx, dy = tip[0] - before[0], tip[1] - before[1]
    far = abs(dx) + abs(dy) or 1
    dx, dy = dx / far, dy / far
    back = (tip[0] - 7 * dx, tip[1] - 7 * dy)
    a = (back[0] + 3.2 * dy, back[1] - 3.2 * dx)
    b = (back[0] - 3.2 * dy, back[1] + 3.2 * dx)
    corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in (tip, a, b))
    return f'<polygon class="head" points="{corners}"/>'
