"""How a comparison ended, for a terminal or a pipe."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from cellwright.study.results import Comparison
from cellwright.study.verdict import rank, sentences
from cellwright.study.words import loss, p_value, signed

__all__ = ["summarise"]


def summarise(comparison: Comparison, console: Console) -> None:
    """Print the ranking and what it means."""
    dataset = comparison.dataset
    console.print(_table(comparison))
    trivial = ", ".join(f"{name} {loss(value)}" for name, value in dataset.baselines.items())
    _say(console, f"Test loss in nats a frame, lower is better. Without learning: {trivial}.")
    for sentence in sentences(comparison):
        _say(console, sentence)


def _table(comparison: Comparison) -> Table:
    baseline = comparison.settings.baseline
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
            loss(s.mean) if s.mean is not None or not s.diverged else "diverged",
            f"{loss(s.interval[0])} – {loss(s.interval[1])}" if s.interval else "–",
            str(len(s.losses)),
            "baseline" if s.cell == baseline else signed(s.difference),
            "" if s.cell == baseline else p_value(s.p),
        )
    return table


def _say(console: Console, sentence: str) -> None:
    """Wrapped to a terminal; one line in a pipe."""
    console.print(sentence, markup=False, highlight=False, soft_wrap=not console.is_terminal)
