"""Options: the numbers that a cell's text leaves open, each with a default."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from operator import index
from typing import SupportsIndex, cast

from cellwright.errors import CellwrightError
from cellwright.language import syntax as s
from cellwright.language.errors import CellError
from cellwright.language.hints import did_you_mean
from cellwright.language.names import FORMS, FUNCTIONS, plain
from cellwright.language.notation import number_text
from cellwright.program.ops import LARGEST

__all__ = ["ARGUMENTS", "GivenError", "Option", "check_given", "constants", "numbers"]

ARGUMENTS = (
    "cell",
    "input_size",
    "hidden_size",
    "num_layers",
    "bias",
    "batch_first",
    "dropout",
    "bidirectional",
    "proj_size",
    "device",
    "dtype",
    "backend",
    "memory",
    "layer_norm",
    "zoneout",
    "recurrent_dropout",
    "recurrent_dropout_on",
    "residual",
    "learned_state",
    "heads",
    "self",
)
"""What a layer's constructor takes beside a cell's options."""

KINDS: Mapping[str, str] = {"count": "count", "size": "size", "const": "constant"}
"""In words."""

LEAST: Mapping[str, int] = {"count": 0, "size": 1}

TAKEN: Mapping[str, str] = {
    "x": "the input",
    "I": "the size of the input",
    "H": "the hidden size",
    "P": "the size of a projection",
}
"""Names that cannot be those of counts and sizes."""


class GivenError(CellwrightError):
    """There is no such option, or it cannot be what was given for it."""

    def __init__(self, message: str, unknown: str = "", remedy: str = "") -> None:
        super().__init__(message, unknown, remedy)
        self.message, self.remedy = message, remedy
        self.unknown = unknown
        """The name, where there is no such option."""

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class Option:
    """A `count`, a `size` or a `const` line, and what the option is in this cell."""

    name: str
    kind: str
    default: float
    value: float
    caption: str

    def __str__(self) -> str:
        """As a call writes it."""
        return f"{self.name}={number_text(self.value)}"

    @property
    def another(self) -> Option:
        """It with a value that is not the default, for an example."""
        some = self.default / 2 or 1 if self.kind == "const" else self.default + 1
        return replace(self, value=some)


def numbers(text: s.Text, given: Mapping[str, float]) -> tuple[Option, ...]:
    """The counts and the sizes of a text.

    Raises CellError for a declaration that cannot be, GivenError for what is no count or size.
    """
    used = s.mentioned(text.parts)
    outermost = set(map(id, text.parts))
    found: dict[str, Option] = {}
    for st, declared in _declared(text.parts, ("count", "size")):
        [node] = declared.names
        name = node.name
        if id(st) not in outermost:
            raise CellError(
                f"a {declared.kind} is declared once",
                "Write it above what is repeated.",
                st.at(node),
            )
        if name in found:
            raise CellError(f"{name} is set a second time", "Remove one of the lines.", st.at(node))
        if name in TAKEN or name in FUNCTIONS or name in FORMS:
            raise CellError(
                f"{name} is {TAKEN.get(name, 'the name of a function')}",
                f"Give the {declared.kind} another name.",
                st.at(node),
            )
        if name not in used:
            where = "an index or a range" if declared.kind == "count" else f"a shape, as b : {name}"
            raise CellError(
                f"{name} is declared but never used",
                f"Use it in {where}, or remove this line.",
                st.at(node),
            )
        found[name] = _option(st, declared, name, given)
    return tuple(found.values())


def constants(text: s.Syntax, given: Mapping[str, float]) -> tuple[Option, ...]:
    """The constants of a text.

    Raises GivenError for what is no number.
    """
    return tuple(
        _option(st, declared, plain(declared.names[0].name), given)
        for st, declared in _declared(text.statements, ("const",))
    )


def check_given(given: Mapping[str, float], options: Iterable[Option]) -> None:
    """Refuse a name that none of the options has, with GivenError."""
    known: dict[str, list[str]] = {}
    for option in options:
        known.setdefault(option.kind, []).append(option.name)
    names = [name for group in known.values() for name in group]
    for name in given:
        if name not in names:
            groups = [
                f"the {KINDS[kind]}{'s' * (len(group) > 1)} {', '.join(group)}"
                for kind, group in known.items()
            ]
            has = " and ".join(groups) or "none to be set"
            message = f"no argument is called {name!r}, and the cell has {has}"
            raise GivenError(message, name, did_you_mean(name, names))


def _declared(
    parts: Iterable[s.Part], kinds: Collection[str]
) -> Iterator[tuple[s.Statement, s.Declare]]:
    for part in parts:
        if isinstance(part, s.Block):
            yield from _declared(part.parts, kinds)
        elif isinstance(part.content, s.Declare) and part.content.kind in kinds:
            yield part, part.content


def _option(st: s.Statement, declared: s.Declare, name: str, given: Mapping[str, float]) -> Option:
    assert declared.value is not None
    kind = declared.kind
    if name in ARGUMENTS:
        raise CellError(
            f"{name} is an argument of every layer, and so would this {KINDS[kind]} be",
            "Give it another name.",
            st.at(declared.names[0]),
        )
    if kind == "size" and declared.value < 1:
        raise CellError(
            f"the size {name} is of nothing", "Write a whole number of at least 1.", st.place
        )
    value = declared.value
    if name in given:
        value = _number(name, given[name]) if kind == "const" else _whole(kind, name, given[name])
    return Option(name, kind, declared.value, value, st.caption)


def _whole(kind: str, name: str, value: float) -> int:
    whole = isinstance(value, SupportsIndex) and not isinstance(value, bool)
    least = LEAST[kind]
    if (found := index(cast("SupportsIndex", value)) if whole else -1) < least:
        raise GivenError(
            f"the {kind} {name} must be a whole number of at least {least}, got {value!r}"
        )
    return found


def _number(name: str, value: float) -> float:
    if not (isinstance(value, Real) and abs(value) <= LARGEST):
        raise GivenError(
            f"the constant {name} must be a number, ±{LARGEST:g} at the most, got {value!r}"
        )
    return float(value)
