"""What `list`, `show` and `check` print: the cells there are, and one with what it means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cellwright.language import Cell, aliases
from cellwright.language.hints import misspelt
from cellwright.language.library import parted
from cellwright.language.notation import number_text
from cellwright.program.ops import Shape
from cellwright.schedule.facts import Facts, facts
from cellwright.schedule.selection import Order
from cellwright.terminal.pieces import Sizes, shape_text, size_text, title

__all__ = ["cell", "cells", "summary"]

_COUNTS: dict[Order, tuple[str, str]] = {
    "parameters": ("params", ""),
    "macs": ("MACs", " MACs: multiply-adds of the matrices in a step."),
    "memory": ("memory", " Memory: bytes a step that training keeps."),
}
"""What a list counts: the column, and what is said below it."""


@dataclass(frozen=True)
class _Cells:
    """A line a cell; less than 100 columns have no room for all counts, and a title ends early."""

    found: Sequence[tuple[Cell, Facts]]
    sizes: Sizes
    order: Order

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= 100
        counts = [k for k in _COUNTS if wide or k in ("parameters", self.order)]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
        table.add_column("cell", no_wrap=True, style="bold")
        table.add_column("what it is")
        table.add_column("states", justify="right", no_wrap=True)
        table.add_column("stages", no_wrap=True)
        for k in counts:
            table.add_column(_COUNTS[k][0], justify="right", no_wrap=True)
        also: dict[str, list[str]] = {}
        for alias, name in aliases().items():
            also.setdefault(name, []).append(alias)
        for c, f in self.found:
            cell = Text(c.name)
            if c.name in also:
                cell.append(f" ({', '.join(also[c.name])})", style="dim")
            title = Text(c.title, no_wrap=True, overflow="ellipsis")
            kind = Text(str(f.stages)).append(" scan" if f.linear else "", style="dim")
            numbers = (f"{getattr(f, k):,}" for k in counts)
            table.add_row(cell, title, str(len(f.states)), kind, *numbers)
        yield table
        meanings = "".join(_COUNTS[k][1] for k in counts)
        yield Text(
            f"For {size_text(self.sizes)}. Stages: how many times a step units wait for one another"
            f"; scan: a scan can run it.{meanings} Equations: cellwright show CELL",
            style="dim",
        )


def cells(found: Sequence[tuple[Cell, Facts]], sizes: Sizes, order: Order) -> RenderableType:
    """A list of cells with their facts."""
    if not found:
        return Text("Nothing matches: no cell of the catalogue is of that kind. Ask for less.")
    return _Cells(found, sizes, order)


def cell(c: Cell, which: str, sizes: Sizes) -> RenderableType:
    """Title, equations with captions, parameters with shapes and counts, options, paper, note;
    `which` is the name or the path that it was asked for by, `sizes` are `I` and `H`."""
    sizes = c.sizes(sizes["I"], sizes["H"])
    parts: list[RenderableType] = [title(c)]
    width = max(len(text) for text, _ in c.lines)
    for text, caption in c.lines:
        line = Text("  ").append(_spaced(text), style="bold")
        if width <= 44 and caption:
            parts.append(_beside(line, caption, width + 4))
        else:
            parts.append(line)
            if caption:
                parts.append(Padding(Text(caption, style="dim"), (0, 0, 0, 6)))
    parts += [Text(), _parameters(c, sizes), *_options(c, which), _facts(c, sizes)]
    return Group(*parts)


def summary(c: Cell) -> RenderableType:
    """What a cell that is right means: so that a typo that made a new name is seen."""
    p = c.program
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column()
    lines.add_row("states", ", ".join(s.name for s in p.states))
    lines.add_row("output", p.outputs[0])
    for shape in dict.fromkeys(q.shape for q in p.parameters):
        names = ", ".join(q.name for q in p.parameters if q.shape == shape)
        lines.add_row(f"learned {_kind(shape)}", f"{names}  {shape_text(shape)}".rstrip())
    if c.options:
        lines.add_row("options", ", ".join(f"{o.name} = {number_text(o.value)}" for o in c.options))
    parts: list[RenderableType] = [
        Text(c.name, style="bold").append(": ok", style="green"),
        Padding(lines, (0, 0, 0, 2)),
    ]
    if p.inputs[0].shape != ("I",):
        parts.append(
            Text(
                "  It needs input_size == hidden_size: its equations combine x elementwise with "
                "values of the hidden size, or apply one matrix to both."
            )
        )
    equations = [e.name for e in p.equations]
    parts.extend(
        Text(f"  No equation sets {q.name}, so it is learned; or did you mean {near}?")
        for q in p.parameters
        if len(q.shape) == 1 and (near := misspelt(q.name, equations))
    )
    return Group(*parts)


def _spaced(text: str) -> str:
    """The text of an equation; authors align their = signs, which a list need not."""
    left, _, right = text.partition("=")
    return f"{left.rstrip()} = {right.lstrip()}"


def _beside(left: Text, caption: str, width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column()
    grid.add_row(left, Text(caption, style="dim"))
    return grid


def _kind(shape: Shape) -> str:
    return ("scalars", "vectors", "matrices")[len(shape)]


def _parameters(c: Cell, sizes: Sizes) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("learned", Text("all"))
    table.add_column("each", no_wrap=True)
    table.add_column("starts at", no_wrap=True)
    table.add_column("values", Text(f"{c.program.count(sizes):,}"), justify="right", no_wrap=True)
    groups: dict[tuple[Shape, float | None], list[str]] = {}
    for q in sorted(c.program.parameters, key=lambda q: -len(q.shape)):
        groups.setdefault((q.shape, q.init), []).append(q.name)
    for (shape, init), names in groups.items():
        count = len(names) * prod(sizes[s] for s in shape)
        start = "±1/√H" if init is None else number_text(init)
        table.add_row(" ".join(names), shape_text(shape) or "1", start, f"{count:,}")
    return table


def _options(c: Cell, which: str) -> Iterator[RenderableType]:
    """The numbers that the cell leaves open, and how to set them."""
    if not c.options:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("option", no_wrap=True)
    table.add_column("is", justify="right", no_wrap=True)
    table.add_column("by default", justify="right", no_wrap=True)
    table.add_column("what it is")
    for o in c.options:
        table.add_row(o.name, number_text(o.value), number_text(o.default), o.caption)
    other = c.options[0].another
    which, _ = parted(which)
    yield table
    yield Text(
        f'To set one: Recurrent("{which}", …, {other}), or "{which}({other})" wherever a cell is '
        "named; a shell wants the quotes.\n",
        style="dim",
    )


def _facts(c: Cell, sizes: Sizes) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    p = c.program
    grid.add_row("state", ", ".join(s.name for s in p.states) + f"; the output is {p.outputs[0]}")
    f = facts(p, sizes)
    times = ("never wait", "wait once", "wait twice")
    waits = times[f.stages] if f.stages < len(times) else f"wait {f.stages} times"
    scan = "; linear in its states, so a scan can run it" if f.linear else ""
    grid.add_row("a step", f"{f.macs:,} multiply-adds; units {waits} for one another{scan}")
    grid.add_row("training", f"keeps {f.kept:,} numbers a step, {f.memory:,} bytes in float32")
    for label, text in (("paper", c.paper), ("like", c.like), ("note", c.note)):
        if text:
            grid.add_row(label, Text(text))
    return grid
