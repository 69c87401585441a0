"""Each rule of legality refuses a program that breaks it, and names itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from cellwright.language import cell, cell_names
from cellwright.language import program as read
from cellwright.program.legality import RULES, IllegalProgramError, check
from cellwright.program.ops import Value, build, constant, input_, number, parameter, spread, state
from cellwright.program.program import Constant, Named, Parameter, Program
from strategies import programs

P = read(
    "input x : I\nstate h : H\nconst dt = 1\n"
    "a = tanh(W x + R h)\nh' = a * dt\nsum d_W = outer(a, x)\noutput h'"
)
x, h, a = P.inputs[0], P.states[0], P.named["a"]
W, R = (q.value for q in P.parameters if len(q.shape) == 2)


def also(*equations: Named, **changes: object) -> Program:
    """P with more equations, at the end."""
    return replace(P, equations=(*P.equations, *equations), **changes)


def summing(value: Value, **changes: object) -> Program:
    return replace(P, sums=(Named("total", value),), **changes)


BROKEN: dict[str, tuple[int, Program, str]] = {
    "an operation of no row": (0, also(Named("b", Value("cosh", (a,), ("H",)))), "unknown operation in cosh"),
    "too many arguments": (0, also(Named("b", Value("tanh", (a, a), ("H",)))), "wrong number of arguments in tanh"),
    "a leaf with arguments": (0, also(Named("b", Value("number", (a,), (), 1.0))), "has arguments"),
    "a shape that does not follow": (1, also(Named("b", Value("tanh", (a,), ("I",)))), "has shape ('I',), not ('H',)"),
    "arguments of no shape": (1, also(Named("b", Value("mul", (a, x), ("H",)))), "mul of shapes"),
    "a spread vector": (1, also(Named("b", Value("spread", (a,), ("I",)))), "spreads ('H',)"),
    "a spread to a matrix": (1, also(Named("b", Value("spread", (number(1),), ("H", "I")))), "to ('H', 'I')"),
    "an input that is not declared": (2, also(Named("b", input_("u", ("H",)))), "input(u) is not declared"),
    "a state that is not declared": (2, also(Named("b", state("s", "H"))), "state(s) is not declared"),
    "a parameter that is not declared": (2, also(Named("b", parameter("q", ("H",)))), "parameter(q) is not declared"),
    "a constant that is not declared": (2, also(Named("b", constant("eps"))), "constant(eps) is not declared"),
    "a parameter that is never read": (3, replace(P, parameters=(*P.parameters, Parameter(parameter("q", ())))), "q is never read"),
    "a constant that is never read": (3, replace(P, constants=(*P.constants, Constant("eps", 1.0))), "eps is never read"),
    "parameters in another order": (3, replace(P, parameters=P.parameters[::-1]), "['R', 'W'] are read as ['W', 'R']"),
    "two equations of a name": (4, also(Named("a", a * 2)), "a is set 2 times"),
    "an equation named as a parameter": (4, also(Named("W", a)), "W is set 2 times"),
    "a state without a new value": (5, replace(P, equations=P.equations[:1], outputs=("a",), constants=()), "state h has no new value"),
    "a state of another shape": (5, replace(P, equations=(P.equations[0], Named("h'", x * constant("dt")))), "state h has shape ('H',), its new value ('I',)"),
    "a new value of no state": (5, also(Named("s'", a)), "s' sets no state"),
    "an output that is no equation": (6, replace(P, outputs=("h'", "y")), "output y is no equation"),
    "an equation that is a matrix": (7, also(Named("b", build("outer", a, x))), "equation b is a matrix"),
    "an equation that is a learned matrix": (7, also(Named("b", W)), "equation b is a matrix"),
    "a sum that is a learned matrix": (7, summing(W), "sum total is no outer product"),
    "a learned matrix added": (7, summing(build("add", W, build("outer", a, x))), "adds a learned matrix"),
    "a matrix that is made": (7, summing(Value("outer", (a, x), ("H", "I")) @ x), "applies a matrix that is not learned"),
    "a size that nothing has": (8, also(Named("b", spread(number(1), "Q"))), "nothing that comes in has spread(number(1.0))'s Q"),
    "a number of units that nothing has": (8, also(Named("b", Value("size", attr="Q"))), "nothing that comes in has size(Q)'s Q"),
}  # fmt: skip


def test_the_program_that_is_broken_below_is_legal() -> None:
    assert check(P, "reading") is P


@pytest.mark.parametrize(("rule", "broken", "found"), BROKEN.values(), ids=BROKEN.keys())
def test_refused(rule: int, broken: Program, found: str) -> None:
    with pytest.raises(IllegalProgramError) as caught:
        check(broken, "this test")
    message = str(caught.value)
    assert message.startswith("after this test: ")
    assert message.endswith(f"(rule: {RULES[rule][0]})")
    assert found in message


def test_every_rule_is_broken_above() -> None:
    assert {rule for rule, _, _ in BROKEN.values()} == set(range(len(RULES)))


@given(programs())
def test_legal_programs_pass(p: Program) -> None:
    assert check(p, "the strategy") is p


@pytest.mark.parametrize("name", cell_names())
def test_cells_pass(name: str) -> None:
    check(cell(name).program, "reading")
