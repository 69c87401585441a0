"""Plain data to JSON and back: dataclasses of numbers, strings, tuples and dictionaries.

JSON has no infinity, which is the loss of a run that diverged: it is written as null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

__all__ = ["decode", "encode"]

Data = TypeVar("Data")


def encode(value: object) -> Any:
    """What `json.dumps` takes."""
    if is_dataclass(value):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, tuple | list):
        return [encode(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    return value


def decode(kind: type[Data], value: object) -> Data:
    """The `kind` that `encode` wrote.

    Raises ValueError where the value is anything else.
    """
    found: Data = _decode(kind, value)
    return found


def _decode(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict) or set(value) != set(hints):
            raise _wrong(kind, value)
        return kind(**{name: _decode(hint, value[name]) for name, hint in hints.items()})
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        if value is None and NoneType in args:
            return None
        return _first([a for a in args if a is not NoneType], value)
    if origin is tuple and isinstance(value, list):
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(kinds) != len(value):
            raise _wrong(kind, value)
        return tuple(_decode(k, v) for k, v in zip(kinds, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {_decode(args[0], k): _decode(args[1], v) for k, v in value.items()}
    if origin is Literal and value in args:
        return value
    if kind is float and value is None:
        return inf
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    raise _wrong(kind, value)


_hints = cache(get_type_hints)
"""The types of a dataclass's fields: Python reads their text, and a study has the same thousands of
times."""


def _first(kinds: Sequence[Any], value: Any) -> Any:
    """The value as the first of these kinds that it can be."""
    for kind in kinds[:-1]:
        try:
            return _decode(kind, value)
        except ValueError:
            continue
    return _decode(kinds[-1], value)


def _wrong(kind: Any, value: object) -> ValueError:
    return ValueError(f"expected {getattr(kind, '__name__', kind)}, got {value!r:.60}")
