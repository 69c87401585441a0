"""Values and the table of operations: the whole vocabulary of a Program, readable top to bottom.

A `Value` is a node of an expression graph. Values are immutable and hash-consed: building the same
expression twice gives the same object, so equality is identity and common subexpressions are
shared without a pass. An operation is one row of `TABLE`; adding an operation is adding a row.

Shapes are tuples of size names: `()` a scalar, `("H",)` a vector, `("H", "I")` a matrix. Steps and
batch are never part of a shape: a Program says what happens in one step of one sequence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, TypeAlias
from weakref import WeakValueDictionary

__all__ = [
    "EPSILON",
    "LARGEST",
    "LEAVES",
    "TABLE",
    "Operation",
    "Shape",
    "ShapeError",
    "Value",
    "build",
    "constant",
    "fit",
    "input_",
    "number",
    "parameter",
    "size_of",
    "sizes_in",
    "spread",
    "state",
    "substitute",
    "topological",
]

Shape: TypeAlias = tuple[str, ...]
Leaf = Literal["number", "size", "input", "state", "parameter", "constant"]

LEAVES: dict[str, str] = {
    "number": "a literal",
    "size": "the number of units a size name stands for",
    "input": "a stream in: one value a step",
    "state": "a state, as the step before left it",
    "parameter": "a learned scalar, vector or matrix",
    "constant": "a number that the layer's constructor can override",
}


class ShapeError(TypeError):
    """An operation was given shapes it has no meaning for."""


class Value:
    """One node: an operation of `TABLE` with its arguments, or a leaf with its name or number.

    Arithmetic on values builds new values; Python numbers become `number` leaves.
    """

    __slots__ = ("__weakref__", "args", "attr", "op", "shape")

    op: str
    args: tuple[Value, ...]
    shape: Shape
    attr: str | float | None

    def __new__(  # noqa: D102
        cls,
        op: str,
        args: tuple[Value, ...] = (),
        shape: Shape = (),
        attr: str | float | None = None,
    ) -> Value:
        key = (op, args, shape, attr)
        with _LOCK:
            found = _INTERNED.get(key)
            if found is None:
                found = object.__new__(cls)
                for field, content in zip(("op", "args", "shape", "attr"), key, strict=True):
                    object.__setattr__(found, field, content)
                _INTERNED[key] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Value is immutable; cannot set {name}")

    def __reduce__(self) -> tuple[object, ...]:
        return Value, (self.op, self.args, self.shape, self.attr)

    def __copy__(self) -> Value:
        return self

    def __deepcopy__(self, memo: object) -> Value:
        return self

    def __repr__(self) -> str:
        inside = [repr(a) for a in self.args]
        if self.attr is not None:
            inside.insert(0, str(self.attr))
        return f"{self.op}({', '.join(inside)})"

    @property
    def name(self) -> str:
        """The name of a leaf that has one."""
        if not isinstance(self.attr, str):
            raise TypeError(f"{self!r} has no name")
        return self.attr

    def __add__(self, other: Value | float) -> Value:
        return build("add", self, _value(other))

    def __radd__(self, other: float) -> Value:
        return build("add", _value(other), self)

    def __sub__(self, other: Value | float) -> Value:
        return build("sub", self, _value(other))

    def __rsub__(self, other: float) -> Value:
        return build("sub", _value(other), self)

    def __mul__(self, other: Value | float) -> Value:
        return build("mul", self, _value(other))

    def __rmul__(self, other: float) -> Value:
        return build("mul", _value(other), self)

    def __truediv__(self, other: Value | float) -> Value:
        return build("div", self, _value(other))

    def __rtruediv__(self, other: float) -> Value:
        return build("div", _value(other), self)

    def __neg__(self) -> Value:
        return build("neg", self)

    def __matmul__(self, other: Value) -> Value:
        return build("apply", self, other)

    @property
    def T(self) -> Value:  # noqa: N802 - the transpose, as numpy and torch write it
        """The transpose of a matrix."""
        return build("transpose", self)


_Key: TypeAlias = tuple[str, tuple[Value, ...], Shape, str | float | None]
_INTERNED: WeakValueDictionary[_Key, Value] = WeakValueDictionary()
_LOCK = threading.RLock()


def _value(x: Value | float) -> Value:
    return x if isinstance(x, Value) else number(x)


LARGEST = 1e38
"""The largest number in a program: layers compute in float32 at the least."""


def number(x: float) -> Value:
    """A literal. Minus zero is zero: the two would share one node."""
    return Value("number", attr=float(x) or 0.0)


def size_of(size: str) -> Value:
    """How many units the size has, as a scalar: what a mean divides by."""
    return Value("size", attr=size)


def sizes_in(v: Value) -> Shape:
    """The sizes that have to be known to compute `v` from its arguments."""
    return (v.attr,) if v.op == "size" and isinstance(v.attr, str) else v.shape


def input_(name: str, shape: Shape) -> Value:
    """A stream in: a vector `(size,)` or a scalar `()` at each step."""
    return Value("input", shape=shape, attr=name)


def state(name: str, size: str) -> Value:
    """A state as it is read: the value that the step before left."""
    return Value("state", shape=(size,), attr=name)


def parameter(name: str, shape: Shape) -> Value:
    """A learned scalar `()`, vector `(n,)` or matrix `(out, in)`."""
    return Value("parameter", shape=shape, attr=name)


def constant(name: str) -> Value:
    """A named number that is not learned."""
    return Value("constant", attr=name)


def build(op: str, *args: Value) -> Value:
    """The value of operation `op` on `args`; its shape follows from theirs.

    Only identities that keep every bit are applied: `-(3)` is the number -3, and a transpose of a
    transpose, or of outer products, is written without one.

    Raises ShapeError where the operation has no meaning for the arguments' shapes.
    """
    if op == "neg" and args[0].op == "number":
        assert isinstance(args[0].attr, float)
        return number(-args[0].attr)
    if op == "transpose" and args[0].op == "transpose":
        return args[0].args[0]
    if op == "transpose" and args[0].op == "outer":
        return build("outer", *reversed(args[0].args))
    if op == "transpose" and args[0].op == "add":
        return build("add", *(a.T for a in args[0].args))
    return Value(op, args, TABLE[op].shape(op, tuple(a.shape for a in args)))


def spread(x: Value, size: str) -> Value:
    """The scalar `x`, repeated for each unit of `size`."""
    if x.shape != ():
        raise ShapeError(f"spread takes a scalar, got a value of shape {x.shape}")
    return Value("spread", (x,), (size,))


def fit(x: Value, shape: Shape) -> Value:
    """Bring the gradient `x` to the shape of what it is the gradient of: undo a broadcast."""
    if x.shape == shape:
        return x
    return build("sum", x) if shape == () else spread(x, *shape)


# --- shape rules ------------------------------------------------------------------------------


def _elementwise(op: str, shapes: tuple[Shape, ...]) -> Shape:
    """Equal shapes, or scalars, which are repeated; matrices can only be added."""
    wide = {s for s in shapes if s != ()}
    if len(wide) > 1 or (op != "add" and any(len(s) > 1 for s in wide)):
        raise ShapeError(f"{op} of shapes {shapes}")
    return wide.pop() if wide else ()


def _reduction(op: str, shapes: tuple[Shape, ...]) -> Shape:
    if len(shapes[0]) > 1:
        raise ShapeError(f"{op} of shape {shapes[0]}")
    return ()


def _vector_to_scalar(op: str, shapes: tuple[Shape, ...]) -> Shape:
    _vector(op, shapes)
    return ()


def _vector(op: str, shapes: tuple[Shape, ...]) -> Shape:
    if len(shapes[0]) != 1:
        raise ShapeError(f"{op} of shape {shapes[0]}")
    return shapes[0]


def _apply(op: str, shapes: tuple[Shape, ...]) -> Shape:
    matrix, vector = shapes
    if len(matrix) != 2 or vector != matrix[1:]:
        raise ShapeError(f"{op} of shapes {shapes}")
    return matrix[:1]


def _transpose(op: str, shapes: tuple[Shape, ...]) -> Shape:
    if len(shapes[0]) != 2:
        raise ShapeError(f"{op} of shape {shapes[0]}")
    return shapes[0][::-1]


def _outer(op: str, shapes: tuple[Shape, ...]) -> Shape:
    if any(len(s) != 1 for s in shapes):
        raise ShapeError(f"{op} of shapes {shapes}")
    return shapes[0] + shapes[1]


def _spread(op: str, shapes: tuple[Shape, ...]) -> Shape:
    raise ShapeError(f"{op} needs a size: use spread()")


# --- the table --------------------------------------------------------------------------------

EPSILON = 1e-5
"""Added to the variance in `deviation` and `standardize`, as `torch.nn.LayerNorm` does."""

Derivative: TypeAlias = Callable[..., tuple[Value | None, ...]]


@dataclass(frozen=True)
class Operation:
    """One row: everything the project knows about an operation."""

    name: str
    meaning: str
    torch: Callable[..., Any]
    """`torch(namespace, *tensors)`; units are the last dimension. The namespace comes as an
    argument, so that reading the table does not import torch."""
    derivative: Derivative
    """`derivative(g, y, *args)`: the gradient of each argument, given the gradient `g` of the
    result `y`; None where it is zero everywhere."""
    arity: int = 1
    infix: str | None = None
    """How the language writes it between its arguments; None where it is a function or a form."""
    also: tuple[str, ...] = ()
    """Other spellings of a function's name."""
    shape: Callable[[str, tuple[Shape, ...]], Shape] = _elementwise
    function: bool = True
    """Whether a person calls it by name, as `tanh(v)`."""
    cpp: str | None = None
    """In C++, on vectors of units; None where an engine has a form of its own for it."""
    triton: str | None = None
    """In Triton, on tiles of sequences by units; None likewise."""
    latex: str | None = None
    """In LaTeX: the name of a function, or how it is written around its arguments; None where it is
    its own name."""
    cost: float = 1
    """How long it takes, in additions; infinite where no backward pass is to compute it again."""


