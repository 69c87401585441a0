"""Make the README's picture of a terminal: a command on 80 columns, to an SVG.

    python tools/terminal_picture.py "cellwright compare" docs/images/terminal.svg --seconds 40

Needs tmux (`apt-get install tmux`); the picture is what the terminal shows after some seconds, when
the command is interrupted.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

SESSION = "picture"
COLUMNS, LINES = 80, 60


def tmux(*words: str) -> str:
    """Run a tmux command; what it prints."""
    done = subprocess.run(
        ["tmux", "-L", SESSION, *words], check=True, capture_output=True, text=True
    )
    return done.stdout


def shown(command: str, seconds: float) -> str:
    """What a terminal shows after `seconds` of a command, with its colours."""
    tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), f"{command}; cat")
    try:
        time.sleep(seconds)
        text = tmux("capture-pane", "-e", "-p")
        tmux("send-keys", "C-c")
    finally:
        time.sleep(2)
        subprocess.run(["tmux", "-L", SESSION, "kill-server"], check=False, capture_output=True)
    return text.rstrip()


def main() -> None:
    """Read the command line and write the picture."""
    parser = argparse.ArgumentParser(description="Make a picture of a command in a terminal.")
    parser.add_argument("command")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seconds", type=float, default=3)
    asked = parser.parse_args()
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print(f"[bold]$[/bold] {asked.command}", highlight=False)
        console.print(Text.from_ansi(shown(asked.command, asked.seconds)))
    asked.picture.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(asked.picture), title="cellwright")


if __name__ == "__main__":
    main()
