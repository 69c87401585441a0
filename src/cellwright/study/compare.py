"""The main job: train cells side by side on real data, and say which was better and how sure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path

from rich.console import Console

from cellwright.language import Cell
from cellwright.study.environment import Stopwatch, cores
from cellwright.study.jobs import Job, jobs
from cellwright.study.models import Models
from cellwright.study.options import (
    Which,
    at_least_one,
    chosen_baseline,
    chosen_cells,
    name_of,
    positive,
)
from cellwright.study.processes import Processes
from cellwright.study.progress import display
from cellwright.study.results import DEFAULT_CELLS, Comparison, Run, Settings
from cellwright.study.runner import Finished, Listed, Noted, run
from cellwright.study.sizes import hidden_size_for, learned_values
from cellwright.study.stopping import stoppable
from cellwright.study.store import Store
from cellwright.study.tasks import Task, load
from cellwright.study.words import say

__all__ = ["Plan", "carry_out", "compare"]


@dataclass(frozen=True)
class Plan:
    """A comparison that can be carried out."""

    cells: tuple[Cell, ...]
    task: Task
    settings: Settings
    workers: int
    command: str
    """What repeats it."""

    @property
    def share(self) -> float | None:
        """Seconds for one run, the same however many are left after an interruption."""
        if self.settings.minutes is None:
            return None
        total = len(self.cells) * self.settings.seeds
        return self.settings.minutes * 60 / ceil(total / self.workers)


def compare(
    data: str | os.PathLike[str] | None = None,
    cells: str | Sequence[Which] = DEFAULT_CELLS,
    parameters: int = 20_000,
    seeds: int = 5,
    minutes: float | None = None,
    out: str | os.PathLike[str] = "compare",
    baseline: Which | None = None,
    workers: int | None = None,
    console: Console | None = None,
    task: str | None = None,
) -> Comparison:
    """Train every cell from every seed with the same parameter budget, and compare them.

    Args:
        data: a file, or the name of a task (`study.tasks.load` says which); without one, Bach
            chorales.
        cells: names of the catalogue, `.cell` files or Cells; or names and files with commas.
            Options stand in brackets, as in `"lstm,rhn(L=5)"`.
        parameters: learned values of a whole model at the most; hidden sizes follow from it.
        seeds: runs a cell, from seed 0.
        minutes: of training in all, shared out evenly over runs.
        out: the folder for `report.html`, `results.json` and a file for each finished run, which
            the same call goes on from.
        baseline: the cell that the others are tested against; the first one by default.
        workers: processes, each with one thread; by default as many as there are cores.
        console: where progress and the ranking are printed.
        task: what to make of the file, where its content leaves a choice: `text`, or with
            parameters, `forecast(horizon=24)`.

    Ctrl-C, or SIGTERM, ends the training at once; the comparison returned is then of the runs that
    are finished, and its `complete` is False.

    Raises:
        CellwrightError: an option, a cell, the data or the folder cannot be used. Nothing has
            been trained then.
    """
    chosen = chosen_cells(cells)
    against = chosen_baseline(baseline, chosen)
    at_least_one("seeds", seeds)
    at_least_one("parameters", parameters)
    if minutes is not None:
        positive("minutes", minutes)
    if workers is not None:
        at_least_one("workers", workers)
    loaded = load(data, task)
    settings = Settings(
        cells=tuple(c.name for c in chosen),
        baseline=against.name,
        parameters=parameters,
        seeds=seeds,
        minutes=minutes,
        **asdict(loaded.recipe),
    )
    command = _command(data, task, cells, settings, out, baseline, workers)
    plan = Plan(chosen, loaded, settings, workers or cores(), command)
    return carry_out(plan, Path(out), console or Console(highlight=False))


def carry_out(plan: Plan, out: Path, console: Console) -> Comparison:
    """Do what is left to do of a plan, and write results.json and report.html.

    Raises CellwrightError as `compare` does.
    """
    from cellwright.study import report  # late: figures and statistics take a second to import
    from cellwright.study.gates_view import drawn
    from cellwright.study.summary import summarise

    watch = Stopwatch()
    settings, ends = plan.settings, plan.task.ends
    dataset = plan.task.summary()
    # The cell that needs most first: its error names a budget that is enough for all.
    for cell in sorted(plan.cells, key=lambda c: -learned_values(c, ends, 1)):
        hidden_size_for(cell, settings.parameters, ends)
    asked = jobs(plan.cells, settings, plan.task, plan.share)
    todo = tuple(replace(job, saved=True) for job in asked)
    store = Store(out)
    models = Models(out, dataset.metric)
    kept = store.load(todo, plan.share)
    runs = dict(kept.runs)

    say(console, _heading(plan))
    if dataset.warning:
        say(console, dataset.warning)
    for note in kept.notes:
        say(console, note)
    if runs:
        say(console, f"{len(runs)} of {len(todo)} runs are finished already, in {store.runs}.")
    interrupted = _train(
        plan, [job for job in todo if job not in runs], runs, todo, store, models, console
    )

    comparison = Comparison(
        settings=settings,
        dataset=dataset,
        environment=watch.environment(plan.workers, plan.command),
        runs=tuple(runs[job] for job in todo if job in runs),
    )
    if interrupted:
        say(
            console,
            f"Stopped. {len(runs)} of {len(todo)} finished runs are kept in {store.runs}; "
            "the same command goes on.",
        )
    if not runs:
        return comparison
    store.save_comparison(comparison)
    best = models.best(runs)
    gates = drawn(plan.task, best) if best else None
    report.write(comparison, store.report, {cell.name: cell for cell in plan.cells}, gates)
    summarise(comparison, console)
    say(console, f"Report: {store.report}")
    return comparison


def _train(
    plan: Plan,
    left: Sequence[Job],
    runs: dict[Job, Run],
    todo: Sequence[Job],
    store: Store,
    models: Models,
    console: Console,
) -> bool:
    """Train the jobs that are left, adding to `runs`; whether somebody stopped it."""
    settings, ends = plan.settings, plan.task.ends
    workers = min(plan.workers, len(left))
    sizes = {}
    for cell in plan.cells:
        hidden = hidden_size_for(cell, settings.parameters, ends)
        sizes[cell.name] = hidden, learned_values(cell, ends, hidden)
    noted: set[str] = set()
    with (
        stoppable() as stopping,
        display(console, plan.task.target.metrics[0], todo, sizes, runs, workers) as board,
        closing(run(Listed(left), Processes(plan.task, workers), stopping)) as events,
    ):
        for event in events:
            if isinstance(event, Finished):
                models.keep(event.job, event.run, event.model, runs)
                store.save(event.job, event.run, plan.share)
                runs[event.job] = event.run
            if isinstance(event, Noted) and event.text in noted:
                continue  # from another worker
            if isinstance(event, Noted):
                noted.add(event.text)
            board.show(event)
        return stopping()


# --- words --------------------------------------------------------------------------------------


def _command(
    data: str | os.PathLike[str] | None,
    task: str | None,
    cells: str | Sequence[Which],
    settings: Settings,
    out: str | os.PathLike[str],
    baseline: Which | None,
    workers: int | None,
) -> str:
    if not isinstance(cells, str):
        cells = ",".join(map(name_of, cells))
    words = ["cellwright", "compare", *([] if data is None else [os.fspath(data)])]
    words += [] if task is None else ["--task", task]
    words += ["--cells", cells, "--parameters", str(settings.parameters)]
    words += ["--seeds", str(settings.seeds)]
    words += [] if settings.minutes is None else ["--minutes", f"{settings.minutes:g}"]
    words += [] if baseline is None else ["--baseline", name_of(baseline)]
    words += [] if workers is None else ["--workers", str(workers)]
    return shlex.join([*words, "--out", os.fspath(out)])


def _heading(plan: Plan) -> str:
    settings, dataset = plan.settings, plan.task.summary()
    what, sizes = next(iter(dataset.sizes.items()))
    seeds = "1 seed" if settings.seeds == 1 else f"{settings.seeds} seeds each"
    cells = "1 cell" if len(plan.cells) == 1 else f"{len(plan.cells)} cells"
    return (
        f"{dataset.name}: {'/'.join(f'{n:,}' for n in sizes)} {what} to train on, "
        f"validate and test; {cells}, {seeds}, at most {settings.parameters:,} parameters."
    )
