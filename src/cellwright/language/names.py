"""Names: what the statements of a text declare, and the order in which equations must stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cellwright.language import syntax as s
from cellwright.language.errors import CellError, Place
from cellwright.program.ops import TABLE, Shape
from cellwright.program.program import prime

__all__ = [
    "FORMS",
    "FUNCTIONS",
    "Names",
    "base",
    "check_order",
    "declare",
    "names_in",
    "plain",
    "spelled",
    "target_of",
]

FUNCTIONS: dict[str, str] = {
    spelling: op.name for op in TABLE.values() if op.function for spelling in (op.name, *op.also)
}
"""Every spelling of every function, with the operation it names."""

FORMS: dict[str, tuple[str, str]] = {
    "norm": ("norm(v)", "layer normalisation of v over its units, with a learned gain"),
    "size": ("size(H)", "the number of units a size stands for, a scalar"),
    "spread": ("spread(v, H)", "a scalar repeated for each unit of a size"),
    "outer": ("outer(a, b)", "the outer product of two vectors; only a sum takes it"),
}
"""What is written like a function but is not a row of the table: how to write it, what it means."""


def base(name: str) -> str:
    """A name without its index and prime: `n` for `n[2]`."""
    return name.removesuffix("'").partition("[")[0]


def plain(name: str) -> str:
    """What programs call it: `n_2` for `n[2]`."""
    return name.replace("[", "_").replace("]", "")


@dataclass
class Names:
    """What the statements declare, before any expression is looked at."""

    inputs: dict[str, Shape] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    scalars: dict[str, float | None] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    inits: dict[str, float] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    """Where each name is set or declared; `c'` for the new value of `c`."""
    inits_at: dict[str, Place] = field(default_factory=dict)
    outputs: list[tuple[s.Name | s.New, Place]] = field(default_factory=list)
    sums: set[str] = field(default_factory=set)

    @property
    def updated(self) -> list[str]:
        """The states that equations set, in the order of these."""
        return [name[:-1] for name in self.places if name.endswith("'")]


def declare(text: s.Syntax) -> Names:
    """Collect what a text declares.

    Raises CellError for a name that is set twice or cannot be set.
    """
    names = Names()

    def once(name: str, place: Place, kind: str = "equation") -> None:
        if name in ("x", "x'") and kind != "input":
            raise CellError(
                "x is the input, which nothing else can be named", "Give this another name.", place
            )
        if name in names.places:
            before = names.places[name]
            remedy = f"Line {before.line} sets it already: give one of the two another name."
            if before.when and before.line == place.line:
                remedy = f"So it was for {before.when}: give it an index."
            raise CellError(f"{name} is set a second time", remedy, place)
        if name.removesuffix("'") in FUNCTIONS or name.removesuffix("'") in FORMS:
            raise CellError(
                f"{name} is the name of a function", "Give the value another name.", place
            )
        names.places[name] = place

    for st in text.statements:
        match st.content:
            case s.Equation(target):
                once(target_of(st.content), st.at(target))
                if st.content.sum:
                    names.sums.add(target.name)
            case s.Init(target, value):
                if target.name in names.inits:
                    raise CellError(
                        f"{target.name} has an initial value already",
                        "Remove one of the two lines.",
                        st.at(target),
                    )
                names.inits[target.name] = value
                names.inits_at[target.name] = st.at(target)
            case s.Output(nodes):
                if names.outputs:
                    raise CellError(
                        "a second output line",
                        "Put all outputs on one line: output a, b.",
                        st.place,
                    )
                names.outputs = [(n, st.at(n)) for n in nodes]
            case s.Declare(kind, nodes, shape, value):
                for node in nodes:
                    once(node.name, st.at(node), kind)
                    _declare_one(names, kind, node.name, tuple(m.name for m in shape), value)
    for name, place in names.places.items():
        if not name.endswith("'") and prime(name) in names.places and name not in names.states:
            raise CellError(
                f"{name} is set both as a value and as a state",
                f"The state is set as {prime(name)}; give the other value another name.",
                place,
            )
    return names


def _declare_one(names: Names, kind: str, name: str, shape: Shape, value: float | None) -> None:
    match kind:
        case "input":
            names.inputs[name] = shape
        case "state":
            names.states[name] = shape[0]
        case "scalar":
            names.scalars[name] = value
        case "const":
            assert value is not None
            names.constants[name] = value
        case _:
            names.shapes[name] = shape


def check_order(equations: list[s.Statement], names: Names) -> None:
    """Refuse equations that read what a later line sets, and say whether another order would do."""
    line = {
        target_of(st.content): i
        for i, st in enumerate(equations)
        if isinstance(st.content, s.Equation)
    }
    reads: list[list[tuple[str, s.Node]]] = []
    for st in equations:
        assert isinstance(st.content, s.Equation)
        reads.append([(n, node) for n, node in names_in(st.content.expression) if n in line])
    for i, st in enumerate(equations):
        for name, node in reads[i]:
            if line[name] < i:
                continue
            here = st.at(node)
            if line[name] == i:
                remedy = (
                    f"Write {name[:-1]} for the value from the step before."
                    if name.endswith("'")
                    else _state(name)
                )
                raise CellError(f"{name} is defined by itself", remedy, here)
            cycle = _path(lambda k: (line[n] for n, _ in reads[k]), line[name], i)
            at = names.places[name].line
            before = (
                f"Write {name[:-1]} for the value from the step before"
                if name.endswith("'")
                else ""
            )
            if cycle:
                chain = [_name_of(equations[k]) for k in [i, *cycle]]
                raise CellError(
                    f"a cycle: {' → '.join(chain)}",
                    f"{before}." if before else _broken({*chain}),
                    here,
                )
            later = at > st.place.line
            move = f"move this equation below line {at}" if later else "read what is set earlier"
            when = f", for {place.when}" if (place := names.places[name]).when else ""
            raise CellError(
                f"{name} is read before it is set",
                f"{name} is set on line {at}{when}. "
                + (f"{before}, or {move}." if before else f"{move.capitalize()}."),
                here,
            )


def _state(name: str) -> str:
    return f"A value that lives from step to step is a state: {prime(name)} = …"


def _broken(cycle: set[str]) -> str:
    """How, where h, or the only one that may be, is a state that lacks its prime."""
    unprimed = {name for name in cycle if not name.endswith("'")}
    likely = unprimed & {"h"} or unprimed
    if len(likely) == 1:
        return _state(*likely)
    return "Break it: one of these must read the step before, as a state does."


def _name_of(st: s.Statement) -> str:
    assert isinstance(st.content, s.Equation)
    return target_of(st.content)


def target_of(content: s.Equation) -> str:
    """The name that an equation sets, with its prime."""
    return spelled(content.target)


def spelled(name: s.Name | s.New) -> str:
    """A name with its prime, if it has one."""
    return prime(name.name) if isinstance(name, s.New) else name.name


def _path(reads: Callable[[int], Iterable[int]], start: int, goal: int) -> list[int]:
    """The equations from `start` to `goal`, each reading the next; empty where there is no way."""
    stack, seen = [[start]], {start}
    while stack:
        path = stack.pop()
        for following in reads(path[-1]):
            if following == goal:
                return [*path, goal]
            if following not in seen:
                seen.add(following)
                stack.append([*path, following])
    return []


def names_in(e: s.Expression) -> Iterable[tuple[str, s.Node]]:
    """What an expression reads, matrices aside, from left to right: `c'` for a new value."""
    match e:
        case s.Name(name=name):
            yield name, e
        case s.New(name=name):
            yield prime(name), e
        case s.Apply(argument=a) | s.Negative(argument=a):
            yield from names_in(a)
        case s.Binary(left=left, right=right):
            yield from names_in(left)
            yield from names_in(right)
        case s.Call(arguments=arguments):
            for a in arguments:
                yield from names_in(a)
        case _:
            pass
