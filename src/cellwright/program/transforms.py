"""Program to Program: variations that hold for every cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cellwright.errors import CellwrightError
from cellwright.program.legality import check
from cellwright.program.ops import (
    Value,
    constant,
    number,
    parameter,
    spread,
    state,
    substitute,
    topological,
)
from cellwright.program.program import Named, Parameter, Program, prime

__all__ = ["biases", "project", "watch", "with_outputs", "without_biases"]


def with_outputs(p: Program, outputs: Iterable[str]) -> Program:
    """The same step with other streams out; equations that nothing wants any more are dropped."""
    outputs = tuple(outputs)
    wanted = {p.named[o] for o in outputs} | {p.next(s) for s in p.states}
    needed = set(topological([*wanted, *(s.value for s in p.sums)]))
    equations = tuple(
        e
        for e in p.equations
        if e.value in needed and (e.name in outputs or e.name.endswith("'") or e.value.args)
    )
    return _pruned(replace(p, equations=equations, outputs=outputs), "with_outputs")


def watch(p: Program) -> Program:
    """The same step with every named vector as a stream out."""
    named = tuple(e.name for e in p.equations if e.value.shape != ())
    return check(replace(p, outputs=named), "watch")


def biases(p: Program) -> tuple[Parameter, ...]:
    """The learned vectors that are only ever added: what `bias=False` leaves out."""
    multiplied: set[Value] = {e.value for e in p.equations} | {s.value for s in p.sums}
    for v in p.values:
        if v.op not in ("add", "sub"):
            multiplied.update(v.args)
    return tuple(q for q in p.parameters if len(q.shape) == 1 and q.value not in multiplied)


def without_biases(p: Program) -> Program:
    """The same step with every bias zero, and left out of the equations."""
    zero = {q.value for q in biases(p)}
    done: dict[Value, Value] = {}
    for v in p.values:
        if v.op in ("add", "sub") and zero & set(v.args) and not zero >= set(v.args):
            keep = next(a for a in v.args if a not in zero)
            negative = v.op == "sub" and v.args[0] in zero
            kept = substitute([keep], done)[keep]
            done[v] = -kept if negative else kept
        elif v in zero:
            done[v] = spread(number(0), *v.shape)
        else:
            done[v] = substitute([v], done)[v]
    return _rebuilt(p, done, "without_biases")


def project(p: Program) -> Program:
    """The same step with its output state multiplied by a matrix `(P, H)`: LSTMP.

    Sak, Senior, Beaufays (2014), arXiv 1402.1128, and `proj_size` of `torch.nn.LSTM`.

    Raises CellwrightError where the output is no state, or is read other than through matrices.
    """
    output = p.outputs[0]
    old = next((s for s in p.states if prime(s.name) == output), None)
    if old is None:
        raise CellwrightError(
            f"proj_size: the output {output} is no state, so there is no "
            "recurrent projection; put a torch.nn.Linear after the layer"
        )
    new = state(old.name, "P")
    value = p.next(old)
    for v in p.values:
        for i, a in enumerate(v.args):
            if a is value or (a is old and not (v.op == "apply" and i == 1)):
                raise CellwrightError(
                    f"proj_size: {old.name} is used elementwise, so it cannot have another size "
                    "than the hidden state; put a torch.nn.Linear after the layer"
                )
    applied = {v.args[0] for v in p.values if v.op == "apply" and v.args[1] is old}
    other = {v.args[0] for v in p.values if v.op == "apply" and v.args[1] is not old}
    if applied & other or any(m.op != "parameter" for m in applied):
        raise CellwrightError(f"proj_size: a matrix applied to {old.name} is used elsewhere too")
    taken = {q.name for q in p.parameters}
    name = next(
        n for n in ("W_hr", *(f"W_hr_{i}" for i in range(2, len(taken) + 3))) if n not in taken
    )
    swap = {old: new, **{m: parameter(m.name, (m.shape[0], "P")) for m in applied}}
    done: dict[Value, Value] = dict(swap)
    for v in p.values:
        if v not in done:
            done[v] = substitute([v], done)[v]
    done[value] = parameter(name, ("P", "H")) @ done[value]
    return _rebuilt(p, done, "project")


def _rebuilt(p: Program, done: Mapping[Value, Value], after: str) -> Program:
    """`p` with its values exchanged."""
    return _pruned(
        replace(
            p,
            inputs=tuple(done.get(v, v) for v in p.inputs),
            states=tuple(done.get(v, v) for v in p.states),
            equations=tuple(Named(e.name, done[e.value]) for e in p.equations),
        ),
        after,
    )


def _pruned(p: Program, after: str) -> Program:
    """`p` with the parameters and constants that its values have."""
    inits = {q.name: q.init for q in p.parameters}
    return check(
        replace(
            p,
            parameters=tuple(
                Parameter(v, inits.get(v.name)) for v in p.values if v.op == "parameter"
            ),
            constants=tuple(c for c in p.constants if constant(c.name) in p.values),
        ),
        after,
    )
