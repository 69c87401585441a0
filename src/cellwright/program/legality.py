"""What makes a Program legal, as a list of rules, checked after the parser and after every pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from cellwright.program.ops import LEAVES, TABLE, ShapeError, constant, sizes_in
from cellwright.program.program import Program, prime

__all__ = ["RULES", "IllegalProgramError", "check"]


class IllegalProgramError(AssertionError):
    """A pass made a Program that breaks a rule: a defect of the pass, not of anybody's cell."""


def _operations(p: Program) -> Iterator[str]:
    for v in p.values:
        if v.op in LEAVES:
            if v.args:
                yield f"leaf {v!r} has arguments"
        elif v.op not in TABLE:
            yield f"unknown operation in {v!r}"
        elif len(v.args) != TABLE[v.op].arity:
            yield f"wrong number of arguments in {v!r}"


def _shapes(p: Program) -> Iterator[str]:
    for v in p.values:
        if v.op == "spread":
            if v.args[0].shape != () or len(v.shape) != 1:
                yield f"{v!r} spreads {v.args[0].shape} to {v.shape}"
        elif v.op in TABLE:
            try:
                expected = TABLE[v.op].shape(v.op, tuple(a.shape for a in v.args))
            except ShapeError as e:
                yield str(e)
            else:
                if v.shape != expected:
                    yield f"{v!r} has shape {v.shape}, not {expected}"


def _declared(p: Program) -> Iterator[str]:
    known, constants = {*p.arguments}, {c.name for c in p.constants}
    for v in p.values:
        if v.op in ("input", "state", "parameter") and v not in known:
            yield f"{v!r} is not declared"
        if v.op == "constant" and v.attr not in constants:
            yield f"{v!r} is not declared"


def _read(p: Program) -> Iterator[str]:
    order = [v for v in p.values if v.op == "parameter"]
    yield from (f"{q.name} is never read" for q in p.parameters if q.value not in order)
    yield from (f"{c.name} is never read" for c in p.constants if constant(c.name) not in p.values)
    if order != [q.value for q in p.parameters]:
        yield f"{[q.name for q in p.parameters]} are read as {[v.name for v in order]}"


def _names(p: Program) -> Iterator[str]:
    counts = Counter(p.names)
    yield from (f"{name} is set {n} times" for name, n in counts.items() if n > 1)


def _states(p: Program) -> Iterator[str]:
    for s in p.states:
        if prime(s.name) not in p.named:
            yield f"state {s.name} has no new value"
        elif p.next(s).shape != s.shape:
            yield f"state {s.name} has shape {s.shape}, its new value {p.next(s).shape}"
    read = {prime(s.name) for s in p.states}
    yield from (
        f"{e.name} sets no state"
        for e in p.equations
        if e.name.endswith("'") and e.name not in read
    )


def _outputs(p: Program) -> Iterator[str]:
    yield from (f"output {o} is no equation" for o in p.outputs if o not in p.named)


def _matrices(p: Program) -> Iterator[str]:
    """Matrices are learned, or live in sums: a step never holds one a sequence."""
    for v in p.values:
        if len(v.shape) == 2 and v.op not in _MATRICES:
            yield f"{v!r} makes a matrix"
        if v.op == "add" and any(len(a.shape) == 2 and a.op not in _SUMMED for a in v.args):
            yield f"{v!r} adds a learned matrix"
        if v.op == "apply" and v.args[0].op not in _LEARNED:
            yield f"{v!r} applies a matrix that is not learned"
    yield from (f"equation {e.name} is a matrix" for e in p.equations if len(e.value.shape) == 2)
    for t in p.sums:
        if len(t.value.shape) == 2 and t.value.op not in _SUMMED:
            yield f"sum {t.name} is no outer product"


_LEARNED = ("parameter", "transpose")
_SUMMED = ("outer", "add")
_MATRICES = (*_LEARNED, *_SUMMED)


def _sizes(p: Program) -> Iterator[str]:
    known = {s for v in p.arguments for s in v.shape}
    for v in p.values:
        yield from (f"nothing that comes in has {v!r}'s {s}" for s in sizes_in(v) if s not in known)


RULES: tuple[tuple[str, Callable[[Program], Iterator[str]]], ...] = (
    ("every operation is a row of the table, with its number of arguments", _operations),
    ("every shape follows from the arguments' shapes", _shapes),
    ("every leaf is declared", _declared),
    ("every parameter and constant is read, parameters in the order of `values`", _read),
    ("a name is set once", _names),
    ("every state has a new value, of its own shape", _states),
    ("every output is an equation", _outputs),
    ("matrices are learned, or are sums of outer products", _matrices),
    ("every size is that of a stream in, a state or a parameter", _sizes),
)


def check(program: Program, after: str) -> Program:
    """Return `program` if it is legal.

    Raises IllegalProgramError that names the pass, the rule and the value.
    """
    for rule, violations in RULES:
        for found in violations(program):
            raise IllegalProgramError(f"after {after}: {found} (rule: {rule})")
    return program
