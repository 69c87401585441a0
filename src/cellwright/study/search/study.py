"""`cellwright study`: which hyperparameters each cell wants, and what it is worth with them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import optuna
from rich.console import Console

from cellwright.language import Cell
from cellwright.study.environment import Stopwatch, cores
from cellwright.study.jobs import digest, what_is_run
from cellwright.study.options import (
    OptionError,
    Which,
    at_least_one,
    chosen_baseline,
    chosen_cells,
    name_of,
    positive,
)
from cellwright.study.plain import encode
from cellwright.study.processes import Processes
from cellwright.study.regime import Regime
from cellwright.study.runner import Crew, Failed, Finished, Noted, Progressed, Started, run
from cellwright.study.search.board import board
from cellwright.study.search.contest import Budget, Contest, Rules
from cellwright.study.search.files import Files
from cellwright.study.search.hyperparameters import Setting, regime
from cellwright.study.search.presets import Preset, Sampler, preset
from cellwright.study.search.pruning import Hyperband
from cellwright.study.search.queue import Queue
from cellwright.study.search.results import Searched, Study, StudySettings, Trial
from cellwright.study.search.sampling import Numbered
from cellwright.study.search.storage import Shared, checked, shared
from cellwright.study.search.summary import summarise
from cellwright.study.sizes import learned_values
from cellwright.study.stopping import stoppable
from cellwright.study.tasks import Task, load
from cellwright.study.words import plural, say

__all__ = ["Plan", "carry_out", "settings_of", "study"]


@dataclass(frozen=True)
class Plan:
    """A study that can be carried out."""

    cells: tuple[Cell, ...]
    task: Task
    settings: StudySettings
    workers: int | None
    """None for as many as there are processor cores."""
    storage: str | None
    ray: str | None
    command: str
    """What repeats it."""


def study(
    data: str | os.PathLike[str] | None = None,
    cells: str | Sequence[Which] | None = None,
    *,
    preset: str = "modern",
    ranges: Mapping[str, str] | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    seeds: int | None = None,
    seed: int = 0,
    sampler: Sampler | None = None,
    out: str | os.PathLike[str] = "study",
    baseline: Which | None = None,
    workers: int | None = None,
    ray: str | None = None,
    storage: str | None = None,
    task: str | None = None,
    console: Console | None = None,
) -> Study:
    """Search hyperparameters for each cell, with the same budget, and keep each best model.

    Args:
        data: a file, or the name of a task (`study.tasks.load` says which); without one, Bach
            chorales.
        cells: names of the catalogue, `.cell` files or Cells; or names and files with commas. The
            preset's by default.
        preset: `modern`, or `odyssey` for the protocol of Greff et al. (2017).
        ranges: by the name of a hyperparameter where it is searched, `LOW,HIGH`, or what it is,
            `VALUE`; what is not named is as in the preset.
        trials: a cell; the preset says how many by default.
        minutes: of training in all, the same for each cell, instead of a number of trials.
        seeds: that the best trial of each cell is trained from again; as the preset has it by
            default.
        seed: of the study. With the cell's equations and a trial's number, it decides the trial.
        sampler: `random`, or `tpe`, which learns from the trials before.
        out: the folder for the journal of trials, `study.json`, `trials.csv`, the models and
            `report.html`. The same call goes on from there; any number of processes may work on it
            at once.
        baseline: the cell that the others are tested against; the first one by default.
        workers: trainings at a time, each with one thread; by default as many as there are cores.
        ray: the address of a Ray cluster that trains, or `auto`.
        storage: the URL of a PostgreSQL database to keep trials in instead of the journal, so that
            machines without a common folder share a study.
        task: what to make of the file, where its content leaves a choice.
        console: where progress and the ranking are printed.

    Ctrl-C, or SIGTERM, ends the training at once; the study returned is then of what is finished,
    and its `complete` is False.

    Raises:
        CellwrightError: an option, a cell, the data, the folder or the storage cannot be used.
    """
    chosen_preset = _chosen_preset(preset, ranges or {}, sampler)
    chosen = chosen_cells(chosen_preset.cells if cells is None else cells)
    if trials is not None and minutes is not None:
        raise OptionError("the budget of a cell is --trials or --minutes: give one of them")
    for name, number in (("trials", trials), ("workers", workers)):
        if number is not None:
            at_least_one(name, number)
    if minutes is not None:
        positive("minutes", minutes)
    if seeds is not None and (isinstance(seeds, bool) or seeds < 0):
        raise OptionError(f"--seeds must be a whole number of at least 0, got {seeds}")
    if storage is not None:
        checked(storage)
    loaded = load(data, task)
    settings = settings_of(
        chosen_preset,
        loaded,
        tuple(c.name for c in chosen),
        chosen_baseline(baseline, chosen).name,
        trials,
        minutes,
        seeds,
        seed,
    )
    given = {"trials": trials, "minutes": minutes, "seeds": seeds, "seed": seed or None}
    also = {"sampler": sampler, "baseline": baseline and name_of(baseline), "workers": workers}
    command = _command(
        data, cells, {"task": task, "preset": preset, **given, **also, "ray": ray}, ranges, out
    )
    plan = Plan(chosen, loaded, settings, workers, storage, ray, command)
    return carry_out(plan, Path(out), console or Console(highlight=False))


def _chosen_preset(name: str, ranges: Mapping[str, str], sampler: Sampler | None) -> Preset:
    found = preset(name).overridden(ranges)
    return found if sampler is None else replace(found, sampler=sampler)


def settings_of(
    preset: Preset,
    task: Task,
    cells: tuple[str, ...],
    baseline: str,
    trials: int | None = None,
    minutes: float | None = None,
    seeds: int | None = None,
    seed: int = 0,
) -> StudySettings:
    """A preset's settings on a task; None leaves a number to the preset."""
    recipe = asdict(task.recipe)
    epochs = {**recipe, **preset.fixed}["epochs"]
    return StudySettings(
        preset=preset.name,
        title=preset.title,
        paper=preset.paper,
        cells=cells,
        baseline=baseline,
        trials=None if minutes is not None else trials or preset.trials,
        minutes=minutes,
        seeds=preset.seeds if seeds is None else seeds,
        seed=seed,
        sampler=preset.sampler,
        pruning=preset.pruning and epochs > 1,
        ranges=preset.ranges,
        fixed=dict(preset.fixed),
        left_to_task={name: recipe[name] for name in preset.left_to_task},
    )


