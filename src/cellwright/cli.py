"""The command line: every command is one call into the library."""

from __future__ import annotations

import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import cyclopts
from cyclopts import Parameter
from rich.console import Console, RenderableType

from cellwright import __version__, terminal
from cellwright.errors import CellwrightError
from cellwright.export import latex as in_latex
from cellwright.language import Cell, CellError, cell, cell_names
from cellwright.language.difference import difference
from cellwright.schedule.selection import Conditions, Order, select
from cellwright.study.results import DEFAULT_CELLS

if TYPE_CHECKING:
    from cellwright.bench.bench import Size

__all__ = ["app", "main"]

app = cyclopts.App(
    name="cellwright",
    version=__version__,
    help="Recurrent cells as equations: look at them, check your own, compare them on your data.",
    help_format="markdown",
)
_Size = Annotated[int, Parameter(validator=cyclopts.validators.Number(gte=1))]


@app.command(name="list")
def list_(
    *,
    sort: Order = "name",
    elementwise: bool | None = None,
    scannable: bool | None = None,
    stages: int | None = None,
    states: int | None = None,
    like: str | None = None,
    size: str = "64,64",
) -> None:
    """List the cells of the catalogue, with what follows from their equations.

    Parameters
    ----------
    sort
        What they are sorted by, the least first.
    elementwise
        Only those in which each unit goes through time by itself; with --no-elementwise the others.
    scannable
        Only those that an associative scan can run, as their new states are linear in the old ones.
    stages
        Only those in which units wait for one another that many times a step.
    states
        Only those with that many states.
    like
        Only a cell and those that vary it (`like:`).
    size
        Features of the input and of the hidden state, as 100,64: for what is counted.
    """
    conditions = Conditions(elementwise, scannable, stages, states, like)
    sizes = _sizes(size)
    _print(terminal.cells(select(conditions, sizes, sort), sizes, sort))


@app.command
def show(
    name: str,
    /,
    *,
    size: str = "64,64",
    derivative: bool = False,
    schedule: bool = False,
    latex: bool = False,
) -> None:
    """Show a cell: its equations in words, its parameters, what follows from them, its paper.

    Parameters
    ----------
    name
        A cell of the catalogue, or a .cell file; with its options in brackets, as 'NAME(L=5)'.
    size
        Features of the input and of the hidden state, as 100,64: for what is counted.
    derivative
        Show the backward pass instead: the step program that training runs from the last step to
        the first.
    schedule
        Show what runs when: ahead of the loop over time, in each step, stage by stage, and behind
        the loop; with --derivative that of the backward pass.
    latex
        Show the equations in LaTeX: an aligned environment, for a document with amsmath.
    """
    shown = cell(name)
    if latex:
        print(in_latex.latex(shown), end="")
    elif schedule:
        _print(terminal.schedule_of(shown, derivative))
    elif derivative:
        _print(terminal.derivative_of(shown))
    else:
        _print(terminal.cell(shown, name, _sizes(size)))


@app.command
def diff(a: str, b: str | None = None, /) -> None:
    """Show what changes from one cell to another, side by side, the changed parts marked.

    Parameters
    ----------
    a
        A cell of the catalogue, or a .cell file.
    b
        What it becomes. Without it, what changes to the first one from the cell that its text
        calls alike (`like:`).
    """
    left, right = (cell(a), cell(b)) if b is not None else (_like(a), cell(a))
    _print(terminal.difference(left, right, difference(left, right)))


def _like(which: str) -> Cell:
    like = cell(which).like
    if like is None:
        raise CellError(
            "there is no like: line, so nothing to compare it with",
            f"Name two cells: cellwright diff OTHER {which}",
            which,
        )
    return cell(like)


@app.command
def diagram(
    name: str,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    against: str | None = None,
) -> None:
    """Draw a cell, as an SVG: states as lines from left to right, gates as valves on them.

    Parameters
    ----------
    name
        A cell of the catalogue, or a .cell file.
    out
        The file to write; without one, NAME.svg, or NAME_L5.svg with options, in this folder.
    against
        A cell to mark the differences from.
    """
    from cellwright.export.diagram import diagram

    drawn = cell(name)
    file = out or Path(f"{drawn.stem}.svg")
    if file.suffix.lower() not in ("", ".svg"):
        raise CellwrightError(
            f"a diagram is an SVG, and {file} would be something else by its name. Write it to "
            f"{file.with_suffix('.svg')}; browsers and drawing programs make other pictures of it"
        )
    text = diagram(drawn, cell(against) if against is not None else None)
    _open_for_writing(file)
    file.write_text(text, "utf-8")
    print(f"Diagram: {file}")


@app.command
def check(file: str, /) -> None:
    """Check a cell: say what is wrong with it, or what it means.

    Parameters
    ----------
    file
        A text file with equations, or a cell of the catalogue.
    """
    path = Path(file)
    _print(terminal.summary(cell(path if path.exists() and not path.is_dir() else file)))


_data = cyclopts.App(name="data", help="Look at data before anything is trained on them.")
app.command(_data)


@_data.command(name="check")
def data_check(data: str, /, *, task: str | None = None) -> None:
    """Check data: say what is wrong with them, or what compare would do with them.

    Parameters
    ----------
    data
        A file, a folder, or the name of a generated task, as for compare.
    task
        What to make of the file, where its content leaves a choice, as for compare.
    """
    from cellwright.study.tasks import load

    found = load(data, task)
    words = ["cellwright", "compare", data, *(["--task", task] if task else [])]
    _print(terminal.data(found.summary(), found.recipe, " ".join(map(quote, words))))


@app.command
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


@app.command
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
            [*((k, v) for k, v in named.items() if v is not None), *map(_named, range_)]
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


