"""What several of them have: sizes, shapes and titles, in words."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from cellwright.language import Cell
from cellwright.program.ops import Shape

__all__ = ["Sizes", "shape_text", "size_text", "title"]

Sizes = Mapping[str, int]


def title(c: Cell) -> Text:
    """The name of a cell and its title."""
    return Text(c.name, style="bold").append(f": {c.title}" if c.title else "", style="not bold")


def size_text(sizes: Sizes) -> str:
    """The sizes that something is counted for."""
    return f"input size {sizes['I']}, hidden size {sizes['H']}"


def shape_text(shape: Shape) -> str:
    """As Python writes a tuple; nothing for a scalar."""
    return f"({', '.join(shape)}{',' * (len(shape) == 1)})" if shape else ""
