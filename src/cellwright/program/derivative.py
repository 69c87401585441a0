"""The backward pass of a Program is a Program.

Let a forward step read stream x and state s and give stream y and the new state s'. Its backward
step runs with time reversed. It has a state `d_s`, the gradient of the loss by the state between
two steps; it reads the gradient of y, and those values of the forward step that the derivative
rules mention; it gives the gradient of x, sums up the gradients of the parameters, and leaves in
`d_s` the gradient by the state one step earlier. So the gradient by the final state is where it
starts from, and the gradient by the initial state is where it ends.

A sum over steps is an output too: the gradient by a sum is the same in every step, that is, a
parameter of the backward program. With that, Programs are closed under differentiation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cellwright.program.legality import check
from cellwright.program.ops import (
    TABLE,
    Shape,
    Value,
    build,
    constant,
    fit,
    input_,
    number,
    parameter,
    sizes_in,
    spread,
    state,
    substitute,
    topological,
)
from cellwright.program.program import Named, Parameter, Program, prime
from cellwright.program.residuals import residuals
from cellwright.program.sharing import Fresh, shared

__all__ = ["Derivative", "derivative"]


@dataclass(frozen=True)
class Derivative:
    """A forward program that saves what its backward program reads, and that backward program."""

    forward: Program
    """The differentiated program with more streams out: the values to be saved."""
    backward: Program
    """Streams in: the gradient of each output of the differentiated program, in order; then its
    `saved_inputs`; then the streams that `forward` gives on top. States: the gradients of its
    states, in order. Parameters: its own, and the gradients `by_sums`, where backward reads them.
    Streams out: the gradients of its streams in that it is differentiated by, in order. Sums: the
    gradients of its parameters, in order."""
    saved_inputs: tuple[str, ...]
    """The streams in of the differentiated program that backward takes again: what it reads, and
    what it would not know a size without."""
    by_sums: tuple[str, ...]
    """The parameters of backward that stand for the gradients of the program's sums, in order."""


class _Gradients:
    """The gradient of each value of one step, collected from what uses it."""

    def __init__(self) -> None:
        self._of: dict[Value, Value] = {}

    def add(self, v: Value, gradient: Value) -> None:
        gradient = fit(gradient, v.shape)
        self._of[v] = self._of[v] + gradient if v in self._of else gradient

    def of(self, v: Value) -> Value:
        """The gradient; zeros where nothing depends on `v`."""
        return self._of.get(v) or _zeros(v.shape)

    def items(self) -> Iterable[tuple[Value, Value]]:
        return self._of.items()

    def propagate(self, values: Sequence[Value]) -> None:
        """From results to arguments; `values` has arguments before what uses them."""
        for v in reversed(values):
            if v in self._of and v.op in TABLE:
                rule = TABLE[v.op].derivative
                for argument, part in zip(v.args, rule(self._of[v], v, *v.args), strict=True):
                    if part is not None and argument.op not in ("number", "size", "constant"):
                        self.add(argument, part)


def _zeros(shape: Shape) -> Value:
    zero = number(0)
    if len(shape) == 2:
        return build("outer", spread(zero, shape[0]), spread(zero, shape[1]))
    return spread(zero, *shape) if shape else zero


@lru_cache(maxsize=1024)
def derivative(p: Program, by: tuple[int, ...] | None = None) -> Derivative:
    """The derivative of `p` by its initial states, its parameters, and those of its streams in that
    `by` tells, or all of them: nothing is computed or saved for one that needs no gradient."""
    fresh = Fresh([q.name for q in p.parameters] + [c.name for c in p.constants])
    outputs = [input_(fresh(f"g_{_plain(o)}"), p.named[o].shape) for o in p.outputs]
    states = [state(fresh(f"d_{s.name}"), *s.shape) for s in p.states]
    totals = [
        parameter(fresh(f"{'G' if len(t.value.shape) == 2 else 'g'}_{t.name}"), t.value.shape)
        for t in p.sums
    ]

    streams_by = p.inputs if by is None else tuple(p.inputs[i] for i in by)
    gradients = _Gradients()
    for o, g in zip(p.outputs, outputs, strict=True):
        gradients.add(p.named[o], g)
    for s, g in zip(p.states, states, strict=True):
        gradients.add(p.next(s), g)
    for t, g in zip(p.sums, totals, strict=True):
        gradients.add(t.value, g)
    gradients.propagate(p.values)
    wanted = [gradients.of(v) for v in (*streams_by, *p.states)]
    wanted += [gradients.of(q.value) for q in p.parameters]

    given = {s for v in (*outputs, *states) for s in v.shape}
    read, met, unknown = _read(p, wanted, given)
    if lost := unknown - {s for v in (*p.inputs, *met) for s in v.shape}:
        wanted = _telling(p, wanted, read, met, lost)
        read, met, unknown = _read(p, wanted, given)
    again = [v for v in p.inputs if v in met or unknown & set(v.shape)]
    saved = [v for v in met if v not in again]
    hints = {v: _hint(p, v) for v in saved}
    streams = {v: input_(fresh(v.name), v.shape) for v in again}
    streams |= {v: input_(fresh(hints[v]), v.shape) for v in saved}
    renamed = substitute(wanted, streams)
    results = [renamed[w] for w in wanted]
    n, m = len(streams_by), len(states)
    by_input, by_state, by_parameter = results[:n], results[n : n + m], results[n + m :]

    names = _gradient_names(p)
    telling = {renamed[g]: names[v] for v, g in gradients.items() if g in renamed and v in names}
    named = shared(results, fresh, telling)
    streams_out = [
        Named(fresh(f"d_{v.name}"), g) for v, g in zip(streams_by, by_input, strict=True)
    ]
    next_states = [Named(prime(s.name), g) for s, g in zip(states, by_state, strict=True)]
    sums = [Named(fresh(f"d_{q.name}"), g) for q, g in zip(p.parameters, by_parameter, strict=True)]
    leaves = topological(results)
    backward = Program(
        inputs=(*outputs, *streams.values()),
        states=tuple(states),
        parameters=_parameters((*sums, *named, *streams_out, *next_states)),
        constants=tuple(c for c in p.constants if constant(c.name) in leaves),
        equations=(*named, *streams_out, *next_states),
        outputs=tuple(e.name for e in streams_out),
        sums=tuple(sums),
    )
    return Derivative(
        forward=check(_with_outputs(p, hints), "derivative (forward)"),
        backward=check(backward, "derivative (backward)"),
        saved_inputs=tuple(v.name for v in again),
        by_sums=tuple(g.name for g in totals),
    )


