"""The one error type a user of Cellwright has to know; every other error here derives from it."""

from __future__ import annotations

__all__ = ["CellwrightError"]


class CellwrightError(Exception):
    """Something a person can put right: the message says what came, what was expected, what to do.

    The command line prints the message and ends with exit code 1; anything else that is raised is
    a defect of Cellwright.
    """
