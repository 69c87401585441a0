"""What a person sees while a study runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from rich import box
from rich.console import Console
from rich.table import Table

from cellwright.study.metric import Metric
from cellwright.study.progress import Board, Display, Lines, span, took
from cellwright.study.results import Run
from cellwright.study.runner import Event, Failed, Finished, Progressed, Started
from cellwright.study.search.contest import Contest
from cellwright.study.search.hyperparameters import shown

__all__ = ["board"]


def board(console: Console, metric: Metric, contests: Sequence[Contest], workers: int) -> Display:
    """The table on a terminal, lines elsewhere."""
    if console.is_terminal:
        return _Table(console, metric, contests, workers)
    rows = [_Row(contest) for contest in contests]
    totals = [row.total for row in rows]
    total = sum(t for t in totals if t is not None) if None not in totals else None
    return Lines(console, total, sum(row.done for row in rows), lambda run: _result(run, metric))


def _result(run: Run, metric: Metric) -> str:
    """What validation says: the test set is for the end."""
    if not isfinite(run.test):
        return f"diverged ({took(run)})"
    return f"validation {metric.text(run.valid)} after epoch {run.best_epoch + 1} ({took(run)})"


class _Row:
    """What is known of one cell so far, by whatever process."""

    def __init__(self, contest: Contest) -> None:
        self.cell = contest.cell.name
        self.epochs: dict[str, int] = {}
        self.read(contest)

    def read(self, contest: Contest) -> None:
        """As of now."""
        done, budget, again = contest.done, contest.budget, contest.again
        seeds = again.done(budget.seeds) if again else {}
        best = contest.best
        self.trials, self.limit, self.seeds_wanted = len(done), budget.trials, budget.seeds
        self.seeds = len(seeds)
        self.best = done[best] if best is not None else None
        self.seconds = [d.run.seconds for d in done.values()]
        self.left = contest.left

    @property
    def total(self) -> int | None:
        """Runs; None where time is the budget."""
        return None if self.limit is None else self.limit + self.seeds_wanted

    @property
    def done(self) -> int:
        return self.trials + self.seeds

    @property
    def expected(self) -> float | None:
        """Seconds that its runs will still take; None where that cannot be told."""
        if self.left is not None:
            return max(self.left, 0)
        if self.limit is None or not self.seconds or self.best is None:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        seeds = self.seeds_wanted - self.seeds
        return (self.limit - self.trials) * mean + seeds * self.best.run.seconds


class _Table(Board):
    """A row a cell."""

    def __init__(
        self, console: Console, metric: Metric, contests: Sequence[Contest], workers: int
    ) -> None:
        super().__init__(console)
        self.metric, self.contests, self.workers = metric, contests, workers
        self.rows = [_Row(contest) for contest in contests]
        self.names = shown(contests[0].rules.ranges)

    def take(self, event: Event) -> None:
        if not isinstance(event, Progressed):
            for row, contest in zip(self.rows, self.contests, strict=True):
                row.read(contest)
        if not isinstance(event, Started | Progressed | Finished | Failed):
            return
        row = next(row for row in self.rows if row.cell == event.job.cell.name)
        match event:
            case Started(job):
                row.epochs[job.key] = 0
            case Progressed(job):
                row.epochs[job.key] += 1
            case Finished(job) | Failed(job):
                row.epochs.pop(job.key)

    def table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=18, style="bold")
        seeds = any(row.seeds_wanted for row in self.rows)
        for heading in (
            "trials", *(["seeds"] if seeds else []), "epoch", "best valid", "hidden", *self.names
        ):  # fmt: skip
            table.add_column(heading.replace("_", " "), justify="right", no_wrap=True)
        for row in self.rows:
            best = row.best
            table.add_row(
                row.cell,
                f"{row.trials}" if row.limit is None else f"{row.trials}/{row.limit}",
                *([f"{row.seeds}/{row.seeds_wanted}"] if seeds else []),
                span(row.epochs.values()),
                self.metric.text(best.run.valid if best else None),
                str(best.run.hidden_size) if best else "–",
                *(f"{best.setting[name]:.3g}" if best else "–" for name in self.names),
            )
        return table

    def footer(self) -> tuple[float, float, str, float | None]:
        done, expected = sum(row.done for row in self.rows), [row.expected for row in self.rows]
        known = [e for e in expected if e is not None]
        left = sum(known) / len(known) * len(expected) / self.workers if known else None
        totals = [row.total for row in self.rows]
        total = sum(t for t in totals if t is not None)
        if None in totals:
            spent = sum(sum(row.seconds) for row in self.rows)
            return spent + sum(known), spent, f"{done} runs", left
        return total, done, f"{done} of {total} runs", left
