"""A comparison elsewhere: report.csv has every run, report.md the answer and the ranking."""

from __future__ import annotations

import csv
import io
from math import isfinite

from cellwright.study import markdown
from cellwright.study.results import Comparison
from cellwright.study.verdict import headline, rank, sentences
from cellwright.study.words import p_value

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
    note = f"p is that of Welch's t-test against {settings.baseline}, after Holm."
    return markdown.as_markdown(
        headline(comparison), sentences(comparison), table, note, comparison.dataset,
        comparison.environment,
    )  # fmt: skip
