"""A Program: one step of a recurrence, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from cellwright.errors import CellwrightError
from cellwright.program.ops import Shape, Value, topological

__all__ = ["Constant", "Named", "Parameter", "Program", "prime"]


@dataclass(frozen=True)
class Named:
    """A value with the name an equation gives it."""

    name: str
    value: Value


@dataclass(frozen=True)
class Parameter:
    """A learned scalar, vector or matrix."""

    value: Value
    init: float | None = None
    """Its initial value; None leaves it to the layer."""

    @property
    def name(self) -> str:
        """As the equations write it."""
        return self.value.name

    @property
    def shape(self) -> Shape:
        """Size names: `()`, `("H",)` or `("H", "I")`."""
        return self.value.shape


@dataclass(frozen=True)
class Constant:
    """A number that is not learned; the layer's constructor can override it."""

    name: str
    default: float


def prime(name: str) -> str:
    """The name of a state's new value: `c` is read, `c'` is set."""
    return name + "'"


@dataclass(frozen=True)
class Program:
    """One step: streams, states and parameters in; streams, new states and sums out.

    The backward pass of a Program is a Program too (`derivative`), and so is its backward pass.
    Field by field this is what the language's canonical form prints, in this order.
    """

    inputs: tuple[Value, ...]
    """Streams in; the first is the layer's input."""
    states: tuple[Value, ...]
    """States as they are read; the equation named `prime(s.name)` is the new value of `s`."""
    parameters: tuple[Parameter, ...]
    """In the order of their first appearance, which is the order in which layers stack them."""
    constants: tuple[Constant, ...]
    equations: tuple[Named, ...]
    """In the order in which they run."""
    outputs: tuple[str, ...]
    """Names of the equations whose value is a stream out; the first is the layer's output."""
    sums: tuple[Named, ...] = ()
    """Values added up over all steps and sequences, where a forward pass has none: the gradients
    of parameters. A sum has the shape of its parameter; a matrix is a sum of outer products."""

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Taken once: programs are keys of every cache, and a run looks into several."""
        return hash((self.inputs, self.states, self.equations, self.outputs, self.sums))

    @property
    def arguments(self) -> tuple[Value, ...]:
        """What a run is given: streams in, initial states, parameters."""
        return (*self.inputs, *self.states, *(q.value for q in self.parameters))

    @property
    def output(self) -> Value:
        """The first stream out: the layer's output."""
        return self.named[self.outputs[0]]

    @cached_property
    def named(self) -> Mapping[str, Value]:
        """The equations by name."""
        return {e.name: e.value for e in self.equations}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in the program."""
        leaves = [v.name for v in self.arguments] + [c.name for c in self.constants]
        return (*leaves, *(e.name for e in self.equations), *(s.name for s in self.sums))

    def next(self, state: Value) -> Value:
        """The new value of a state."""
        return self.named[prime(state.name)]

    @property
    def roots(self) -> tuple[Value, ...]:
        """Everything the program computes.

        Sums come first, so that an equation more at the end, for a value that is there already,
        leaves the order of `values` and of the parameters as it is.
        """
        return tuple(s.value for s in self.sums) + tuple(e.value for e in self.equations)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        """Every value in the program, arguments before what uses them."""
        return tuple(topological(self.roots))

    @cached_property
    def stepped(self) -> frozenset[Value]:
        """The values that differ from step to step: those built from a stream or a state."""
        found: set[Value] = set()
        for v in self.values:
            if v.op in ("input", "state") or any(a in found for a in v.args):
                found.add(v)
        return frozenset(found)

    @cached_property
    def recurrent(self) -> frozenset[Value]:
        """The values that cannot be known before the step before has run."""
        found: set[Value] = set()
        for v in self.values:
            if v.op == "state" or any(a in found for a in v.args):
                found.add(v)
        return frozenset(found)

    def sizes(self, shapes: Iterable[Sequence[int]]) -> dict[str, int]:
        """The sizes, from the shapes of a run's arguments, in their order.

        What comes before the dimensions of a value, as steps and sequences do, is left aside.
        """
        found: dict[str, int] = {}
        for v, shape in zip(self.arguments, shapes, strict=True):
            found.update(zip(v.shape, shape[len(shape) - len(v.shape) :], strict=True))
        return found

    def count(self, sizes: Mapping[str, int]) -> int:
        """The number of learned values, for given sizes, e.g. `{"I": 88, "H": 36}`."""
        return sum(prod(sizes[s] for s in p.shape) for p in self.parameters)

    def with_constants(self, values: Mapping[str, float]) -> Program:
        """The same program with other constants, by their names; what is not named stays.

        Raises CellwrightError for a name that no constant has.
        """
        known = [c.name for c in self.constants]
        for name in values:
            if name not in known:
                some = ", ".join(known) or "none"
                raise CellwrightError(f"no constant is called {name!r}; the program has {some}")
        constants = (replace(c, default=values.get(c.name, c.default)) for c in self.constants)
        return replace(self, constants=tuple(constants))
