"""A name with parameters in brackets, as the command line takes it: `adding(T=200)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from math import isfinite
from types import UnionType
from typing import Any, Final, TypeAlias, TypeVar, get_args, get_type_hints

from cellwright.errors import CellwrightError

__all__ = ["Named", "NamingError", "Value", "fill", "parse"]

Value: TypeAlias = bool | int | float | str
Options = TypeVar("Options")

_NAME: Final = re.compile(r"\s*([A-Za-z_]\w*)\s*(\((.*)\))?\s*", re.DOTALL)
_PARAMETER: Final = re.compile(
    r"""\s*(?P<key>\w+)\s*=\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^,'"()=]+))\s*(?:,|$)"""
)
_KINDS: Final[Mapping[type, str]] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a word",
}  # fmt: skip


class NamingError(CellwrightError):
    """A name, or one of its parameters, is not what was expected."""


@dataclass(frozen=True)
class Named:
    """A name, and what stands in its brackets."""

    name: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={_written(value)}" for key, value in self.options.items())
        return f"{self.name}({inside})" if inside else self.name


def parse(text: str) -> Named:
    """`name`, or `name(key=value, …)`: values are numbers, true, false, words or 'quoted text'.

    Raises NamingError where it is something else.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise NamingError(
            f"{text!r} is no name with parameters. Expected one as adding, or adding(T=200); "
            "the shell wants quotes around brackets"
        )
    name, _, inside = found.groups()
    options: dict[str, Value] = {}
    at = 0
    while inside and at < len(inside):
        parameter = _PARAMETER.match(inside, at)
        if parameter is None:
            raise NamingError(
                f"{text!r}: cannot read {inside[at:].strip()!r}. Expected key=value with commas "
                "between them; put quotes around a value that has commas, brackets or = in it"
            )
        if parameter["key"] in options:
            raise NamingError(f"{text!r} gives {parameter['key']} twice: give it once")
        quoted = parameter["single"] if parameter["double"] is None else parameter["double"]
        options[parameter["key"]] = _value(parameter["bare"]) if quoted is None else quoted
        at = parameter.end()
    return Named(name, options)


def _value(text: str) -> Value:
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _written(value: Value) -> str:
    if isinstance(value, str):
        return value if isinstance(_value(value), str) and re.fullmatch(r"\w+", value) else (
            f'"{value}"' if "'" in value else f"'{value}'")  # fmt: skip
    return str(value).lower() if isinstance(value, bool) else repr(value)


def fill(kind: type[Options], named: Named) -> Options:
    """The dataclass `kind` with the options in brackets; what is not given has its default.

    Raises NamingError where an option is not one of its fields, or is of another type.
    """
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in named.options:
        if key not in known:
            lower = {name.lower(): name for name in known}
            near = get_close_matches(key.lower(), lower, 1)
            some = f"It has {', '.join(known) or 'none'}"
            some = f"Did you mean {lower[near[0]]}?" if near else some
            raise NamingError(f"{named.name} has no parameter {key}. {some}")
    given = {key: _fitted(named, key, hints[key]) for key in named.options}
    for f in fields(kind):  # type: ignore[arg-type]
        if f.default is MISSING and f.name not in given:
            raise NamingError(f"{named.name} needs {f.name}: write {named.name}({f.name}=…)")
    return kind(**given)


def _fitted(named: Named, key: str, hint: Any) -> Value:
    value = named.options[key]
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if type(value) in kinds:
        if isinstance(value, float) and not isfinite(value):
            raise NamingError(f"{named.name}: {key} must be finite, got {value}")
        return value
    if isinstance(value, int) and not isinstance(value, bool) and float in kinds:
        return float(value)
    if str in kinds:  # a column's name may be a number
        return _written(value) if not isinstance(value, str) else value
    wanted = " or ".join(_KINDS[k] for k in kinds if k in _KINDS)
    raise NamingError(f"{named.name}: {key} must be {wanted}, got {value!r}")
