"""Finished studies, looked at again: the report of one without training, and one beside another."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Final

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cellwright.errors import CellwrightError
from cellwright.study.metric import Metric
from cellwright.study.options import OptionError
from cellwright.study.search import report
from cellwright.study.search.files import read_study
from cellwright.study.search.findings import trials_of
from cellwright.study.search.results import Study
from cellwright.study.statistics.sentences import Claim, brief
from cellwright.study.statistics.trials import Trial, best
from cellwright.study.statistics.versus import compare, compare_searches
from cellwright.study.statistics.welch import holm
from cellwright.study.tasks import Task, load
from cellwright.study.words import p_value, plural, say

__all__ = ["Row", "between", "rewrite", "tell"]


def rewrite(folder: Path, data: str | None, task: str | None, console: Console) -> Path:
    """Write the report of the study in a folder from its study.json, and return its path.

    The data are needed for the gates only. Without `data` they are those of the command that made
    the study, as seen from here; where these are not there, the report has no gates.

    Raises CellwrightError where the folder has no study, it cannot be written to, or `data` are not
    what the study was about.
    """
    study = read_study(folder)
    words = shlex.split(study.environment.command)[2:]
    named = words[0] if words and not words[0].startswith("--") else None
    kind = words[words.index("--task") + 1] if "--task" in words else None
    try:
        found = _the_same(study, load(data or named, task or kind))
    except CellwrightError as e:
        if data is not None:
            raise
        say(console, f"Without the gates: {e} Name the data with --data.")
        found = None
    say(console, "Writing the report …")
    return report.write(study, folder, found)


def _the_same(study: Study, task: Task) -> Task:
    if task.summary().fingerprint != study.dataset.fingerprint:
        raise OptionError(
            f"{task.name} is not what the study was about, {study.dataset.name}: the data, or how "
            "they are read, have changed since."
        )
    return task


# --- one beside another -------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A cell in two studies."""

    cell: str
    tests: tuple[float | None, float | None]
    """Mean test: of the seeds, or of the best tenth of the trials; None where there is none."""
    claim: Claim | None
    """The second study against the first one, after Holm's correction for all cells."""
    tested: str
    """What can show a difference."""


def between(one: Study, other: Study) -> tuple[Row, ...]:
    """The cells of two studies of the same data; those that both have are tested.

    By seeds where both have some, else by the best tenth of their trials, as in a report. A cell
    whose equations have changed is another one.

    Raises OptionError where the studies are not of the same data, or judge by other metrics.
    """
    if one.dataset.fingerprint != other.dataset.fingerprint:
        raise OptionError(
            f"the studies are of other data, {one.dataset.name} and {other.dataset.name}: their "
            "figures cannot be compared"
        )
    if one.dataset.metric != other.dataset.metric:
        raise OptionError(
            f"the studies are judged by {one.dataset.metric.name} and {other.dataset.metric.name}: "
            "their figures cannot be compared"
        )
    texts = [{c.cell: c.text for c in study.cells} for study in (one, other)]
    names = [*dict.fromkeys([*texts[0], *texts[1]])]
    both = {n for n in names if n in texts[0] and texts[0][n] == texts[1].get(n)}
    changed = {n for n in names if n in texts[0] and n in texts[1]} - both
    if changed:
        raise OptionError(
            f"{', '.join(sorted(changed))}: the equations are not the same in both studies, so the "
            "name does not say what is compared. Give one of them another name"
        )
    of = sum(all(len(_of(study, name)[0]) > 1 for study in (one, other)) for name in names)
    rows = [_row(name, one, other, of) for name in names]
    tested = [row.claim for row in rows if row.claim]
    corrected = iter(holm([claim.p for claim in tested]))
    return tuple(
        replace(row, claim=replace(row.claim, p=next(corrected))) if row.claim else row
        for row in rows
    )


def _row(name: str, one: Study, other: Study, of: int) -> Row:
    metric = one.dataset.metric
    again, trials = zip(*(_of(study, name) for study in (one, other)), strict=True)
    seeds = compare(dict(zip(_SIDES, again, strict=True)), _SIDES[0], metric, of)[_SIDES[1]]
    if seeds:
        by = seeds.contrast
        claim = Claim(name, by.difference, (by.low, by.high), seeds.p)
        return Row(name, (_mean(again[0]), _mean(again[1])), claim, _number(seeds.values, "seed"))
    chosen = [_mean([t.test for t in best(own, metric)]) for own in trials]
    sides = dict(zip(_SIDES, trials, strict=True))
    found = compare_searches(sides, _SIDES[0], metric)[_SIDES[1]]
    if found is None:
        return Row(name, (chosen[0], chosen[1]), None, "")
    claim = Claim(name, found.difference, found.interval, found.p)
    return Row(name, (chosen[0], chosen[1]), claim, _number(found.trials, "trial"))


_SIDES: Final = ("the first", "the second")


def _of(study: Study, name: str) -> tuple[list[float], tuple[Trial, ...]]:
    """Tests of a cell's seeds, and its trials."""
    runs = [run.test for one in study.cells if one.cell == name for run in one.again]
    return runs, trials_of(study).get(name, ())


def _mean(tests: Sequence[float]) -> float | None:
    finite = [test for test in tests if isfinite(test)]
    return float(np.mean(finite)) if finite else None


def _number(of: tuple[int, int], what: str) -> str:
    """Of the second and of the first study."""
    b, a = of
    return plural(a, what) if a == b else f"{a} against {plural(b, what)}"


def tell(one: Study, other: Study, names: tuple[str, str], console: Console) -> None:
    """Print both rankings side by side, and what tests say of the cells that both have.

    Raises OptionError as `between` does.
    """
    rows, metric = between(one, other), one.dataset.metric
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=18, style="bold")
    for heading in names:
        table.add_column(escape(heading), justify="right")
    for heading in ("difference", "95% interval", "p (Holm)", "of"):
        table.add_column(heading, justify="right", no_wrap=True)
    places = [_places([row.tests[side] for row in rows], metric) for side in (0, 1)]
    for i, row in enumerate(rows):
        claim = row.claim
        ends = claim.interval if claim else None
        table.add_row(
            row.cell,
            *(f"{places[side][i]}{metric.text(row.tests[side])}" for side in (0, 1)),
            metric.signed(claim.difference if claim else None),
            " to ".join(map(metric.signed, ends)) if ends else "–",
            p_value(claim.p if claim else None),
            row.tested,
        )
    console.print(table)
    say(
        console,
        f"Test {metric.phrase}, {metric.better} is better, and before it the place in the study; "
        "the difference is the second study's minus the first one's.",
    )
    for row in rows:
        if row.claim:
            renamed = replace(row.claim, variant=f"{row.cell} in {names[1]}")
            say(console, brief(renamed, f"{row.cell} in {names[0]}", row.tested, metric))


def _places(tests: Sequence[float | None], metric: Metric) -> list[str]:
    known = sorted((t for t in tests if t is not None), key=metric.order)
    return ["" if test is None else f"{1 + known.index(test)}. " for test in tests]
