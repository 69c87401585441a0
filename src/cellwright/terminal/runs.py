"""What is said of data, of a machine and of work that goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from cellwright.backends.diagnosis import Diagnosis
    from cellwright.bench.bench import Measurement
    from cellwright.study.results import Dataset
    from cellwright.study.tasks.recipes import Recipe

__all__ = ["data", "diagnosis", "measured", "shown_as_it_goes"]


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
    if dataset.warning:
        lines.add_row("warning", Text(dataset.warning, style="yellow"))
    for note in dataset.notes:
        lines.add_row("note", Text(note))
    return Group(
        Text(dataset.name, style="bold").append(
            *(
                (": can be read, but is too small", "yellow")
                if dataset.warning
                else (": ok", "green")
            )
        ),
        Padding(lines, (0, 0, 0, 2)),
        _splits(dataset),
        _baselines(dataset),
        Text(dataset.meaning, style="dim"),
        Text(),
        Text(f"Compare cells on it{' all the same' * bool(dataset.warning)}: ").append(
            command, style="bold"
        ),
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
