"""Where the engine keeps each value of a Schedule, and in which order it is given everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from cellwright.program.ops import Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import addends, terms
from cellwright.schedule.stages import Schedule, schedule

__all__ = ["Layout", "Panel", "layout"]


@dataclass(frozen=True)
class Panel:
    """A matrix as one stage multiplies by it."""

    phase: str
    stage: int
    matrix: Value


@dataclass(frozen=True)
class _Read:
    """How a value is read: in a stage, unit by unit or as a whole. Outer products are added up in
    a phase of their own."""

    phase: str
    stage: int
    whole: bool = False


class Layout:
    """The memory of a schedule's loop.

    Vectors are kept as blocks of units, each block with all its rows, so that elementwise work
    and products read memory in its order; only what a caller sees lies row by row.
    """

    def __init__(self, s: Schedule) -> None:
        self.schedule = s
        self.at: dict[Value, tuple[str, int]] = {
            v: (name, i)
            for name, stages in s.phases
            for i, stage in enumerate(stages)
            for v in stage.values
        }
        """The phase and the stage of everything computed."""
        self.states = s.program.states
        self.reads: dict[Value, list[_Read]] = {}
        for v, read in self._all_reads():
            self.reads.setdefault(v, []).append(read)

    # --- what comes in ---------------------------------------------------------------------------

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The names of sizes."""
        values = [*self.at, *self._leaves, *self.schedule.next, *self.matrices]
        values += [a for pair in self.outers for a in pair[:2]]
        named = [n for v in values for n in v.shape]
        read = [*self._leaves, *(a for v in self.at for a in v.args)]
        named += [str(v.attr) for v in map(_unspread, read) if v.op == "size"]
        return tuple(dict.fromkeys(named))

    @cached_property
    def inputs(self) -> tuple[Value, ...]:
        """Streams in that anything reads."""
        return tuple(v for v in self.schedule.program.inputs if v in self._leaves)

    @cached_property
    def vectors(self) -> tuple[Value, ...]:
        """Vectors that are the same in every step."""
        return tuple(v for v in self._fixed if len(v.shape) == 1)

    @cached_property
    def numbers(self) -> tuple[Value, ...]:
        """Scalars that are the same in every step."""
        return tuple(v for v in self._fixed if v.shape == ())

    @cached_property
    def panels(self) -> tuple[Panel, ...]:
        """Matrices, packed."""
        found = (
            Panel(phase, stage, m)
            for v, (phase, stage) in self.at.items()
            if v.op == "products"
            for m, _ in terms(v)
        )
        return tuple(dict.fromkeys(found))

    @cached_property
    def matrices(self) -> tuple[Value, ...]:
        """What each panel is made from."""
        return tuple(q.matrix for q in self.panels)

    # --- what goes out ---------------------------------------------------------------------------

    @cached_property
    def outputs(self) -> tuple[Value, ...]:
        """Streams out that stages write."""
        return tuple(v for v in dict.fromkeys(self.schedule.outputs) if v not in self.states)

    @cached_property
    def previous(self) -> tuple[Value, ...]:
        """States that go out as they are read; the engine copies them."""
        return tuple(v for v in dict.fromkeys(self.schedule.outputs) if v in self.states)

    @cached_property
    def totals(self) -> tuple[Value, ...]:
        """Vectors and scalars that are added up over rows."""
        return tuple(dict.fromkeys(v for v in self.schedule.sums if len(v.shape) < 2))

    @cached_property
    def matrix_sums(self) -> tuple[Value, ...]:
        """The sums of outer products."""
        return tuple(dict.fromkeys(v for v in self.schedule.sums if len(v.shape) == 2))

    @cached_property
    def outers(self) -> tuple[tuple[Value, Value, Value], ...]:
        """Each outer product with the sum it is a term of: left, right, sum."""
        return tuple(
            (v.args[0], v.args[1], total)
            for total in self.matrix_sums
            for v in addends(total)
            if v.op == "outer"
        )

    # --- what lives inside -----------------------------------------------------------------------

    @cached_property
    def chunks(self) -> tuple[Value, ...]:
        """What is kept for all steps of a chunk, because another phase reads it; and copies of
        inputs that are read as a whole, or for many steps at once."""
        return tuple(v for v in self.reads if v.shape and self._in_chunk(v))

    def _in_chunk(self, v: Value) -> bool:
        if v in self.at:
            own = self.at[v][0]
            return any(own != "loop" or r.phase != own for r in self._from_memory(v))
        if v in self.states:
            return any(r.phase != "loop" for r in self.reads[v])
        return any(r.whole for r in self.reads[v]) or self.is_of_chunk(v)

    def is_of_chunk(self, v: Value) -> bool:
        """Whether a stream in is read for many steps at once."""
        reads = self.reads.get(v, ())
        return v in self.schedule.program.inputs and any(r.phase != "loop" for r in reads)

    def goes_out_of_chunk(self, v: Value) -> bool:
        """Whether a stream out is written for many steps at once, or read so from where it goes."""
        written = self.at.get(v, ("loop",))[0]
        read = (r.phase for r in self.reads.get(v, ()) if not r.whole)
        return any(phase != "loop" for phase in (written, *read))

    @cached_property
    def buffers(self) -> tuple[Value, ...]:
        """What a later stage of the same step reads, and no other memory has."""
        return tuple(
            v
            for v, (phase, _) in self.at.items()
            if phase == "loop"
            and v.shape
            and v not in self.schedule.next
            and v not in self.chunks
            and self._from_memory(v)
        )

    def _from_memory(self, v: Value) -> list[_Read]:
        """How something computed is read from the engine's own memory: where it is computed it is
        at hand, and what goes out can be read from there, unit by unit."""
        return [
            r
            for r in self.reads.get(v, ())
            if r.whole or (v not in self.outputs and (r.phase, r.stage) != self.at[v])
        ]

    @cached_property
    def scalars(self) -> tuple[Value, ...]:
        """One number a row, kept for a chunk."""
        return tuple(v for v in self.at if v.shape == ())

    @cached_property
    def partials(self) -> tuple[Value, ...]:
        """Sums over units, which a stage begins and the next one ends."""
        return tuple(v for v in self.scalars if v.op == "sum")

    def stored_leaves(self) -> tuple[Value, ...]:
        """What no stage of the loop computes and the loop has to put somewhere, in its first."""
        wanted = [v for v in self.schedule.next if self.at.get(v, ("",))[0] != "loop"]
        wanted += [v for v in (*self.outputs, *self.totals) if v not in self.at]
        wanted += [v for v in self.chunks if v not in self.at and v not in self.inputs]
        return tuple(dict.fromkeys(wanted))

    @property
    def alone(self) -> bool:
        """Whether rows have numbers of their own: one thread makes them."""
        return bool(self.scalars) or any(v.shape == () for v in self.stored_leaves())

    # --- reading ---------------------------------------------------------------------------------

    def _all_reads(self) -> Iterator[tuple[Value, _Read]]:
        for v, (phase, stage) in self.at.items():
            if v.op == "products":
                yield from ((x, _Read(phase, stage, whole=True)) for _, x in terms(v))
            elif v.op == "sum":
                yield v.args[0], _Read(phase, stage - 1)
            else:
                yield from ((a, _Read(phase, stage)) for a in v.args)
        for v in self.schedule.next:
            yield v, _Read("loop", len(self.schedule.loop) - 1 if v in self.at else 0)
        for left, right, _ in self.outers:
            yield left, _Read("outer", 0, whole=True)
            yield right, _Read("outer", 0, whole=True)

    @cached_property
    def _leaves(self) -> dict[Value, None]:
        """What is read and not computed, matrices aside."""
        s = self.schedule
        read = [*self.reads, *s.outputs, *self.totals]
        return dict.fromkeys(v for v in read if v not in self.at)

    @cached_property
    def _fixed(self) -> dict[Value, None]:
        leaves = (_unspread(v) for v in self._leaves if v not in self.states)
        return dict.fromkeys(
            v
            for v in leaves
            if v.op not in ("number", "size") and v not in self.schedule.program.inputs
        )


def _unspread(v: Value) -> Value:
    """A value that is the same in every step as it is passed: a repeated scalar as the scalar."""
    return v.args[0] if v.op == "spread" else v


@lru_cache(maxsize=1024)
def layout(p: Program) -> Layout:
    """The layout of a program's loop."""
    return Layout(schedule(p))
