"""Diagrams of cells as a part of a page."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

from markupsafe import Markup

from cellwright.export.diagram import diagram
from cellwright.language import Cell

__all__ = ["picture", "style"]

_STYLE = re.compile(r"<style>\n?(.*?)</style>\n?", re.DOTALL)
_HEAD = re.compile(r'(<svg [^>]*?) width="([^"]*)" height="[^"]*">')


def picture(cell: Cell, baseline: Cell | None) -> Markup:
    """A cell's diagram, what differs from the baseline heavy; never wider than it was drawn."""
    text = _STYLE.sub("", _drawn(cell, baseline))
    label = escape(f"Diagram of {cell.name}")
    return Markup(_HEAD.sub(rf'\1 style="max-width: \2px" aria-label="{label}">', text, count=1))


def style(cell: Cell) -> Markup:
    """What all diagrams need in the style sheet of the page."""
    found = _STYLE.search(_drawn(cell, None))
    assert found is not None
    return Markup(found[1])


@lru_cache(maxsize=256)
def _drawn(cell: Cell, baseline: Cell | None) -> str:
    return diagram(cell, baseline)
