"""Program to Program: variations that hold for every cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

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
from cellwright.program.sharing import Fresh, shared

__all__ = [
    "alike",
    "biases",
    "project",
    "rebuilt",
    "rewritten",
    "spelled_out",
    "watch",
    "with_outputs",
    "without_biases",
]


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
    """The same step with every named value as a stream out."""
    return check(replace(p, outputs=tuple(e.name for e in p.equations)), "watch")


def spelled_out(p: Program) -> Program:
    """The same step with more equations: its text grows with its values, not with their uses.

    Parameters may come in another order.
    """
    added = shared(p.roots, Fresh(p.names), named={e.value for e in p.equations})
    at = {v: i for i, v in enumerate(p.values)}
    equations = sorted((*p.equations, *added), key=lambda e: at[e.value])
    return _pruned(replace(p, equations=tuple(equations)), "spelled_out")


def alike(p: Program, q: Program) -> bool:
    """Whether two programs compute the same, parameters in the same order, whatever the names and
    initial values in them."""
    return _anonymous(p) == _anonymous(q)


def _anonymous(p: Program) -> tuple[Value, ...]:
    """The outputs, new states and sums with arguments numbered, not named."""
    numbered = {v: Value(v.op, shape=v.shape, attr=str(i)) for i, v in enumerate(p.arguments)}
    numbered |= {constant(c.name): number(c.default) for c in p.constants}
    wanted = [p.named[o] for o in p.outputs] + [p.next(s) for s in p.states]
    wanted += [t.value for t in p.sums]
    done = substitute(wanted, numbered)
    return tuple(done[v] for v in wanted)


def biases(p: Program) -> tuple[Parameter, ...]:
    """The learned vectors that are only ever added: what `bias=False` leaves out. Those are none
    that alone have a size, without which nothing would be known of it."""
    multiplied: set[Value] = {e.value for e in p.equations} | {s.value for s in p.sums}
    for v in p.values:
        if v.op not in ("add", "sub"):
            multiplied.update(v.args)
    added = [q for q in p.parameters if len(q.shape) == 1 and q.value not in multiplied]
    values = {q.value for q in added}
    known = {s for v in p.arguments if v not in values for s in v.shape}
    return tuple(q for q in added if q.shape[0] in known)


def without_biases(p: Program) -> Program:
    """The same step with every bias zero, and left out of the equations."""
    zero = {q.value for q in biases(p)}
    done: dict[Value, Value] = {}
    for v in p.values:
        if v.op in ("add", "sub") and zero >= set(v.args):
            zero.add(v)
        if v in zero:
            done[v] = spread(number(0), *v.shape)
        elif v.op in ("add", "sub") and zero & set(v.args):
            [kept] = [a for a in v.args if a not in zero]
            value = -done[kept] if v.op == "sub" and kept is v.args[1] else done[kept]
            done[v] = value if value.shape == v.shape else spread(value, *v.shape)
        else:
            done[v] = substitute([v], done)[v]
    return rebuilt(p, done, {e.name: done[e.value] for e in p.equations}, "without_biases")


def project(p: Program) -> Program:
    """The same step with its output state multiplied by a learned matrix `(P, H)`: LSTMP.

    Sak, Senior, Beaufays (2014), arXiv 1402.1128, and `proj_size` of `torch.nn.LSTM`.

    Raises CellwrightError where the output is no state, or is read other than through matrices.
    """
    output = p.outputs[0]
    old = next((s for s in p.states if prime(s.name) == output), None)
    if old is None:
        raise _no_projection(f"the output {output} is no state, so nothing recurrent is projected")
    value = p.next(old)
    applied = {v.args[0] for v in p.values if v.op == "apply" and v.args[1] is old}
    for v in p.values:
        through = v.op == "apply" and v.args[1] is old
        if old in v.args and not through:
            raise _no_projection(
                f"{old.name} is used elementwise, so it cannot have another size than the rest"
            )
        if value in v.args:
            raise _no_projection(
                f"the value of {output} is read in the same step, before it is projected"
            )
        if through and v.args[0].op == "transpose":
            raise _no_projection(f"{old.name} is read through a transposed matrix")
        if applied & set(v.args) and not through:
            matrix = next(a for a in v.args if a in applied)
            raise _no_projection(
                f"{matrix.name} is applied to {old.name} and to something of the hidden size too"
            )
    if old in (e.value for e in p.equations):
        raise _no_projection(f"{old.name} is given another name, or handed on to another state")
    name = Fresh(p.names)("W_hr")
    done: dict[Value, Value] = {old: state(old.name, "P")}
    done |= {m: parameter(m.name, (m.shape[0], "P")) for m in applied}
    done = rewritten(p, lambda _, new: new, done)
    equations = {e.name: done[e.value] for e in p.equations}
    equations[output] = parameter(name, ("P", *old.shape)) @ equations[output]
    return rebuilt(p, done, equations, "project")


def _no_projection(why: str) -> CellwrightError:
    return CellwrightError(f"proj_size: {why}; put a torch.nn.Linear after the layer instead")


def rewritten(
    p: Program,
    change: Callable[[Value, Value], Value],
    leaves: Mapping[Value, Value] = MappingProxyType({}),
) -> dict[Value, Value]:
    """What becomes of every value: `change` is given it as it was, and built of what has become of
    its arguments. `leaves` are exchanged before."""
    done = dict(leaves)
    for v in p.values:
        if v not in done:
            done[v] = change(v, substitute([v], done)[v])
    return done


def rebuilt(
    p: Program, done: Mapping[Value, Value], equations: Mapping[str, Value], after: str
) -> Program:
    """`p` with its leaves exchanged, and the value of each equation."""
    return _pruned(
        replace(
            p,
            inputs=tuple(done.get(v, v) for v in p.inputs),
            states=tuple(done.get(v, v) for v in p.states),
            equations=tuple(Named(e.name, equations[e.name]) for e in p.equations),
            sums=tuple(Named(t.name, done[t.value]) for t in p.sums),
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
