"""report.html: what a study found, in one file that opens offline; report.md beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cellwright.language import Cell, CellError, parse
from cellwright.study import gates_view
from cellwright.study.cards import cards, drawn, known, published_of
from cellwright.study.drawing import colour_of
from cellwright.study.gates_view import Section
from cellwright.study.latency import latencies
from cellwright.study.page import styles, template
from cellwright.study.page import write as write_files
from cellwright.study.search import pictures, verdict
from cellwright.study.search.findings import Findings, find, worst
from cellwright.study.search.results import Searched, Study, Trial
from cellwright.study.search.tables import as_markdown
from cellwright.study.tasks import Task
from cellwright.study.words import plural

__all__ = ["render", "write"]

SHOWN = 10
"""The best trials of each cell that a page lists; trials.csv has all."""


def write(study: Study, out: Path, task: Task | None = None) -> Path:
    """Write `report.html` and `report.md` into a study's folder, and return the former.

    Models are read from there, where they are: steps of them are timed, and their gates drawn over
    an example of the `task`, where it is given.

    Raises ReportError where a file cannot be written, SavedError for a model that is none.
    """
    models = {
        one.cell: path
        for one in study.cells
        if one.model is not None and (path := out / one.model).is_file()
    }
    gates = gates_view.drawn(task, models) if task and models else None
    found = find(study)
    path = out / "report.html"
    write_files((
        (path, render(found, latencies(models), gates)),
        (path.with_suffix(".md"), as_markdown(found)),
    ))  # fmt: skip
    return path


def render(
    found: Findings, latency: Mapping[str, float] | None = None, gates: Section | None = None
) -> str:
    """The report as HTML; equal arguments give equal text.

    `latency` is the milliseconds of a step of the best models, by cells, and `gates` what they did
    on an example, where there are any.
    """
    study, metric = found.study, found.metric
    settings, dataset = study.settings, study.dataset
    cells = {one.cell: _cell(one) for one in study.cells}
    place = {name: i for i, name in enumerate(found.order)}
    sizes = {name: _size(study.of(name).best(metric)) for name in found.order}
    best = min(
        (p for p in found.places if p.best),
        key=lambda p: metric.order(p.best.run.valid) if p.best else 0.0,
        default=None,
    )
    return template("search/report.html.jinja").render(
        study=study,
        found=found,
        complete=study.complete,
        settings=settings,
        dataset=dataset,
        metric=metric,
        environment=study.environment,
        style=styles(drawn(cells), gates),
        gates=gates,
        gates_html=gates and gates_view.fragment(gates),
        script=gates and gates_view.script(),
        headline=verdict.headline(found),
        verdicts=verdict.verdicts(found),
        caveats=verdict.caveats(found),
        at_length=verdict.at_length(found),
        of_searches=verdict.of_searches(found),
        what_matters=verdict.what_matters_to(found),
        worst=worst(dataset),
        drawn=pictures.draw(found, latency or {}),
        unseen=[p.cell for p in found.places if p.mean is not None
                and p not in pictures.in_sight(found)],
        latency=latency or {},
        published=published_of(dataset.fingerprint, cells, searched=True),
        tests={p.cell: [metric.text(p.best.run.metrics.get(metric.name) if p.best else None)
                        for metric in dataset.metrics] for p in found.places},
        best=best and best.best and f"{best.cell} with {metric.text(best.best.run.test)}",
        cards=cards(found.order, settings.baseline, cells, sizes),
        baseline_known=cells.get(settings.baseline) is not None,
        anchors={name: f"cell-{i}" for name, i in place.items()},
        colours={name: colour_of(i) for name, i in place.items()},
        listed=_listed(study, found),
    )  # fmt: skip


def _cell(one: Searched) -> Cell | None:
    """The cell as it was searched; one of the catalogue may have changed since."""
    try:
        found = known(one.cell)
        return found if found and found.text == one.text else parse(one.text, one.cell)
    except CellError:
        return None


def _size(best: Trial | None) -> str:
    if best is None:
        return "No trial has finished."
    run = best.run
    return f"{plural(run.hidden_size, 'hidden unit')}, {plural(run.parameters, 'parameter')}"


def _listed(study: Study, found: Findings) -> list[tuple[str, list[Trial]]]:
    """The trials that a page lists."""
    return [
        (name, [study.of(name).trials[i] for i in np.argsort(losses, kind="stable")[:SHOWN]])
        for name in found.order
        if len(losses := found.metric.losses([t.run.valid for t in study.of(name).trials]))
    ]
