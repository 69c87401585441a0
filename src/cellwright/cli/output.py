"""Where the command line writes to: standard output, and files that are named to it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, RenderableType

from cellwright.errors import CellwrightError

__all__ = ["open_for_writing", "say"]


def say(shown: RenderableType) -> None:
    """To standard output; piped, a line is as long as it is and has no blanks at its end."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(shown)
        return
    wide = Console(highlight=False, width=100_000)
    with wide.capture() as captured:
        wide.print(shown)
    for line in captured.get().splitlines():
        print(line.rstrip())


def open_for_writing(file: Path) -> None:
    """Find out before minutes of work whether a file can be written."""
    try:
        file.open("a").close()
    except OSError as e:
        raise CellwrightError(
            f"{file} cannot be written: {e.strerror}. Choose another one with --out"
        ) from None