def _rows(*rows: Operation) -> Mapping[str, Operation]:
    return {row.name: row for row in rows}


def _larger(g: Value, a: Value, b: Value) -> Value:
    """What of `g` goes to `a` where it goes to the larger one; in a tie half, as in torch."""
    return build("where", a - b, g, build("where", b - a, number(0), 0.5 * g))


def _deviation(t: Any, x: Any) -> Any:
    """In float32 at least: the square of what a smaller type holds may be beyond it."""
    wide = x.to(t.promote_types(x.dtype, t.float32))
    centred = wide - wide.mean(-1, keepdim=True)
    return t.sqrt((centred * centred).mean(-1, keepdim=True) + EPSILON).to(x.dtype)


def _applied(m: Value, x: Value) -> Value:
    """`m @ x`; of a sum of matrices each one by itself, as a step has no sums of matrices."""
    return _applied(m.args[0], x) + _applied(m.args[1], x) if m.op == "add" else m @ x


# fmt: off
TABLE: Mapping[str, Operation] = _rows(
    Operation(
        "add", "the sum of two values", lambda t, a, b: a + b,
        lambda g, y, a, b: (g, g), 2, "+", function=False,
        cpp="{0} + {1}", triton="{0} + {1}", latex="{0} + {1}",
    ),
    Operation(
        "sub", "the difference of two values", lambda t, a, b: a - b,
        lambda g, y, a, b: (g, -g), 2, "-", function=False,
        cpp="{0} - {1}", triton="{0} - {1}", latex="{0} - {1}",
    ),
    Operation(
        "mul", "the elementwise (Hadamard) product", lambda t, a, b: a * b,
        lambda g, y, a, b: (g * b, g * a), 2, "*", function=False,
        cpp="{0} * {1}", triton="{0} * {1}", latex=r"{0} \odot {1}",
    ),
    Operation(
        "div", "the elementwise quotient", lambda t, a, b: a / b,
        lambda g, y, a, b: (g / b, -(g * y / b)), 2, "/", function=False,
        cpp="{0} / {1}", triton="{0} / {1}", latex=r"\frac{{{0}}}{{{1}}}", cost=5,
    ),
    Operation("neg", "the value with its sign changed", lambda t, x: -x,
              lambda g, y, x: (-g,), function=False, cpp="-{0}", triton="-{0}", latex="-{0}"),
    Operation("sigmoid", "1 / (1 + exp(-v)), between 0 and 1: a gate", lambda t, x: t.sigmoid(x),
              lambda g, y, x: (g * (y * (1 - y)),), also=("σ",), cpp="sigmoid({0})",
              triton="sigmoid({0})", latex=r"\sigma", cost=15),
    Operation("tanh", "the hyperbolic tangent, between -1 and 1", lambda t, x: t.tanh(x),
              lambda g, y, x: (g * (1 - y * y),), cpp="hyperbolic_tangent({0})",
              triton="tanh({0}, SHORT)", latex=r"\tanh", cost=15),
    Operation("relu", "v where it is positive, else 0", lambda t, x: t.relu(x),
              lambda g, y, x: (build("where", x, g, number(0)),), cpp="relu({0})",
              triton="relu({0})"),
    Operation("exp", "e to the power of v", lambda t, x: t.exp(x),
              lambda g, y, x: (g * y,), cpp="exponential({0})",
              triton="exp({0})", latex=r"\exp", cost=15),
    Operation("log", "the natural logarithm", lambda t, x: t.log(x),
              lambda g, y, x: (g / x,), cpp="logarithm({0})",
              triton="tl.log({0})", latex=r"\log", cost=100),
    Operation("softplus", "log(1 + exp(v)): a smooth relu",
              lambda t, x: t.logaddexp(x, t.zeros_like(x)),
              lambda g, y, x: (g * build("sigmoid", x),), cpp="softplus({0})",
              triton="softplus({0})", cost=120),
    Operation("sqrt", "the square root", lambda t, x: t.sqrt(x),
              lambda g, y, x: (g / (y + y),), cpp="square_root({0})",
              triton="tl.sqrt({0})", latex=r"\sqrt{{{0}}}", cost=5),
    Operation("abs", "the value without its sign", lambda t, x: t.abs(x),
              lambda g, y, x: (g * build("sign", x),), cpp="absolute({0})", triton="tl.abs({0})",
              latex=r"\left|{0}\right|"),
    Operation("sin", "the sine of v in radians", lambda t, x: t.sin(x),
              lambda g, y, x: (g * build("cos", x),), cpp="sine({0})",
              triton="tl.sin({0})", latex=r"\sin", cost=100),
    Operation("cos", "the cosine of v in radians", lambda t, x: t.cos(x),
              lambda g, y, x: (-(g * build("sin", x)),), cpp="cosine({0})",
              triton="tl.cos({0})", latex=r"\cos", cost=100),
    Operation("min", "the smaller of two values", lambda t, a, b: t.minimum(a, b),
              lambda g, y, a, b: (_larger(g, b, a), _larger(g, a, b)),
              2, cpp="smaller({0}, {1})", triton="smaller({0}, {1})", latex=r"\min"),
    Operation("max", "the larger of two values", lambda t, a, b: t.maximum(a, b),
              lambda g, y, a, b: (_larger(g, a, b), _larger(g, b, a)),
              2, cpp="larger({0}, {1})", triton="larger({0}, {1})", latex=r"\max"),
    Operation("sign", "-1, 0 or 1; its derivative counts as 0", lambda t, x: t.sign(x),
              lambda g, y, x: (None,), cpp="sign({0})", triton="sign({0})"),
    Operation("step", "1 where v is positive, else 0; its derivative counts as 0",
              lambda t, x: (x > 0).to(x.dtype), lambda g, y, x: (None,), cpp="step({0})",
              triton="step({0})"),
    Operation("where", "a where v is positive, else b",
              lambda t, v, a, b: t.where(v > 0, a, b),
              lambda g, y, v, a, b: (
                  None, build("where", v, g, number(0)), build("where", v, number(0), g)
              ), 3, cpp="where({0}, {1}, {2})", triton="where({0}, {1}, {2})"),
    Operation("sum", "the sum of a vector over its units, a scalar",
              lambda t, x: x.sum(-1, keepdim=True) if x.dim() else x,
              lambda g, y, x: (fit(g, x.shape),), shape=_reduction, cost=inf),
    Operation("mean", "the mean of a vector over its units, a scalar",
              lambda t, x: x.mean(-1, keepdim=True),
              lambda g, y, x: (fit(g / size_of(*x.shape), x.shape),),
              shape=_vector_to_scalar, cost=inf),
    Operation("deviation", "sqrt(variance + 1e-5) of a vector over its units, a scalar",
              lambda t, x: _deviation(t, x),
              lambda g, y, x: (g / (size_of(*x.shape) * y) * (x - build("mean", x)),),
              shape=_vector_to_scalar, cost=inf),
    Operation("standardize", "a vector less its mean, divided by its deviation",
              lambda t, x: t.nn.functional.layer_norm(x, x.shape[-1:], eps=EPSILON),
              lambda g, y, x: (
                  (g - build("mean", g) - y * build("mean", g * y)) / build("deviation", x),
              ), shape=_vector, cost=inf),
    Operation("spread", "a scalar repeated for each unit of a size: spread(v, H)",
              lambda t, x: x, lambda g, y, x: (build("sum", g),), shape=_spread, function=False,
              cpp="{0}", triton="{0}", latex=r"{0} \mathbf{{1}}"),
    Operation("apply", "a matrix applied to a vector",
              lambda t, m, x: t.nn.functional.linear(x, m),
              lambda g, y, m, x: (build("outer", g, x), m.T @ g),
              2, shape=_apply, function=False, latex="{0} {1}", cost=inf),
    Operation("transpose", "the transpose of a matrix", lambda t, m: m.mT,
              lambda g, y, m: (g.T,), shape=_transpose, function=False,
              latex=r"{0}^{{\top}}"),
    Operation("outer", "the outer product of two vectors, a matrix; only sums take it",
              lambda t, a, b: a.unsqueeze(-1) * b.unsqueeze(-2),
              lambda g, y, a, b: (_applied(g, b), _applied(g.T, a)),
              2, shape=_outer, function=False, latex=r"{0} {1}^{{\top}}"),
)
# fmt: on


# --- graphs -----------------------------------------------------------------------------------


def topological(roots: Iterable[Value], stop: Callable[[Value], bool] | None = None) -> list[Value]:
    """Every value that `roots` are built from, arguments before what uses them.

    Does not look below a value for which `stop` is true. Iterative: depth is not bounded by
    Python's stack.
    """
    order: dict[Value, None] = {}
    stack: list[tuple[Value, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        v, ready = stack.pop()
        if ready:
            order[v] = None
        elif v not in order:
            stack.append((v, True))
            if stop is None or not stop(v):
                stack.extend((a, False) for a in reversed(v.args) if a not in order)
    return list(order)


def substitute(roots: Iterable[Value], replace: Mapping[Value, Value]) -> dict[Value, Value]:
    """Rebuild `roots` with the keys of `replace` exchanged; maps each value met to its new self."""
    done: dict[Value, Value] = dict(replace)
    for v in topological(roots, stop=replace.__contains__):
        if v not in done:
            args = tuple(done[a] for a in v.args)
            if not args:
                done[v] = v
            elif v.op == "spread":
                done[v] = spread(args[0], *v.shape)
            else:
                done[v] = build(v.op, *args)
    return done
