"""Equations in LaTeX: a parser that nobody here wrote takes them, and they mean what cells do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import matplotlib as mpl
import pytest
import torch
from hypothesis import given, settings
from matplotlib.mathtext import MathTextParser
from torch import Tensor

from cellwright.export.latex import expression, latex, lines
from cellwright.language import cell, cell_names, parse
from cellwright.program.ops import TABLE, Value, topological
from cellwright.program.program import Program
from strategies import expressions, programs

mpl.use("Agg")


def equations(text: str) -> list[str]:
    return [f"{left} = {right}" for left, right in lines(parse(text).program)]


@cache
def drawn(equation: str) -> float:
    """The width of a line as matplotlib draws it; it raises ValueError for what is no LaTeX."""
    return float(MathTextParser("path").parse(f"${equation}$").width)


@pytest.mark.parametrize("name", cell_names())
def test_every_line_of_every_cell_is_latex(name: str) -> None:
    text = latex(cell(name))
    first, *rows, last = text.splitlines()
    assert (first, last) == (r"\begin{aligned}", r"\end{aligned}")
    assert len(rows) == len(cell(name).equations)
    for i, row in enumerate(rows):
        assert row.endswith(r" \\") == (i < len(rows) - 1)
        left, right = row.removesuffix(r" \\").split(" &= ")
        assert drawn(f"{left} = {right}") > 0


def test_the_parser_refuses_what_is_no_latex() -> None:
    with pytest.raises(ValueError, match="Unknown symbol"):
        drawn(r"h = \signoid(x)")


@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm", "fgr"])
def test_latex_of(name: str, snapshot) -> None:
    assert latex(cell(name)) == snapshot


def test_every_function_is_latex() -> None:
    """Where a row of the table has no LaTeX, its own name is written."""
    rows = [row for row in TABLE.values() if row.function]
    calls = [f"{row.name}({', '.join(['W x', 'h', 'p'][: row.arity])})" for row in rows]
    for call in calls:
        for equation in equations(f"h' = {call} + W x + h * p"):
            assert drawn(equation) > 0


# --- how it looks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h' = (h * p) * (p * h) + W x", r"h_t = h_{t-1} \odot p \odot (p \odot h_{t-1}) + W x_t"),
        ("h' = h - (p - W x)", r"h_t = h_{t-1} - (p - W x_t)"),
        ("h' = (h - p) - W x", r"h_t = h_{t-1} - p - W x_t"),
        ("h' = (h + p) / (W x * p)", r"h_t = \frac{h_{t-1} + p}{W x_t \odot p}"),
        ("h' = R (h / W x)", r"h_t = R \frac{h_{t-1}}{W x_t}"),
        ("h' = tanh(h / p) + W x", r"h_t = \tanh\left(\frac{h_{t-1}}{p}\right) + W x_t"),
        ("h' = R (h + p) + W x", r"h_t = R (h_{t-1} + p) + W x_t"),
        ("h' = R^T V h + W x", r"h_t = R^{\top} V h_{t-1} + W x_t"),
        ("h' = -R h * p + W x", r"h_t = -R h_{t-1} \odot p + W x_t"),
        ("h' = W x + -h * p", r"h_t = W x_t + (-h_{t-1} \odot p)"),
        ("h' = W x * -h", r"h_t = W x_t \odot (-h_{t-1})"),
        ("h' = -(h + W x)", r"h_t = -(h_{t-1} + W x_t)"),
        ("scalar a\nh' = a * W x + h * a", r"h_t = a \cdot W x_t + h_{t-1} \cdot a"),
        ("h' = 1e-5 * h + 2.5e20 * W x - 3",
         r"h_t = 10^{-5} \cdot h_{t-1} + 2.5 \times 10^{20} \cdot W x_t - 3"),
        ("h' = h * -1e-5 + W x", r"h_t = h_{t-1} \cdot (-10^{-5}) + W x_t"),
        ("h' = sqrt(abs(h)) + W x", r"h_t = \sqrt{\left|h_{t-1}\right|} + W x_t"),
        ("h' = max(h, relu(W x)) / size(H)",
         r"h_t = \frac{\max(h_{t-1}, \operatorname{relu}(W x_t))}{\operatorname{size}(H)}"),
        ("h' = mean(W x) + mean(h)",
         r"h_t = \operatorname{mean}(W x_t) + \operatorname{mean}(h_{t-1})"),
        ("h' = R spread(mean(h) - 1, H) + W x",
         r"h_t = R ((\operatorname{mean}(h_{t-1}) - 1) \mathbf{1}) + W x_t"),
        ("h' = R spread(mean(h), H) + W x",
         r"h_t = R (\operatorname{mean}(h_{t-1}) \mathbf{1}) + W x_t"),
    ],
)  # fmt: skip
def test_brackets_and_signs(text: str, expected: str) -> None:
    assert equations(text) == [expected]
    assert drawn(expected) > 0


def test_names_and_steps() -> None:
    found = equations(
        "state x_old : I\n"
        "scalar alpha\n"
        "const dt = 0.1\n"
        "k = σ(alpha)\n"  # the same in every step
        "beta_u = W_in (x - x_old)\n"
        "v1 = k * R_oi h * λ_2 + p_z2 + Θ beta_u\n"
        "same = v1\n"
        "h' = dt * same + Σ_ab h + b_τσ\n"
        "x_old' = x"
    )
    assert found == [
        r"k = \sigma(\alpha)",
        r"\beta_{u,t} = W_{\mathrm{in}} (x_t - x_{\mathrm{old},t-1})",
        r"v_{1,t} = k \cdot R_{\mathrm{oi}} h_{t-1} \odot \lambda_2 + p_{z2} + \Theta \beta_{u,t}",
        r"\mathrm{same}_t = v_{1,t}",
        r"h_t = \mathrm{dt} \cdot v_{1,t} + \Sigma_{\mathrm{ab}} h_{t-1} + b_{\tau \sigma}",
        r"x_{\mathrm{old},t} = x_t",
    ]
    assert all(drawn(equation) > 0 for equation in found)


def test_names_that_would_look_alike_are_written_out() -> None:
    [found] = equations("h' = W x + v1 * v_1 * v_2 + beta * β")
    assert r"\mathrm{v1} \odot \mathrm{v\_1} \odot v_2" in found
    assert r"\mathrm{beta} \odot \mathrm{β}" in found
    assert drawn(found) > 0


# --- what it means ------------------------------------------------------------------------------

SIZES = {"H": 3, "I": 2, "K": 4}


class Matrix:
    """`M ** v` is M applied to v: that sign binds from the right, and tighter than a minus."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    @property
    def T(self) -> Matrix:  # noqa: N802
        return Matrix(self.rows.mT)

    def __pow__(self, v: object) -> Tensor:
        return torch.nn.functional.linear(tensor(v).expand(self.rows.shape[1]), self.rows)