# --- carrying it out ----------------------------------------------------------------------------


def carry_out(plan: Plan, out: Path, console: Console) -> Study:
    """Do what is left to do of a plan, and write study.json, trials.csv and the report.

    Raises CellwrightError as `study` does.
    """
    watch = Stopwatch()
    crew = _crew(plan)
    rules = _rules(plan)
    # The cell that needs most first: its error names a size that is enough for all.
    for cell in sorted(plan.cells, key=lambda c: -learned_values(c, plan.task.ends, 1)):
        _check(cell, rules, plan.task)
    files = Files(out)
    say(console, _heading(plan))
    if warning := plan.task.summary().warning:
        say(console, warning)
    with shared(out, plan.storage) as kept:
        names = {cell.name: _name(cell, plan) for cell in plan.cells}
        budget = _budget(plan, crew.size)
        contests = [Contest(kept, cell, names[cell.name], rules, budget) for cell in plan.cells]
        _check_budget(plan, contests, out)
        _tell_of_what_is_kept(plan, contests, kept, console)
        queue = Queue(contests, files.models)
        stopped = _train(plan, contests, queue, crew, console)
        found = _found(plan, contests, queue, watch, files)
    files.save(found)
    if stopped:
        say(console, f"Stopped. {_finished(found)} and kept; the same command goes on.")
    summarise(found, console)
    if not any(one.trials for one in found.cells):
        say(console, "There is nothing to report yet, as no trial is finished.")
        return found
    say(console, f"Study: {files.study}; trials: {files.trials}; models: {files.models.folder}")
    say(console, "Writing the report …")
    from cellwright.study.search import report  # late: figures take seconds to import

    try:
        say(console, f"Report: {report.write(found, out, plan.task)}")
    except KeyboardInterrupt:
        say(console, f"Stopped before the report was written: cellwright report {out} does it.")
    return found


