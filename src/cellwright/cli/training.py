"""Commands that train cells on data, and that show what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from cellwright.cli.words import range_of
from cellwright.study.results import DEFAULT_CELLS

__all__ = ["compare", "report", "study", "trace"]


def compare(
    data: str | None = None,
    /,
    *,
    task: str | None = None,
    cells: str = ",".join(DEFAULT_CELLS),
    parameters: int = 20_000,
    seeds: int = 5,
    minutes: float | None = None,
    out: Path = Path("compare"),
    baseline: str | None = None,
    workers: int | None = None,
) -> None:
    """Train cells side by side on data, and say which was better and how sure that is.

    Writes report.html, one file that opens offline. Ctrl-C keeps what is finished; the same
    command then goes on. The exit code is 1 where runs are missing.

    Parameters
    ----------
    data
        A file, known by its content: music (a .mat of piano rolls, an .npz, a folder of MIDI
        files), text, labelled series (.ts, .npz), a table to forecast (CSV, Parquet). Or the name
        of a generated task: adding, copy, temporal_order, parity, digits; with parameters as
        'adding(T=200)'. Without it, the Bach chorales that come with Cellwright. `cellwright data
        check` says what would be done with it.
    task
        What to make of the file, where its content leaves a choice: music, series, forecast or
        text; with parameters, as 'forecast(horizon=24,target=load)'.
    cells
        Names of the catalogue, or .cell files, with commas between them; with options in
        brackets, as 'NAME(L=5)'.
    parameters
        Learned values of a whole model, at the most; each cell's hidden size follows from it.
    seeds
        Runs a cell.
    minutes
        Of training in all, shared out evenly over the runs; without it, until learning is done,
        or the task's limit of epochs.
    out
        The folder for the report and the finished runs.
    baseline
        The cell that the others are tested against; the first one without it.
    workers
        Processes that train at once; as many as there are processor cores without it.
    """
    from cellwright.study.compare import compare

    found = compare(
        data,
        cells,
        parameters,
        seeds,
        minutes,
        out,
        baseline,
        workers,
        Console(highlight=False),
        task,
    )
    if not found.complete:
        sys.exit(1)


def study(
    data: str | None = None,
    /,
    *,
    task: str | None = None,
    preset: str = "modern",
    cells: str | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    seeds: int | None = None,
    seed: int = 0,
    learning_rate: str | None = None,
    parameters: str | None = None,
    hidden_size: str | None = None,
    range_: Annotated[tuple[str, ...], Parameter(name="--range", negative=())] = (),
    sampler: Literal["random", "tpe"] | None = None,
    out: Path = Path("study"),
    baseline: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    storage: str | None = None,
) -> None:
    """Search hyperparameters for cells on data, each with the same budget; keep the best models.

    Writes report.html, study.json, trials.csv and a model for each cell. Ctrl-C, or a power cut,
    loses nothing that is finished: the same command goes on, several at once share the work, and
    --trials or --cells may have grown. The exit code is 1 where something is missing.

    Parameters
    ----------
    data
        A file, or the name of a task, as for compare.
    task
        What to make of the file, where its content leaves a choice.
    preset
        modern: AdamW, matched parameters, trials that are worse than others given up early; or
        odyssey: the search of Greff et al. (2017), LSTM: A Search Space Odyssey, with their nine
        variants.
    cells
        Names of the catalogue, or .cell files, with commas between them; those of the preset
        without it.
    trials
        A cell; without it 30, or 200 in the odyssey.
    minutes
        Of training in all, the same for each cell, instead of a number of trials.
    seeds
        That the best trial of each cell is trained from again; without it 5, or none in the
        odyssey.
    seed
        Of the study: the same seed, the same trials.
    learning_rate
        Where it is searched, as 1e-4,1e-1; or what it is, as 0.01.
    parameters
        The same for learned values of a whole model, at the most; each cell's hidden size follows.
    hidden_size
        The same for hidden sizes, where cells need not match.
    range_
        The same for any hyperparameter, as dropout=0,0.5; may be repeated.
    sampler
        random, or tpe, which learns from the trials before; its trials depend on how many run at
        once.
    out
        The folder for the journal of trials, the results and the models.
    baseline
        The cell that the others are tested against; the first one without it.
    workers
        Trainings at once; as many as there are processor cores without it.
    ray
        The address of a Ray cluster that trains, or auto for the one that this machine is part of.
    storage
        A PostgreSQL database that keeps the trials, as postgresql://USER@HOST/DATABASE: machines
        that name the same one share a study.
    """
    from cellwright.study.options import once_each
    from cellwright.study.search.study import study

    named = {
        "learning_rate": learning_rate, "parameters": parameters, "hidden_size": hidden_size
    }  # fmt: skip
    found = study(
        data,
        cells,
        preset=preset,
        ranges=once_each(
            [*((k, v) for k, v in named.items() if v is not None), *map(range_of, range_)]
        ),
        trials=trials,
        minutes=minutes,
        seeds=seeds,
        seed=seed,
        sampler=sampler,
        out=out,
        baseline=baseline,
        workers=workers,
        ray=ray,
        storage=storage,
        task=task,
    )
    if not found.complete:
        sys.exit(1)


def report(
    folder: Path,
    other: Path | None = None,
    /,
    *,
    data: str | None = None,
    task: str | None = None,
) -> None:
    """Write a study's report again, without training; or set one study beside another.

    Parameters
    ----------
    folder
        Where study put its study.json.
    other
        Another one, of the same data: both rankings are printed, and the cells that both have are
        tested; nothing is written.
    data
        What the study was about, where it is no longer where it was; the gates are drawn over an
        example of it.
    task
        What to make of the data, as for study.
    """
    from cellwright.study.search.again import rewrite, tell
    from cellwright.study.search.files import read_study

    console = Console(highlight=False)
    if other is None:
        print(f"Report: {rewrite(folder, data, task, console)}")
    else:
        names = (
            (folder.name, other.name) if folder.name != other.name else (f"{folder}", f"{other}")
        )
        tell(read_study(folder), read_study(other), names, console)


def trace(
    model: Path,
    data: str | None = None,
    /,
    *,
    task: str | None = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("gates.html"),
) -> None:
    """Draw what a trained model does: every named value of its cell, over one example.

    Writes one file that opens offline.

    Parameters
    ----------
    model
        A .safetensors file, as compare and study keep them.
    data
        What the model was trained on, or other data of the same kind, as for compare.
    task
        What to make of the file, where its content leaves a choice, as for compare.
    out
        The file to write.
    """
    from cellwright.study.gates_view import drawn, page, write
    from cellwright.study.saved import about
    from cellwright.study.tasks import load

    name = about(model).cell.name
    found = load(data, task)
    write(page(f"{name} on {found.name}", drawn(found, {name: model})), out)
    print(f"Gates: {out}")
