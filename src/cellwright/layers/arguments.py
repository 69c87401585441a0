"""What the arguments of a layer's constructor have to be."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Real
from operator import index
from typing import SupportsIndex

from cellwright.language import Cell, GivenError
from cellwright.language import cell as find_cell
from cellwright.language.hints import did_you_mean
from cellwright.language.library import parted
from cellwright.language.options import ARGUMENTS
from cellwright.layers.call import LayerError

__all__ = ["chosen", "flag", "is_probability", "rate", "whole"]


def chosen(cell: str | os.PathLike[str] | Cell, options: Mapping[str, float]) -> Cell:
    """The cell that a layer is asked for, with the options that are arguments of the layer.

    Raises CellError where there is no such cell, LayerError for what is no option of it, and where
    its name says another number in brackets.
    """
    named = parted(cell)[1] if isinstance(cell, str) else {}
    for name, value in options.items():
        if name in named and named[name] != value:
            raise LayerError(
                f"{cell} has {name}={named[name]}, and the layer's argument is "
                f"{name}={value}: give one of the two"
            )
    try:
        return find_cell(cell).with_options(**options)
    except GivenError as e:
        remedy = e.remedy or did_you_mean(e.unknown, ARGUMENTS)
        raise LayerError(f"{e.message}. {remedy}" if remedy else e.message) from None


def whole(name: str, size: SupportsIndex, least: int = 1) -> int:
    """A whole number of Python's, of NumPy's or of any other making.

    Raises LayerError where it is none, or less than `least`.
    """
    try:
        found = index(size)
    except TypeError:
        found = -1
    if isinstance(size, bool) or found < least:
        raise LayerError(f"{name} must be a whole number of at least {least}, got {size!r}")
    return found


def flag(name: str, value: bool) -> bool:
    """True or False.

    Raises LayerError where it is neither.
    """
    if not isinstance(value, bool):
        raise LayerError(f"{name} must be True or False, got {value!r}")
    return value


def is_probability(x: object) -> bool:
    """Whether it is a number from 0 to 1."""
    return isinstance(x, Real) and not isinstance(x, bool) and 0 <= float(x) <= 1


def rate(name: str, value: float) -> float:
    """How often something is left out: never is 0, and always, 1, is too often.

    Raises LayerError where it is no such number.
    """
    if not is_probability(value) or value == 1:
        raise LayerError(f"{name} must be a probability, from 0 and less than 1, got {value!r}")
    return float(value)
