"""The tables of functions in docs/language.md, from the table of operations.

    python tools/functions.py

Prints them as they have to be; `tests/test_docs.py` says whether they are.
"""

from __future__ import annotations

from cellwright.language.names import FORMS
from cellwright.program.ops import TABLE, Operation

ARGUMENTS = ("v", "a, b", "v, a, b")
"""What the arguments of a function are called, by how many it takes."""


def tables() -> str:
    """In Markdown: what is computed unit by unit, what over units, and what is no operation."""
    functions = [row for row in TABLE.values() if row.function]
    alone = [row for row in functions if row.shape is TABLE["add"].shape]
    parts = (
        ("unit by unit", [_row(row) for row in alone]),
        ("over units", [_row(row) for row in functions if row not in alone]),
        ("written like functions", [f"| `{how}` | {meaning} |" for how, meaning in FORMS.values()]),
    )
    return "\n\n".join("\n".join((f"| {title} | |", "|---|---|", *rows)) for title, rows in parts)


def _row(row: Operation) -> str:
    arguments = ARGUMENTS[row.arity - 1]
    also = "".join(f", also `{name}({arguments})`" for name in row.also)
    return f"| `{row.name}({arguments})`{also} | {row.meaning} |"


if __name__ == "__main__":
    print(tables())