WORDS = [
    (r"\^\{\\top\}", ".T"),
    (r"\\operatorname\{(\w+)\}", r"\1"),
    (r" \\mathbf\{1\}", " * one"),
    (r"([\d.]+) \\times 10\^\{(-?\d+)\}", r"\1e\2"),
    (r"10\^\{(-?\d+)\}", r"1e\1"),
    (r"\\odot|\\cdot", "*"),
    (r"\\left\|", "abs("),
    (r"\\right\|", ")"),
    (r"\\left|\\right", ""),
    (r"(M\d+(?:\.T)?) ", r"\1 ** "),
    (r"\\(\w+)", r"\1"),
    (r"\{", "("),
    (r"\}", ")"),
]


def meaning(text: str, known: dict[str, object]) -> Tensor:
    """What a reader of the LaTeX computes, with the rules of Python for brackets left out."""
    for pattern, written in WORDS:
        text = re.sub(pattern, written, text)
    functions = {
        (row.latex or name).strip("\\"): lambda *a, row=row: row.torch(torch, *map(tensor, a))
        for name, row in TABLE.items()
    }
    functions["sqrt"] = lambda a: torch.sqrt(tensor(a))
    functions["abs"] = lambda a: torch.abs(tensor(a))
    functions |= {"frac": lambda a: lambda b: tensor(a) / b, "one": 1.0, "size": lambda n: n}
    return tensor(eval(text, {"__builtins__": {}}, functions | SIZES | known))


def tensor(x: object) -> Tensor:
    return x if isinstance(x, Tensor) else torch.tensor([x], dtype=torch.float64)


def values(roots: Iterable[Value]) -> dict[Value, Tensor]:
    """Every value below some, of leaves drawn at random."""
    rng = torch.Generator().manual_seed(0)
    found: dict[Value, Tensor] = {}
    for v in topological(roots):
        if v.op == "number":
            found[v] = torch.tensor([v.attr], dtype=torch.float64)
        elif v.op == "size":
            found[v] = torch.tensor([SIZES[str(v.attr)]], dtype=torch.float64)
        elif not v.args:
            shape = [SIZES[s] for s in v.shape] or [1]
            found[v] = torch.randn(shape, generator=rng, dtype=torch.float64)
        elif v.op == "spread":
            found[v] = found[v.args[0]].expand(SIZES[v.shape[0]])
        else:
            found[v] = TABLE[v.op].torch(torch, *(found[a] for a in v.args))
    return found


def check(roots: Iterable[Value]) -> None:
    """What a reader computes is what is meant."""
    roots = list(roots)
    found = values(roots)
    leaves = [v for v in found if not v.args and v.op not in ("number", "size")]
    names = {v: f"{'M' if len(v.shape) == 2 else 'v'}{i}" for i, v in enumerate(leaves)}
    known = {names[v]: Matrix(found[v]) if len(v.shape) == 2 else found[v] for v in leaves}
    for v in roots:
        text = expression(v, names)
        read = meaning(text, known).expand_as(found[v])
        assert torch.allclose(read, found[v], rtol=1e-9, equal_nan=True), text


@settings(max_examples=5 * settings.get_profile("default").max_examples)
@given(expressions())
def test_brackets_are_there_where_the_meaning_needs_them(v: Value) -> None:
    check([v])


@given(programs(sums=False))
def test_every_operation_means_what_it_does(p: Program) -> None:
    check(e.value for e in p.equations)
