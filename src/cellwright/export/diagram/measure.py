"""How large things are drawn: texts, by an estimate on the safe side, and nodes."""

from __future__ import annotations

from dataclasses import dataclass

from cellwright.export.diagram.graph import Kind, Node

__all__ = ["LABEL", "NAME", "Box", "Extent", "box_of", "extent_of", "shown_names", "width"]

LABEL, NAME = 15.0, 13.0
"""Font sizes: of what a node does, and of the name of its value."""

_NARROW = frozenset("ijl.,:;'|!()[] ·′")
_WIDE = frozenset("mwMWΣ+−×÷=±<>~@%")


def width(text: str, size: float) -> float:
    """An upper estimate for common sans-serif fonts; indices, behind _, are smaller."""
    total, small = 0.0, False
    for char in text:
        if char == "_" and not small:
            small = True
            continue
        em = 0.4 if char in _NARROW else 0.95 if char in _WIDE else 0.75 if char.isupper() else 0.64
        total += em * (0.75 if small else 1.0)
    return total * size


@dataclass(frozen=True)
class Extent:
    """How far something reaches from its centre."""

    left: float
    right: float
    up: float
    down: float


@dataclass(frozen=True)
class Box:
    """The outline of a node around its centre."""

    width: float
    height: float
    radius: float
    """Of its corners."""

    @property
    def extent(self) -> Extent:
        """How far it reaches."""
        return Extent(self.width / 2, self.width / 2, self.height / 2, self.height / 2)


def shown_names(node: Node, ends: frozenset[str]) -> str:
    """The names in or beside a node; beside it, none that stands at the right edge anyway."""
    if node.kind in (Kind.INPUT, Kind.OUTPUT, Kind.BUNDLE):
        return ""
    names = [n for n in node.names if node.kind is not Kind.OPERATION or n not in ends]
    return ", ".join(names)


def box_of(node: Node, name: str) -> Box:
    """Its outline."""
    text = width(node.label, LABEL)
    match node.kind:
        case Kind.BUNDLE:
            return Box(6, 26, 3)
        case Kind.INPUT | Kind.OUTPUT:
            return Box(max(32, text + 16), 30, 15)
        case Kind.OPERATION:
            return Box(26, 26, 13) if text <= 22 else Box(text + 16, 26, 13)
    wide = max(40.0, text + 14, width(name, NAME) + 14)
    high = 42.0 if name else 28.0
    return Box(wide, high, 5 if node.kind is Kind.LAYER else high / 2 if not name else 16)


def extent_of(node: Node, name: str) -> Extent:
    """Its outline and what is written beside it."""
    box = box_of(node, name)
    own = box.extent
    if node.kind is not Kind.OPERATION or not name:
        return own
    return Extent(
        own.left, max(own.right, box.width / 2 - 2 + width(name, NAME)), own.up + 8, own.down
    )
