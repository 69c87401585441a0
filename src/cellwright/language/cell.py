"""A Cell: what a person wrote, with the Program it means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from cellwright.language import library
from cellwright.language.elaborate import elaborate
from cellwright.language.errors import CellError
from cellwright.language.library import SUFFIX, aliases, cell_names
from cellwright.language.names import plain, target_of
from cellwright.language.needs import check_layer
from cellwright.language.notation import number_text
from cellwright.language.options import GivenError, Option, check_given, constants, numbers
from cellwright.language.reader import read
from cellwright.language.repetition import unrolled
from cellwright.language.syntax import Equation as EquationSyntax
from cellwright.language.syntax import Part, Statement
from cellwright.program.program import Program

__all__ = ["Cell", "Equation", "Line", "cell", "parse", "program"]


@dataclass(frozen=True)
class Equation:
    """One equation, as its author wrote it; one of many, where a line is repeated."""

    name: str
    """What it sets, as programs call it: `i`, or `c'` for a state; `n_2` for `n[2]`."""
    text: str
    """The line without its caption; in one that is repeated numbers take the place of counts."""
    caption: str
    line: int


class Line(NamedTuple):
    """A line of equations as it stands in the text: an equation, or a `for`."""

    text: str
    """Without its caption, with four blanks before it where it belongs to a `for`."""
    caption: str


@dataclass(frozen=True)
class Cell:
    """A recurrent cell: its text, what the text says about it, and its Program."""

    origin: str
    """Its name without the options that it was given: `rhn` for `rhn(L=5)`."""
    text: str
    title: str
    paper: str
    like: str | None
    """The cell it varies."""
    note: str
    lines: tuple[Line, ...]
    equations: tuple[Equation, ...]
    """The lines, each equation as often as it is repeated."""
    options: tuple[Option, ...]
    """Counts, sizes and constants, with what they are in this cell."""
    program: Program

    @property
    def name(self) -> str:
        """The name that leads to it, with the options that are not their defaults: `rhn(L=5)`."""
        given = ", ".join(map(str, self.given))
        return f"{self.origin}({given})" if given else self.origin

    @property
    def stem(self) -> str:
        """The name as one for files: `rhn_L5`."""
        return "_".join((self.origin, *(f"{o.name}{number_text(o.value)}" for o in self.given)))

    @property
    def given(self) -> tuple[Option, ...]:
        """The options that are not their defaults."""
        return tuple(o for o in self.options if o.value != o.default)

    def sizes(self, input_size: int, hidden_size: int) -> dict[str, int]:
        """What the names in shapes stand for: `I` and `H`, and the sizes that the text declares."""
        declared = {o.name: int(o.value) for o in self.options if o.kind == "size"}
        return {"I": input_size, "H": hidden_size, **declared}

    def with_options(self, **given: float) -> Cell:
        """The same text with other counts, sizes and constants.

        Raises GivenError for a name that is no option here and a number that it cannot be,
        CellError where the text has no meaning for these counts.
        """
        if not given:
            return self
        known = {o.name: o.value for o in self.given}
        return _cell(self.text, self.origin, self.origin + SUFFIX, {**known, **given})

    def __repr__(self) -> str:
        """The name and the text; the Program, as nested values, can be far longer than that."""
        made = f"parse({self.text!r}, {self.origin!r})"
        given = ", ".join(map(str, self.given))
        return f"{made}.with_options({given})" if given else made

    def __reduce__(self) -> tuple[object, ...]:
        given = {o.name: o.value for o in self.given}
        return _cell, (self.text, self.origin, self.origin + SUFFIX, given)


def program(text: str, source: str = "<text>") -> Program:
    """Read a Program in the language, derived ones included.

    Raises CellError where the text is not one.
    """
    written = read(text, source)
    return elaborate(unrolled(written, _counts(numbers(written, {}))))


def parse(text: str, name: str = "cell", source: str | None = None) -> Cell:
    """Read a cell from its text; `source` names it in errors.

    Raises CellError where the text is no cell, TypeError for what is no string.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a cell is a string, got {type(name).__name__}")
    return _cell(text, name, source or name + SUFFIX, {})


def _cell(text: str, origin: str, source: str, given: Mapping[str, float]) -> Cell:
    written = read(text, source)
    whole = numbers(written, given)
    syntax = unrolled(written, _counts(whole))
    found = elaborate(syntax, default_output=True)
    check_layer(found, syntax, [o.name for o in whole if o.kind == "size"])
    kept = {c.name for c in found.constants}
    options = (*whole, *(o for o in constants(syntax, given) if o.name in kept))
    check_given(given, options)
    return Cell(
        origin=origin,
        text=text,
        title=syntax.header("title"),
        paper=syntax.header("paper"),
        like=syntax.header("like") or None,
        note=syntax.header("note"),
        lines=tuple(_lines(written.parts)),
        equations=tuple(
            Equation(plain(target_of(st.content)), st.spelled, st.caption, st.place.line)
            for st in syntax.statements
            if isinstance(st.content, EquationSyntax)
        ),
        options=options,
        program=found.with_constants({o.name: o.value for o in options if o.kind == "const"}),
    )


def _counts(options: Iterable[Option]) -> dict[str, int]:
    return {o.name: int(o.value) for o in options if o.kind == "count"}


def _lines(parts: Iterable[Part], indent: str = "") -> Iterator[Line]:
    for part in parts:
        if isinstance(part, Statement):
            if isinstance(part.content, EquationSyntax):
                yield _line(part, indent)
            continue
        [first, *_] = part.parts
        if isinstance(first, Statement) and first.place.line == part.place.line:
            if isinstance(first.content, EquationSyntax):
                yield _line(first, indent)
        elif inside := tuple(_lines(part.parts, indent + " " * 4)):
            yield _line(part, indent)
            yield from inside


def _line(part: Part, indent: str) -> Line:
    return Line(indent + part.place.text.partition("#")[0].strip(), part.caption)


# --- where cells come from ----------------------------------------------------------------------


def cell(which: str | os.PathLike[str] | Cell) -> Cell:
    """The catalogue's cell of that name or alias, the cell in that file, or the cell itself.

    A string with a path separator, or one that ends in `.cell`, is a file. Behind either may stand
    options, in brackets: `rhn(L=5)`, `./my.cell(L=5, dt=0.1)`.

    Raises CellError where there is no such cell, its text is wrong, or it has no such options.
    """
    if isinstance(which, Cell):
        return which
    if not isinstance(which, str | os.PathLike):
        raise TypeError(f"a cell is a name, a path or a Cell, got {type(which).__name__}")
    full = os.fspath(which)
    name, given = library.parted(full) if isinstance(which, str) else (full, {})
    try:
        if isinstance(which, str) and not library.is_file(name):
            return _of_catalogue(name, given)
        file = Path(name)
        return _cell(library.file_text(file), file.name.removesuffix(SUFFIX), name, given)
    except GivenError as e:
        remedy = f"{e.remedy} cellwright show {name} says what it has.".lstrip()
        raise CellError(e.message, remedy, full) from None


def _of_catalogue(name: str, given: Mapping[str, float]) -> Cell:
    name = aliases().get(name, name)
    if name not in cell_names():
        raise library.unknown(name)
    return _given_cell(name, **given) if given else _catalogue_cell(name)


@cache
def _catalogue_cell(name: str) -> Cell:
    return parse(library.catalogue_text(name), name)


@lru_cache(maxsize=256, typed=True)  # a count may be 5, and not 5.0
def _given_cell(name: str, /, **given: float) -> Cell:
    return _catalogue_cell(name).with_options(**given)
