"""What a person sees while cells train: a live table, or plain lines where nobody watches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Protocol

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cellwright.study.jobs import Job
from cellwright.study.metric import Metric
from cellwright.study.results import Run
from cellwright.study.runner import Event, Failed, Finished, Noted, Progressed, Started
from cellwright.study.words import duration, plural

__all__ = ["Board", "Display", "Lines", "display", "span", "took"]


class Display(AbstractContextManager["Display"], Protocol):
    """Told of every event; `with` it for as long as there are any."""

    def show(self, event: Event) -> None:
        """Something has happened."""


def display(
    console: Console,
    metric: Metric,
    jobs: Sequence[Job],
    sizes: Mapping[str, tuple[int, int]],
    finished: Mapping[Job, Run],
    workers: int,
) -> Display:
    """The table on a terminal, lines elsewhere.

    `metric` is the one that decides; `sizes` are each cell's hidden size and learned values;
    `finished` are runs of an earlier start.
    """
    if console.is_terminal:
        return _Board(console, metric, jobs, sizes, finished, workers)
    return Lines(console, len(jobs), len(finished), lambda run: _result(run, metric))


# --- lines --------------------------------------------------------------------------------------


class Lines(AbstractContextManager["Lines"]):
    """A line a run, as it ends; `result` is what one says of it."""

    def __init__(
        self, console: Console, total: int | None, done: int, result: Callable[[Run], str]
    ) -> None:
        self.console, self.total, self.done, self.result = console, total, done, result

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, event: Event) -> None:
        """See `Display`."""
        match event:
            case Finished(job, run):
                self.done += 1
                of = "" if self.total is None else f"/{self.total}"
                self._print(f"[{self.done}{of}] {job}: {self.result(run)}")
            case Failed() | Noted():
                self._print(_remark(event))
            case Started() | Progressed():
                pass

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _result(run: Run, metric: Metric) -> str:
    if not isfinite(run.test):
        return f"diverged ({took(run)})"
    return f"test {metric.text(run.test)} after epoch {run.best_epoch + 1} ({took(run)})"


def took(run: Run) -> str:
    """How long a run was, and why it was no longer."""
    why = {
        "patience": "",
        "epochs": ", the limit",
        "time": ", time was up",
        "diverged": ", then diverged",
        "pruned": ", pruned",
    }[run.stopped]
    epochs = plural(len(run.epochs), "epoch")
    return f"{epochs}, {duration(run.seconds)}{why if isfinite(run.test) else ''}"


def _remark(event: Failed | Noted) -> str:
    if isinstance(event, Noted):
        return f"Note: {event.text}"
    return f"{event.job}: {event.why}. The other runs go on; the same command tries this one again."


# --- the table ----------------------------------------------------------------------------------


@dataclass
class _Row:
    """What is known of one cell so far."""

    hidden_size: int
    parameters: int
    tests: list[float] = field(default_factory=list)
    done: int = 0
    best: float | None = None
    """In validation."""
    epochs: dict[int, int] = field(default_factory=dict)
    """Of the seeds in training."""


class Board(AbstractContextManager["Board"], ABC):
    """A table that is drawn again and again, and what is below it."""

    def __init__(self, console: Console) -> None:
        self.console = console
        # It is drawn by rich's thread, four times a second.
        self.lock = Lock()
        self.began = monotonic()
        self.live = Live(self, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Board:
        self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.live.stop()

    def show(self, event: Event) -> None:
        """See `Display`."""
        with self.lock:
            self.take(event)
        if isinstance(event, Failed | Noted):
            self.console.print(_remark(event), markup=False, highlight=False)

    @abstractmethod
    def take(self, event: Event) -> None:
        """Change what is shown."""

    @abstractmethod
    def table(self) -> Table:
        """As of now."""

    @abstractmethod
    def footer(self) -> tuple[float, float, str, float | None]:
        """What there is to do and what of it is done, as a bar shows it; that in words; seconds
        that are left, if that can be told."""

    def __rich__(self) -> RenderableType:
        with self.lock:
            total, done, words, left = self.footer()
            line = Table.grid(padding=(0, 2))
            line.add_row(
                ProgressBar(total=total, completed=done, width=24),
                Text(words),
                Text(duration(monotonic() - self.began), style="dim"),
                Text("" if left is None else f"about {duration(left)} left"),
            )
            hint = "Ctrl-C stops it and keeps what is finished; the same command then goes on."
            return Group(self.table(), line, Text(hint, style="dim"))


class _Board(Board):
    """A row a cell, and how long it will take."""

    def __init__(
        self,
        console: Console,
        metric: Metric,
        jobs: Sequence[Job],
        sizes: Mapping[str, tuple[int, int]],
        finished: Mapping[Job, Run],
        workers: int,
    ) -> None:
        super().__init__(console)
        self.metric, self.jobs = metric, jobs
        self.rows = {name: _Row(*size) for name, size in sizes.items()}
        self.clock = _Clock(jobs, workers)
        for job, run in finished.items():
            self._finish(job, run)

    def take(self, event: Event) -> None:
        match event:
            case Started(job):
                self.rows[job.cell.name].epochs[job.seed] = 0
                self.clock.start(job)
            case Progressed(job, epoch):
                row = self.rows[job.cell.name]
                row.epochs[job.seed] += 1
                self._take_best(row, epoch.score)
            case Finished(job, run):
                self._finish(job, run)
            case Failed(job):
                self.rows[job.cell.name].epochs.pop(job.seed, None)
                self.clock.give_up(job)
            case Noted():
                pass

    def _finish(self, job: Job, run: Run) -> None:
        row = self.rows[job.cell.name]
        row.done += 1
        row.epochs.pop(job.seed, None)
        if isfinite(run.test):
            row.tests.append(run.test)
            self._take_best(row, run.valid)
        self.clock.finish(job, run.seconds)

    def _take_best(self, row: _Row, valid: float) -> None:
        if row.best is None or self.metric.is_better(valid, row.best):
            row.best = valid

    def table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("cell", no_wrap=True, overflow="ellipsis", max_width=20, style="bold")
        for heading in ("hidden", "parameters", "runs", "epoch", "best valid", "mean test"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name, row in self.rows.items():
            table.add_row(
                name,
                str(row.hidden_size),
                f"{row.parameters:,}",
                f"{row.done}/{sum(job.cell.name == name for job in self.jobs)}",
                span(row.epochs.values()),
                self.metric.text(row.best),
                self.metric.text(sum(row.tests) / len(row.tests) if row.tests else None),
            )
        return table

    def footer(self) -> tuple[float, float, str, float | None]:
        done = sum(row.done for row in self.rows.values())
        words = f"{done} of {len(self.jobs)} runs"
        return len(self.jobs), self.clock.completed(), words, self.clock.left()


def span(epochs: Iterable[int]) -> str:
    """The epochs that a cell's runs are in: `7`, or `3–12`."""
    found = sorted(epochs)
    if not found:
        return ""
    return str(found[0]) if found[0] == found[-1] else f"{found[0]}–{found[-1]}"


