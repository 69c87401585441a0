"""Equations for what repeats or nests deep, so that a program's text stays small and flat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from cellwright.program.ops import TABLE, Value, topological
from cellwright.program.program import Named

__all__ = ["Fresh", "shared"]

DEEPEST = 20
"""How many operations the text of one equation nests at the most; the reader takes 100."""


class Fresh:
    """Names that are not taken yet, by the program or by an operation."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = {*taken, *TABLE}
        self._next: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        """`name`, or where it is taken `name_2` and so on; taken from now on."""
        found, number = name, self._next.get(name, 2)
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._next[name] = number
        self._taken.add(found)
        return found


def shared(
    roots: Sequence[Value],
    fresh: Fresh,
    hints: Mapping[Value, str] | None = None,
    named: Collection[Value] = (),
) -> list[Named]:
    """Equations for the values below `roots` that are used more than once or lie too deep.

    `hints` are telling names; what is `named` has a name already.
    """
    hints = hints or {}
    values = topological(roots)
    uses = Counter(a for v in values for a in v.args) + Counter(roots)
    found = []
    depth: dict[Value, int] = {}
    for v in values:
        depth[v] = 1 + max((depth[a] for a in v.args), default=0)
        if v in named:
            depth[v] = 1
        elif v.args and len(v.shape) < 2 and (uses[v] > 1 or depth[v] > DEEPEST):
            found.append(Named(fresh(hints.get(v, "t")), v))
            depth[v] = 1
    return found
