"""Printing a Program and reading it again gives the same Program."""

from __future__ import annotations

import pytest
from hypothesis import given

from cellwright.language import cell, cell_names, print_program, print_value, program
from cellwright.program.derivative import derivative
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
)
from cellwright.program.program import Constant, Named, Parameter, Program
from strategies import expressions, programs


def check(p: Program) -> None:
    text = print_program(p)
    again = program(text)
    assert again == p, text
    assert print_program(again) == text


@given(programs())
def test_of_random_programs(p: Program) -> None:
    check(p)


@given(programs())
def test_of_the_derivatives_of_random_programs(p: Program) -> None:
    d = derivative(p)
    check(d.forward)
    check(d.backward)


@given(expressions())
def test_of_expressions(v: Value) -> None:
    """With brackets where they are needed."""
    h, p, dt = state("h", "H"), parameter("p", ("H",)), constant("dt")
    R, V = parameter("R", ("H", "H")), parameter("V", ("H", "H"))
    text = "const dt = 0.1\nvector p : H\n" + "\n".join(
        f"{name} = {print_value(u)}"
        for name, u in (("first", R @ (V @ (h * p * dt))), ("second", v), ("h'", h * p))
    )
    assert program(text).named["second"] is v


@pytest.mark.parametrize("name", cell_names())
def test_of_every_cell_and_its_derivatives(name: str) -> None:
    p = cell(name).program
    first = derivative(p)
    second = derivative(first.backward)
    for q in (p, first.forward, first.backward, second.forward, second.backward):
        check(q)


def test_the_form_in_full() -> None:
    """Every kind of line and of expression, with brackets where they are needed only."""
    x, u = input_("x", ("I",)), input_("u", ())
    h, c = state("h", "H"), state("c", "I")
    b, alpha, dt = parameter("b", ("H",)), parameter("alpha", ()), Constant("dt", 0.1)
    W, R = parameter("W", ("H", "I")), parameter("R", ("H", "H"))
    a = W @ (x - c) + R.T @ (R @ h)
    i = build("sigmoid", a - (b - u)) * (-(a * 2))
    p = Program(
        inputs=(x, u),
        states=(h, c),
        parameters=(Parameter(W), Parameter(R), Parameter(b, -1e-7), Parameter(alpha, 2.5)),
        constants=(dt,),
        equations=(
            Named("a", a),
            Named("i", i),
            Named("same", i),
            Named("h'", build("max", i / (b / alpha), number(-3) - h)),
            Named("c'", spread(build("sum", h) / size_of("H"), "I") * constant("dt")),
        ),
        outputs=("h'", "a"),
        sums=(Named("d_W", build("outer", a, x) + build("outer", h, c)),),
    )
    expected = """\
input x : I
input u
state h : H
state c : I
scalar alpha = 2.5
const dt = 0.1
matrix R : (H, H)
matrix W : (H, I)
vector b : H
init b = -1e-07
a = W (x - c) + R^T R h
i = sigmoid(a - (b - u)) * -(a * 2)
same = i
h' = max(i / (b / alpha), -3 - h)
c' = spread(sum(h) / size(H), I) * dt
sum d_W = outer(a, x) + outer(h, c)
output h', a
"""
    assert print_program(p) == expected
    assert program(expected) == p