class _Clock:
    """How long it will take, by what the same cell, or else any cell, took so far."""

    def __init__(self, jobs: Sequence[Job], workers: int) -> None:
        self.workers = workers
        self.waiting = dict.fromkeys(jobs)
        self.running: dict[Job, float] = {}
        self.took: dict[str, list[float]] = {}
        self.done = 0

    def start(self, job: Job) -> None:
        self.waiting.pop(job, None)
        self.running[job] = monotonic()

    def finish(self, job: Job, seconds: float) -> None:
        self.give_up(job)
        self.took.setdefault(job.cell.name, []).append(seconds)
        self.done += 1

    def give_up(self, job: Job) -> None:
        self.waiting.pop(job, None)
        self.running.pop(job, None)

    def left(self) -> float | None:
        """Seconds, or None before anything has finished."""
        if not self.took:
            return None
        now = [max(0.0, self._expected(j) - (monotonic() - t)) for j, t in self.running.items()]
        later = [self._expected(job) for job in self.waiting]
        return max([(sum(now) + sum(later)) / self.workers, *now])

    def completed(self) -> float:
        """Runs, the parts of those in training included."""
        if not self.took:
            return 0.0
        parts = ((monotonic() - t) / self._expected(j) for j, t in self.running.items())
        return self.done + sum(min(part, 0.9) for part in parts)

    def _expected(self, job: Job) -> float:
        known = self.took.get(job.cell.name) or [s for took in self.took.values() for s in took]
        return max(1e-3, sum(known) / len(known))
