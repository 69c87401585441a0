"""report.html: what a comparison found, in one file that opens offline; tables beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from cellwright.errors import CellwrightError
from cellwright.language import Cell, CellError, cell
from cellwright.language.difference import Row, difference
from cellwright.study import gates_view, pictures
from cellwright.study.drawing import NARROW, WIDE, colour_of
from cellwright.study.figures import Curve, Dots, curves, dots
from cellwright.study.gates_view import Section
from cellwright.study.metric import Metric
from cellwright.study.pictures import picture
from cellwright.study.published import Published, published
from cellwright.study.results import Comparison, Run
from cellwright.study.tables import as_csv, as_markdown
from cellwright.study.verdict import Standing, rank, sentences
from cellwright.study.words import duration, p_value

__all__ = ["ReportError", "render", "write"]


class ReportError(CellwrightError):
    """The report cannot be written where it was asked for."""


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
    headline = _headline(rank(comparison), comparison.settings.baseline, comparison.dataset.metric)
    for file, text in (
        (path, render(comparison, cells, gates)),
        (path.with_suffix(".md"), as_markdown(comparison, headline)),
        (path.with_suffix(".csv"), as_csv(comparison)),
    ):
        try:
            file.write_text(text, "utf-8", errors="replace")  # a file's name may be any bytes
        except OSError as e:
            raise ReportError(f"{file} cannot be written: {e.strerror}. "
                              "Name a folder you may write to with --out.") from None  # fmt: skip


def render(
    comparison: Comparison,
    cells: Mapping[str, Cell] | None = None,
    gates: Section | None = None,
) -> str:
    """The report as HTML; equal comparisons give equal text."""
    settings, dataset = comparison.settings, comparison.dataset
    found = {name: (cells or {}).get(name) or _cell(name) for name in settings.cells}
    standings = rank(comparison)
    styles = {name: i for i, name in enumerate(_baseline_first(comparison))}
    said = sentences(comparison)
    verdicts, caveats = said[: len(styles) - 1], said[len(styles) - 1 :]
    drawn = [one for one in found.values() if one] if len(found) <= _DRAWN else []
    return _template().render(
        comparison=comparison,
        settings=settings,
        dataset=dataset,
        metric=dataset.metric,
        environment=comparison.environment,
        style=_styles(drawn, gates),
        gates=gates,
        gates_html=gates and gates_view.fragment(gates),
        script=gates and gates_view.script(),
        headline=_headline(standings, settings.baseline, dataset.metric),
        verdicts=verdicts,
        caveats=caveats,
        standings=standings,
        means={name: _means(comparison.of(name), dataset.metrics) for name in settings.cells},
        figures=_figures(comparison, standings, styles),
        published=_published(dataset.fingerprint, found),
        cards=[_card(name, found, comparison) for name in styles],
        baseline_known=found.get(settings.baseline) is not None,
        anchors={name: f"cell-{i}" for name, i in styles.items()},
        colours={name: colour_of(i) for name, i in styles.items()},
        stopped=_STOPPED,
    )  # fmt: skip


_DRAWN: Final = 24
"""Cells whose diagrams a report has; they take up to some seconds each."""

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
    picture: Markup | None
    """None in a report of more cells than anybody looks at the pictures of."""


def _card(name: str, cells: Mapping[str, Cell | None], comparison: Comparison) -> Card:
    this = cells[name]
    baseline = cells.get(comparison.settings.baseline)
    rows = difference(this, baseline or this) if this else ()
    against = None if baseline is this else baseline
    drawn = picture(this, against) if this and len(cells) <= _DRAWN else None
    return Card(name, this, rows, comparison.of(name), drawn)


def _styles(drawn: Sequence[Cell], gates: Section | None) -> Markup:
    parts = [Markup(_file("report.css"))]
    parts += [pictures.style(drawn[0])] if drawn else []
    parts += [gates_view.style()] if gates else []
    return Markup().join(parts)


def _published(fingerprint: str, cells: Mapping[str, Cell | None]) -> list[Published]:
    """What papers report of these cells: of the catalogue's, not of a file with the same name."""
    known = {name for name, this in cells.items()
             if this and (of := _cell(name)) and of.text == this.text}  # fmt: skip
    papers = [replace(paper, test={name: paper.test[name] for name in paper.test if name in known})
              for paper in published(fingerprint)]  # fmt: skip
    return [paper for paper in papers if paper.test]


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
        _both(dots(rows, baseline, metric, width,
                   f"Mean test {metric.phrase}, best first: {spoken}.")
              for width in (WIDE, NARROW)),
        _both(curves(lines, objective, width, f"Training and validation {objective.name} by epoch "
                     f"of {names}.")
              for width in (WIDE, NARROW)),
    )  # fmt: skip


