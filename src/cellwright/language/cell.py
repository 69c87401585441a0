"""A Cell: what a person wrote, with the Program it means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from cellwright.language.elaborate import elaborate
from cellwright.language.errors import CellError, Place
from cellwright.language.reader import read
from cellwright.language.syntax import Declare, New, Output, Statement, Syntax
from cellwright.language.syntax import Equation as EquationSyntax
from cellwright.program.program import Program, prime

__all__ = ["Cell", "Equation", "aliases", "cell", "cell_names", "parse", "program"]

SUFFIX = ".cell"
ARGUMENTS = (
    "cell",
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
    "device",
    "dtype",
    "backend",
    "self",
)
"""What a layer's constructor takes beside a cell's constants."""
LARGEST = 1_000_000
"""Bytes of a cell's text: a thousand times the longest in the catalogue."""


@dataclass(frozen=True)
class Equation:
    """One equation as its author wrote it."""

    name: str
    """What it sets: `i`, or `c'` for a state."""
    text: str
    """The line without its caption."""
    caption: str
    line: int


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: its text, what the text says about it, and its Program."""

    name: str
    text: str
    title: str
    paper: str
    like: str | None
    """The cell it varies."""
    note: str
    equations: tuple[Equation, ...]
    program: Program

    def __repr__(self) -> str:
        """The name and the text; the Program, as nested values, can be far longer than that."""
        return f"parse({self.text!r}, {self.name!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return parse, (self.text, self.name)


def program(text: str, source: str = "<text>") -> Program:
    """Read a Program in the language, derived ones included.

    Raises CellError where the text is not one.
    """
    return elaborate(read(text, source))


def parse(text: str, name: str = "cell", source: str | None = None) -> Cell:
    """Read a cell from its text; `source` names it in errors.

    Raises CellError where the text is no cell.
    """
    source = source or f"{name}{SUFFIX}"
    syntax = read(text, source)
    found = elaborate(syntax, default_output=True)
    _as_layer(found, syntax)
    equations = tuple(
        _equation(st) for st in syntax.statements if isinstance(st.content, EquationSyntax)
    )
    return Cell(
        name=name,
        text=text,
        title=syntax.header("title"),
        paper=syntax.header("paper"),
        like=syntax.header("like") or None,
        note=syntax.header("note"),
        equations=equations,
        program=found,
    )


def _equation(st: Statement) -> Equation:
    assert isinstance(st.content, EquationSyntax)
    t = st.content.target
    code = st.place.text.partition("#")[0].strip()
    return Equation(
        prime(t.name) if isinstance(t, New) else t.name, code, st.caption, st.place.line
    )


def _as_layer(p: Program, syntax: Syntax) -> None:
    """What a layer needs of a program beyond its being one."""
    last = syntax.statements[-1].place

    def refuse(message: str, remedy: str, place: Place = last) -> CellError:
        return CellError(message, remedy, place)

    if not p.states:
        raise refuse(
            "no equation sets a state, so nothing would be remembered",
            "Write at least one equation with a prime, for example h' = …",
        )
    if [v.name for v in p.inputs] != ["x"]:
        raise refuse(
            "the cell never reads its input x",
            "Use x in an equation, for example W x; a layer has one input, named x.",
        )
    for st in syntax.statements:
        if isinstance(st.content, Output) and len(st.content.names) > 1:
            raise refuse("a layer returns one value a step", "Name one output.", st.place)
        if isinstance(st.content, Output) and p.named[p.outputs[0]].shape == ():
            raise refuse(
                f"the output {p.outputs[0]} is a single number, not a vector",
                "Name an equation that sets a vector, for example h'.",
                st.place,
            )
        if isinstance(st.content, Declare) and st.content.kind == "const":
            [name] = st.content.names
            if name.name in ARGUMENTS:
                raise refuse(
                    f"{name.name} is an argument of every layer, and so would this constant be",
                    "Give it another name.",
                    st.at(name),
                )
        if isinstance(st.content, EquationSyntax) and st.content.sum:
            raise refuse("a cell has no sums", "Remove this line.", st.place)
    shapes = {v.shape for v in p.values}
    unknown = {s for shape in shapes for s in shape} - {"I", "H"}
    if unknown:
        raise refuse(
            f"unknown size {', '.join(sorted(unknown))}",
            "A cell has two: I, the input size, and H, the hidden size.",
        )


# --- where cells come from ----------------------------------------------------------------------


@cache
def cell_names() -> tuple[str, ...]:
    """The names of the catalogue's cells, in alphabetical order."""
    found = files("cellwright.catalogue").iterdir()
    return tuple(sorted(f.name.removesuffix(SUFFIX) for f in found if f.name.endswith(SUFFIX)))


@cache
def aliases() -> Mapping[str, str]:
    """Other names of catalogue cells, from their `alias:` headers."""
    return {
        alias: name
        for name in cell_names()
        for alias in read(_catalogue_text(name), name).header("alias").split()
    }


def _catalogue_text(name: str) -> str:
    return files("cellwright.catalogue").joinpath(name + SUFFIX).read_text("utf-8")


@cache
def _catalogue_cell(name: str) -> Cell:
    return parse(_catalogue_text(name), name)


def cell(which: str | os.PathLike[str] | Cell) -> Cell:
    """The catalogue's cell of that name or alias, the cell in that file, or the cell itself.

    A string with a path separator, or one that ends in `.cell`, is a file.

    Raises CellError where there is no such cell or its text is wrong.
    """
    if isinstance(which, Cell):
        return which
    if not isinstance(which, str | os.PathLike):
        raise TypeError(f"a cell is a name, a path or a Cell, got {type(which).__name__}")
    name = os.fspath(which)
    if isinstance(which, str) and not (name.endswith(SUFFIX) or "/" in name or os.sep in name):
        if name in cell_names():
            return _catalogue_cell(name)
        if name in aliases():
            return _catalogue_cell(aliases()[name])
        raise _unknown(name)
    return parse(_file_text(Path(name)), Path(name).name.removesuffix(SUFFIX), name)


def _unknown(name: str) -> CellError:
    near = get_close_matches(name.lower().replace("-", "_"), [*cell_names(), *aliases()], 1, 0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    return CellError(
        "there is no such cell",
        f"{meant}The catalogue has {', '.join(cell_names())}; "
        f"a file is named with its ending: ./{name}{SUFFIX}",
        name or "''",
    )


def _file_text(path: Path) -> str:
    try:
        with path.open("rb") as f:
            data = f.read(LARGEST + 1)
    except (OSError, ValueError) as e:
        why = (e.strerror if isinstance(e, OSError) else None) or str(e)
        raise CellError(
            f"cannot be read: {why}", "Name a text file with equations.", str(path)
        ) from None
    if len(data) > LARGEST:
        raise CellError(
            f"larger than {LARGEST} bytes",
            "A cell is a page of equations; is this the right file?",
            str(path),
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise CellError(
            f"line {line} is not UTF-8 text",
            "Save the file as UTF-8; is this the right file?",
            str(path),
        ) from None
