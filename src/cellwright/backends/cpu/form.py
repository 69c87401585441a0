"""What is the same in every call of one form: sizes, and where streams lie in memory."""

from __future__ import annotations

from array import array
from typing import NamedTuple

from cellwright.backends.cpu.plan import Extent, Place, Plan
from cellwright.program.ops import Value

__all__ = ["BYTES", "LENGTHS", "POOL", "RESETS", "Asked", "Form", "form"]

LENGTHS, RESETS, POOL, BYTES = 6, 7, 8, 9
"""Where a call's numbers have the addresses of these, and how large the pool is."""


class Asked(NamedTuple):
    """What a call may ask for."""

    lengths: bool
    resets: bool
    reverse: bool
    keep: int
    """How many of the last streams out are kept."""
    adds: bool
    """Whether sums are added to what is given."""


class Form(NamedTuple):
    """A call's numbers as rows.hpp reads them, up to the last stream; 0 stands for addresses, and
    for strides that a caller chooses. And where those belong."""

    numbers: array[int]
    inputs: int
    """Where the first stream in begins; each has an address and three strides."""
    outputs: dict[Value, tuple[int, int, int]]
    """Shapes of the streams out that a caller sees."""
    seen: tuple[tuple[int, Value], ...]
    """Where their addresses belong."""
    room: int
    """How many numbers the pool has: the memory of what is kept and not seen."""
    inside: tuple[tuple[int, int], ...]
    """Where the addresses of those streams belong, and how many numbers into the pool they are."""
    seen_too: tuple[Value, ...]
    """What is kept and seen."""
    about: tuple[tuple[int, Place], ...]
    """Of what is kept: which of the tensors it is in, the pool and then `seen_too`, and where."""


def form(of: Plan, e: Extent, asked: Asked) -> Form:
    """The form of a call."""
    found = e.forms.get(asked)
    if found is None:
        found = e.forms[asked] = _form(of, e, asked)
    return found


def _form(of: Plan, e: Extent, asked: Asked) -> Form:
    made = of.layout
    s = made.schedule
    cut = len(s.outputs) - asked.keep
    public, own = s.outputs[:cut], s.outputs[cut:]
    parted = asked.resets or (asked.reverse and asked.lengths)
    pairs = [] if parted else [p for p in of.pairs if {*p} <= {*own} - {*public}]
    places, room = e.places([v for v in own if v not in public], pairs, asked.reverse)
    outputs = {v: (e.T, e.B, e.sizes[v.shape[0]] if v.shape else 1) for v in public}
    for v, (_, B, n) in outputs.items():
        places[v] = Place(0, (B * n, n, e.block))

    numbers = [e.T, e.B, *e.team, int(asked.reverse), int(asked.adds), 0, 0, 0, 0]
    numbers += [e.sizes[n] for n in made.sizes]
    inputs = len(numbers)
    numbers += [0] * 4 * len(made.inputs)
    seen, inside = [], []
    shared = {state for state, _ in pairs}
    for v in (*made.outputs, *made.previous):
        if v in outputs:
            seen.append((len(numbers), v))
        else:
            inside.append((len(numbers), places[v].offset))
        numbers += [0, *places[v].strides]
        if v in made.previous:
            numbers.append(int(v in shared))
    seen_too = tuple(v for v in outputs if v in own)
    return Form(
        array("q", numbers),
        inputs,
        outputs,
        tuple(seen),
        room,
        tuple(inside),
        seen_too,
        tuple((seen_too.index(v) + 1 if v in seen_too else 0, places[v]) for v in own),
    )
