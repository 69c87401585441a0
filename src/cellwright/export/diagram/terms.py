"""Sums and products, flat: the pieces that a picture draws as one node.

What does not change from step to step, as a learned vector or a constant, is the coefficient of a
term; what changes is a factor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cellwright.language.syntax import (
    Apply,
    Binary,
    Call,
    Expression,
    Name,
    Negative,
    New,
    Number,
)

__all__ = ["Stepped", "Term", "leaves", "spelled_out", "terms"]

Stepped: TypeAlias = Callable[[Expression], bool]
"""Whether an expression differs from step to step."""


@dataclass(frozen=True)
class Term:
    """One summand."""

    negative: bool
    coefficients: tuple[Expression, ...]
    factors: tuple[Expression, ...]
    whole: Expression
    """As it is written; of a product with a sum in brackets, the piece in the brackets."""


def terms(e: Expression, stepped: Stepped) -> list[Term]:
    """The summands of an expression, through brackets that only coefficients stand before."""
    return list(_terms(e, stepped, False, ()))


def _terms(
    e: Expression, stepped: Stepped, negative: bool, outer: tuple[Expression, ...]
) -> Iterator[Term]:
    match e:
        case Binary(operator="+" | "-", left=left, right=right):
            yield from _terms(left, stepped, negative, outer)
            yield from _terms(right, stepped, negative ^ (e.operator == "-"), outer)
            return
        case Negative(argument=argument):
            yield from _terms(argument, stepped, not negative, outer)
            return
    factors, coefficients, flipped = _product(e, stepped)
    coefficients = (*outer, *coefficients)
    negative ^= flipped
    match factors:
        case [Binary(operator="+" | "-") | Negative() as inner]:
            yield from _terms(inner, stepped, negative, coefficients)
        case _:
            yield Term(negative, coefficients, factors, e)


def _product(
    e: Expression, stepped: Stepped
) -> tuple[tuple[Expression, ...], tuple[Expression, ...], bool]:
    """Its factors, its coefficients, and whether it changes the sign."""
    if not stepped(e):
        return (), (e,), False
    match e:
        case Binary(operator="*", left=left, right=right):
            a, b = _product(left, stepped), _product(right, stepped)
            return (*a[0], *b[0]), (*a[1], *b[1]), a[2] ^ b[2]
        case Binary(operator="/", left=left, right=right) if not stepped(right):
            factors, coefficients, flipped = _product(left, stepped)
            return factors, (*coefficients, right), flipped
        case Negative(argument=argument):
            factors, coefficients, flipped = _product(argument, stepped)
            return factors, coefficients, not flipped
    return (e,), (), False


def leaves(e: Expression) -> Iterator[Name | New | Apply]:
    """Every name and every product with a matrix in an expression."""
    match e:
        case Name() | New():
            yield e
        case Apply(argument=a):
            yield e
            yield from leaves(a)
        case Negative(argument=a):
            yield from leaves(a)
        case Binary(left=left, right=right):
            yield from leaves(left)
            yield from leaves(right)
        case Call(arguments=arguments):
            for a in arguments:
                yield from leaves(a)


def spelled_out(e: Expression, instead: Expression | None = None) -> str:
    """An expression in one spelling, so that equal ones have equal texts.

    `instead`, one of its parts, is shown as a dot.
    """

    def text(e: Expression) -> str:
        if e is instead:
            return "·"
        match e:
            case Number(value=value):
                return f"{value:g}"
            case Name(name=name):
                return name
            case New(name=name):
                return f"{name}'"
            case Apply(matrix=matrix, argument=argument):
                return f"{matrix.name}{'^T' * matrix.transposed} {inner(argument)}"
            case Negative(argument=argument):
                return f"-{inner(argument)}"
            case Binary(operator=operator, left=left, right=right):
                return f"{inner(left)} {operator} {inner(right)}"
            case Call(function=function, arguments=arguments):
                return f"{function.name}({', '.join(map(text, arguments))})"
        raise AssertionError(e)

    def inner(e: Expression) -> str:
        return f"({text(e)})" if isinstance(e, Binary | Negative) and e is not instead else text(e)

    return text(e)
