"""The command line: every command is one call into the library."""

from cellwright.cli.commands import app, main

__all__ = ["app", "main"]
