"""How the report's figures are drawn: colours come from the page's style sheet, text is text.

matplotlib draws with stand-in colours that are then replaced by CSS variables, so that one figure
is right in light, in dark and in print. Each comes in two widths; the page shows one of them.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "NARROW",
    "STAND_IN",
    "STEPS",
    "STYLE",
    "WIDE",
    "as_svg",
    "colour_of",
    "label_ends",
    "margin_of",
    "new_figure",
    "short",
    "style_of",
]

WIDE, NARROW = 880, 340
"""Widths in CSS pixels: a desktop page, and a telephone of 375 px without its margins."""

_COLOURS: Final = ("ink", "blue", "orange", "green", "pink", "ochre", "sky", "violet")
"""The page's colour variables, in the order in which cells take them."""
_DASHES: Final = (
    (), (7, 2), (2, 1.6), (7, 2, 1.5, 2), (4, 2), (1, 1), (10, 3), (7, 2, 1.5, 2, 1.5, 2),
)  # fmt: skip
"""One a colour: a print in black and white has nothing else to tell curves apart."""
_VARIABLES: Final = (*_COLOURS, "muted", "rule", "page")
STAND_IN: Final = {name: f"#ab00{i:02x}" for i, name in enumerate(_VARIABLES)}

STYLE: Final[dict[Any, Any]] = {  # matplotlib 3.11 has a type for the keys, 3.9 has none
    "axes.edgecolor": STAND_IN["rule"],
    "axes.labelcolor": STAND_IN["muted"],
    "axes.linewidth": 1,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 13,
    "grid.color": STAND_IN["rule"],
    "grid.linewidth": 1,
    "svg.fonttype": "none",
    "svg.hashsalt": "cellwright",
    "text.color": STAND_IN["ink"],
    "text.parse_math": False,  # a name may hold a $
    "xtick.color": STAND_IN["muted"],
    "ytick.color": STAND_IN["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
STEPS: Final = (1, 2, 2.5, 5, 10)
"""Between ticks: what a reader counts in."""
_LETTER = 8
"""Estimated width of a letter in CSS pixels: the font is the reader's, so it cannot be measured."""


class Named(Protocol):
    """Something with a name and a style."""

    @property
    def name(self) -> str:
        """Beside it."""
        ...

    @property
    def style(self) -> int:
        """As in `style_of`."""
        ...


Line = TypeVar("Line", bound=Named)


def label_ends(ax: Axes, ends: Mapping[Line, tuple[float, float]], gap: float) -> None:
    """Each name at its curve's end, moved apart where they would overlap."""
    lines = sorted(ends, key=lambda line: ends[line][1])
    heights = _spread([ends[line][1] for line in lines], gap, *ax.get_ylim())
    edge = ax.get_xlim()[1]
    scale = (edge - 1 or 1) / (ax.get_position().width * ax.figure.bbox.width)
    for line, height in zip(lines, heights, strict=True):
        (x, y), (colour, dashes) = ends[line], style_of(line.style)
        lead, dash = edge + 12 * scale, edge + 34 * scale
        ax.plot((x, edge, lead), (y, y, height), color=colour, linewidth=0.8, alpha=0.6,
                clip_on=False)  # fmt: skip
        (sample,) = ax.plot((lead, dash), (height, height), color=colour, linewidth=1.8,
                            clip_on=False)  # fmt: skip
        if dashes:
            sample.set_dashes(dashes)
        ax.annotate(short(line.name), (dash, height), (5, 0), va="center", annotation_clip=False,
                    textcoords="offset points",
                    weight="bold" if line.style == 0 else "normal")  # fmt: skip


def _spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """`wanted`, ascending, moved to be `gap` apart and, if there is room, within the limits."""
    up, down = [low - gap], [high + gap]
    for y in wanted:
        up.append(max(y, up[-1] + gap))
    for y in reversed(wanted):
        down.append(min(y, down[-1] - gap))
    # Both are apart but lean to one side: their mean does not, and is apart as well.
    middle = [(one + other) / 2 for one, other in zip(up[1:], down[:0:-1], strict=True)]
    below, above = max(0.0, low - middle[0]), max(0.0, middle[-1] - high)
    return [y + below - above for y in middle]


def colour_of(style: int) -> str:
    """The colour variable of a style: 0 is the baseline and has the ink to itself."""
    return _COLOURS[style and 1 + (style - 1) % (len(_COLOURS) - 1)]


def style_of(number: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes; when the colours are used up they come again with other dashes."""
    again = (number - 1) // (len(_COLOURS) - 1)
    dashes = _DASHES[number and 1 + (number - 1 + again) % (len(_DASHES) - 1)]
    return STAND_IN[colour_of(number)], dashes


def new_figure(width: int, height: int) -> Figure:
    """An empty one, in CSS pixels."""
    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")


def short(name: str, most: int = 18) -> str:
    """The name as a label: it may be a file's, which is long and may hold anything."""
    shown = "".join(char if char.isprintable() else "�" for char in name)
    return shown if len(shown) <= most else f"…{shown[1 - most :]}"


def margin_of(names: Iterable[str], most: int = 18) -> float:
    """CSS pixels for the longest of these names, and room around it."""
    return max(len(short(name, most)) for name in names) * _LETTER + 24


_CLEANED: Final = (
    (r"<metadata>.*?</metadata>\s*", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>\s*", ""),  # it would apply to the whole page
    (r'<g id="[^"]*">', "<g>"),
    (r"font-family: [^;\"]*; ", ""),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r" ?\n *", "\n"),
)
"""What matplotlib writes and a page does not want."""


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The drawing as an element to stand in a page: nothing around it, no identifier twice."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the reader's fonts count
        figure.savefig(buffer, format="svg", transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for pattern, instead in _CLEANED:
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    text = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", text)
    for variable, colour in STAND_IN.items():
        text = text.replace(colour, f"var(--{variable})")
    width, height = figure.get_size_inches() * 72
    return re.sub(r"<svg[^>]*>", f'<svg class="{"wide" if width == WIDE else "narrow"}" role="img" '
                  f'aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
                  'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">',
                  text, count=1)  # fmt: skip
