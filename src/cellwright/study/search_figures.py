"""The figures of a report of searches, as inline SVG; what they show is computed in statistics.

Each is drawn for one width, WIDE or NARROW, and `label` is read aloud instead of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final, Literal

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

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
from cellwright.study.statistics.budget import Curve
from cellwright.study.statistics.importance import Importances
from cellwright.study.statistics.pairs import Pair
from cellwright.study.statistics.surface import Marginal
from cellwright.study.words import p_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Expected",
    "Point",
    "Run",
    "expected",
    "front",
    "marginals",
    "matrix",
    "shares",
    "tradeoff",
]

_LEAST_SHARE: Final = 0.01
"""Smaller shares of importance have no bar."""


@dataclass(frozen=True)
class Expected:
    """One cell's expected best."""

    name: str
    style: int
    curve: Curve


@dataclass(frozen=True)
class Run:
    """One cell's marginal along a hyperparameter."""

    name: str
    style: int
    marginal: Marginal


@dataclass(frozen=True)
class Point:
    """One cell, by what it costs and how good it is."""

    name: str
    style: int
    cost: float
    value: float
    """Of the metric."""


def expected(
    lines: Sequence[Expected],
    metric: Metric,
    over: Literal["trials", "seconds"],
    width: int,
    label: str,
) -> str:
    """The test of the best by validation, by the size of a search; bands are the bootstrap's.

    A line is dashed beyond a quarter of the search, where its band is too narrow.
    """
    with rc_context(STYLE):
        figure, ax = _one(width, 320, margin_of(line.name for line in lines))
        factor = metric.factor
        ends = {}
        for line in lines:
            colour, _ = style_of(line.style)
            at, band = line.curve.at, line.curve.test
            mean, low, high = (
                [factor * v for v in part] for part in (band.mean, band.low, band.high)
            )
            sure = max(1, sum(size <= line.curve.whole / 4 for size in at))
            ax.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)
            ax.plot(at[:sure], mean[:sure], color=colour, linewidth=1.8)
            ax.plot(at[sure - 1 :], mean[sure - 1 :], color=colour, linewidth=1.8, dashes=(5, 2))
            ends[line] = (at[-1], mean[-1])
        first = min(line.curve.at[0] for line in lines)
        last = max(line.curve.at[-1] for line in lines)
        ax.set_xlim(first, last if last > first else first + 1)
        ax.xaxis.set_major_locator(
            MaxNLocator(8 if width == WIDE else 4, integer=over == "trials", steps=[1, 2, 5, 10])
        )
        ax.set_title(f"expected test {metric.axis}", loc="left", fontsize=13, pad=10)
        ax.set_xlabel(over if over == "trials" else "seconds of training", labelpad=6)
        bottom, top = ax.get_ylim()
        label_ends(ax, ends, 16 * (top - bottom) / 320)
        return as_svg(figure, f"expected-{over}-{width}", label)


def shares(found: Importances, width: int, name: str, label: str) -> str:
    """What each hyperparameter explains of how trials differ, and pairs beyond that, as bars.

    `name` tells figures of one page apart.
    """
    rows = [(_plain(one), share, True) for one, share in found.single.items()]
    rows += [(f"{_plain(a)} × {_plain(b)}", share, False) for (a, b), share in found.pairs.items()
             if share >= _LEAST_SHARE]  # fmt: skip
    with rc_context(STYLE):
        left = margin_of((one for one, _, _ in rows), most=34)
        height = 28 * len(rows) + 46
        figure = new_figure(width, height)
        ax = figure.add_axes((left / width, 40 / height, (width - left - 52) / width,
                              (height - 46) / height))  # fmt: skip
        top = max(share for _, share, _ in rows) or 1.0
        ax.set(xlim=(0, 100 * top), ylim=(len(rows) - 0.4, -0.6), yticks=[])
        for y, (one, share, single) in enumerate(rows):
            colour = STAND_IN["blue" if single else "sky"]
            ax.barh(y, 100 * share, height=0.6, color=colour)
            _beside(ax, 0, y, short(one, 34), -10, "right")
            _beside(ax, 100 * share, y, f"{100 * share:.0f}%", 8, "left")
        ax.set_xlabel("share of the variance of trials, %", labelpad=6)
        ax.xaxis.set_major_locator(MaxNLocator(5, steps=STEPS))
        return as_svg(figure, f"shares-{name}-{width}", label)


