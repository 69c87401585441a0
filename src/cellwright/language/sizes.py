"""Inference of sizes by unification: which vectors must have equally many units."""

from __future__ import annotations

__all__ = ["SizeClashError", "Sizes"]


class SizeClashError(Exception):
    """Two sizes that are different by declaration would have to be equal."""


class Sizes:
    """Sizes under construction: known ones by name, unknown ones to be found out.

    `I` (the layer's input size) and `H` (its hidden size) may turn out to be one: a cell that adds
    its input to its state can only be built with `input_size == hidden_size`. Both are then `H`.
    Not so where they are `distinct`. What nothing determines is `H`.
    """

    def __init__(self, distinct: bool = False) -> None:
        self._distinct = distinct
        self._parent: list[int] = []
        self._names: dict[int, str] = {}
        self._known: dict[str, int] = {}

    def new(self) -> int:
        """A size that nothing is known of yet."""
        self._parent.append(len(self._parent))
        return len(self._parent) - 1

    def known(self, name: str) -> int:
        """The size of that name."""
        if name not in self._known:
            self._known[name] = self.new()
            self._names[self._known[name]] = name
        return self._root(self._known[name])

    def unify(self, a: int, b: int) -> None:
        """Make two sizes equal.

        Raises SizeClashError where their names differ, other than `I` and `H` that may be one.
        """
        a, b = self._root(a), self._root(b)
        if a == b:
            return
        names = {self._names[r] for r in (a, b) if r in self._names}
        if len(names) == 2 and (self._distinct or names != {"I", "H"}):
            raise SizeClashError(*sorted(names))
        self._parent[a] = b
        self._names.pop(a, None)
        if names:
            self._names[b] = "H" if "H" in names else names.pop()

    def name(self, size: int) -> str:
        """What the size turned out to be."""
        return self._names.get(self._root(size), "H")

    def _root(self, size: int) -> int:
        while self._parent[size] != size:
            self._parent[size] = self._parent[self._parent[size]]
            size = self._parent[size]
        return size
