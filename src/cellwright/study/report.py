"""report.html: what a comparison found, in one file that opens offline; tables beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from markupsafe import Markup

from cellwright.language import Cell
from cellwright.study import gates_view
from cellwright.study.cards import baseline_first, cards, drawn, known, published_of
from cellwright.study.drawing import NARROW, WIDE, colour_of
from cellwright.study.figures import Curve, Dots, curves, dots
from cellwright.study.gates_view import Section
from cellwright.study.metric import Metric
from cellwright.study.page import ReportError, both, styles, template
from cellwright.study.page import write as write_files
from cellwright.study.results import Comparison, Run
from cellwright.study.tables import as_csv, as_markdown
from cellwright.study.verdict import Standing, headline, rank, sentences
from cellwright.study.words import plural

__all__ = ["ReportError", "render", "write"]


def write(
    comparison: Comparison,
    path: Path,
    cells: Mapping[str, Cell] | None = None,
    gates: Section | None = None,
) -> None:
    """Write the report of a finished or interrupted comparison to `path`, an HTML file.

    Beside it, with other endings, are `.md`, the answer as text, and `.csv`, every run.

    `cells` gives the cells by their names in the settings; those not given are looked up. `gates`
    is what the best models did on an example, where there are any.

    Raises ReportError where the file cannot be written.
    """
    write_files((
        (path, render(comparison, cells, gates)),
        (path.with_suffix(".md"), as_markdown(comparison)),
        (path.with_suffix(".csv"), as_csv(comparison)),
    ))  # fmt: skip


def render(
    comparison: Comparison,
    cells: Mapping[str, Cell] | None = None,
    gates: Section | None = None,
) -> str:
    """The report as HTML; equal comparisons give equal text."""
    settings, dataset = comparison.settings, comparison.dataset
    found = {name: (cells or {}).get(name) or known(name) for name in settings.cells}
    standings = rank(comparison)
    order = baseline_first(settings.cells, settings.baseline)
    place = {name: i for i, name in enumerate(order)}
    said = sentences(comparison)
    verdicts, caveats = said[: len(order) - 1], said[len(order) - 1 :]
    sizes = {name: _size(comparison.of(name)) for name in order}
    return template("report.html.jinja").render(
        comparison=comparison,
        complete=comparison.complete,
        settings=settings,
        dataset=dataset,
        metric=dataset.metric,
        environment=comparison.environment,
        style=styles(drawn(found), gates),
        gates=gates,
        gates_html=gates and gates_view.fragment(gates),
        script=gates and gates_view.script(),
        headline=headline(comparison),
        verdicts=verdicts,
        caveats=caveats,
        standings=standings,
        means={s.cell: _means(comparison.of(s.cell), dataset.metrics) for s in standings},
        figures=_figures(comparison, standings, place),
        published=published_of(dataset.fingerprint, found),
        cards=cards(order, settings.baseline, found, sizes),
        baseline_known=found.get(settings.baseline) is not None,
        anchors={name: f"cell-{i}" for name, i in place.items()},
        colours={name: colour_of(i) for name, i in place.items()},
    )  # fmt: skip


def _size(runs: Sequence[Run]) -> str:
    if not runs:
        return "No run has finished."
    first = runs[0]
    return f"{plural(first.hidden_size, 'hidden unit')}, {plural(first.parameters, 'parameter')}"


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """Inline SVG, each in both widths; empty where there is nothing to draw."""

    ranking: Markup
    curves: Markup


def _figures(
    comparison: Comparison, standings: Sequence[Standing], styles: Mapping[str, int]
) -> Figures:
    rows = [Dots(s.cell, styles[s.cell], s.losses, s.mean, s.interval)
            for s in standings if s.mean is not None]  # fmt: skip
    lines = [_curve(s.cell, styles[s.cell], comparison) for s in standings if s.mean is not None]
    if not rows:
        return Figures(Markup(), Markup())
    metric, objective = comparison.dataset.metric, comparison.dataset.objective
    spoken = "; ".join(f"{row.name} {metric.text(row.mean)}" for row in rows)
    baseline = comparison.settings.baseline
    names = ", ".join(line.name for line in lines)
    return Figures(
        both(dots(rows, baseline, metric, width,
                  f"Mean test {metric.phrase}, best first: {spoken}.")
             for width in (WIDE, NARROW)),
        both(curves(lines, objective, width, f"Training and validation {objective.name} by epoch "
                    f"of {names}.")
             for width in (WIDE, NARROW)),
    )  # fmt: skip


def _curve(name: str, style: int, comparison: Comparison) -> Curve:
    runs = [run for run in comparison.of(name) if isfinite(run.test)]
    return Curve(name, style, tuple(tuple(e.train for e in run.epochs) for run in runs),
                 tuple(tuple(e.valid for e in run.epochs) for run in runs))  # fmt: skip


# --- words and numbers --------------------------------------------------------------------------


def _means(runs: Sequence[Run], metrics: Sequence[Metric]) -> list[str]:
    """The means over seeds of all metrics of the test set, written."""
    found = [run.metrics for run in runs if isfinite(run.test)]
    return [metric.text(sum(one[metric.name] for one in found) / len(found) if found else None)
            for metric in metrics]  # fmt: skip