def marginals(lines: Sequence[Run], metric: Metric, log: bool, width: int, label: str) -> str:
    """The metric along one hyperparameter, averaged over all others; bands are trees' deviations.

    Lines are all of the same hyperparameter; `log` says that it was searched by its logarithm.
    Choices stand in their order.
    """
    name = lines[0].marginal.name
    places = lines[0].marginal.at
    chosen = any(not isinstance(place, int | float) for place in places)
    with rc_context(STYLE):
        figure, ax = _one(width, 260, margin_of(line.name for line in lines) + 10)
        for line in lines:
            colour, dashes = style_of(line.style)
            at = [float(i if chosen else v) for i, v in enumerate(line.marginal.at)]  # type: ignore[arg-type]
            mean = [metric.factor * v for v in line.marginal.mean]
            spread = [metric.factor * v for v in line.marginal.spread]
            if chosen:  # nothing lies between choices
                ax.errorbar(at, mean, spread, fmt="o", color=colour, capsize=4)
                continue
            low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)]
                         for sign in (-1, 1))  # fmt: skip
            ax.fill_between(at, low, high, color=colour, alpha=0.13, linewidth=0)
            (drawn,) = ax.plot(at, mean, color=colour, linewidth=1.8)
            if dashes:
                drawn.set_dashes(dashes)
        if log and not chosen:
            _logarithmic(ax, width)
        if chosen:
            ax.set_xlim(-0.5, len(places) - 0.5)
            ax.set_xticks(range(len(places)), [str(place) for place in places])
        ax.set_title(f"validation {metric.axis}", loc="left", fontsize=13, pad=10)
        ax.set_xlabel(_plain(name), labelpad=6)
        _legend(ax, lines, width)
        return as_svg(figure, f"marginal-{name}-{width}", label)


def matrix(
    found: Mapping[str, Mapping[str, Pair | None]],
    metric: Metric,
    width: int,
    label: str,
) -> str:
    """Every cell, a row, against every other as its baseline, a column: p, and which is better.

    `found[baseline][variant]`. A field is filled where the row is better (green) or worse (orange)
    by more than chance explains. Each column is corrected by itself: a reader who picks from all
    of them has more chances to be wrong than p says.
    """
    names = list(found)
    with rc_context(STYLE):
        left = margin_of(names)
        side = min(64.0, (width - left - 8) / len(names))
        tall = max(18.0, 0.62 * side)  # a line of text
        height = round(tall * len(names) + left * 0.75 + 8)
        figure = new_figure(width, height)
        ax = figure.add_axes((left / width, 4 / height, side * len(names) / width,
                              tall * len(names) / height))  # fmt: skip
        ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), xticks=[], yticks=[])
        for x, baseline in enumerate(names):
            ax.annotate(short(baseline), (x, -0.5), (0, 8), rotation=50, ha="left", va="bottom",
                        textcoords="offset points", annotation_clip=False)  # fmt: skip
            _beside(ax, -0.5, x, short(baseline), -10, "right")
            for y, variant in enumerate(names):
                one = found[baseline].get(variant)
                if one is not None:
                    _field(ax, x, y, one, metric, side)
        return as_svg(figure, f"matrix-{width}", label)


