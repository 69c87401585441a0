"""report.html: what a comparison found, in one file that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from cellwright.errors import CellwrightError
from cellwright.language import Cell, CellError, cell
from cellwright.language.difference import Row, difference
from cellwright.study.figures import COLOURS, NARROW, WIDE, Curve, Dots, curves, dots
from cellwright.study.placeholder import Standing, rank, sentences
from cellwright.study.published import Published, published
from cellwright.study.results import Comparison, Run

__all__ = ["ReportError", "render", "write"]


class ReportError(CellwrightError):
    """The report cannot be written where it was asked for."""


def write(comparison: Comparison, path: Path, cells: Mapping[str, Cell] | None = None) -> None:
    """Write the report of a finished or interrupted comparison to `path`.

    `cells` gives the cells by their names in the settings; those not given are looked up.

    Raises ReportError where the file cannot be written.
    """
    text = render(comparison, cells)
    try:
        path.write_text(text, "utf-8")
    except OSError as e:
        raise ReportError(f"{path} cannot be written: {e.strerror}. "
                          "Name a folder you may write to with --out.") from None  # fmt: skip


def render(comparison: Comparison, cells: Mapping[str, Cell] | None = None) -> str:
    """The report as HTML; equal comparisons give equal text."""
    found = {name: (cells or {}).get(name) or _cell(name) for name in comparison.settings.cells}
    standings = rank(comparison)
    styles = _styles(comparison)
    return _template().render(
        comparison=comparison,
        settings=comparison.settings,
        dataset=comparison.dataset,
        environment=comparison.environment,
        standings=standings,
        verdicts=sentences(comparison),
        cards=[_card(name, found, comparison) for name in _baseline_first(comparison)],
        figures=_figures(comparison, standings, styles),
        published=_beside(comparison, standings),
        colours={name: COLOURS[style % len(COLOURS)] for name, style in styles.items()},
    )


# --- the cells ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """What a cell is."""

    name: str
    cell: Cell | None
    """None where its text is not to be found any more."""
    rows: tuple[Row, ...]
    """Its equations on the left, the baseline's on the right."""
    runs: tuple[Run, ...]


def _card(name: str, cells: Mapping[str, Cell | None], comparison: Comparison) -> Card:
    this = cells[name]
    baseline = cells.get(comparison.settings.baseline)
    rows = difference(this, baseline or this) if this else ()
    return Card(name, this, rows, comparison.of(name))


def _baseline_first(comparison: Comparison) -> list[str]:
    baseline = comparison.settings.baseline
    return sorted(comparison.settings.cells, key=lambda name: name != baseline)


def _cell(name: str) -> Cell | None:
    try:
        return cell(name)
    except CellError:  # a file that has moved since
        return None


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Inline SVG, each in both widths; empty where there is nothing to draw."""

    ranking: Markup
    curves: Markup


def _styles(comparison: Comparison) -> dict[str, int]:
    """Which colour is whose: the baseline's is the ink's."""
    return {name: i for i, name in enumerate(_baseline_first(comparison))}


def _figures(
    comparison: Comparison, standings: Sequence[Standing], styles: Mapping[str, int]
) -> Figures:
    rows = [Dots(s.cell, styles[s.cell], s.losses, s.mean, s.interval)
            for s in standings if s.mean is not None]  # fmt: skip
    lines = [_curve(s.cell, styles[s.cell], comparison) for s in standings if s.mean is not None]
    if not rows:
        return Figures(Markup(), Markup())
    spoken = "; ".join(f"{row.name} {row.mean:.3f}" for row in rows)
    baseline = comparison.settings.baseline
    return Figures(
        _both(dots(rows, baseline, width, f"Mean test loss in nats a frame, best first: {spoken}.")
              for width in (WIDE, NARROW)),
        _both(curves(lines, width, "Training and validation loss by epoch of "
                     f"{', '.join(line.name for line in lines)}.")
              for width in (WIDE, NARROW)),
    )  # fmt: skip
