"""Lowering: a Program's values in the few forms that an engine has.

What reduces over units becomes sums and elementwise work. The matrix products in a sum become one
value, `products(m1, v1, m2, v2, …)` = m1 v1 + m2 v2 + …, which an engine adds up in registers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import chain

from cellwright.program.ops import EPSILON, Value, build, size_of, spread, topological

__all__ = ["addends", "join", "reduce", "terms"]


def rebuilt(v: Value, args: Sequence[Value]) -> Value:
    """`v` with other arguments."""
    if not v.args:
        return v
    return spread(args[0], *v.shape) if v.op == "spread" else build(v.op, *args)


# --- reductions ---------------------------------------------------------------------------------


def reduce(values: Iterable[Value]) -> dict[Value, Value]:
    """Each value with `sum` as the only operation that reduces over units."""
    done: dict[Value, Value] = {}
    for v in values:
        args = [done[a] for a in v.args]
        if v.op in _REDUCTIONS:
            done[v] = _REDUCTIONS[v.op](args[0])
        elif v.op == "sum" and args[0].shape == ():
            done[v] = args[0]
        else:
            done[v] = rebuilt(v, args)
    return done


def _mean(x: Value) -> Value:
    return build("sum", x) / size_of(*x.shape)


def _deviation(x: Value) -> Value:
    centred = x - _mean(x)
    return build("sqrt", _mean(centred * centred) + EPSILON)


def _standardize(x: Value) -> Value:
    return (x - _mean(x)) / _deviation(x)


_REDUCTIONS = {"mean": _mean, "deviation": _deviation, "standardize": _standardize}


# --- products -----------------------------------------------------------------------------------


def join(roots: Sequence[Value], when: Callable[[Value], Hashable]) -> dict[Value, Value]:
    """Each value below `roots` with matrix products as `products`, where `when` is not None.

    Those that are added up and used nowhere else are one, where `when` is the same for them.
    """
    values = topological(roots)
    uses = Counter(a for v in values for a in v.args) + Counter(roots)
    inner = {
        a
        for v in values
        if v.op == "add"
        for a in v.args
        if a.op == "add" and uses[a] == 1 and len(a.shape) == 1
    }
    done: dict[Value, Value] = {}
    for v in values:
        if v in inner:
            continue
        if v.op == "add" and len(v.shape) == 1:
            groups: dict[Hashable, list[Value]] = {}
            rest: list[Value] = []
            for t in chain.from_iterable(addends(a, inner.__contains__) for a in v.args):
                if t.op == "apply" and uses[t] == 1 and (key := when(t)) is not None:
                    groups.setdefault(key, []).append(t)
                else:
                    rest.append(done[t])
            rest += [_products(group, done) for group in groups.values()]
            total = rest[0]
            for t in rest[1:]:
                total = total + t
            done[v] = total if total.shape == v.shape else spread(total, *v.shape)
        elif v.op == "apply" and when(v) is not None:
            done[v] = _products([v], done)
        else:
            done[v] = rebuilt(v, [done[a] for a in v.args])
    return done


def addends(
    total: Value, opened: Callable[[Value], bool] = lambda v: v.op == "add"
) -> Iterator[Value]:
    """The terms of a sum, from left to right, one that repeats as often as it does.

    `opened` says of which values the arguments are terms.
    """
    stack = [total]
    while stack:
        top = stack.pop()
        if opened(top):
            stack.extend(reversed(top.args))
        else:
            yield top


def _products(applies: Sequence[Value], done: dict[Value, Value]) -> Value:
    arguments = tuple(done[a] for v in applies for a in v.args)
    return Value("products", arguments, applies[0].shape)


def terms(products: Value) -> list[tuple[Value, Value]]:
    """The matrices of a `products` value with what each is applied to."""
    return list(zip(products.args[::2], products.args[1::2], strict=True))
