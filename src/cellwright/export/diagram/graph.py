"""What is drawn: nodes and the lines between them, before anything has a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Graph", "Kind", "Line", "Node"]


class Kind(Enum):
    """What a node looks like."""

    INPUT = "input"
    """A stream or a state of the step before, at the left edge."""
    OUTPUT = "output"
    """A new state or the cell's output, at the right edge."""
    LAYER = "layer"
    """Learned weights, mostly below an activation: a box."""
    FUNCTION = "function"
    """A function without weights, unit by unit or over units: a rounded box."""
    OPERATION = "operation"
    """What combines values unit by unit: a circle."""
    BUNDLE = "bundle"
    """Values side by side, as several layers read them: a bar."""


@dataclass(eq=False)
class Node:
    """One value that is drawn."""

    kind: Kind
    label: str
    """What stands in it: an activation, a sign, the name of what comes in or goes out."""
    equation: str = ""
    """The equation that it was drawn for."""
    names: list[str] = field(default_factory=list)
    """The names that equations give to its value."""
    text: str = ""
    """What it computes, as the equations write it."""
    changed: list[str] = field(default_factory=list)
    """The equations in which another cell differs here."""


@dataclass(eq=False)
class Line:
    """A value on its way from the node that makes it to one that reads it."""

    source: Node
    target: Node
    weight: str = ""
    """`matrix` or `vector`, where the target multiplies it by a learned one."""
    aside: bool = False
    """Whether it is what is taken away, or divided by: it goes in from above or below."""
    changed: list[str] = field(default_factory=list)
    """The equations in which another cell differs here."""


@dataclass
class Graph:
    """Nodes in the order in which they are computed, and lines."""

    nodes: list[Node] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def into(self, node: Node) -> list[Line]:
        """The lines that end at a node."""
        return [line for line in self.lines if line.target is node]

    def out_of(self, node: Node) -> list[Line]:
        """The lines that begin at a node."""
        return [line for line in self.lines if line.source is node]
