"""Text in the language of cells as HTML, for a page and for fences of it."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from cellwright.export.diagram import diagram
from cellwright.language import parse
from cellwright.language.syntax import HEADERS
from gallery.pictures import figure

__all__ = ["fence", "highlighted"]

_PARTS = re.compile(
    rf"(?P<k>^(?:{'|'.join(HEADERS)}):|^[a-z]+(?= [^\W\d_]))|(?P<c1>#.*)", re.MULTILINE
)
"""Headers and words like `init`, then comments; the names are classes of Pygments'."""


def highlighted(text: str) -> str:
    """A block of code."""

    def span(part: re.Match[str]) -> str:
        return f'<span class="{part.lastgroup}">{part[0]}</span>'

    code = _PARTS.sub(span, escape(text.strip(), quote=False))
    return f'<div class="highlight"><pre><code>{code}\n</code></pre></div>'


def fence(source: str, *_: Any, **__: Any) -> str:
    """A fence ```cell of Markdown: the text and, below it, the picture of what it says."""
    picture = figure(diagram(parse(source)))
    return f'<div class="cell-source">{highlighted(source)}{picture}</div>'
