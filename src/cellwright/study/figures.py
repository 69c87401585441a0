"""The report's figures as inline SVG: colours come from the page's style sheet, text is text.

matplotlib draws with stand-in colours that are then replaced by CSS variables, so that one figure
is right in light, in dark and in print. Each comes in two widths; the page shows one of them.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cellwright.study.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NARROW", "WIDE", "Curve", "Dots", "colour_of", "curves", "dots"]

WIDE, NARROW = 880, 340
"""Widths in CSS pixels: a desktop page, and a telephone of 375 px without its margins."""

_COLOURS: Final = ("ink", "blue", "orange", "green", "pink", "ochre", "sky", "violet")
"""The page's colour variables, in the order in which cells take them."""
_DASHES: Final = (
    (), (7, 2), (2, 1.6), (7, 2, 1.5, 2), (4, 2), (1, 1), (10, 3), (7, 2, 1.5, 2, 1.5, 2),
)  # fmt: skip
"""One a colour: a print in black and white has nothing else to tell curves apart."""
_VARIABLES: Final = (*_COLOURS, "muted", "rule", "page")
_STAND_IN: Final = {name: f"#ab00{i:02x}" for i, name in enumerate(_VARIABLES)}

_STYLE: Final[dict[Any, Any]] = {  # matplotlib 3.11 has a type for the keys, 3.9 has none
    "axes.edgecolor": _STAND_IN["rule"],
    "axes.labelcolor": _STAND_IN["muted"],
    "axes.linewidth": 1,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 13,
    "grid.color": _STAND_IN["rule"],
    "grid.linewidth": 1,
    "svg.fonttype": "none",
    "svg.hashsalt": "cellwright",
    "text.color": _STAND_IN["ink"],
    "text.parse_math": False,  # a name may hold a $
    "xtick.color": _STAND_IN["muted"],
    "ytick.color": _STAND_IN["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
_STEPS: Final = (1, 2, 2.5, 5, 10)
"""Between ticks: what a reader counts in."""
_LETTER = 8
"""Estimated width of a letter in CSS pixels: the font is the reader's, so it cannot be measured."""


@dataclass(frozen=True)
class Dots:
    """One row of the ranking figure."""

    name: str
    style: int
    values: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Curve:
    """One cell's learning curves: a list of values for each seed, by epoch."""

    name: str
    style: int
    train: tuple[tuple[float, ...], ...]
    valid: tuple[tuple[float, ...], ...]


def dots(rows: Sequence[Dots], baseline: str, metric: Metric, width: int, label: str) -> str:
    """Every seed a dot, the mean a bar across, the interval a line; the best row on top.

    The dashed line is the baseline's mean. `label` is read aloud instead of the figure.
    """
    rows = [_scaled(row, metric.factor) for row in rows]
    with rc_context(_STYLE):
        height = 34 * len(rows) + 62
        figure, left = _figure(width, height), _margin(row.name for row in rows)
        right = 62 if width == WIDE else 12
        ax = figure.add_axes((left / width, 46 / height, (width - left - right) / width,
                              (height - 62) / height))  # fmt: skip
        low, high = _range(rows, 20 * 10.0**-metric.decimals)
        ax.set(xlim=(low, high), ylim=(len(rows) - 0.35, -0.5), yticks=[])
        ax.xaxis.set_major_locator(MaxNLocator(7 if width == WIDE else 4, steps=_STEPS))
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        axis = f"test {metric.axis}" if width == WIDE else metric.measured or metric.name
        better = "← lower is better" if metric.better == "lower" else "higher is better →"
        ax.set_xlabel(f"{axis} ({better})", labelpad=8)
        for mean in (row.mean for row in rows if row.name == baseline):
            ax.axvline(mean, color=_STAND_IN["muted"], dashes=(4, 3), linewidth=1.2)
        for y, row in enumerate(rows):
            _row(ax, y, row, bold=row.name == baseline)
            if width == WIDE:
                _beside(ax, y, metric.text(row.mean / metric.factor), right=True)
        return _svg(figure, f"dots-{width}", label)


def _row(ax: Axes, y: int, row: Dots, bold: bool) -> None:
    colour, _ = _style(row.style)
    _beside(ax, y, _short(row.name), right=False, bold=bold)
    if row.interval is not None:
        ax.plot(row.interval, (y, y), color=colour, linewidth=2.6, solid_capstyle="butt")
        low, high = ax.get_xlim()
        for end, edge, marker in ((row.interval[0], low, "<"), (row.interval[1], high, ">")):
            if not low <= end <= high:
                ax.plot([edge], [y], marker, color=colour, clip_on=False, markersize=7)
    ax.plot([row.mean], [y], "|", color=colour, markersize=17, markeredgewidth=2.6)
    ax.plot(row.values, [y + 0.27] * len(row.values), "o", markerfacecolor="none",
            markeredgecolor=colour, markersize=5, markeredgewidth=1.2)  # fmt: skip


def _beside(ax: Axes, y: int, text: str, right: bool, bold: bool = False) -> None:
    """Text at the height of row `y`, left or right of the axes."""
    ax.annotate(text, (right, y), (12 if right else -12, 0), ha="left" if right else "right",
                va="center", weight="bold" if bold else "normal", annotation_clip=False,
                xycoords=ax.get_yaxis_transform(), textcoords="offset points")  # fmt: skip


def _scaled(row: Dots, factor: float) -> Dots:
    low_high = (row.interval[0] * factor, row.interval[1] * factor) if row.interval else None
    values = tuple(value * factor for value in row.values)
    return replace(row, values=values, mean=row.mean * factor, interval=low_high)


def _range(rows: Sequence[Dots], least: float) -> tuple[float, float]:
    """Wide enough for every dot, and for intervals unless two seeds make one enormous."""
    values = [v for row in rows for v in row.values]
    low, high = min(values), max(values)
    room = max(high - low, least)
    ends = [end for row in rows if row.interval for end in row.interval]
    left = max(min([low, *ends]), low - 1.5 * room)
    right = min(max([high, *ends]), high + 1.5 * room)
    return left - 0.05 * room, right + 0.05 * room


def curves(lines: Sequence[Curve], objective: Metric, width: int, label: str) -> str:
    """The objective by epoch, in training and validation: mean over seeds, lowest to highest.

    Each panel has a scale of its own: what cells differ by on the validation set is small beside
    what training still learns. The mean goes as far as half of the seeds do.
    """
    with rc_context(_STYLE):
        wide = width == WIDE
        margin, panel, gap, bottom = _margin(line.name for line in lines), 300, 40, 50
        height = panel + bottom + 34 if wide else 2 * (panel + bottom + 24)
        figure = _figure(width, height)
        each = (width - 46 - margin - gap) / 2 if wide else width - 36 - margin
        places = ((46, bottom), (46 + each + gap, bottom)) if wide else (
            (36, bottom + panel + 24 + bottom), (36, bottom))  # fmt: skip
        for (x, y), title in zip(places, ("training", "validation"), strict=True):
            ax = figure.add_axes((x / width, y / height, each / width, panel / height))
            low, high = _losses(lines, title)
            ax.set(xlim=(1, max(2, *(_length(line) for line in lines))), ylim=(low, high))
            ax.set_title(f"{title} {objective.axis}", loc="left", fontsize=13, pad=10)
            ax.set_xlabel("epoch", labelpad=6)
            ax.xaxis.set_major_locator(
                MaxNLocator(6 if wide else 4, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
            )
            ax.yaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
            ax.grid(axis="y")
            ax.set_axisbelow(True)
            ends = {line: end for line in lines if (end := _curve(ax, line, title)) is not None}
            if not wide or title == "validation":
                _labels(ax, ends, 16 * (high - low) / panel)
        return _svg(figure, f"curves-{width}", label)


def _length(line: Curve) -> int:
    return max((len(seed) for seed in line.valid), default=1)


def _seeds(line: Curve, which: str) -> np.ndarray:
    """`(seeds, epochs)`, NaN where a seed has stopped; cut where fewer than half go on."""
    runs = line.train if which == "training" else line.valid
    table = np.full((len(runs), _length(line)), np.nan)
    for row, run in zip(table, runs, strict=True):
        row[: len(run)] = run
    table[~np.isfinite(table)] = np.nan
    enough = 2 * np.isfinite(table).sum(0) >= len(runs)
    return table[:, : int(np.argmin(enough)) if not enough.all() else None]


def _losses(lines: Sequence[Curve], which: str) -> tuple[float, float]:
    """The scale: all of the last three quarters, for the first passes fall from far above."""
    tables = [_seeds(line, which) for line in lines]
    low = min(float(np.nanmin(table)) for table in tables)
    late = max(float(np.nanmean(table, 0)[table.shape[1] // 4 :].max()) for table in tables)
    high = max(late, low + 0.01 * abs(low) + 1e-9)
    return low - 0.05 * (high - low), high


def _curve(ax: Axes, line: Curve, which: str) -> tuple[float, float] | None:
    table = _seeds(line, which)
    if not table.size:
        return None
    passes, mean = np.arange(1, table.shape[1] + 1), np.nanmean(table, 0)
    colour, dashes = _style(line.style)
    if len(table) > 1:
        ax.fill_between(passes, np.nanmin(table, 0), np.nanmax(table, 0), color=colour, alpha=0.13,
                        linewidth=0)  # fmt: skip
    (drawn,) = ax.plot(passes, mean, color=colour, linewidth=1.8)
    if dashes:
        drawn.set_dashes(dashes)
    return float(passes[-1]), float(mean[-1])


def _labels(ax: Axes, ends: Mapping[Curve, tuple[float, float]], gap: float) -> None:
    """Each name at its curve's end, moved apart where they would overlap."""
    lines = sorted(ends, key=lambda line: ends[line][1])
    heights = _spread([ends[line][1] for line in lines], gap, *ax.get_ylim())
    edge = ax.get_xlim()[1]
    scale = (edge - 1 or 1) / (ax.get_position().width * ax.figure.bbox.width)
    for line, height in zip(lines, heights, strict=True):
        (x, y), (colour, dashes) = ends[line], _style(line.style)
        lead, dash = edge + 12 * scale, edge + 34 * scale
        ax.plot((x, edge, lead), (y, y, height), color=colour, linewidth=0.8, alpha=0.6,
                clip_on=False)  # fmt: skip
        (sample,) = ax.plot((lead, dash), (height, height), color=colour, linewidth=1.8,
                            clip_on=False)  # fmt: skip
        if dashes:
            sample.set_dashes(dashes)
        ax.annotate(_short(line.name), (dash, height), (5, 0), va="center", annotation_clip=False,
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


# --- how it is drawn ----------------------------------------------------------------------------


def colour_of(style: int) -> str:
    """The colour variable of a style: 0 is the baseline and has the ink to itself."""
    return _COLOURS[style and 1 + (style - 1) % (len(_COLOURS) - 1)]


def _style(number: int) -> tuple[str, tuple[float, ...]]:
    """Colour and dashes; when the colours are used up they come again with other dashes."""
    again = (number - 1) // (len(_COLOURS) - 1)
    dashes = _DASHES[number and 1 + (number - 1 + again) % (len(_DASHES) - 1)]
    return _STAND_IN[colour_of(number)], dashes


def _figure(width: int, height: int) -> Figure:
    return Figure(figsize=(width / 72, height / 72), dpi=72, facecolor="none")


def _short(name: str, most: int = 18) -> str:
    """The name as a label: it may be a file's, which is long and may hold anything."""
    shown = "".join(char if char.isprintable() else "�" for char in name)
    return shown if len(shown) <= most else f"…{shown[1 - most :]}"


def _margin(names: Iterator[str]) -> float:
    return max(len(_short(name)) for name in names) * _LETTER + 24


_CLEANED: Final = (
    (r"<metadata>.*?</metadata>\s*", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>\s*", ""),  # it would apply to the whole page
    (r'<g id="[^"]*">', "<g>"),
    (r"font-family: [^;\"]*; ", ""),
    (r' transform="rotate\(-0 [^"]*"', ""),
    (r" ?\n *", "\n"),
)
"""What matplotlib writes and a page does not want."""


def _svg(figure: Figure, name: str, label: str) -> str:
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
    for variable, colour in _STAND_IN.items():
        text = text.replace(colour, f"var(--{variable})")
    width, height = figure.get_size_inches() * 72
    return re.sub(r"<svg[^>]*>", f'<svg class="{"wide" if width == WIDE else "narrow"}" role="img" '
                  f'aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
                  'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">',
                  text, count=1)  # fmt: skip
