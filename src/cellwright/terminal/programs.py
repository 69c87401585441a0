"""What is made of cells: the differences of two, the backward pass, the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cellwright.language import Cell, print_program, print_value
from cellwright.language.difference import Row, Span
from cellwright.language.notation import number_text
from cellwright.program.derivative import derivative
from cellwright.schedule.printer import print_schedule
from cellwright.schedule.stages import schedule
from cellwright.terminal.pieces import title

__all__ = ["derivative_of", "difference", "schedule_of"]


def difference(a: Cell, b: Cell, rows: Sequence[Row]) -> RenderableType:
    """Two cells side by side; what differs is bold, and between « and » for where bold is not."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for c in (a, b):
        table.add_column(Text(c.name), ratio=1, overflow="fold")
    for row in rows:
        table.add_row(_marked(row.left, row.changed), _marked(row.right, row.changed))
    apart = _apart(a, b)
    for left, right in apart:
        table.add_row(_marked([(left, True)], True), _marked([(right, True)], True))
    same = sum(not row.changed for row in rows)
    if same == len(rows) and not apart:
        foot = "The equations are the same."
    elif same == len(rows):
        foot = "« » marks what differs; the equations are the same."
    else:
        foot = f"« » marks what differs; {same} of {len(rows)} equations are the same."
    return Group(table, Text(foot, style="dim"))


def _apart(a: Cell, b: Cell) -> list[tuple[str, str]]:
    """Options of two cells that are not the same number in both."""
    others = {o.name: o for o in b.options}
    pairs = ((o, others[o.name]) for o in a.options if o.name in others)
    text = "{0.name} = {1}".format
    return [(text(o, number_text(o.value)), text(p, number_text(p.value)))
            for o, p in pairs if o.value != p.value]  # fmt: skip


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
    head = Text("The backward pass of " if backward else "").append(title(c))
    return Group(head, Text(), shown, Text(foot, style="dim"))
