"""The command that looks at data before anything is trained on them."""

from __future__ import annotations

from shlex import quote

from cellwright import terminal
from cellwright.cli.output import say

__all__ = ["check"]


def check(data: str, /, *, task: str | None = None) -> None:
    """Check data: say what is wrong with them, or what compare would do with them.

    Parameters
    ----------
    data
        A file, a folder, or the name of a generated task, as for compare.
    task
        What to make of the file, where its content leaves a choice, as for compare.
    """
    from cellwright.study.tasks import load

    found = load(data, task)
    words = ["cellwright", "compare", data, *(["--task", task] if task else [])]
    say(terminal.data(found.summary(), found.recipe, " ".join(map(quote, words))))
