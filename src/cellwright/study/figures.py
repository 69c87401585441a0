"""The figures of a report of seeds, as inline SVG: the ranking, and learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import rc_context
from matplotlib.ticker import MaxNLocator

from cellwright.study.drawing import (
    STAND_IN,
    STEPS,
    STYLE,
    WIDE,
    as_svg,
    label_ends,
    margin_of,
    new_figure,
    short,
    style_of,
)
from cellwright.study.metric import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Dots", "curves", "dots"]


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
    with rc_context(STYLE):
        height = 34 * len(rows) + 62
        figure, left = new_figure(width, height), margin_of(row.name for row in rows)
        right = 62 if width == WIDE else 12
        ax = figure.add_axes((left / width, 46 / height, (width - left - right) / width,
                              (height - 62) / height))  # fmt: skip
        low, high = _range(rows, 20 * 10.0**-metric.decimals)
        ax.set(xlim=(low, high), ylim=(len(rows) - 0.35, -0.5), yticks=[])
        ax.xaxis.set_major_locator(MaxNLocator(7 if width == WIDE else 4, steps=STEPS))
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        axis = f"test {metric.axis}" if width == WIDE else metric.measured or metric.name
        better = "← lower is better" if metric.better == "lower" else "higher is better →"
        ax.set_xlabel(f"{axis} ({better})", labelpad=8)
        for mean in (row.mean for row in rows if row.name == baseline):
            ax.axvline(mean, color=STAND_IN["muted"], dashes=(4, 3), linewidth=1.2)
        for y, row in enumerate(rows):
            _row(ax, y, row, bold=row.name == baseline)
            if width == WIDE:
                _beside(ax, y, metric.text(row.mean / metric.factor), right=True)
        return as_svg(figure, f"dots-{width}", label)


def _row(ax: Axes, y: int, row: Dots, bold: bool) -> None:
    colour, _ = style_of(row.style)
    _beside(ax, y, short(row.name), right=False, bold=bold)
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
    with rc_context(STYLE):
        wide = width == WIDE
        margin, panel, gap, bottom = margin_of(line.name for line in lines), 300, 40, 50
        height = panel + bottom + 34 if wide else 2 * (panel + bottom + 24)
        figure = new_figure(width, height)
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
            ax.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
            ax.grid(axis="y")
            ax.set_axisbelow(True)
            ends = {line: end for line in lines if (end := _curve(ax, line, title)) is not None}
            if not wide or title == "validation":
                label_ends(ax, ends, 16 * (high - low) / panel)
        return as_svg(figure, f"curves-{width}", label)


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
    colour, dashes = style_of(line.style)
    if len(table) > 1:
        ax.fill_between(passes, np.nanmin(table, 0), np.nanmax(table, 0), color=colour, alpha=0.13,
                        linewidth=0)  # fmt: skip
    (drawn,) = ax.plot(passes, mean, color=colour, linewidth=1.8)
    if dashes:
        drawn.set_dashes(dashes)
    return float(passes[-1]), float(mean[-1])
