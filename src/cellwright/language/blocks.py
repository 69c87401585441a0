"""Lines to blocks: what is indented below a `for` belongs to it.

Elsewhere indentation means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cellwright.language.errors import CellError, Place
from cellwright.language.syntax import Block, Content, Part, Range, Statement

__all__ = ["Parts", "Repeated"]

DEEPEST = 10
"""How deep blocks may nest."""


@dataclass(frozen=True)
class Repeated:
    """A line that ends with a range."""

    content: Content
    over: Range


@dataclass
class _Open:
    """A block that more lines may belong to."""

    indent: int
    over: Range
    place: Place
    caption: str
    parts: list[Part] = field(default_factory=list)


class Parts:
    """Statements as they come, each in the innermost block that it is indented below."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._open: list[_Open] = []

    def add(self, line: Content | Repeated | Range, place: Place, caption: str) -> None:
        """One line more.

        Raises CellError for one that no block can have, or that should have been in one.
        """
        indent = len(place.text[: place.start].expandtabs())
        self.close(indent)
        inner = self._open[-1].parts if self._open else self.parts
        match line:
            case Range():
                if len(self._open) == DEEPEST:
                    raise CellError(
                        f"blocks nest deeper than {DEEPEST}",
                        "Write what this one repeats on a line with its for at the end.",
                        place,
                    )
                self._open.append(_Open(indent, line, place, caption))
            case Repeated(content, over):
                part = Statement(content, place, caption)
                inner.append(Block(over, place.within(over.start, over.end), "", (part,)))
            case _:
                inner.append(Statement(line, place, caption))

    def close(self, indent: int = 0) -> None:
        """End the blocks that a line with this indentation does not belong to.

        Raises CellError for one that has no lines.
        """
        while self._open and indent <= self._open[-1].indent:
            done = self._open.pop()
            if not done.parts:
                raise CellError(
                    "nothing is indented below this line",
                    "Indent the lines that it repeats, or write the range at the end of one: "
                    "s[l] = … for l = 1..L.",
                    done.place,
                )
            inner = self._open[-1].parts if self._open else self.parts
            inner.append(Block(done.over, done.place, done.caption, tuple(done.parts)))
