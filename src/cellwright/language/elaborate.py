"""Syntax to Program: the second pass over a text, which builds values.

The first one (inference.py) has settled what each name is and which shape it has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from cellwright.language import syntax as s
from cellwright.language.errors import CellError
from cellwright.language.inference import Inference
from cellwright.language.names import FUNCTIONS, base, names_in, plain, spelled, target_of
from cellwright.program.legality import check
from cellwright.program.ops import (
    Value,
    build,
    constant,
    input_,
    number,
    parameter,
    size_of,
    spread,
    state,
    topological,
)
from cellwright.program.program import Constant, Named, Parameter, Program, prime

__all__ = ["elaborate"]


def elaborate(text: s.Syntax, default_output: bool = False) -> Program:
    """The Program of a text; with `default_output` a state is the output, where the text names
    none: `h`, or without an `h` the one that is set first.

    Raises CellError for everything that has no meaning: an unknown function, a name read before it
    is set, a state that is never set, a name set twice, a cycle, a matrix where a vector is
    expected and the other way round, sizes that cannot be equal.
    """
    return check(_Elaboration(Inference(text)).program(default_output), "elaboration")


class _Elaboration:
    def __init__(self, found: Inference) -> None:
        self.found, self.names = found, found.names
        self.values: dict[str, Value] = {}
        """What equations have set so far."""

    def program(self, default_output: bool) -> Program:
        named: list[Named] = []
        sums: list[Named] = []
        for _, equation in self.found.equations:
            target, value = target_of(equation), self._build(equation.expression)
            if target.endswith("'") and value.shape == ():
                value = spread(value, self.found.state_size(target[:-1]))
            if equation.sum:
                sums.append(Named(plain(target), value))
            else:
                self.values[target] = value
                named.append(Named(plain(target), value))
        states = self._states()
        outputs = tuple(self._outputs(default_output))
        roots = [self.values[n] for n in (*outputs, *map(prime, states))]
        named = self._kept(named, set(topological((*roots, *(n.value for n in sums)))))
        leaves = topological(n.value for n in (*sums, *named))
        self._check_inits(leaves)
        self._check_sizes(leaves)
        inits: dict[str, float | None] = {
            **{plain(name): value for name, value in self.names.scalars.items()},
            **dict.fromkeys(self.found.gains.values(), 1.0),
            **{plain(name): value for name, value in self.names.inits.items()},
        }
        constants = {v.attr for v in leaves if v.op == "constant"}
        return Program(
            inputs=tuple(
                input_(plain(n), self.found.shape(n))
                for n in self.names.inputs or ("x",)
                if self.found.is_there(n)
            ),
            states=tuple(state(plain(n), self.found.state_size(n)) for n in states),
            parameters=tuple(
                Parameter(v, inits.get(v.name)) for v in leaves if v.op == "parameter"
            ),
            constants=tuple(
                Constant(plain(n), v)
                for n, v in self.names.constants.items()
                if plain(n) in constants
            ),
            equations=tuple(named),
            outputs=tuple(map(plain, outputs)),
            sums=tuple(sums),
        )

    def _kept(self, named: Sequence[Named], needed: Collection[Value]) -> list[Named]:
        """The equations without those that only what is repeated once less would not need: as
        others of their family are needed, or they are read in what is repeated 0 times."""
        written = [target_of(equation) for _, equation in self.found.equations if not equation.sum]
        pairs = list(zip(written, named, strict=True))
        families = {base(n) for n, e in pairs if n != base(n) and e.value in needed}
        spared = families | self.found.text.unread
        return [e for n, e in pairs if e.value in needed or base(n) not in spared]

    def _check_inits(self, leaves: Iterable[Value]) -> None:
        vectors = {v.name for v in leaves if v.op == "parameter" and len(v.shape) == 1}
        bases = {base(n) for n in self.names.inits if n != base(n) and plain(n) in vectors}
        for name in self.names.inits:
            if plain(name) not in vectors and base(name) not in bases | self.found.text.unread:
                raise CellError(
                    f"{name} is no learned vector",
                    "init gives a learned vector its initial value: a name with a small first "
                    f"letter that no equation sets. {self._those_of(vectors)}",
                    self.names.inits_at[name],
                )

    def _those_of(self, vectors: Collection[str]) -> str:
        """Learned vectors as they are written: gains of `norm` are not."""
        read = (names_in(equation.expression) for _, equation in self.found.equations)
        known = list(dict.fromkeys(n for names in read for n, _ in names if plain(n) in vectors))
        if not known:
            return "There is none here."
        return f"Here {'it is' if len(known) == 1 else 'they are'} {', '.join(known)}."

    def _check_sizes(self, leaves: Iterable[Value]) -> None:
        """Refuse a size that is named, and that nothing has whose size a layer knows."""
        has = {self.found.state_size(n) for n in self._states()}
        has |= {s for shape in self.names.inputs.values() for s in shape}
        has |= {s for v in leaves if v.op in ("input", "parameter") for s in v.shape}
        for name, place in self.found.sizes_at.items():
            if self.found.final_size(name) not in has:
                raise CellError(
                    f"nothing here has the size {name}",
                    "Write H for the size of the states, or I where x is read for the size of x.",
                    place,
                )

    def _states(self) -> list[str]:
        """Declared states as declared; else `h` first, then in the order of their equations."""
        found = dict.fromkeys(self.names.updated)
        order = (*self.names.states, "h", *found)
        return list(dict.fromkeys(n for n in order if n in found))

    def _outputs(self, default: bool) -> Iterator[str]:
        """Equations by name; where no line says and there is to be one, that of a state."""
        found = self.names.updated
        if default and found and not self.names.outputs:
            yield prime("h" if "h" in found else found[0])
        for node, place in self.names.outputs:
            name = spelled(node)
            if isinstance(node, s.Name) and prime(name) in self.values:
                raise CellError(
                    f"{name} is the state of the step before",
                    f"Write output {prime(name)} for its new value.",
                    place,
                )
            if name not in self.values:
                raise CellError(
                    f"the output {name} is no equation", "Name one, for example h'.", place
                )
            yield name

    # --- expressions --------------------------------------------------------------------------

    def _build(self, e: s.Expression) -> Value:
        match e:
            case s.Number():
                return number(e.value)
            case s.Name():
                return self._leaf(e.name)
            case s.New():
                return self.values[prime(e.name)]
            case s.Matrix():
                m = parameter(plain(e.name), self.found.shape(e.name))
                return m.T if e.transposed else m
            case s.Apply():
                return self._build(e.matrix) @ self._build(e.argument)
            case s.Negative():
                return -self._build(e.argument)
            case s.Binary():
                op = {"+": "add", "-": "sub", "*": "mul", "/": "div"}[e.operator]
                return build(op, self._build(e.left), self._build(e.right))
            case s.Call():
                return self._build_call(e)
        raise AssertionError(e)

    def _leaf(self, name: str) -> Value:
        if name in self.values:
            return self.values[name]
        if name in self.names.constants:
            return constant(plain(name))
        if prime(name) in self.names.places:
            return state(plain(name), self.found.state_size(name))
        if name in self.names.inputs or (name == "x" and not self.names.inputs):
            return input_(plain(name), self.found.shape(name))
        return parameter(plain(name), self.found.shape(name))

    def _build_call(self, e: s.Call) -> Value:
        name = e.function.name
        if name in ("size", "spread"):
            *rest, last = e.arguments
            assert isinstance(last, s.Matrix)
            size = self.found.final_size(last.name)
            return spread(self._build(rest[0]), size) if rest else size_of(size)
        arguments = [self._build(a) for a in e.arguments]
        if name == "norm":
            gain = self.found.gains[id(e)]
            return parameter(gain, self.found.shape(gain)) * build("standardize", *arguments)
        return build(FUNCTIONS.get(name, name), *arguments)
