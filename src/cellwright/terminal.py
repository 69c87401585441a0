"""What the command line prints: cells, differences and diagnoses for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from textwrap import wrap
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from cellwright.language import Cell, aliases, cell_names, print_program, print_value
from cellwright.language.difference import Row, Span
from cellwright.language.needs import misspelt
from cellwright.language.notation import number_text
from cellwright.program.derivative import derivative
from cellwright.program.ops import Shape
from cellwright.schedule.facts import Facts, facts
from cellwright.schedule.printer import print_schedule
from cellwright.schedule.selection import Order
from cellwright.schedule.stages import schedule

if TYPE_CHECKING:
    from cellwright.backends.diagnosis import Diagnosis
    from cellwright.bench.bench import Measurement
    from cellwright.study.results import Dataset
    from cellwright.study.tasks.recipes import Recipe

__all__ = [
    "cell",
    "cells",
    "data",
    "derivative_of",
    "diagnosis",
    "difference",
    "measured",
    "schedule_of",
    "shown_as_it_goes",
    "summary",
]

Sizes = Mapping[str, int]


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
            f"For {_size(self.sizes)}. Stages: how many times a step units wait for one another; "
            f"scan: a scan can run it.{meanings} Equations: cellwright show CELL",
            style="dim",
        )


def cells(found: Sequence[tuple[Cell, Facts]], sizes: Sizes, order: Order) -> RenderableType:
    """A list of cells with their facts."""
    if not found:
        return Text("No cell of the catalogue is of that kind: ask for less.")
    return _Cells(found, sizes, order)


def cell(c: Cell, sizes: Sizes) -> RenderableType:
    """Title, equations with captions, parameters with shapes and counts, options, paper, note;
    `sizes` are `I` and `H`."""
    sizes = c.sizes(sizes["I"], sizes["H"])
    parts: list[RenderableType] = [_title(c)]
    width = max(len(text) for text, _ in c.lines)
    for text, caption in c.lines:
        line = Text("  ").append(_spaced(text), style="bold")
        if width <= 44 and caption:
            parts.append(_beside(line, caption, width + 4))
        else:
            parts.append(line)
            if caption:
                parts.append(Padding(Text(caption, style="dim"), (0, 0, 0, 6)))
    parts += [Text(), _parameters(c, sizes), *_options(c), _facts(c, sizes)]
    return Group(*parts)


def derivative_of(c: Cell) -> RenderableType:
    """The backward program of a cell, in the language, what is said about it as comments."""
    intro = (
        "The backward pass, one step, run from the last step to the first. Inputs: the gradient "
        "of the output (g_…) and what the forward pass saved. States: the gradients of the states "
        "(d_…). A sum adds up over all steps."
    )
    lines = [f"{c.name}: {c.title}" if c.title else c.name, *wrap(intro, 76)]
    d, before = derivative(c.program), len(c.program.outputs)
    meaning = dict(e.split(" = ", 1) for e in print_program(d.forward).splitlines() if " = " in e)
    streams = d.backward.inputs[before + len(d.saved_inputs) :]
    saved = [
        f"{stream.name} = {meaning[name]}"
        for stream, name in zip(streams, d.forward.outputs[before:], strict=True)
        if name not in c.program.named
    ]
    lines += wrap(f"Saved, beside what has a name: {', '.join(saved)}." * bool(saved), 76)
    text = print_program(d.backward)
    return Group(Text("\n".join(f"# {line}" for line in lines), style="dim"), Text(text.rstrip()))


def schedule_of(c: Cell, backward: bool) -> RenderableType:
    """What of a cell's step, or of its backward pass, an engine runs when."""
    d = derivative(c.program)
    shown = Text()
    for line in print_schedule(schedule(d.backward if backward else c.program)).splitlines():
        shown.append(line + "\n", style="" if line.startswith("    ") else "bold")
    names = {e.value: e.name for e in reversed(c.program.equations) if e.value.args}
    saved = d.forward.outputs[len(c.program.outputs) :]
    texts = "; ".join(print_value(d.forward.named[o], names) for o in saved)
    foot = f"Saved in each step for the backward pass: {texts}."
    title = Text("The backward pass of " if backward else "").append(_title(c))
    return Group(title, Text(), shown, Text(foot, style="dim"))