def tradeoff(
    points: Sequence[Point], metric: Metric, cost: str, width: int, label: str, log: bool = True
) -> str:
    """Test metric against what a cell costs; the stairs are those that no other cell beats in both.

    `cost` is in words, with its unit: `parameters`, `milliseconds a step`.
    """
    with rc_context(STYLE):
        figure, ax = _one(width, 320, 24)
        best = front(points, metric)
        stairs = [(p.cost, metric.factor * p.value) for p in best]
        if stairs:  # what is dearer than the last step is no better
            stairs.append((max(p.cost for p in points), stairs[-1][1]))
            ax.step(*zip(*stairs, strict=True), where="post", color=STAND_IN["muted"],
                    linewidth=1.2, dashes=(4, 3))  # fmt: skip
        for p in points:
            colour, _ = style_of(p.style)
            ax.plot([p.cost], [metric.factor * p.value], "o", color=colour, markersize=8)
            ax.annotate(short(p.name), (p.cost, metric.factor * p.value), (8, 5),
                        textcoords="offset points", annotation_clip=False,
                        weight="bold" if p in best else "normal")  # fmt: skip
        ax.margins(0.12)
        if log:
            _logarithmic(ax, width)
        if metric.better == "lower":
            ax.invert_yaxis()
        ax.set_title(f"test {metric.axis}; better is up", loc="left", fontsize=13, pad=10)
        ax.set_xlabel(f"{cost}; cheaper is left", labelpad=6)
        return as_svg(figure, f"tradeoff-{''.join(filter(str.isalnum, cost))}-{width}", label)


def front(points: Sequence[Point], metric: Metric) -> list[Point]:
    """The Pareto front, the cheapest first; of equal points one."""
    found: list[Point] = []
    for p in sorted(points, key=lambda p: (p.cost, metric.order(p.value))):
        if isfinite(p.value) and (not found or metric.is_better(p.value, found[-1].value)):
            found.append(p)
    return found


# --- how they are drawn -------------------------------------------------------------------------


def _one(width: int, panel: int, right: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes."""
    height = panel + 84
    figure = new_figure(width, height)
    left = 52 if width == WIDE else 46
    ax = figure.add_axes((left / width, 50 / height, (width - left - right) / width,
                          panel / height))  # fmt: skip
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    return figure, ax


def _logarithmic(ax: Axes, width: int) -> None:
    """Along x, of what is drawn, with numbers as people write them, few enough for the width."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    most = 6 if width == WIDE else 3
    if high / low < 10:
        ax.xaxis.set_major_locator(MaxNLocator(most - 1, steps=STEPS))
    else:
        few = high / low > (10_000 if width == WIDE else 30)
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if few else (1, 2, 5), numticks=most))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _field(ax: Axes, x: int, y: int, one: Pair, metric: Metric, side: float) -> None:
    """p, where a field of so many pixels has room for it; else only what is shown."""
    better = metric.order(one.difference) < 0
    if one.shown:
        ax.fill_between((x - 0.47, x + 0.47), y - 0.46, y + 0.46, linewidth=0, alpha=0.35,
                        color=STAND_IN["green" if better else "orange"])  # fmt: skip
    sign = ("+" if better else "−") if one.shown else ""
    text = f"{sign} {p_value(one.p)}".strip() if side > 40 else sign or "·"
    ax.text(x, y, text, ha="center", va="center", fontsize=12 if side > 62 or side < 40 else 9,
            weight="bold" if one.shown else "normal")  # fmt: skip


def _beside(
    ax: Axes, x: float, y: float, text: str, by: float, ha: Literal["left", "right"]
) -> None:
    ax.annotate(text, (x, y), (by, 0), ha=ha, va="center", textcoords="offset points",
                annotation_clip=False)  # fmt: skip


def _legend(ax: Axes, lines: Sequence[Run], width: int) -> None:
    """Names right of the axes, in the order of the lines there: a logarithm knows no even steps."""
    order = sorted(lines, key=lambda line: -line.marginal.mean[-1])
    pixel = 1 / (width * ax.get_position().width)
    for i, line in enumerate(order):
        colour, dashes = style_of(line.style)
        y = 1 - i / max(8, len(order))
        (sample,) = ax.plot((1 + 6 * pixel, 1 + 24 * pixel), (y, y), color=colour, linewidth=1.8,
                            transform=ax.transAxes, clip_on=False)  # fmt: skip
        if dashes:
            sample.set_dashes(dashes)
        ax.annotate(short(line.name), (1 + 30 * pixel, y), xycoords="axes fraction", va="center",
                    annotation_clip=False)  # fmt: skip


def _plain(name: str) -> str:
    return name.replace("_", " ")