def _read(
    p: Program, wanted: Sequence[Value], given: set[str]
) -> tuple[list[Value], list[Value], set[str]]:
    """All that the backward step computes; of that, what it is given of the forward step; and the
    sizes that neither gradients, which have those `given`, nor parameters tell."""
    # What a rule mentions of the forward step and changes from step to step comes as a stream.
    met = [v for v in topological(wanted, stop=p.stepped.__contains__) if v in p.stepped]
    kept = set(residuals(met, p.stepped))
    read = list(topological(wanted, stop=lambda v: v in kept or v.op == "input"))
    met = [v for v in read if v in kept or (v.op == "input" and v in p.inputs)]
    told = {s for v in read if v.op == "parameter" for s in v.shape}
    return read, met, {s for v in read for s in sizes_in(v)} - given - told


def _telling(
    p: Program,
    wanted: Sequence[Value],
    read: Iterable[Value],
    met: Iterable[Value],
    lost: Iterable[str],
) -> list[Value]:
    """The same values, of which one looks at a parameter for each size that nothing else tells: the
    gradient by a vector whose units are added up mentions nothing of that vector."""
    new: dict[Value, Value] = {}
    for size in lost:
        v = next(v for v in read if v.op in ("spread", "size") and size in sizes_in(v))
        has = next(q.value for q in p.parameters if size in q.shape)
        if len(has.shape) == 2:
            m = has if has.shape[0] == size else has.T
            has = m @ spread(number(0), m.shape[1])
        has = build("sum", has) if v.op == "size" else has
        new[v] = build("where", number(0), has, v)
    done = substitute(wanted, {**{v: v for v in met}, **new})
    return [done[v] for v in wanted]


def _parameters(equations: Iterable[Named]) -> tuple[Parameter, ...]:
    """The parameters that the equations read, in the order of their first appearance."""
    return tuple(
        Parameter(v) for v in topological(e.value for e in equations) if v.op == "parameter"
    )


def _with_outputs(p: Program, names: Mapping[Value, str]) -> Program:
    """`p` with more streams out; a value without an equation gets one, of the name given."""
    fresh = Fresh(p.names)
    by_value = {e.value: e.name for e in reversed(p.equations)}
    added = tuple(Named(fresh(n), v) for v, n in names.items() if v not in by_value)
    by_value |= {e.value: e.name for e in added}
    # A stream that is an output already is given again: streams out stay in step with `names`.
    outputs = (*p.outputs, *(by_value[v] for v in names))
    return replace(p, equations=(*p.equations, *added), outputs=outputs)


def _hint(p: Program, v: Value) -> str:
    """A telling name for a value that is saved."""
    for e in p.equations:
        if e.value is v:
            return _plain(e.name)
    if v.op == "state":
        return f"{v.name}_old"
    if len(v.args) == 1 and v.args[0] in p.named.values():
        return f"{v.op}_{_hint(p, v.args[0])}"
    return "v"


def _plain(equation: str) -> str:
    """An equation's name where no prime may stand."""
    return equation.replace("'", "_new")


def _gradient_names(p: Program) -> dict[Value, str]:
    """`d_i` is the gradient by the value i; `delta_i` that by what i's function is applied to."""
    found: dict[Value, str] = {}
    for e in p.equations:
        found.setdefault(e.value, f"d_{_plain(e.name)}")
        if len(e.value.args) == 1:
            found.setdefault(e.value.args[0], f"delta_{_plain(e.name)}")
    return found
