"""All commands, and what a process of the command line begins and ends with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn

import cyclopts
from rich.console import Console

from cellwright import __version__
from cellwright.cli import cells, data, machine, training
from cellwright.errors import CellwrightError

__all__ = ["app", "main"]

app = cyclopts.App(
    name="cellwright",
    version=__version__,
    help="Recurrent cells as equations: look at them, check your own, compare them on your data.",
    help_format="markdown",
)
_data = cyclopts.App(name="data", help="Look at data before anything is trained on them.")
_data.command(data.check)
_COMMANDS: tuple[cyclopts.App | Callable[..., None], ...] = (
    cells.list_, cells.show, cells.diff, cells.diagram, cells.check,
    _data, training.compare, training.study, training.report, training.trace,
    machine.build, machine.bench, machine.doctor,
)  # fmt: skip
for _command in _COMMANDS:
    app.command(_command)


def main() -> NoReturn:
    """Run the command line; a mistake of the user's ends with a message and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # one that cannot write σ shows ? instead
            stream.reconfigure(errors="replace")
    try:
        app()
    except CellwrightError as e:
        console = Console(stderr=True, highlight=False)
        console.print(f"{e}", markup=False, soft_wrap=not console.is_terminal)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader, `head` say, has what it wanted.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(0)
