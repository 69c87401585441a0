"""A table of measurements as a picture: a dot for each number, in the page's colours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log

from matplotlib.ticker import MaxNLocator

from gallery.results import Table

__all__ = ["Series", "chart", "series"]

UNITS: Mapping[str, str] = {
    "x": r"(?:.*\()?([\d.]+)x\b.*",
    "%": r"([\d.]+)%",
    "": r"(\d+\.\d+)(?: \(.*\))?",
}
"""What entries of a column may be, the most telling first: how many times as much, a share, a
measure. What has no point is a setting."""


@dataclass(frozen=True)
class Series:
    """Numbers of one kind, one a row; None where there is none."""

    name: str
    values: Sequence[float | None]


def series(table: Table) -> tuple[list[str], list[Series], str]:
    """The names of a picture's rows, what is drawn in them, and in which unit.

    The columns of the most telling unit are drawn. Lines of the table that differ in their number
    of threads are one row.

    Raises ValueError where no column has numbers.
    """
    columns = list(zip(*table.rows, strict=True))
    units = [next((u for u, form in UNITS.items() if _all(c, form)), None) for c in columns]
    unit = next((u for u in UNITS if u in units), None)
    if unit is None:
        raise ValueError(f"no column of {', '.join(table.header)} has numbers")
    first = next(i for i, u in enumerate(units) if u is not None)
    words = [i for i in range(first) if not _all(columns[i], r"\d+")]
    threads = list(table.header).index("threads") if "threads" in table.header else None
    found: dict[str, dict[str, float]] = {}
    rows: dict[str, None] = {}
    for line in table.rows:
        row = ", ".join(line[i].replace("`", "") for i in words)
        rows[row] = None
        on = f"{line[threads]} thread{'s' * (line[threads] != '1')}" if threads is not None else ""
        for i, u in enumerate(units):
            if u == unit and (match := re.fullmatch(UNITS[unit], line[i])):
                name = ", ".join(filter(None, (_named(i, table.header, units), on)))
                found.setdefault(name, {})[row] = float(match[1])
    return list(rows), [Series(n, [v.get(r) for r in rows]) for n, v in found.items()], unit


def _all(column: Sequence[str], form: str) -> bool:
    entries = [entry for entry in column if entry]
    return bool(entries) and all(re.fullmatch(form, entry) for entry in entries)


def _named(i: int, header: Sequence[str], units: Sequence[str | None]) -> str:
    """A column's name; of several alike, with that of the column that they are beside."""
    alike = [j for j, name in enumerate(header) if name == header[i] and units[j] == units[i]]
    beside = [header[j] for j in range(i) if units[j] not in (units[i], None)]
    name = f"{header[i]} ({beside[-1]})" if len(alike) > 1 and beside else header[i]
    return name.replace("`", "")


# --- the picture --------------------------------------------------------------------------------

WIDTH, ROW, FOOT, MARGIN = 700.0, 22.0, 30.0, 30.0
"""In CSS pixels: of a picture, of its rows, of the scale below them, on the right."""
LETTER = 7.4
"""The estimated width of one in CSS pixels: the font is the reader's."""


def chart(table: Table, label: str) -> str:
    """A table as SVG; `label` is read aloud instead. Raises ValueError where it has no numbers."""
    rows, drawn, unit = series(table)
    legend = [s for s in drawn if s.name]
    top, left = ROW * len(legend) + 4, LETTER * max(map(len, rows)) + 14
    bottom = top + ROW * len(rows)
    height = bottom + FOOT
    ticks, place = _scale([v for s in drawn for v in s.values if v is not None], unit)

    def x(value: float) -> float:
        return left + place(value) * (WIDTH - MARGIN - left)

    def y(row: int) -> float:
        return top + ROW * (row + 0.5)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'aria-label="{escape(label)}" viewBox="0 0 {WIDTH:g} {height:g}">'
    ]
    for tick in ticks:
        kind = "one" if unit == "x" and tick == 1 else "grid"
        parts.append(f'<path class="{kind}" d="M{x(tick):.1f} {top:g}V{bottom:g}"/>')
        parts.append(_text(x(tick), bottom + 18, f"{tick:g}{unit}", "tick"))
    parts += [_text(left - 12, y(i) + 4.5, row, "row") for i, row in enumerate(rows)]
    for i, s in enumerate(legend):
        parts.append(
            f'<circle class="series-{i % 8}" cx="{left:g}" cy="{ROW * (i + 0.5):g}" r="5"/>'
        )
        parts.append(_text(left + 13, ROW * (i + 0.5) + 4.5, s.name, "name"))
    for i, s in enumerate(drawn):
        for row, value in enumerate(s.values):
            if value is not None:
                said = escape(", ".join(filter(None, (rows[row], s.name, f"{value:g}{unit}"))))
                parts.append(
                    f'<circle class="series-{i % 8}" cx="{x(value):.1f}" cy="{y(row):g}" r="5">'
                    f"<title>{said}</title></circle>"
                )
    return "\n".join([*parts, "</svg>"])


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _scale(values: Sequence[float], unit: str) -> tuple[list[float], Callable[[float], float]]:
    """Ticks, and the place of a value between 0 and 1. What differs by much, other than shares, is
    on a logarithmic scale; 1x, as much, and a share of 0 are on theirs."""
    if unit == "x":
        values = [*values, 1.0]
    elif unit == "%":
        values = [*values, 0.0]
    low, high = min(values), max(values)
    if low > 0 and high > 8 * low:
        low, high = low / 1.15, high * 1.15
        ticks = [m * 10.0**e for e in range(-3, 6) for m in (1, 2, 5)]
        place = _logarithmic(low, high)
    else:
        room = 0.04 * (high - low or 1)
        low, high = low - room, high + room
        ticks = [*map(float, MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))]
        place = _linear(low, high)
    return [t for t in ticks if low <= t <= high], place


def _linear(low: float, high: float) -> Callable[[float], float]:
    return lambda value: (value - low) / (high - low)


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    return lambda value: log(value / low) / log(high / low)
