"""Notations: how the structure of an expression becomes text, with brackets where it needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cellwright.program.ops import Value

__all__ = ["ATOM", "FORMS", "Form", "Notation", "number_text"]


class Form(NamedTuple):
    """How an operation is written."""

    binding: int
    """How tightly it binds."""
    operands: tuple[int, ...]
    """How tightly each operand has to bind, to stand in it without brackets."""


ATOM = 5
"""What needs no brackets anywhere."""

FORMS: Mapping[str, Form] = {
    "add": Form(1, (1, 2)),
    "sub": Form(1, (1, 2)),
    "mul": Form(2, (2, 3)),
    "div": Form(2, (2, 3)),
    "neg": Form(3, (3,)),
    "apply": Form(4, (ATOM, 4)),
    "transpose": Form(ATOM, (ATOM,)),
}
"""The grammar of the language, the other way round. What is not here encloses its operands."""


@dataclass(frozen=True)
class Notation:
    """A way to write expressions."""

    spell: Callable[[Value, Sequence[str]], str]
    """A value, given its operands as text; a leaf has none."""
    forms: Mapping[str, Form]
    bracket: Callable[[str], str] = "({})".format

    def text(self, v: Value, names: Mapping[Value, str], binding: int = 0) -> str:
        """`v`, in terms of those that have names, as it stands where an operand must bind at least
        as tightly as `binding`."""
        if v in names:
            return names[v]
        form = self._form(v)
        operands = [self.text(a, names, b) for a, b in zip(v.args, form.operands, strict=True)]
        text = self.spell(v, operands)
        return self.bracket(text) if form.binding < binding else text

    def _form(self, v: Value) -> Form:
        if v.op == "number" and isinstance(v.attr, float) and v.attr < 0:
            return Form(self.forms["neg"].binding, ())
        return self.forms.get(v.op) or Form(ATOM, (0,) * len(v.args))


def number_text(x: float) -> str:
    """The shortest that reads as the same number."""
    return repr(float(x)).removesuffix(".0")
