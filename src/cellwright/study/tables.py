"""A comparison elsewhere: report.csv has every run, report.md the answer and the ranking."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from math import isfinite

from cellwright.study.results import Comparison
from cellwright.study.verdict import headline, rank, sentences
from cellwright.study.words import duration, p_value

__all__ = ["as_csv", "as_markdown"]


def as_csv(comparison: Comparison) -> str:
    """A row a run; metrics are of the test set at the best epoch, empty where a run diverged.

    Shares are from 0 to 1. Epochs count from 1.
    """
    metrics = comparison.dataset.metrics
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["cell", "seed", *(f"test {m.name}" for m in metrics),
                   f"validation {metrics[0].name}", "hidden units", "parameters", "best epoch",
                   "epochs", "seconds", "stopped by"])  # fmt: skip
    for cell in comparison.settings.cells:
        for run in comparison.of(cell):
            judged = [run.metrics.get(m.name) for m in metrics]
            rows.writerow([cell, run.seed, *judged, run.valid if isfinite(run.valid) else None,
                           run.hidden_size, run.parameters,
                           run.best_epoch + 1 if run.best_epoch >= 0 else None, len(run.epochs),
                           f"{run.seconds:.1f}", run.stopped])  # fmt: skip
    return out.getvalue()


def as_markdown(comparison: Comparison) -> str:
    """The answer, the ranking and how it was run, to be pasted where text goes."""
    metric, settings = comparison.dataset.metric, comparison.settings
    table = [["Cell", f"Test {metric.phrase}", "95% interval", f"Against {settings.baseline}", "p",
              "Seeds"]]  # fmt: skip
    for s in rank(comparison):
        interval = " to ".join(map(metric.text, s.interval)) if s.interval else "–"
        against = "baseline" if s.cell == settings.baseline else metric.signed(s.difference)
        table.append([s.cell, metric.text(s.mean), interval, against, p_value(s.p),
                      str(len(s.losses))])  # fmt: skip
    said = "\n".join(f"- {_plain(line)}" for line in sentences(comparison))
    ran = comparison.environment
    return (
        "\n\n".join(
            part
            for part in (
                f"# {_plain(headline(comparison))}",
                said,
                _table(table),
                f"Of the {metric.phrase} {metric.better} is better. p is that "
                f"of Welch's t-test against {_plain(settings.baseline)}, after Holm. Data: "
                f"{_plain(comparison.dataset.name)}, {_plain(comparison.dataset.source)}",
                f"Cellwright {ran.cellwright}, torch {ran.torch}, {_plain(ran.processor)}; "
                f"{duration(ran.seconds)}. Repeat it with",
                "\n".join(f"    {line}" for line in ran.command.splitlines()),
            )
            if part
        )
        + "\n"
    )


def _table(rows: list[list[str]]) -> str:
    first, *others = rows
    rule = ["---", *["---:"] * (len(first) - 1)]
    return "\n".join(
        _line(row) for row in (map(_plain, first), rule, *(map(_plain, r) for r in others))
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else; a name may be a file's, and hold anything."""
    text = " ".join(text.split())
    text = "".join(f"\\{c}" if c in "\\`*_{}[]#|$" else c for c in text)
    return text.replace("&", "&amp;").replace("<", "&lt;")