def _named(text: str) -> tuple[str, str]:
    """`NAME=VALUE` as both."""
    name, sign, value = text.partition("=")
    if not sign:
        raise CellwrightError(f"--range takes NAME=LOW,HIGH or NAME=VALUE; got {text!r}")
    name = name.strip()
    return name if " " in name else name.replace("-", "_"), value


@app.command
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


@app.command
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


@app.command
def build(
    *cells: str,
    target: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    out: Path | None = None,
) -> None:
    """Compile cells ahead of time, so that layers of them start at once, without a compiler too.

    That is for layers with and without biases; one with `proj_size` still needs a compiler when it
    is first run. What is there already is left as it is.

    Parameters
    ----------
    cells
        Cells of the catalogue, or .cell files; without any, the whole catalogue.
    target
        A kind of processor to compile for: avx512, avx2 or baseline; may be repeated. Without any,
        this machine's.
    out
        Another folder for what is compiled, as that of a wheel; without one, the cache.
    """
    from cellwright.layers.ahead import build

    chosen = [cell(name) for name in cells or cell_names()]
    done = terminal.shown_as_it_goes("compiling", build(chosen, target, out))
    print(f"{done} libraries compiled" if done else "Everything is compiled already")


@app.command
def bench(
    *cells: str,
    size: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    threads: Annotated[tuple[_Size, ...], Parameter(negative=())] = (1,),
    against: str = "nn.LSTM,nn.GRU,loop,torchrecurrent",
    seconds: float = 2.0,
    inference: bool = False,
    memory: bool = False,
    input_gradient: bool = False,
    with_: Annotated[tuple[str, ...], Parameter(name="--with", negative=())] = (),
    out: Path | None = None,
) -> None:
    """Measure layers beside torch.nn's and others, in turns, in one process.

    Nothing is timed where a cell's results are not right.

    Parameters
    ----------
    cells
        Cells of the catalogue, or .cell files.
    size
        Steps, batch, input size and hidden size, as 100,16,64,64; may be repeated. Without any,
        eight sizes from small to large.
    threads
        Of torch; may be repeated.
    against
        With commas between them: nn.LSTM, nn.GRU, nn.RNN; plain, the cell without what --with says;
        small, that with memory="small";
        loop, the cell as a loop in torch; torchrecurrent, its layer of the same name, or one of its
        layers, as torchrecurrent.MGU.
    seconds
        To measure each of them for, at each size; seven runs are made at the least.
    inference
        Measure runs without a backward pass too.
    memory
        Measure what a training step needs of memory, too.
    input_gradient
        Training wants the gradient of the input, as in a layer on top of another.
    with_
        A variation of the cell, as layer_norm or zoneout=0.1; may be repeated.
    out
        A file for the tables, in Markdown.
    """
    from cellwright.bench.bench import SIZES, bench
    from cellwright.bench.table import machine, markdown

    if not cells:
        raise CellwrightError("name a cell to measure: cellwright bench CELL …")
    if out:
        _open_for_writing(out)
    rows = terminal.measured(
        bench(
            [cell(name) for name in cells],
            [_size(text) for text in size] or SIZES,
            threads,
            [name for name in against.split(",") if name],
            seconds,
            (True, False) if inference else (True,),
            memory,
            input_gradient,
            dict(map(_variation, with_)),
        ),
        machine(),
    )
    if out:
        out.write_text(markdown(rows, " ".join(["cellwright", *map(quote, sys.argv[1:])])), "utf-8")


def _open_for_writing(file: Path) -> None:
    """Find out before minutes of work whether a file can be written."""
    try:
        file.open("a").close()
    except OSError as e:
        raise CellwrightError(
            f"{file} cannot be written: {e.strerror}. Choose another one with --out"
        ) from None


def _size(text: str) -> Size:
    from cellwright.bench.bench import Size

    return Size(*_numbers(text, "steps, batch, input size and hidden size", "100,16,64,64"))


def _sizes(text: str) -> dict[str, int]:
    return dict(zip("IH", _numbers(text, "input size and hidden size", "100,64"), strict=True))


def _numbers(text: str, what: str, example: str) -> list[int]:
    parts = text.split(",")
    known = all(part.strip().isdecimal() and int(part) for part in parts)
    if len(parts) != len(example.split(",")) or not known:
        raise CellwrightError(f"a size is {what}, as {example}; got {text!r}")
    return [int(part) for part in parts]


def _variation(text: str) -> tuple[str, object]:
    """A name with its value, a number or a word; without one it is True."""
    from cellwright.layers.variations import NAMES

    name, _, value = text.partition("=")
    if name not in NAMES:
        raise CellwrightError(f"--with takes {', '.join(NAMES)}, as zoneout=0.1; got {text!r}")
    if not value:
        return name, True
    for kind in (int, float):
        with suppress(ValueError):
            return name, kind(value)
    return name, value


@app.command
def doctor() -> None:
    """Say which backends work here and, where one does not, why and what to do."""
    from cellwright.backends.diagnosis import diagnose

    _print(terminal.diagnosis(diagnose()))


def _print(shown: RenderableType) -> None:
    """To standard output; piped, a line is as long as it is and has no blanks at its end."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(shown)
        return
    wide = Console(highlight=False, width=100_000)
    with wide.capture() as captured:
        wide.print(shown)
    for line in captured.get().splitlines():
        print(line.rstrip())


def main() -> NoReturn:
    """Run the command line; a mistake of the user's ends with a message and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # one that cannot write σ shows ? instead
            stream.reconfigure(errors="replace")
    try:
        app()
    except CellwrightError as e:
        console = Console(stderr=True, highlight=False)
        console.print(f"{e}", markup=False, soft_wrap=not console.is_terminal)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader, `head` say, has what it wanted.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(0)
