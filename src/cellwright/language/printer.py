"""Program to text: the canonical form, from which reading gives the same Program back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from cellwright.language.notation import FORMS, Notation, number_text
from cellwright.program.ops import LEAVES, TABLE, Value
from cellwright.program.program import Program

__all__ = ["print_program", "print_value"]


def print_program(program: Program) -> str:
    """The program as text, with every shape declared.

    `language.program(print_program(p)) == p` for every legal program.
    """
    return "\n".join((*_declarations(program), *_equations(program))) + "\n"


def print_value(v: Value, names: Mapping[Value, str] | None = None) -> str:
    """A value as an expression of those that have names, and of leaves."""
    return _LANGUAGE.text(v, names or {})


def _declarations(p: Program) -> Iterator[str]:
    for leaf in p.inputs:
        yield f"input {leaf.name}" + "".join(f" : {size}" for size in leaf.shape)
    for leaf in p.states:
        yield f"state {leaf.name} : {leaf.shape[0]}"
    for q in p.parameters:
        if q.shape == ():
            yield f"scalar {q.name}" + (f" = {number_text(q.init)}" if q.init is not None else "")
    for c in p.constants:
        yield f"const {c.name} = {number_text(c.default)}"
    shaped = sorted((q for q in p.parameters if q.shape), key=lambda q: (-len(q.shape), q.shape))
    for shape, group in groupby(shaped, key=lambda q: q.shape):
        names = ", ".join(q.name for q in group)
        kind, size = (
            ("vector", shape[0]) if len(shape) == 1 else ("matrix", f"({', '.join(shape)})")
        )
        yield f"{kind} {names} : {size}"
    for q in p.parameters:
        if len(q.shape) == 1 and q.init is not None:
            yield f"init {q.name} = {number_text(q.init)}"


def _equations(p: Program) -> Iterator[str]:
    names: dict[Value, str] = {}
    for word, group in (("", p.equations), ("sum ", p.sums)):
        for e in group:
            yield f"{word}{e.name} = {_LANGUAGE.text(e.value, names)}"
            if not word and e.value.op not in LEAVES:
                names.setdefault(e.value, e.name)
    if p.outputs:
        yield f"output {', '.join(p.outputs)}"


def _spell(v: Value, operands: Sequence[str]) -> str:
    match v.op:
        case "number":
            assert isinstance(v.attr, float)
            return number_text(v.attr)
        case "size":
            return f"size({v.attr})"
        case "spread":
            return f"spread({operands[0]}, {v.shape[0]})"
        case "neg":
            return f"-{operands[0]}"
        case "apply":
            return " ".join(operands)
        case "transpose":
            return f"{operands[0]}^T"
    if not v.args:
        return v.name
    if (infix := TABLE[v.op].infix) is not None:
        return f" {infix} ".join(operands)
    return f"{v.op}({', '.join(operands)})"


_LANGUAGE = Notation(_spell, FORMS)
