"""What was measured, as a Markdown page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import torch

from cellwright.bench.bench import Measurement, geometric_mean
from cellwright.study.environment import cores, processor

__all__ = ["header", "line", "machine", "markdown", "means"]

ASKED = ("CXX", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""What can hold a compiler and torch's libraries to an older kind of processor."""


def machine() -> str:
    """What was measured on, with what the environment asks of compilers and libraries."""
    asked = [f"{name}={os.environ[name]}" for name in ASKED if os.environ.get(name)]
    return ", ".join([f"torch {torch.__version__}", processor(), f"{cores()} cores", *asked])


def markdown(rows: Sequence[Measurement], command: str) -> str:
    """A page: a table for each cell and kind of run, and geometric means."""
    parts = [
        "# " + ", ".join(dict.fromkeys(f"`{row.cell}`" for row in rows)),
        f"{machine()}. `{command}`",
        "Milliseconds a run, median (quartiles); behind a peer's, how many times as long it takes. "
        "All in one process, in turns. Sizes are T, B, I, H.",
    ]
    for cell, training in dict.fromkeys((row.cell, row.training) for row in rows):
        group = [row for row in rows if (row.cell, row.training) == (cell, training)]
        parts.append(f"## `{cell}` on {group[0].backend}, {_mode(training)}")
        table = ["| " + " | ".join(header(group)) + " |"]
        table.append("|---" * len(header(group)) + "|")
        table += ["| " + " | ".join(line(row, list(header(group)))) + " |" for row in group]
        parts += ["\n".join(table), "\n".join(means(group))]
    return "\n\n".join(parts) + "\n"


def header(rows: Sequence[Measurement]) -> tuple[str, ...]:
    """The columns of a table of one cell."""
    peers = dict.fromkeys(name for row in rows for name in row.peers)
    memory = dict.fromkeys(name for row in rows for name in row.memory)
    extra = [f"MiB, {name}" for name in memory]
    return ("size", "threads", rows[0].cell, "of GEMM peak", *peers, *extra)


def line(row: Measurement, columns: Sequence[str]) -> list[str]:
    """A row under these columns."""
    cells = [
        str(row.size),
        str(row.threads),
        f"{row.own.median:.2f} ({row.own.low:.2f}–{row.own.high:.2f})",
        f"{row.share_of_peak:.0%}",
    ]
    for column in columns[4:]:
        name = column.removeprefix("MiB, ")
        if column != name:
            cells.append(f"{row.memory[name]:.1f}" if name in row.memory else "")
        elif name in row.peers:
            cells.append(f"{row.peers[name].median:.2f} ({row.speedup(name):.2f}x)")
        else:
            cells.append("")
    return cells


def means(rows: Sequence[Measurement]) -> Iterator[str]:
    """A sentence for each number of threads and peer, and for each peer that is absent."""
    for threads in dict.fromkeys(row.threads for row in rows):
        for name in dict.fromkeys(name for row in rows for name in row.peers):
            group = [row for row in rows if row.threads == threads and name in row.peers]
            found = [row.speedup(name) for row in group]
            by = [row.speedup_by_operations(name) for row in group if name in row.operations_of]
            each = f"; for one operation {geometric_mean(by):.2f}x" if by else ""
            yield (
                f"- {threads} thread{'s' * (threads > 1)}, beside {name}: geometric mean "
                f"{geometric_mean(found):.2f}x, least {min(found):.2f}x{each}"
            )
    yield from (f"- {why}" for why in dict.fromkeys(why for row in rows for why in row.absent))


def _mode(training: bool) -> str:
    return "training (forward and backward)" if training else "inference"