def difference(a: Cell, b: Cell, rows: Sequence[Row]) -> RenderableType:
    """Two cells side by side; what differs is bold, and between « and » for where bold is not."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for c in (a, b):
        table.add_column(Text(c.name), ratio=1, overflow="fold")
    for row in rows:
        table.add_row(_marked(row.left, row.changed), _marked(row.right, row.changed))
    same = sum(not row.changed for row in rows)
    if same == len(rows):
        foot = "The equations are the same."
    else:
        foot = f"« » marks what differs; {same} of {len(rows)} equations are the same."
    return Group(table, Text(foot, style="dim"))


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
        lines.add_row(f"learned {_kind(shape)}", f"{names}  {_shape(shape)}".rstrip())
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


def diagnosis(found: Diagnosis) -> RenderableType:
    """Versions, then each backend: works, or why not."""
    versions = Table.grid(padding=(0, 2))
    for name, version in found.versions.items():
        versions.add_row(Text(name, style="dim"), version)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("backend", style="bold", no_wrap=True)
    table.add_column("device", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what it is, or what is in its way")
    for check in found.checks:
        mark = Text("works", "green") if check.obstacle is None else Text("does not", "red")
        table.add_row(check.backend, check.device, mark, check.obstacle or check.what)
    return Group(versions, table)


def data(dataset: Dataset, recipe: Recipe, command: str) -> RenderableType:
    """What would be done with data: the task, its splits, what it is judged by, what to beat."""
    metric = dataset.metric
    lines = Table.grid(padding=(0, 2))
    lines.add_column(no_wrap=True, style="dim")
    lines.add_column()
    lines.add_row("task", f"{dataset.kind}: {dataset.goal}")
    lines.add_row("source", Text(dataset.source))
    lines.add_row("a model reads", dataset.inputs)
    lines.add_row("and gives", f"{dataset.outputs:,} number{'s' * (dataset.outputs != 1)}")
    others = ", ".join(m.name for m in dataset.metrics[1:])
    lines.add_row("judged by", f"{metric.phrase}, {metric.better} is better"
                  + f"; beside it {others}" * bool(others))  # fmt: skip
    lines.add_row(
        "training",
        f"batches of {recipe.batch_size}, learning rate {recipe.learning_rate:g}, at most "
        f"{recipe.epochs} epochs, {recipe.patience} without progress",
    )
    for note in dataset.notes:
        lines.add_row("note", Text(note))
    return Group(
        Text(dataset.name, style="bold").append(": ok", style="green"),
        Padding(lines, (0, 0, 0, 2)),
        _splits(dataset),
        _baselines(dataset),
        Text(dataset.meaning, style="dim"),
        Text(),
        Text("Compare cells on it: ").append(command, style="bold"),
    )


def _splits(dataset: Dataset) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("split", style="dim")
    for what in dataset.sizes:
        table.add_column(what, justify="right")
    for i, split in enumerate(("train", "validation", "test")):
        table.add_row(split, *(f"{counts[i]:,}" for counts in dataset.sizes.values()))
    return table


def _baselines(dataset: Dataset) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("without learning, on the test set")
    for m in dataset.metrics:
        table.add_column(m.name, justify="right")
    for baseline in dataset.baselines:
        values = (m.text(baseline.values.get(m.name)) for m in dataset.metrics)
        table.add_row(Text(f"{baseline.name}: {baseline.words}"), *values)
    return table


def shown_as_it_goes(what: str, steps: Iterable[tuple[int, int]]) -> int:
    """A bar for work that gives how much of it is done, of how much; returns how much was done."""
    done = 0
    with Progress(transient=True) as bar:
        task = bar.add_task(what, total=None)
        for done, total in steps:
            bar.update(task, completed=done, total=total)
    return done


def measured(rows: Iterable[Measurement], machine: str) -> list[Measurement]:
    """Prints measurements as they come, and what they amount to; returns them."""
    from cellwright.bench.table import means

    console = Console(highlight=False)
    console.print(Text(f"{machine}. Medians of one process, in turns.", style="dim"))
    found: list[Measurement] = []
    with console.status("measuring"):
        for row in rows:
            found.append(row)
            console.print(_measurement(row), soft_wrap=True)
    for cell, training in dict.fromkeys((row.cell, row.training) for row in found):
        group = [row for row in found if (row.cell, row.training) == (cell, training)]
        console.print(Text(f"\n{cell}, {_mode(group[0])}", style="bold"))
        for sentence in means(group):
            console.print(Text(sentence), soft_wrap=True)
    return found


def _measurement(row: Measurement) -> Text:
    text = Text(f"{row.cell} ", style="bold").append(f"on {row.backend}, ", "dim")
    text.append(f"{_mode(row)} {row.size}, {row.threads} thread{'s' * (row.threads > 1)}: ", "dim")
    text.append(f"{row.own.median:.2f} ms").append(
        f" ({row.share_of_peak:.0%} of GEMM peak)", "dim"
    )
    for name in row.peers:
        text.append(f"; {name} ", "dim").append(f"{row.speedup(name):.2f}x")
    if row.memory:
        text.append("; MiB ", "dim")
        text.append(", ".join(f"{name} {grown:.1f}" for name, grown in row.memory.items()))
    return text


def _mode(row: Measurement) -> str:
    return "training" if row.training else "inference"


# --- pieces -------------------------------------------------------------------------------------


def _title(c: Cell) -> Text:
    return Text(c.name, style="bold").append(f": {c.title}" if c.title else "", style="not bold")


def _beside(left: Text, caption: str, width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width, no_wrap=True)
    grid.add_column()
    grid.add_row(left, Text(caption, style="dim"))
    return grid


def _spaced(text: str) -> str:
    """The text of an equation; authors align their = signs, which a list need not."""
    left, _, right = text.partition("=")
    return f"{left.rstrip()} = {right.lstrip()}"


def _marked(spans: Sequence[Span] | None, changed: bool) -> Text:
    if spans is None:
        return Text("—", style="dim")
    text = Text(style="" if changed else "dim")
    for part, mark in spans:
        inner = part.strip() if mark else ""
        if not inner:
            text.append(part)
            continue
        before, after = part.split(inner, 1)
        text.append(before).append(f"«{inner}»", style="bold").append(after)
    return text


def _kind(shape: Shape) -> str:
    return ("scalars", "vectors", "matrices")[len(shape)]


def _shape(shape: Shape) -> str:
    return f"({', '.join(shape)}{',' * (len(shape) == 1)})" if shape else ""


def _size(sizes: Sizes) -> str:
    return f"input size {sizes['I']}, hidden size {sizes['H']}"


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
        table.add_row(" ".join(names), _shape(shape) or "1", start, f"{count:,}")
    return table


def _options(c: Cell) -> Iterator[RenderableType]:
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
    which = c.origin if c.origin in cell_names() else f"./{c.origin}.cell"
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