def _crew(plan: Plan) -> Crew:
    if plan.ray is None:
        return Processes(plan.task, plan.workers or cores())
    from cellwright.study.search.cluster import Cluster  # late: an optional extra

    return Cluster(plan.ray, plan.task, plan.workers)


def _rules(plan: Plan) -> Rules:
    settings, task, same = plan.settings, plan.task, plan.settings.same

    def regime_of(cell: Cell, setting: Setting) -> Regime:
        return regime(cell, task.ends, same, setting)

    epochs = same["epochs"]
    assert isinstance(epochs, int)
    return Rules(
        seed=settings.seed,
        metric=task.target.metrics[0],
        ranges=settings.ranges,
        sampler=partial(Numbered, settings.sampler),
        pruning=Hyperband(epochs) if settings.pruning else None,
        regime=regime_of,
    )


def _check(cell: Cell, rules: Rules, task: Task) -> None:
    """Raise CellwrightError where a cell cannot have the sizes that are searched."""
    smallest = rules.regime(cell, {one.name: one.low for one in rules.ranges})
    largest = rules.regime(cell, {one.name: one.high for one in rules.ranges})
    tied = cell.program.inputs[0].shape != ("I",)
    if tied and {smallest.hidden_size, largest.hidden_size} != {task.ends.inputs}:
        raise OptionError(
            f"{cell.name} combines its input elementwise with values of the hidden size, so its "
            f"hidden size must be {task.ends.inputs}, and cannot be searched: leave it out of "
            "--cells"
        )


def _name(cell: Cell, plan: Plan) -> str:
    """Of the cell's search: equal names, equal trials.

    How many trials there are, how long they may take, which other cells there are: that decides
    nothing about one trial.
    """
    settings = plan.settings
    decides = {
        **what_is_run(cell, plan.task),
        "seed": settings.seed,
        "sampler": settings.sampler,
        "pruning": settings.pruning,
        "ranges": encode(settings.ranges),
        "fixed": settings.same,
    }
    return f"{cell.name} {digest(decides)}"


def _budget(plan: Plan, workers: int) -> Budget:
    settings = plan.settings
    seconds = None
    if settings.minutes is not None:
        seconds = settings.minutes * 60 * workers / len(plan.cells)
    return Budget(settings.trials, seconds, settings.seeds)


def _check_budget(plan: Plan, contests: Sequence[Contest], out: Path) -> None:
    """Raise OptionError where trials were done under the other kind of budget.

    Cells that had as many trials did not have the same time, nor the other way round; and a trial
    that time cut off is no whole one.
    """
    timed = plan.settings.minutes is not None
    for contest in contests:
        done = contest.lane.done().values()
        if any((one.granted is not None) != timed for one in done):
            asked, before = ("--minutes", "--trials")[:: 1 if timed else -1]
            where = f"the folder {out}" if plan.storage is None else "this --storage"
            remedy = "another --out" if plan.storage is None else "another database"
            raise OptionError(
                f"this study was begun with {before}, and {where} has "
                f"{plural(len(done), 'trial')} of {contest.cell.name}. Cells would no longer have "
                f"the same budget with {asked}: go on with {before}, or give {asked} {remedy}"
            )


def _train(
    plan: Plan, contests: Sequence[Contest], queue: Queue, crew: Crew, console: Console
) -> bool:
    """Do what is left; whether somebody stopped it."""
    noted: set[str] = set()
    metric = plan.task.target.metrics[0]
    with (
        stoppable() as stopping,
        closing(queue),
        closing(crew),
        board(console, metric, contests, crew.size) as shown,
        closing(run(queue, crew, stopping)) as events,
    ):
        for event in events:
            if isinstance(event, Started | Progressed):
                queue.hear(event)
            if isinstance(event, Finished):
                queue.finish(event.job, event.run, event.model)
            if isinstance(event, Failed) and queue.fail(event.job, event.why, event.lost):
                event = replace(event, why=f"{event.why}: it is begun again")
            if isinstance(event, Noted) and event.text in noted:
                continue  # from another worker
            if isinstance(event, Noted):
                noted.add(event.text)
            shown.show(event)
        return stopping()


