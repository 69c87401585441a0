"""The page of a cell: what its text says, and what follows from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from latex2mathml.converter import convert

from cellwright.export.latex import lines
from cellwright.language import Cell, aliases, cell
from cellwright.language.difference import Row, difference
from cellwright.language.notation import number_text
from cellwright.language.options import Option
from cellwright.language.syntax import HEADERS
from cellwright.layers.named import NAMED
from cellwright.program.ops import Shape
from cellwright.program.program import Program
from cellwright.schedule.facts import Facts, facts
from cellwright.schedule.selection import family

__all__ = ["SIZES", "Line", "Shown", "linked", "shown"]

SIZES: Mapping[str, int] = {"I": 64, "H": 64}
"""For what is counted: those of `cellwright list`."""


@dataclass(frozen=True)
class Line:
    """An equation as papers write it."""

    left: str
    """MathML, as is `right`, which begins with the sign."""
    right: str
    caption: str


@dataclass(frozen=True)
class Shown:
    """What the page of a cell shows beside its pictures."""

    cell: Cell
    aliases: Sequence[str]
    lines: Sequence[Line]
    statements: str
    """The text without what is said about it: equations, initial values, constants."""
    like: Cell | None
    """The cell it varies."""
    differs: Sequence[Row]
    """That cell's equations on the left, this one's on the right."""
    descent: Sequence[Cell]
    """The cells it comes from, the first one first."""
    varied_by: Sequence[Cell]
    parameters: Sequence[tuple[Sequence[str], str, str]]
    """Names, the shape of each, where they start."""
    count: str
    """How many learned values there are, in terms of I and H."""
    facts: Facts
    code: str
    """How to make a layer of it."""
    square: bool
    """Whether that needs an input of the hidden size."""
    options: Sequence[Option]
    """What its constructor takes as well."""

    @property
    def states(self) -> int:
        """How many it has."""
        return len(self.facts.states)

    @property
    def long(self) -> bool:
        """Whether a caption has no room beside an equation."""
        return max(len(e.text) for e in self.cell.equations) > 46


def shown(c: Cell, catalogue: Sequence[Cell]) -> Shown:
    """What there is to show of a cell of the catalogue."""
    like = cell(c.like) if c.like else None
    return Shown(
        cell=c,
        aliases=[alias for alias, name in aliases().items() if name == c.name],
        lines=list(_lines(c)),
        statements=re.sub(rf"^({'|'.join(HEADERS)}):.*\n", "", c.text, flags=re.M).strip("\n"),
        like=like,
        differs=difference(like, c) if like else (),
        descent=[cell(name) for name in reversed(family(c)[1:])],
        varied_by=[other for other in catalogue if other.like and cell(other.like) == c],
        parameters=list(_parameters(c.program)),
        count=_count(c.program),
        facts=facts(c.program, c.sizes(SIZES["I"], SIZES["H"])),
        code=_code(c),
        square=c.program.inputs[0].shape != ("I",),
        options=c.options,
    )


def _lines(c: Cell) -> Iterator[Line]:
    captions = {e.name: e.caption for e in c.equations}
    for e, (left, right) in zip(c.program.equations, lines(c.program), strict=True):
        yield Line(_mathml(left), _mathml(f"= {right}"), captions.get(e.name, ""))


def _mathml(latex: str) -> str:
    """Fractions are as high as in a line of their own, max is as close to its bracket as tanh."""
    made = convert(latex).replace('display="inline"', 'displaystyle="true"')
    return re.sub(r"<mo>([a-z]{2,})</mo>", r"<mi>\1</mi>", made)


def linked(paper: str) -> str:
    """A paper with links where it has an arXiv number or a DOI, in Markdown."""
    text = re.sub(r"arXiv (\d{4}\.\d{4,5}(v\d+)?)", r"[arXiv \1](https://arxiv.org/abs/\1)", paper)
    return re.sub(r"doi (10\.\d+/\S*\w)", r"[doi \1](https://doi.org/\1)", text)


def _parameters(p: Program) -> Iterator[tuple[list[str], str, str]]:
    groups: dict[tuple[Shape, float | None], list[str]] = {}
    for q in sorted(p.parameters, key=lambda q: -len(q.shape)):
        groups.setdefault((q.shape, q.init), []).append(q.name)
    for (shape, init), names in groups.items():
        start = "±1/√H" if init is None else number_text(init)
        yield names, " × ".join(shape) or "1", start


def _count(p: Program) -> str:
    """As `4 HI + 4 H² + 4 H`."""
    times = Counter[Shape](tuple(sorted(q.shape)) for q in p.parameters)
    words: dict[Shape, str] = {("H", "I"): " HI", ("H", "H"): " H²", ("I", "I"): " I²"}
    return " + ".join(
        f"{times[shape]}{words.get(shape) or ' '.join(('', *shape))}".removeprefix("1 ")
        for shape in sorted(times, key=lambda shape: (-len(shape), shape != ("H", "I"), shape))
    )


def _code(c: Cell) -> str:
    named = {layer.cell_name: layer.__name__ for layer in NAMED}
    inputs = 88 if c.program.inputs[0].shape == ("I",) else 36
    made = f"{named[c.name]}(" if c.name in named else f'Recurrent("{c.name}", '
    states = [s.name for s in c.program.states]
    state = f"({', '.join(states)})" if len(states) > 1 else states[0]
    return (
        "import torch\nimport cellwright\n\n"
        f"layer = cellwright.{made}{inputs}, 36)\n"
        f"output, {state} = layer(torch.randn(100, 16, {inputs}))\n"
    )
