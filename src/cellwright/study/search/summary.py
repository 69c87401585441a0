"""How a study ended, for a terminal or a pipe: a plain ranking."""

from __future__ import annotations

from math import isfinite

from rich import box
from rich.console import Console
from rich.table import Table

from cellwright.study.metric import Metric
from cellwright.study.search import remarks
from cellwright.study.search.hyperparameters import shown
from cellwright.study.search.results import Searched, Study
from cellwright.study.words import say

__all__ = ["summarise"]


def summarise(study: Study, console: Console) -> None:
    """Print what each cell's best trial gives, and what is to be careful about."""
    metric = study.dataset.metric
    ranked = sorted(study.cells, key=lambda one: _place(one, metric))
    if any(one.trials for one in ranked):
        console.print(_table(study, ranked))
        trivial = ", ".join(f"{n} {metric.text(v)}" for n, v in study.dataset.trivial.items())
        say(
            console,
            f"Test {metric.phrase}, {metric.better} is better, of the trial that is best in "
            f"validation. Without learning: {trivial}.",
        )
    for one in ranked:
        for sentence in _remarks(one, study):
            say(console, sentence)


def _place(one: Searched, metric: Metric) -> tuple[bool, float]:
    best = one.best(metric)
    return best is None, metric.order(best.run.valid) if best else 0.0


def _table(study: Study, ranked: list[Searched]) -> Table:
    metric, names = study.dataset.metric, shown(study.settings.ranges)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=18, style="bold")
    seeds = any(one.again for one in ranked)
    for heading in ("trials", "valid", "test", *(["again"] if seeds else []), "hidden", *names):
        table.add_column(heading.replace("_", " "), justify="right", no_wrap=True)
    for one in ranked:
        best = one.best(metric)
        if best is None:
            table.add_row(one.cell, str(len(one.trials)), "diverged" if one.trials else "–")
            continue
        again = [run.test for run in one.again if isfinite(run.test)]
        table.add_row(
            one.cell,
            str(len(one.trials)),
            metric.text(best.run.valid),
            metric.text(best.run.test),
            *([metric.text(sum(again) / len(again) if again else None)] if seeds else []),
            str(best.run.hidden_size),
            *(f"{best.hyperparameters[name]:.3g}" for name in names),
        )
    return table


def _remarks(one: Searched, study: Study) -> list[str]:
    edges = remarks.edges_of_best(study, one.cell)
    return [*edges, *remarks.diverged(one), *remarks.broken_off(one)]
