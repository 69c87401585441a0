"""What a person may have meant, where a name means nothing: each hint is a message and a remedy."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from cellwright.language.names import FORMS, FUNCTIONS, base
from cellwright.program.ops import TABLE

__all__ = [
    "did_you_mean",
    "matrix_alone",
    "misspelt",
    "never_set",
    "never_varies",
    "unknown_function",
    "usage",
]

ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("sig", "sigma", "logistic"), "sigmoid(v)"),
    **dict.fromkeys(("layernorm", "layer_norm"), "norm(v)"),
    "ln": "log(v) for the logarithm, norm(v) for layer normalisation",
    **dict.fromkeys(("silu", "swish"), "v * sigmoid(v)"),
    "gelu": "v * sigmoid(1.702 * v), which is close to it",
    "elu": "where(v, v, exp(min(v, 0)) - 1)",
    "leaky_relu": "where(v, v, 0.01 * v)",
    "softmax": "e / sum(e) with e = exp(v)",
    **dict.fromkeys(("hardsigmoid", "hard_sigmoid"), "min(max(v / 6 + 0.5, 0), 1)"),
    **dict.fromkeys(("hardtanh", "hard_tanh"), "min(max(v, -1), 1)"),
    **dict.fromkeys(("clip", "clamp"), "min(max(v, a), b)"),
    "maximum": "max(a, b)",
    "minimum": "min(a, b)",
    **dict.fromkeys(("pow", "square"), "v * v; there are no powers"),
    "dot": "sum(a * b)",
    **dict.fromkeys(("std", "var"), "deviation(v), and its product with itself for the variance"),
    "heaviside": "step(v)",
    **dict.fromkeys(("cat", "concat", "concatenate"), "R h + W x for a matrix on two vectors"),
}
"""Functions by the names they have in other places, and how to write them here."""


def usage(name: str) -> str:
    """How a function or a form is called."""
    if name in FORMS:
        return FORMS[name][0]
    return f"{name}({('v', 'a, b', 'v, a, b')[TABLE[FUNCTIONS[name]].arity - 1]})"


def unknown_function(name: str, inside: str, is_value: bool) -> tuple[str, str]:
    """Of a name before brackets with something inside, and whether it is that of a value."""
    if name in ELSEWHERE and not is_value:
        return f"unknown function {name}", f"Write {ELSEWHERE[name]}."
    if is_value or "_" in name or len(name) == 1:
        remedy = f"For the product write {name} * ({inside})"
        if len(name) == 1 or "_" in name:
            remedy += f"; a matrix has a capital first letter: {name.capitalize()} ({inside})"
        return f"{name} is no function", f"{remedy}."
    near = get_close_matches(name, [*FUNCTIONS, *FORMS], 2, 0.65)
    known = ", ".join(sorted({*FUNCTIONS.values(), *FORMS}))
    remedy = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"unknown function {name}", f"{remedy}Functions are {known}."


def matrix_alone(name: str, values: Collection[str]) -> tuple[str, str]:
    """Of a matrix without a vector behind it, and the values that there are."""
    small = name[0].lower() + name[1:]
    remedy = (
        f"Put a vector behind it without a sign, as in {name} x; for a learned vector use a "
        f"small first letter: {small}."
    )
    if name[1:] in ("x", *values):
        remedy = f"Did you mean {name[0]} {name[1:]}? A space stands between them."
    elif small in values:
        remedy = f"Did you mean {small}? A capital first letter makes a matrix."
    return f"{name} is a matrix and stands alone", remedy


def never_set(name: str, places: Iterable[str]) -> tuple[str, str]:
    """Of a name with an index, where equations set others of its kind only."""
    kin = [n for n in places if base(n) == base(name) and "[" in n]
    known = ", ".join(kin if len(kin) < 5 else [*kin[:2], "…", kin[-1]])
    return (
        f"{name} is read, but no equation sets it",
        f"Equations set {known}: change where a range begins or ends, or set {name}, too.",
    )


def never_varies(
    matrix: str, name: str, known: Iterable[str], states: Sequence[str]
) -> tuple[str, str]:
    """Of a name that nothing sets or declares, behind a matrix; `known` are those that are."""
    near = misspelt(name.removesuffix("_t"), known)
    meant = [near] if near else states if len(states) < 4 else []
    remedy = f"Did you mean {' or '.join(meant)}? " if meant else ""
    return (
        f"{matrix} is applied to {name}, which no equation sets, so {name} is the same in every "
        "step",
        f"{remedy}A matrix is applied to x, a state or what is made of them; if {name} is to be "
        f"learned, add a line: vector {name} : H.",
    )


def did_you_mean(name: str, among: Iterable[str]) -> str:
    """The question, where one of some names is near; else nothing."""
    near = misspelt(name, among, 0.7)
    return f"Did you mean {near}?" if near else ""


def misspelt(name: str, among: Iterable[str], likeness: float = 0.8) -> str | None:
    """The first of some names that may be a slip for this one: a letter twice, or one changed."""

    def once(word: str) -> str:
        return re.sub(r"(.)\1+", r"\1", word.lower())

    among = tuple(among)
    slips = [other for other in among if once(other) == once(name)]
    return next(iter((*slips, *get_close_matches(name, among, 1, likeness))), None)
