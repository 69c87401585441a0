"""Program to text: the canonical form, from which reading gives the same Program back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from cellwright.program.ops import LEAVES, TABLE, Value
from cellwright.program.program import Program

__all__ = ["print_program", "print_value"]

_BINDING = {"add": 1, "sub": 1, "mul": 2, "div": 2, "neg": 3, "apply": 4}
"""How tightly an operation binds; what is not here is an atom."""
_ATOM = 5


def print_program(program: Program) -> str:
    """The program as text, with every shape declared.

    `language.program(print_program(p)) == p` for every legal program.
    """
    return "\n".join((*_declarations(program), *_equations(program))) + "\n"


def print_value(v: Value, names: Mapping[Value, str] | None = None) -> str:
    """A value as an expression of those that have names, and of leaves."""
    return _text(v, names or {}, 0)


def _declarations(p: Program) -> Iterator[str]:
    for leaf in p.inputs:
        yield f"input {leaf.name}" + "".join(f" : {size}" for size in leaf.shape)
    for leaf in p.states:
        yield f"state {leaf.name} : {leaf.shape[0]}"
    for q in p.parameters:
        if q.shape == ():
            yield f"scalar {q.name}" + (f" = {_number(q.init)}" if q.init is not None else "")
    for c in p.constants:
        yield f"const {c.name} = {_number(c.default)}"
    shaped = sorted((q for q in p.parameters if q.shape), key=lambda q: (-len(q.shape), q.shape))
    for shape, group in groupby(shaped, key=lambda q: q.shape):
        names = ", ".join(q.name for q in group)
        kind, size = (
            ("vector", shape[0]) if len(shape) == 1 else ("matrix", f"({', '.join(shape)})")
        )
        yield f"{kind} {names} : {size}"
    for q in p.parameters:
        if len(q.shape) == 1 and q.init is not None:
            yield f"init {q.name} = {_number(q.init)}"


def _equations(p: Program) -> Iterator[str]:
    names: dict[Value, str] = {}
    for word, group in (("", p.equations), ("sum ", p.sums)):
        for e in group:
            yield f"{word}{e.name} = {_text(e.value, names, 0)}"
            if not word and e.value.op not in LEAVES:
                names.setdefault(e.value, e.name)
    if p.outputs:
        yield f"output {', '.join(p.outputs)}"


def _number(x: float | None) -> str:
    assert x is not None
    return repr(float(x)).removesuffix(".0")


def _text(v: Value, names: Mapping[Value, str], binding: int) -> str:
    """`v` as it stands where an operand must bind at least as tightly as `binding`."""
    if v in names:
        return names[v]
    text, own = _form(v, names)
    return f"({text})" if own < binding else text


def _form(v: Value, names: Mapping[Value, str]) -> tuple[str, int]:
    own = _BINDING.get(v.op, _ATOM)
    match v.op:
        case "number":
            assert isinstance(v.attr, float)
            return _number(v.attr), _ATOM if v.attr >= 0 else _BINDING["neg"]
        case "size":
            return f"size({v.attr})", _ATOM
        case "spread":
            return f"spread({_text(v.args[0], names, 0)}, {v.shape[0]})", _ATOM
        case "neg":
            return f"-{_text(v.args[0], names, own)}", own
        case "apply":
            matrix = _text(v.args[0], names, _ATOM)
            return f"{matrix} {_text(v.args[1], names, own)}", own
        case "transpose":
            return f"{_text(v.args[0], names, _ATOM)}^T", _ATOM
    if not v.args:
        return v.name, _ATOM
    if (infix := TABLE[v.op].infix) is not None:
        left, right = _text(v.args[0], names, own), _text(v.args[1], names, own + 1)
        return f"{left} {infix} {right}", own
    return f"{v.op}({', '.join(_text(a, names, 0) for a in v.args)})", _ATOM
