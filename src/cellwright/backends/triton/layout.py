"""What of a Schedule lies in memory, and which kernel computes what.

Two ways to run the loop share it. *Fused*, one kernel is the whole loop: what a step computes stays
in registers. *By segments*, a step is a few kernels with matrix products by torch in between: what
one computes and a later one reads lies in a buffer. Ahead of the loop and behind it, segments run
for all steps at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cellwright.backends.reference import Evaluation
from cellwright.backends.triton.products import groups
from cellwright.program.ops import LEAVES, Value, topological
from cellwright.program.program import Program
from cellwright.schedule.lowering import addends, terms
from cellwright.schedule.stages import Schedule, Stage, schedule

__all__ = ["ACCUMULATED", "Layout", "Segment", "layout"]

CROWDED = 75
"""Beyond how many tiles a step of a loop with matrices is crowded: seen in what compiled kernels
spill."""

ACCUMULATED = 8
"""How many totals the loop adds up in registers at the most; torch adds up the others."""


@dataclass(frozen=True)
class Segment:
    """Matrix products, then what one kernel computes: stages up to the next product."""

    phase: str
    index: int
    products: tuple[Value, ...]
    values: tuple[Value, ...]
    """In a runnable order."""


class Layout:
    """The memory of a schedule; streams in it are `(T, B, n)`, zero where a sequence is over."""

    def __init__(self, s: Schedule) -> None:
        self.schedule = s
        self.segments = {phase: tuple(_segments(phase, stages)) for phase, stages in s.phases}
        self.at: dict[Value, Segment] = {
            v: segment
            for group in self.segments.values()
            for segment in group
            for v in (*segment.products, *segment.values)
        }
        """Of everything computed, the segment that does it."""

    @property
    def loop(self) -> tuple[Segment, ...]:
        """The segments of a step."""
        return self.segments["loop"]

    # --- what comes in ---------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The names of sizes."""
        p = self.schedule.program
        return tuple(dict.fromkeys(n for v in p.arguments for n in v.shape))

    @cached_property
    def once(self) -> tuple[Value, ...]:
        """What is the same in every step, as it is passed to kernels: vectors, scalars and
        matrices. A repeated scalar is passed as the scalar."""
        leaves = [*self._leaves, *(m for v in self._products for m, _ in terms(v))]
        unspread = (v.args[0] if v.op == "spread" else v for v in leaves)
        other = {*self.schedule.program.inputs, *self.schedule.program.states}
        return tuple(
            v for v in dict.fromkeys(unspread) if v not in other and v.op not in ("number", "size")
        )

    @cached_property
    def made(self) -> tuple[Value, ...]:
        """What `once` is made of, in a runnable order, transposed matrices aside."""
        values = topological(self.once)
        return tuple(v for v in values if v.op not in LEAVES and v.op != "transpose")

    @cached_property
    def evaluation(self) -> Evaluation:
        """What computes `made`."""
        return Evaluation(self.made, joined=False)

    @cached_property
    def applied(self) -> frozenset[Value]:
        """The matrices that `made` applies, and what they are made of."""
        return frozenset(topological(v.args[0] for v in self.made if v.op == "apply"))

    @cached_property
    def numbers(self) -> tuple[Value, ...]:
        """The numbers, sizes and constants that `once` is made of."""
        values = topological(self.once)
        return tuple(v for v in values if v.op in LEAVES and v.op != "parameter")

    @cached_property
    def turned(self) -> tuple[Value, ...]:
        """The transposed matrices in `once`."""
        return tuple(v for v in topological(self.once) if v.op == "transpose")

    @cached_property
    def _products(self) -> tuple[Value, ...]:
        return tuple(v for v in self.at if v.op == "products")

    @cached_property
    def _leaves(self) -> tuple[Value, ...]:
        """What is read and not computed, matrices aside."""
        read = [x for v in self.at for x in _arguments(v)]
        read += [*self.schedule.next, *self.schedule.outputs, *self.totals]
        read += [v for left, right, _ in self.outers for v in (left, right)]
        return tuple(dict.fromkeys(v for v in read if v not in self.at))

    # --- what goes out ---------------------------------------------------------------------------

    @cached_property
    def totals(self) -> tuple[Value, ...]:
        """Vectors and scalars that are added up over steps and sequences."""
        return tuple(dict.fromkeys(v for v in self.schedule.sums if len(v.shape) < 2))

    @cached_property
    def outers(self) -> tuple[tuple[Value, Value, Value], ...]:
        """Each outer product with the sum it is a term of: left, right, sum."""
        matrices = dict.fromkeys(v for v in self.schedule.sums if len(v.shape) == 2)
        return tuple((v.args[0], v.args[1], total) for total in matrices for v in addends(total))

    @cached_property
    def by_right(self) -> dict[Value, list[tuple[Value, Value]]]:
        """The outer products by their right vector: the left one, and the sum."""
        found: dict[Value, list[tuple[Value, Value]]] = {}
        for left, right, total in self.outers:
            found.setdefault(right, []).append((left, total))
        return found

    # --- memory ----------------------------------------------------------------------------------

    @cached_property
    def groups(self) -> dict[Segment, list[tuple[Value, ...]]]:
        """Of each segment, which of its products are made as one. Ahead of the loop and behind it,
        a stream out is by itself."""
        return {
            g: groups(g.products, apart=() if g.phase == "loop" else self.schedule.outputs)
            for segments in self.segments.values()
            for g in segments
        }

    @cached_property
    def beside(self) -> tuple[tuple[Value, ...], ...]:
        """All streams, by what lies side by side: what is multiplied by the same, or made by one
        product. What goes out is by itself."""
        wanted = [
            group
            for phase in ("ahead", "behind")
            for g in self.segments[phase]
            for group in self.groups[g]
        ]
        lefts: dict[str, list[Value]] = {}
        for left, _, _ in self.outers:
            lefts.setdefault(left.shape[0], []).append(left)
        wanted += [tuple(dict.fromkeys(group)) for group in lefts.values()]
        found: list[tuple[Value, ...]] = [(v,) for v in dict.fromkeys(self.schedule.outputs)]
        placed = {*self.schedule.outputs}
        for group in (*wanted, *((v,) for v in self.streams)):
            if members := tuple(v for v in group if v in self.streams and v not in placed):
                placed.update(members)
                found.append(members)
        return tuple(found)

    @cached_property
    def streams(self) -> tuple[Value, ...]:
        """What is written for every step: for a caller, for torch, or for a kernel that runs for
        all steps at once, or runs later. A stream in is there already, unless it goes out too."""
        s = self.schedule
        wanted = [*s.outputs]
        read = [v for left, right, _ in self.outers for v in (left, right)]
        for v, segment in self.at.items():
            of_all_steps = segment.phase != "loop"
            if of_all_steps and v.op == "products":
                wanted.append(v)
            for x in _arguments(v):
                if x in self.at:
                    own = self.at[x]
                    apart = own is not segment or v.op == "products"
                    if own.phase != segment.phase or (of_all_steps and apart):
                        wanted.append(x)
                elif x in s.program.states and of_all_steps:
                    wanted.append(x)
                elif of_all_steps and v.op == "products":
                    read.append(x)
        wanted += [v for v in read if v not in s.program.inputs]
        wanted += [v for v in self.totals if v in self.at and self.at[v].phase != "loop"]
        wanted += [v for v in s.next if v in self.at and self.at[v].phase != "loop"]
        wanted += [v for v in self.totals if v not in wanted][ACCUMULATED:]
        return tuple(dict.fromkeys(wanted))

    @cached_property
    def handed_on(self) -> tuple[Value, ...]:
        """The streams that no kernel and no product computes: the loop copies them."""
        made = (v for v in self.streams if v not in self.at)
        return tuple(made)

    @cached_property
    def accumulated(self) -> tuple[Value, ...]:
        """The totals that the loop adds up: those that are in no stream."""
        return tuple(v for v in self.totals if v not in self.streams)

    @cached_property
    def whole(self) -> tuple[Value, ...]:
        """What products of the loop are applied to."""
        products = [v for segment in self.loop for v in segment.products]
        return tuple(dict.fromkeys(x for v in products for _, x in terms(v)))

    @cached_property
    def summed(self) -> tuple[Value, ...]:
        """What the loop sums over its units."""
        values = [v for segment in self.loop for v in segment.values]
        return tuple(dict.fromkeys(v.args[0] for v in values if v.op == "sum"))

    @cached_property
    def matrices(self) -> tuple[Value, ...]:
        """Those of the loop."""
        products = [v for segment in self.loop for v in segment.products]
        return tuple(dict.fromkeys(m for v in products for m, _ in terms(v)))

    @cached_property
    def strided(self) -> tuple[tuple[str, Value], ...]:
        """What lies in memory with strides that are known when it runs, by kind."""
        by_kind = (
            ("in", self.schedule.program.inputs),
            ("out", self.streams),
            ("matrix", self.matrices),
            ("total", self.accumulated),
        )
        return tuple((kind, v) for kind, values in by_kind for v in values)

    @cached_property
    def grouped(self) -> tuple[tuple[tuple[str, Value], int], ...]:
        """What is `strided`, each with a number for its kind and shape: streams in and out are of
        one kind."""
        numbers: dict[object, int] = {}
        kinds = ((kind in ("in", "out") or kind, v.shape) for kind, v in self.strided)
        return tuple(
            (at, numbers.setdefault(kind, len(numbers)))
            for at, kind in zip(self.strided, kinds, strict=True)
        )

    def heads(self, blocks: Mapping[str, int]) -> int:
        """How many groups of units the loop has that do not wait for each other, where matrices
        have so many blocks on their diagonals, by the parameter's name: all its matrices have to be
        learned, square, and of as many, and it may sum over no units."""
        found = {1}
        if self.matrices and not self.summed:
            learned = (m.args[0] if m.op == "transpose" else m for m in self.matrices)
            found = {
                blocks.get(m.name, 1) if m.op == "parameter" and m.shape[0] == m.shape[1] else 1
                for m in learned
            }
        return found.pop() if len(found) == 1 else 1

    @cached_property
    def held(self) -> int:
        """How many tiles a step of the loop works with: not all at once, but the more, the more."""
        computed = sum(len(segment.products) + len(segment.values) for segment in self.loop)
        return computed + len(self.once) + len(self.accumulated)

    @property
    def crowded(self) -> bool:
        """Whether a step leaves no registers for what could be kept for the next ones."""
        return bool(self.whole) and self.held > CROWDED

    @cached_property
    def buffers(self) -> tuple[Value, ...]:
        """What one segment of a step computes and a later one reads, products aside."""
        last = self.loop[-1]
        read = [(v, x) for segment in self.loop for v in segment.values for x in v.args]
        found = [x for v, x in read if x in self.at and self._passes(x, self.at[v])]
        found += [x for x in self.schedule.next if x in self.at and self._passes(x, last)]
        return tuple(dict.fromkeys(found))

    def _passes(self, x: Value, to: Segment) -> bool:
        own = self.at[x]
        return own.phase == "loop" and own is not to and x.op != "products"


def _segments(phase: str, stages: Iterable[Stage]) -> Iterator[Segment]:
    products: tuple[Value, ...] = ()
    values: list[Value] = []
    index = 0
    for stage in stages:
        if stage.products and (products or values):
            yield Segment(phase, index, products, tuple(values))
            products, values, index = (), [], index + 1
        products += stage.products
        values += (*stage.scalars, *stage.vectors)
    if products or values or phase == "loop":
        yield Segment(phase, index, products, tuple(values))


def _arguments(v: Value) -> Iterator[Value]:
    """What a value is computed from, matrices aside."""
    return (x for _, x in terms(v)) if v.op == "products" else iter(v.args)


@lru_cache(maxsize=1024)
def layout(p: Program) -> Layout:
    """The layout of a program."""
    return Layout(schedule(p))
