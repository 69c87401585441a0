"""A report as text: the answer, a table and how it was run, to be pasted where text goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cellwright.study.results import Dataset, Environment
from cellwright.study.words import duration

__all__ = ["as_markdown"]


def as_markdown(
    headline: str,
    said: Iterable[str],
    table: Sequence[Sequence[str]],
    note: str,
    dataset: Dataset,
    ran: Environment,
) -> str:
    """The whole file. Of the table, the first row is its head, and the first column names."""
    metric = dataset.metric
    parts = (
        f"# {_plain(headline)}",
        "\n".join(f"- {_plain(line)}" for line in said),
        _table(table),
        f"Of the {metric.phrase} {metric.better} is better. {_plain(note)} Data: "
        f"{_plain(dataset.name)}, {_plain(dataset.source)}",
        f"Cellwright {ran.cellwright}, torch {ran.torch}, {_plain(ran.processor)}; "
        f"{duration(ran.seconds)}. Repeat it with",
        "\n".join(f"    {line}" for line in ran.command.splitlines()),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> str:
    first, *others = rows
    rule = ["---", *["---:"] * (len(first) - 1)]
    return "\n".join(
        _line(row) for row in (map(_plain, first), rule, *(map(_plain, r) for r in others))
    )


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Text that Markdown takes for nothing else; a name may be a file's, and hold anything."""
    text = " ".join(text.split())
    text = "".join(f"\\{c}" if c in "\\`*_{}[]#|$" else c for c in text)
    return text.replace("&", "&amp;").replace("<", "&lt;")