def _found(
    plan: Plan, contests: Sequence[Contest], queue: Queue, watch: Stopwatch, files: Files
) -> Study:
    metric = plan.task.target.metrics[0]
    cells = tuple(_searched(contest, files) for contest in contests)
    return Study(
        settings=plan.settings,
        dataset=plan.task.summary(),
        environment=watch.environment(plan.workers or cores(), plan.command),
        cells=cells,
        edges={one.cell: one.edges(metric, plan.settings.ranges) for one in cells},
        complete=queue.over and not any(one.failed for one in cells),
    )


def _searched(contest: Contest, files: Files) -> Searched:
    cell, budget, best, again = contest.cell, contest.budget, contest.best, contest.again
    path = files.models.find(contest.name, best) if best is not None else None
    errors = contest.lane.errors(budget.trials)
    return Searched(
        cell=cell.name,
        title=cell.title,
        text=cell.text,
        trials=tuple(Trial(n, done.setting, done.run) for n, done in contest.done.items()),
        again=tuple(done.run for done in again.done(budget.seeds).values()) if again else (),
        failed={str(number): error for number, error in errors.items()},
        model=path.relative_to(files.out).as_posix() if path else None,
    )


# --- words --------------------------------------------------------------------------------------


def _command(
    data: str | os.PathLike[str] | None,
    cells: str | Sequence[Which] | None,
    options: Mapping[str, object],
    ranges: Mapping[str, str] | None,
    out: str | os.PathLike[str],
) -> str:
    """Without the storage, whose URL may have a password in it."""
    words = ["cellwright", "study", *([] if data is None else [os.fspath(data)])]
    if cells is not None:
        words += ["--cells", cells if isinstance(cells, str) else ",".join(map(name_of, cells))]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    for name, text in (ranges or {}).items():
        words += ["--range", f"{name}={text}"]
    return shlex.join([*words, "--out", os.fspath(out)])


def _heading(plan: Plan) -> str:
    settings, dataset = plan.settings, plan.task.summary()
    what, sizes = next(iter(dataset.sizes.items()))
    cells = "1 cell" if len(plan.cells) == 1 else f"{len(plan.cells)} cells"
    budget = (
        f"{settings.minutes:g} minutes in all"
        if settings.trials is None
        else f"{settings.trials} trial{'s' * (settings.trials != 1)} each"
    )
    return (
        f"{dataset.name}: {'/'.join(f'{n:,}' for n in sizes)} {what} to train on, validate and "
        f"test; {cells}, {budget}; {settings.title}."
    )


def _finished(found: Study) -> str:
    """`2 of 16 runs are finished`; where time is the budget, nobody knows of how many."""
    settings = found.settings
    done = sum(len(one.trials) + len(one.again) for one in found.cells)
    if settings.trials is None:
        return f"{plural(done, 'run')} {'is' if done == 1 else 'are'} finished"
    wanted = len(settings.cells) * (settings.trials + settings.seeds)
    return f"{done:,} of {plural(wanted, 'run')} are finished"


def _tell_of_what_is_kept(
    plan: Plan, contests: Sequence[Contest], kept: Shared, console: Console
) -> None:
    done = sum(len(contest.done) for contest in contests)
    if done:
        say(console, f"{done} trials are finished already.")
    if plan.storage is None:
        others = {*optuna.get_all_study_names(kept.storage)}
        others -= {name for name in others for c in contests if name.startswith(c.name)}
        if others:
            some = "1 search" if len(others) == 1 else f"{len(others)} searches"
            say(console, f"The journal has {some} of other settings, data or cells, not used here.")
