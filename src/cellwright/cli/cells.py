"""Commands that look at cells: list, show, diff, diagram, check. None of them waits for torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cellwright import terminal
from cellwright.cli.output import open_for_writing, say
from cellwright.cli.words import sizes_of_layer
from cellwright.errors import CellwrightError
from cellwright.export import latex as in_latex
from cellwright.language import Cell, CellError, cell
from cellwright.language.difference import difference
from cellwright.schedule.selection import Conditions, Order, select

__all__ = ["check", "diagram", "diff", "list_", "show"]


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
    sizes = sizes_of_layer(size)
    say(terminal.cells(select(conditions, sizes, sort), sizes, sort))


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
        say(terminal.schedule_of(shown, derivative))
    elif derivative:
        say(terminal.derivative_of(shown))
    else:
        say(terminal.cell(shown, name, sizes_of_layer(size)))


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
    say(terminal.difference(left, right, difference(left, right)))


def _like(which: str) -> Cell:
    like = cell(which).like
    if like is None:
        raise CellError(
            "there is no like: line, so nothing to compare it with",
            f"Name two cells: cellwright diff OTHER {which}",
            which,
        )
    return cell(like)


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
    open_for_writing(file)
    file.write_text(text, "utf-8")
    print(f"Diagram: {file}")


def check(file: str, /) -> None:
    """Check a cell: say what is wrong with it, or what it means.

    Parameters
    ----------
    file
        A text file with equations, or a cell of the catalogue.
    """
    path = Path(file)
    say(terminal.summary(cell(path if path.exists() and not path.is_dir() else file)))
