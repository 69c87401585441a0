"""How a comparison ended, for a terminal or a pipe."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from cellwright.study.results import Comparison
from cellwright.study.verdict import rank, sentences
from cellwright.study.words import p_value, say

__all__ = ["summarise"]


def summarise(comparison: Comparison, console: Console) -> None:
    """Print the ranking and what it means."""
    dataset = comparison.dataset
    console.print(_table(comparison))
    metric = dataset.metric
    trivial = ", ".join(f"{name} {metric.text(value)}" for name, value in dataset.trivial.items())
    say(
        console,
        f"Test {metric.phrase}, {metric.better} is better. Without learning: {trivial}.",
    )
    for sentence in sentences(comparison):
        say(console, sentence)


def _table(comparison: Comparison) -> Table:
    baseline, metric = comparison.settings.baseline, comparison.dataset.metric
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=20, style="bold")
    table.add_column("mean test", justify="right", no_wrap=True)
    table.add_column("95% interval", justify="center", no_wrap=True)
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("p (Holm)", justify="right", no_wrap=True)
    for s in rank(comparison):
        table.add_row(
            s.cell,
            metric.text(s.mean) if s.mean is not None or not s.diverged else "diverged",
            " – ".join(map(metric.text, s.interval)) if s.interval else "–",
            str(len(s.losses)),
            "baseline" if s.cell == baseline else metric.signed(s.difference),
            "" if s.cell == baseline else p_value(s.p),
        )
    return table
