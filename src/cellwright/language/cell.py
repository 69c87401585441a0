"""A Cell: what a person wrote, with the Program it means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from cellwright.language.elaborate import elaborate
from cellwright.language.errors import CellError, Place
from cellwright.language.names import target_of
from cellwright.language.reader import read
from cellwright.language.syntax import Declare, Output, Statement, Syntax
from cellwright.language.syntax import Equation as EquationSyntax
from cellwright.program.ops import topological
from cellwright.program.program import Program, prime

__all__ = ["Cell", "Equation", "aliases", "cell", "cell_names", "misspelt", "parse", "program"]

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
    "memory",
    "layer_norm",
    "zoneout",
    "recurrent_dropout",
    "recurrent_dropout_on",
    "residual",
    "learned_state",
    "heads",
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
    _check_like(syntax)
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
    code = st.place.text.partition("#")[0].strip()
    return Equation(target_of(st.content), code, st.caption, st.place.line)


def _check_like(syntax: Syntax) -> None:
    for header, name, place in syntax.headers:
        if header == "like" and name not in cell_names() and name not in aliases():
            raise CellError(
                f"like: names no cell of the catalogue, got {name or 'nothing'}",
                f"{_meant(name)}Name one that cellwright list has, or remove this line.",
                place,
            )


def _as_layer(p: Program, syntax: Syntax) -> None:
    """What a layer needs of a program beyond its being one."""
    last = syntax.statements[-1].place

    def refuse(message: str, remedy: str, place: Place = last) -> CellError:
        return CellError(message, remedy, place)

    if not p.states:
        timed = next((e.name for e in p.equations if e.name.endswith("_t")), "h_t")
        raise refuse(
            "no equation sets a state, so nothing would be remembered",
            f"Write at least one equation with a prime: {prime(timed[:-2])} = … for {timed}, with "
            f"{timed[:-2]} for its value from the step before.",
        )
    for st in syntax.statements:
        if isinstance(st.content, Declare) and st.content.kind == "input":
            for node in st.content.names:
                if node.name != "x":
                    raise refuse(
                        f"the input {node.name} is not x",
                        "A layer has one input, named x; a program that was derived from a cell "
                        "is no cell.",
                        st.at(node),
                    )
    if not p.inputs:
        raise refuse(
            "the cell never reads its input x",
            "Use x in an equation, for example W x; a layer has one input, named x.",
        )
    for st in syntax.statements:
        if isinstance(st.content, Output) and len(st.content.names) > 1:
            raise refuse("a layer returns one value a step", "Name one output.", st.place)
        if isinstance(st.content, Output) and p.output.shape == ():
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
    _check_needed(p, syntax)
    shapes = {v.shape for v in p.values}
    unknown = {s for shape in shapes for s in shape} - {"I", "H"}
    if unknown:
        raise refuse(
            f"unknown size {', '.join(sorted(unknown))}",
            "A cell has two: I, the input size, and H, the hidden size.",
        )


def _check_needed(p: Program, syntax: Syntax) -> None:
    """Refuse an equation that changes nothing: more often than not a name is misspelt elsewhere."""
    needed = set(topological([p.output, *(p.next(s) for s in p.states)]))
    vectors = [q.name for q in p.parameters if len(q.shape) == 1]
    for st in syntax.statements:
        if not isinstance(st.content, EquationSyntax):
            continue
        name = target_of(st.content)
        if p.named[name] in needed:
            continue
        remedy = "Use it in an equation, or remove this line."
        if near := misspelt(name, vectors):
            remedy = (
                f"No equation sets {near}, which makes it a learned vector: did you mean {name} "
                "there?"
            )
        raise CellError(
            f"{name} is set, but neither the output nor a state depends on it",
            remedy,
            st.at(st.content.target),
        )


def misspelt(name: str, among: Iterable[str]) -> str | None:
    """The first of some names that may be a slip for this one: a letter twice, or one changed."""

    def once(word: str) -> str:
        return re.sub(r"(.)\1+", r"\1", word.lower())

    among = tuple(among)
    slips = [other for other in among if once(other) == once(name)]
    return next(iter((*slips, *get_close_matches(name, among, 1, 0.8))), None)


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
    if "=" in name:
        return CellError(
            "this is no name but equations",
            "cellwright.parse(text) makes a cell of them.",
            "<text>",
        )
    file = name if re.fullmatch(r"[\w-]+", name) else "my_cell"
    return CellError(
        "there is no such cell",
        f"{_meant(name)}cellwright list has the cells there are; "
        f"a file is named with its ending: ./{file}{SUFFIX}",
        name or "''",
    )


def _meant(name: str) -> str:
    known = [*cell_names(), *aliases()]
    near = get_close_matches(name.lower().replace("-", "_"), known, 1, 0.7)
    return f"Did you mean {near[0]}? " if near else ""


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
