"""The table of operations, row by row against torch, and what Values promise."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from cellwright.backends import reference
from cellwright.language import program as read
from cellwright.program import ops
from cellwright.program.derivative import derivative
from cellwright.program.ops import (
    LEAVES,
    TABLE,
    Operation,
    ShapeError,
    Value,
    build,
    constant,
    fit,
    input_,
    number,
    parameter,
    size_of,
    spread,
    state,
    substitute,
    topological,
)
from cellwright.program.program import Named, Parameter, Program

SIZES = {"H": 5, "I": 3}
H, I = ("H",), ("I",)  # noqa: E741
# Arguments of the operations that are not elementwise.
SHAPES: dict[str, tuple[tuple[str, ...], ...]] = {
    "apply": (("H", "I"), I),
    "outer": (H, I),
    "spread": ((),),
    "mean": (H,),
    "deviation": (H,),
    "standardize": (H,),
}
POSITIVE = {"log", "sqrt"}
POINTS = torch.tensor([-2.5, -0.7, 0.3, 1.1, 2.9], dtype=torch.float64)


# --- derivatives --------------------------------------------------------------------------------


def evaluate(wanted: Sequence[Value], given: dict[Value, Tensor]) -> list[Tensor]:
    """Each value by the reference backend, on one sequence of one step.

    Matrices are parameters, all else comes in as streams. A matrix is the sum over that one step.
    """
    inputs = [v for v in given if len(v.shape) < 2]
    streams = [Named(f"y_{i}", v) for i, v in enumerate(wanted) if len(v.shape) < 2]
    sums = [Named(f"s_{i}", v) for i, v in enumerate(wanted) if len(v.shape) == 2]
    keep = state("keep", "H")
    everything = topological([e.value for e in (*sums, *streams)])
    p = Program(
        inputs=tuple(input_(v.name, v.shape) for v in inputs),
        states=(keep,),
        parameters=tuple(Parameter(v) for v in everything if v.op == "parameter"),
        constants=(),
        equations=(*streams, Named("keep'", keep)),
        outputs=tuple(e.name for e in streams),
        sums=tuple(sums),
    )
    result = reference.run(
        p,
        [given[v].reshape(1, 1, -1) for v in inputs],
        [torch.zeros(1, SIZES["H"], dtype=torch.float64)],
        [given[q.value] for q in p.parameters],
    )
    found = [
        y.reshape([SIZES[s] for s in e.value.shape])
        for y, e in zip(result.outputs, streams, strict=True)
    ]
    by_name = dict(zip((e.name for e in (*streams, *sums)), [*found, *result.sums], strict=True))
    return [by_name[f"{'s' if len(v.shape) == 2 else 'y'}_{i}"] for i, v in enumerate(wanted)]


def leaf(name: str, shape: tuple[str, ...]) -> Value:
    return parameter(name, shape) if len(shape) == 2 else input_(name, shape)


def derivative_error(
    row: Operation, shapes: Sequence[tuple[str, ...]], values: list[Tensor]
) -> float:
    """The largest difference between the row's derivative and autograd's, for random `g`."""
    args = [leaf(f"a_{i}", s) for i, s in enumerate(shapes)]
    y = spread(args[0], "H") if row.name == "spread" else build(row.name, *args)
    g = leaf("g", y.shape)
    tensors = [v.clone().requires_grad_() for v in values]
    expected_y = row.torch(torch, *tensors)
    if row.name == "spread":
        expected_y = expected_y.expand(SIZES["H"])
    if y.shape == ():
        expected_y = expected_y.reshape(())
    seed = torch.linspace(-1.3, 1.7, max(1, expected_y.numel()), dtype=torch.float64)
    seed = seed.reshape(expected_y.shape)
    expected = (
        torch.autograd.grad(expected_y, tensors, seed, allow_unused=True)
        if expected_y.requires_grad
        else [None] * len(tensors)
    )
    parts = row.derivative(g, y, *args)
    assert len(parts) == len(args)
    given = dict(zip([*args, g], [*values, seed], strict=True))
    present = [(fit(p, a.shape), e) for p, a, e in zip(parts, args, expected, strict=True) if p]
    for part, e in zip(parts, expected, strict=True):
        if part is None:
            assert e is None or not e.any()
    found = evaluate([p for p, _ in present], given)
    return max(
        [float((f - e).abs().max()) for f, (_, e) in zip(found, present, strict=True)] or [0]
    )


def points(shape: tuple[str, ...], shift: int, positive: bool) -> Tensor:
    n = 1
    for s in shape:
        n *= SIZES[s]
    x = POINTS.roll(shift).repeat(n)[:n] + 0.01 * torch.arange(n, dtype=torch.float64)
    return (x.abs() if positive else x).reshape([SIZES[s] for s in shape])


CASES = [
    (row, shapes)
    for row in TABLE.values()
    if row.name != "transpose"
    for shapes in (
        [SHAPES[row.name]]
        if row.name in SHAPES
        else [(H,), ((),)]
        if row.arity == 1
        else [(H, H), (H, ()), ((), H), ((), ())]
        if row.arity == 2
        else [(H, H, H), (H, (), ()), ((), H, ()), ((), (), H)]
    )
]


@pytest.mark.parametrize(("row", "shapes"), CASES, ids=[f"{r.name}-{s}" for r, s in CASES])
def test_derivatives(row: Operation, shapes: tuple[tuple[str, ...], ...]) -> None:
    values = [points(s, i + 1, row.name in POSITIVE) for i, s in enumerate(shapes)]
    assert derivative_error(row, shapes, values) <= 1e-12


def test_the_derivative_of_a_transpose_is_transposed() -> None:
    """It has no case above: a matrix alone is nothing that a Program can give."""
    W, g = parameter("W", ("H", "I")), parameter("g", ("I", "H"))
    assert TABLE["transpose"].derivative(g, W.T, W) == (g.T,)


@pytest.mark.parametrize("name", ["min", "max"])
def test_ties_are_shared_as_in_torch(name: str) -> None:
    same = points(H, 1, False)
    some = same + torch.tensor([0, 1, 0, -1, 0])
    for pair in ([same, same], [same, some], [some, same]):
        assert derivative_error(TABLE[name], (H, H), pair) == 0.0


@pytest.mark.parametrize("text", ["sqrt(relu(x))", "sqrt(max(x, 0))", "log(-min(x, -1))"])
def test_what_is_not_chosen_counts_as_zero_though_its_slope_is_infinite(text: str) -> None:
    p = read(f"input x : H\nstate h : H\nh' = h + {text}\noutput h'")
    x = torch.tensor([[[-1.0, 2.0, 3.0, 0.5, -0.3]]], dtype=torch.float64, requires_grad=True)
    start = torch.zeros(1, 5, dtype=torch.float64)
    y = reference.run(p, [x], [start], []).outputs[0]
    [expected] = torch.autograd.grad(y.sum(), [x])
    d = derivative(p)
    with torch.no_grad():
        saved = reference.run(d.forward, [x], [start], []).outputs[1:]
        given = [torch.ones_like(y), *([x] if d.saved_inputs else []), *saved]
        found = reference.run(d.backward, given, [start], [], reverse=True).outputs[0]
    assert torch.equal(found, expected)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", ["relu", "abs", "sign", "step"])
def test_kinks_are_as_in_torch(name: str) -> None:
    assert derivative_error(TABLE[name], (H,), [torch.zeros(5, dtype=torch.float64)]) == 0.0


def test_every_row_has_a_meaning_for_people() -> None:
    for name, row in TABLE.items():
        assert row.name == name
        assert row.meaning
        assert name not in LEAVES


# --- shapes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        ("add", (H, I)),
        ("add", (("H", "I"), ("I", "H"))),
        ("mul", (("H", "I"), ("H", "I"))),
        ("add", (("H", "I"), H)),
        ("tanh", (("H", "I"),)),
        ("sum", (("H", "I"),)),
        ("mean", ((),)),
        ("standardize", ((),)),
        ("apply", (("H", "I"), H)),
        ("apply", (H, H)),
        ("apply", (("H", "I"), ())),
        ("transpose", (H,)),
        ("outer", (H, ())),
        ("spread", ((),)),
    ],
)
def test_shapes_without_a_meaning(op: str, shapes: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(ShapeError):
        build(op, *(leaf(f"a_{i}", s) for i, s in enumerate(shapes)))


def test_spread_takes_a_scalar() -> None:
    with pytest.raises(ShapeError, match="spread takes a scalar, got a value of shape"):
        spread(input_("x", I), "H")


def test_fit_undoes_a_broadcast() -> None:
    v, s = input_("v", H), input_("s", ())
    assert fit(v, H) is v
    assert fit(v, ()) is build("sum", v)
    assert fit(s, H) is spread(s, "H")


# --- values -------------------------------------------------------------------------------------


def test_the_same_expression_is_the_same_object() -> None:
    def expression() -> Value:
        x, W = input_("x", I), parameter("W", ("H", "I"))
        return build("tanh", W @ x + 0.5) * spread(size_of("H") / constant("dt"), "H")

    assert expression() is expression()
    assert input_("x", I) is not input_("x", H)
    assert input_("x", H) is not state("x", "H")
    assert number(1) is number(1.0)
    assert number(-0.0) is number(0.0)


def test_arithmetic_takes_numbers_on_either_side() -> None:
    v = input_("v", H)
    two = number(2)
    assert v + 2 is build("add", v, two)
    assert 2 + v is build("add", two, v)
    assert v - 2 is build("sub", v, two)
    assert 2 - v is build("sub", two, v)
    assert v * 2 is build("mul", v, two)
    assert 2 * v is build("mul", two, v)
    assert v / 2 is build("div", v, two)
    assert 2 / v is build("div", two, v)
    assert -v is build("neg", v)
    assert -number(2) is number(-2)


def test_a_transpose_stands_on_learned_matrices_only() -> None:
    W, a, b = parameter("W", ("H", "I")), input_("a", H), input_("b", I)
    assert W.T.T is W
    assert W.T.shape == ("I", "H")
    outer = build("outer", a, b)
    assert outer.T is build("outer", b, a)
    assert (outer + outer).T is outer.T + outer.T


@pytest.mark.parametrize("name", ["op", "args", "shape", "attr", "anything"])
def test_values_are_immutable(name: str) -> None:
    v = input_("v", H) + 1
    with pytest.raises(AttributeError, match=f"Value is immutable; cannot set {name}"):
        setattr(v, name, None)


def test_copies_and_pickles_are_the_same_object() -> None:
    v = build("tanh", input_("v", H) + 1) * parameter("p", H)
    assert copy.copy(v) is v
    assert copy.deepcopy([v])[0] is v
    assert pickle.loads(pickle.dumps(v)) is v
    p = read("input x : I\nstate h : H\nh' = W x + h\noutput h'")
    assert pickle.loads(pickle.dumps(p)) == p
    assert hash(pickle.loads(pickle.dumps(p))) == hash(p)


def test_only_some_leaves_have_a_name() -> None:
    assert input_("v", H).name == "v"
    with pytest.raises(TypeError, match="has no name"):
        number(1).name


def test_what_nobody_holds_is_forgotten() -> None:
    before = len(ops._INTERNED)
    v = input_("only here", H)
    for _ in range(50):
        v = build("tanh", v) + v
    assert len(ops._INTERNED) >= before + 100
    del v
    gc.collect()
    assert len(ops._INTERNED) <= before


def test_threads_get_the_same_objects() -> None:
    found: list[list[Value]] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        v = input_("threaded", H)
        made = [v]
        for i in range(300):
            v = build("tanh", v) * number(i)
            made.append(v)
        found.append(made)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 8
    for made in found:
        assert all(a is b for a, b in zip(made, found[0], strict=True))


# --- graphs -------------------------------------------------------------------------------------


def test_topological_order() -> None:
    x = input_("x", H)
    a = build("tanh", x)
    b = a * x
    assert topological([b, a]) == [x, a, b]
    assert topological([b], stop=lambda v: v is a) == [a, x, b]


def test_graphs_deeper_than_pythons_stack() -> None:
    x, z = input_("x", H), input_("z", H)
    v = x
    for _ in range(5000):
        v = build("tanh", v)
    assert len(topological([v])) == 5001
    w = substitute([v], {x: z})[v]
    assert topological([w])[0] is z


def test_substitute() -> None:
    x, z, s = input_("x", H), input_("z", H), input_("s", ())
    v = build("tanh", x) + spread(s, "H") * x
    assert substitute([v], {x: z})[v] is build("tanh", z) + spread(s, "H") * z
    assert substitute([v], {s: number(1)})[v] is build("tanh", x) + spread(number(1), "H") * x
    assert substitute([v], {})[v] is v