def _both(drawings: Iterable[str]) -> Markup:
    return Markup("".join(drawings))


def _curve(name: str, style: int, comparison: Comparison) -> Curve:
    runs = [run for run in comparison.of(name) if isfinite(run.test)]
    return Curve(name, style, tuple(tuple(e.train for e in run.epochs) for run in runs),
                 tuple(tuple(e.valid for e in run.epochs) for run in runs))  # fmt: skip


# --- words and numbers --------------------------------------------------------------------------

_STOPPED: Mapping[str, str] = {
    "patience": "no progress",
    "epochs": "epoch limit",
    "time": "time limit",
    "pruned": "pruned",
    "diverged": "divergence",
}


def _headline(standings: Sequence[Standing], baseline: str, metric: Metric) -> str:
    """The answer in a line: no more than the tests against the baseline bear out."""
    others = [s for s in standings if s.cell != baseline]
    tested = [s for s in others if s.p is not None]
    better = [s.cell for s in tested if s.shown and metric.order(s.difference or 0.0) < 0]
    worse = [s.cell for s in tested if s.shown and s.cell not in better]
    best = standings[0]
    if best.mean is None:
        return "No run has finished yet"
    if better:
        most = better if len(better) < 4 else [f"{len(better)} of {len(others)} cells"]
        return f"{_words(most)} {'is' if len(better) == 1 else 'are'} better than {baseline}"
    if tested and len(worse) == len(others):
        return f"{baseline} is better than {_words(worse) if len(worse) < 4 else 'all others'}"
    if tested:
        return f"No cell is better than {baseline}, as far as these seeds can show"
    if others:
        return f"{best.cell} came out best, but too few runs have finished to tell"
    return f"{best.cell} reaches {metric.full(best.mean)}"


def _means(runs: Sequence[Run], metrics: Sequence[Metric]) -> list[str]:
    """The means over seeds of all metrics of the test set, written."""
    found = [run.metrics for run in runs if isfinite(run.test)]
    return [metric.text(sum(one[metric.name] for one in found) / len(found) if found else None)
            for metric in metrics]  # fmt: skip


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _words(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _breakable(name: str) -> Markup:
    """The name, which a narrow column may break behind a `_` or `/`."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/])", name))


def _prose(sentence: str) -> Markup:
    """A sentence whose formulas and options hold together at the end of a line."""
    text = re.sub(r" ([=<]) ", "\u00a0\\1\u00a0", sentence)
    parts = re.split(r"(--\w+(?: \d+)?)", text)
    return Markup().join(Markup("<code>{}</code>").format(part) if i % 2 else part
                         for i, part in enumerate(parts))  # fmt: skip


_LINK = re.compile(
    r"(?P<arxiv>arXiv[: ]\s*(?P<number>\d{4}\.\d{4,5}(v\d+)?))"
    r"|(?P<doi>\b10\.\d{4,9}/[^\s<>\"';,]*[^\s<>\"';,.)])"
    r"|(?P<address>https://[^\s<>\"';,]*[^\s<>\"';,.)])",
    re.IGNORECASE,
)


def _linked(text: str) -> Markup:
    """A reference with its arXiv number, DOI or address as a link; everything else escaped."""
    parts, at = [], 0
    for match in _LINK.finditer(text):
        address = match["address"] or (f"https://doi.org/{match['doi']}" if match["doi"] else
                                       f"https://arxiv.org/abs/{match['number']}")  # fmt: skip
        parts += [escape(text[at : match.start()]),
                  Markup('<a href="{}">{}</a>').format(address, match[0])]  # fmt: skip
        at = match.end()
    return Markup().join([*parts, escape(text[at:])])


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters |= {"p": p_value, "duration": duration,
                            "linked": _linked, "words": _words,
                            "breakable": _breakable, "prose": _prose}  # fmt: skip
    environment.globals |= {"plural": _plural}
    return environment.from_string(_file("report.html.jinja"))


def _file(name: str) -> str:
    return files("cellwright.study").joinpath(name).read_text("utf-8")
