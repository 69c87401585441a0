"""Program to Program: variations that papers made of one cell, for every cell.

What is random in one comes as streams in, behind those that there are: masks, drawn by whoever runs
the program. Where several are wanted, they are applied in the order in which they stand here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cellwright.errors import CellwrightError
from cellwright.program.memory import FUNCTIONS, carriers, written
from cellwright.program.ops import (
    Value,
    build,
    constant,
    input_,
    parameter,
    topological,
)
from cellwright.program.program import Constant, Parameter, Program, prime
from cellwright.program.sharing import Fresh
from cellwright.program.transforms import rebuilt, rewritten

__all__ = ["drop_states", "drop_updates", "initial", "layer_norm", "restart", "zoneout"]


def layer_norm(p: Program) -> Program:
    """Every product of a matrix with a vector is standardized, and multiplied by a learned gain.

    Ba, Kiros, Hinton (2016), arXiv 1607.06450. A matrix that is applied to several vectors has one
    gain. A product that the cell normalises itself is left alone, and so are biases, which are
    added behind.
    """
    own = _standardized(p)
    fresh = Fresh(p.names)
    gains: dict[Value, Value] = {}

    def normalised(v: Value, new: Value) -> Value:
        if v.op != "apply" or v in own:
            return new
        m = v.args[0]
        if m not in gains:
            name = m.args[0].name + "_T" if m.op == "transpose" else m.name
            gains[m] = parameter(fresh(f"gain_{name}"), v.shape)
        return gains[m] * build("standardize", new)

    done = rewritten(p, normalised)
    q = replace(p, parameters=(*p.parameters, *(Parameter(g, 1.0) for g in gains.values())))
    return rebuilt(q, done, {e.name: done[e.value] for e in p.equations}, "layer_norm")


def _standardized(p: Program) -> set[Value]:
    """The products that are read by nothing but a `standardize`."""
    readers: dict[Value, set[str]] = {p.named[o]: {"output"} for o in p.outputs}
    for s in p.states:
        readers.setdefault(p.next(s), set()).add("state")
    for v in p.values:
        for a in v.args:
            readers.setdefault(a, set()).add(v.op)
    return {v for v, ops in readers.items() if v.op == "apply" and ops == {"standardize"}}


# --- dropout ------------------------------------------------------------------------------------


def drop_updates(p: Program) -> Program:
    """What is written to a memory is multiplied by a mask, what it keeps never.

    Semeniuta, Severyn, Barth (2016), arXiv 1603.05118: `c' = f * c + m * (i * z)`, and for the GRU
    `h' = z * h + m * ((1 - z) * n)`. For any cell: of a new value, seen as a sum, those terms that
    do not have the old value as a factor. A state that something is divided by is left alone, so
    that of a weighted mean the values are dropped, and not their weights, which may not be 0. There
    is one mask a size: a unit is written to in all its states or in none. Where no state has such a
    term, as in a simple recurrent network, masks are those of `drop_states`.

    Raises CellwrightError where a state is not read by matrices either.
    """
    at = written(p)
    if not at:
        return drop_states(p)
    fresh = Fresh(p.names)
    shapes = dict.fromkeys(v.shape for v in at)
    masks = {shape: input_(fresh("keep"), shape) for shape in shapes}

    def dropped(v: Value, new: Value) -> Value:
        at_v = at.get(v, ())
        args = [masks[v.shape] * a if i in at_v else a for i, a in enumerate(new.args)]
        return build(v.op, *args) if at_v else new

    return _with_streams(p, rewritten(p, dropped), masks.values(), "drop_updates")


def drop_states(p: Program) -> Program:
    """A state is multiplied by a mask wherever matrices read it: one mask a state.

    With the same mask in every step, it is the variational dropout of Gal, Ghahramani (2016), arXiv
    1512.05287. A matrix reads a state where it is applied to it, to a product of it, as in
    `R (r * h)`, or to its new value; under functions too, as in `R tanh(h)`, where none reads it
    without.

    Raises CellwrightError where no matrix reads a state.
    """
    needed = topological(p.next(s) for s in p.states)
    products = [v for v in needed if v.op == "apply"]
    read: dict[Value, Value] = {}
    for under in ((), FUNCTIONS):
        on = {s: carriers(p, s, under) for s in p.states}
        for v in products:
            of = next((s for s in p.states if v.args[1] in on[s]), None)
            if of is not None and v.args[1].shape == of.shape:
                read[v] = of
        if read:
            break
    else:
        raise CellwrightError("no matrix reads a state, so there is nothing that could be dropped")
    fresh = Fresh(p.names)
    masks = {s: input_(fresh(f"keep_{s.name}"), s.shape) for s in p.states if s in read.values()}

    def dropped(v: Value, new: Value) -> Value:
        return new.args[0] @ (masks[read[v]] * new.args[1]) if v in read else new

    return _with_streams(p, rewritten(p, dropped), masks.values(), "drop_states")


# --- states -------------------------------------------------------------------------------------


def zoneout(p: Program, rates: Mapping[str, float], drawn: bool) -> Program:
    """Each unit of a state keeps its old value with a probability, given by the state's name.

    Krueger et al. (2017), arXiv 1606.01305. `drawn`: by masks, one a state, that are 1 where it
    does; else it is what is expected of it. As in the paper, what reads a new value in the same
    step reads it as it was to be, and what goes on to the next step, and out, is the state.
    """
    fresh = Fresh(p.names)
    equations = dict(p.named)
    masks: list[Value] = []
    constants: list[Constant] = []
    for name, rate in rates.items():
        s = next(s for s in p.states if s.name == name)
        if drawn:
            m = input_(fresh(f"zone_{name}"), s.shape)
            masks.append(m)
        else:
            constants.append(Constant(fresh(f"zone_{name}"), rate))
            m = constant(constants[-1].name)
        equations[prime(name)] = m * s + (1 - m) * p.next(s)
    q = replace(p, inputs=(*p.inputs, *masks), constants=(*p.constants, *constants))
    return rebuilt(q, {v: v for v in p.values}, equations, "zoneout")


def restart(p: Program) -> Program:
    """States begin anew, from learned vectors, in steps in which a stream of one number is above 0.

    The stream is the last one in; the vectors are named in `initial`.
    """
    fresh = Fresh(p.names)
    again = input_(fresh("restart"), ())
    names = initial(p)
    start = {s: parameter(names[s.name], s.shape) for s in p.states}
    begun = {s: build("where", again, v, s) for s, v in start.items()}
    done = rewritten(p, lambda _, new: new, begun)
    return _with_streams(p, done, [again], "restart")


def initial(p: Program) -> dict[str, str]:
    """Names for learned initial values, by the state."""
    fresh = Fresh(p.names)
    return {s.name: fresh(f"initial_{s.name}") for s in p.states}


def _with_streams(
    p: Program, done: Mapping[Value, Value], streams: Iterable[Value], after: str
) -> Program:
    q = replace(p, inputs=(*p.inputs, *streams))
    inside = {v: w for v, w in done.items() if v not in p.states}
    return rebuilt(q, inside, {e.name: done[e.value] for e in p.equations}, after)
