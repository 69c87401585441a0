"""Errors in a cell's text: where, what was found, what was expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cellwright.errors import CellwrightError

__all__ = ["CellError", "Place"]


@dataclass(frozen=True)
class Place:
    """A stretch of one line of a cell's text."""

    source: str
    """The file's name, or what stands for it."""
    line: int
    """Counted from 1."""
    text: str
    """The whole line."""
    start: int = 0
    """First column, counted from 0."""
    end: int = 0
    """One past the last column."""
    when: str = ""
    """Of a line that is repeated, for which numbers: `l = 2`."""

    def within(self, start: int, end: int) -> Place:
        """Another stretch of the same line."""
        return replace(self, start=start, end=end)


class CellError(CellwrightError):
    """A cell's text is wrong.

    `str()` names file and line, shows the line with carets under the place, and says what to do:

        my.cell:5: c' is read before it is set
            o = σ(W_o x + p_o * c' + b_o)
                                ^^
        c' is set on line 6. Write c for the value from the step before, or move ...

    In a line that is repeated, the message ends with when, as `(l = 2)`. Where no line is wrong,
    but the whole file or its name, the error is one line.
    """

    def __init__(self, message: str, remedy: str, place: Place | str) -> None:
        when = place.when if isinstance(place, Place) else ""
        self.message = f"{message} ({when})" if when else message
        self.remedy = remedy
        self.place = place
        super().__init__(message, remedy, place)

    def __str__(self) -> str:
        if isinstance(self.place, str):
            return f"{self.place}: {self.message}. {self.remedy}"
        p = self.place
        shown = "".join(" " if c == "\t" or not c.isprintable() else c for c in p.text)
        # A line of thousands of characters is shown around the place only.
        first = max(0, p.start - 60) if len(shown) > 120 else 0
        carets = " " * (p.start - first) + "^" * max(1, min(p.end, first + 120) - p.start)
        return "\n".join(
            (
                f"{p.source}:{p.line}: {self.message}",
                f"    {shown[first : first + 120].rstrip()}",
                f"    {carets}",
                self.remedy,
            )
        )
