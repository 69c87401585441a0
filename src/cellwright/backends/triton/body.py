"""What a kernel computes on a tile.

A tile is some sequences by some units: a vector is `(ROWS, U)`, a number of each sequence
`(ROWS, 1)`, what is the same for all sequences `(1, U)` or `(1, 1)`. All is computed in ACC, which
is float32 for float32 and all that is smaller. No name of a cell becomes an identifier: values are
numbered, and equations stand in comments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from cellwright.backends.triton.kernel import Argument, Kernel
from cellwright.backends.triton.layout import Layout
from cellwright.backends.triton.template import CUT, KERNEL, SIZE
from cellwright.program.ops import TABLE, Value
from cellwright.schedule.printer import equations

__all__ = ["Body"]

HELD = 16
"""Up to how many vectors that are the same in every step are in registers for the whole loop."""


Alike = Mapping[tuple[str, Value], int]
"""Tensors of many strides, by kind and value: those of one number have the same strides, and the
same units."""


class Body(ABC):
    """The code of a kernel: reads what it meets first, and stores what is wanted elsewhere."""

    def __init__(self, of: Layout, alike: Alike) -> None:
        self.of, self.schedule, self.alike = of, of.schedule, alike
        self.states, self.inputs = of.schedule.program.states, of.schedule.program.inputs
        self.number_of = {v: i for i, v in enumerate(of.at)}
        self.comments = equations(of.schedule)
        self.arguments: dict[str, Argument] = {}
        self.strided: dict[object, Argument] = {}
        self.before: list[str] = []
        self.lines: list[str] = []
        self.behind: list[str] = []
        self.known: dict[Value, str] = {}
        self.reduces = False
        self.masked: set[int] = set()
        self.places: dict[str, str] = {}

    def steps(self) -> Iterator[str]:
        """The code of a step, behind the masks and the places in memory that it needs."""
        yield from (f"here{z} = live & in{z}" for z in sorted(self.masked))
        yield from (f"{name} = {text}" for name, text in self.places.items())
        yield from self.lines

    def source(self, title: str, name: str, body: str) -> Kernel:
        """The kernel of that name."""
        sizes = range(len(self.of.sizes))
        strided = tuple(self.strided.values())
        tensors = [
            *self.arguments,
            *(", ".join(f"{a.name}_{d}" for d in a.dimensions) for a in strided),
        ]
        text = KERNEL.format(
            title=title,
            name=name,
            tensors="\n    ".join(f"{line}," for line in tensors),
            sizes="\n    ".join(f"n{z}, width{z}," for z in sizes),
            tiles="\n    ".join(f"U{z}: tl.constexpr, A{z}: tl.constexpr," for z in sizes),
            lanes="".join(SIZE.format(z=z) for z in sizes).rstrip("\n"),
            body=body.rstrip("\n"),
        )
        given = tuple(self.arguments.values())
        return Kernel(name, text, given, strided, self.reduces, len(self.known))

    # --- places ----------------------------------------------------------------------------------

    def argument(self, kind: str, k: int, v: Value) -> str:
        """The name of a tensor, which the kernel is given from now on."""
        name = f"{_PREFIX.get(kind, kind)}{k}"
        self.arguments.setdefault(name, Argument(name, kind, v))
        return name

    def size(self, v: Value) -> int | None:
        """Which size a vector has; None for a scalar."""
        return self.of.sizes.index(v.shape[0]) if v.shape else None

    def strides(self, name: str) -> str:
        """The argument whose strides a tensor has: the first of those that are alike. Where each
        had its own, a thread would keep an address for each, in two registers."""
        a = self.arguments[name]
        key = self.alike.get((a.kind, a.value), name)
        return self.strided.setdefault(key, a).name

    def place(self, kind: str, k: int, v: Value, places: dict[str, str] | None = None) -> str:
        """Where a value lies in its memory. What that has in common with others becomes one of the
        `places`, of the step at hand unless said."""
        name, z = self.argument(kind, k, v), self.size(v)
        lane = "" if z is None else f" + lane{z}"
        if kind not in ("in", "out"):
            rows = f"{self.strides(name)}_b" if self.arguments[name].dimensions else self.width(z)
            return f"{name} + b * {rows}{lane}"
        first = self.strides(name)
        at = f"at_{first}"
        places = self.places if places is None else places
        places[at] = f"t * {first}_t + b * {first}_b{lane}"
        return f"{name} + {at}"

    @staticmethod
    def width(z: int | None) -> str:
        """How many numbers a row has of what lies row by row."""
        return "1" if z is None else f"n{z}"

    def mask(self, v: Value, rows: str = "live") -> str:
        """Where a value is: in those rows, in all units that there are."""
        z = self.size(v)
        if z is None:
            return rows
        if rows != "live":
            return f"{rows} & in{z}"
        self.masked.add(z)
        return f"here{z}"

    # --- values ----------------------------------------------------------------------------------

    def comment(self, v: Value) -> None:
        """The equation of a value, if it has one."""
        if v in self.comments:
            self.lines.append(f"# {self.comments[v]}")

    def compute(self, v: Value) -> None:
        """A value, from those that are known or can be read."""
        if v.op == "sum":
            text = self.total(v.args[0])
        else:
            template = TABLE[v.op].triton
            assert template is not None, v.op
            text = template.format(*(self.value(a) for a in v.args))
        self.comment(v)
        self.known[v] = f"t{self.number_of[v]}"
        self.lines.append(f"{self.known[v]} = {text}")

    def total(self, x: Value) -> str:
        """The sum of a vector over its units."""
        self.reduces = True
        return f"tl.sum(tl.where({self.mask(x)}, {self.value(x)}, 0.0), 1, keep_dims=True)"

    def value(self, v: Value) -> str:
        """The name that a value has here; it is read where it is met first."""
        if v not in self.known:
            self.known[v] = self.read(v)
        return self.known[v]

    def read(self, v: Value) -> str:
        """The name of a value that is not computed here."""
        if v.op in ("number", "size"):
            return self._number(v)
        if v in self.of.once:
            return self._once(v)
        if v.op == "spread" and v not in self.of.at:
            return self.value(v.args[0])
        kind, k = self.source_of(v)
        self.load(kind, k, v)
        return f"{kind}_{k}"

    def load(self, kind: str, k: int, v: Value) -> None:
        """Give a value that lies in memory its name."""
        text = f"tl.load({self.place(kind, k, v)}, mask={self.mask(v)}, other=0.0).to(ACC)"
        self.lines.append(f"{kind}_{k} = {text}")

    def source_of(self, v: Value) -> tuple[str, int]:
        """The memory in which a vector is found."""
        if v in self.inputs:
            return "in", self.inputs.index(v)
        return "out", self.of.streams.index(v)

    def _number(self, v: Value) -> str:
        text = repr(v.attr) if v.op == "number" else f"n{self.of.sizes.index(str(v.attr))}"
        name = "c_" + "".join(c if c.isalnum() else "_" for c in text)
        self._first(name, f"tl.full((1, 1), {text}, ACC)")
        return name

    def _once(self, v: Value) -> str:
        k, z = self.of.once.index(v), self.size(v)
        name = self.argument("once", k, v)
        at = f"{name} + zero" if z is None else f"{name} + lane{z}, mask=in{z}, other=0.0"
        if sum(len(x.shape) < 2 for x in self.of.once) <= HELD and not self.of.crowded:
            self._first(f"once_{k}", f"tl.load({at}).to(ACC)")
        else:
            self.lines.append(f"once_{k} = tl.load({at}).to(ACC)")
        return f"once_{k}"

    def _first(self, name: str, text: str) -> None:
        line = f"{name} = {text}"
        if line not in self.before:
            self.before.append(line)

    # --- storing ---------------------------------------------------------------------------------

    def store(self, v: Value) -> None:
        """Put what is computed or handed on into its stream, and add it to its total."""
        if v in self.of.streams:
            self.put("out", self.of.streams.index(v), v, self.value(v))
        if v in self.of.accumulated:
            self.accumulate(self.of.accumulated.index(v), v)

    def put(self, kind: str, k: int, v: Value, text: str) -> None:
        """Store a value; one a row, by the first of the programs that have the row."""
        rows = "live" if v.shape else "live & first"
        self.lines.append(f"tl.store({self.place(kind, k, v)}, {text}, mask={self.mask(v, rows)})")

    @abstractmethod
    def accumulate(self, k: int, v: Value) -> None:
        """Add a value to what is its sum over steps."""

    def begin_step(self) -> None:
        """What is handed on, or added up, as it comes into a step."""
        for v in dict.fromkeys((*self.of.handed_on, *self.of.accumulated)):
            if v not in self.of.at:
                self.store(v)

    def new_states(self) -> None:
        """The states behind a step: zero where a sequence begins anew in the next one. Each is
        known before one is set, as one may be another's old value."""
        for k, v in enumerate(self.schedule.next):
            self.lines.append(f"new{k} = {self.value(v)}")
        if self.states:
            self.lines += CUT
            self.lines += (f"    new{k} = tl.where(cut, 0.0, new{k})" for k in self._numbers)

    @property
    def _numbers(self) -> range:
        return range(len(self.states))


_PREFIX = {"in": "x", "out": "y"}
"""Names of arguments that are not those of their kind."""
