"""Variations of a program against the program itself, run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from torch import Tensor

from cellwright.backends import reference
from cellwright.errors import CellwrightError
from cellwright.language import cell, parse, print_program, program
from cellwright.program.program import Program, prime
from cellwright.program.transforms import (
    alike,
    biases,
    project,
    spelled_out,
    watch,
    without_biases,
)
from conformance import Arguments, arguments, relative_error
from strategies import programs

SIZES = {"I": 3, "H": 4, "K": 2}


def run(p: Program, of: Program, given_: Arguments, **exchanged: Tensor) -> list[Tensor]:
    """`p` with the arguments made for `of`, each parameter by its name."""
    own = dict(zip((q.name for q in of.parameters), given_.parameters, strict=True)) | exchanged
    with torch.no_grad():
        found = reference.run(p, given_.inputs, given_.states, [own[q.name] for q in p.parameters])
    return [*found.outputs, *found.states, *found.sums]


def same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(relative_error(a, b) <= 1e-12 for a, b in zip(found, expected, strict=True))


@given(programs(smooth=True))
def test_without_biases_is_every_bias_zero(p: Program) -> None:
    given_ = arguments(p, SIZES, 3, 2, torch.float64)
    bare = without_biases(p)
    zeros = {q.name: torch.zeros(SIZES[q.shape[0]], dtype=torch.float64) for q in biases(p)}
    assert not zeros.keys() & {q.name for q in bare.parameters}
    assert same(run(bare, p, given_), run(p, p, given_, **zeros))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h' = h + (b - W x)", "h' = h + -W x"),
        ("h' = h + (W x - b)", "h' = h + W x"),
        ("h' = W x + (mean(h) + b)", "h' = W x + spread(mean(h), H)"),
        ("h' = W x + sum(0.5 + b)", "h' = W x + sum(spread(0.5, H))"),
        ("h' = W x + (a + b)", "h' = W x"),
        ("h' = W x + tanh(a + b)", "h' = W x + tanh(spread(0, H))"),
        ("h' = h * W x + (b + b * p)", "h' = h * W x + (b + b * p)"),
    ],
)
def test_without_biases_in_the_language(text: str, expected: str) -> None:
    p = program(f"{text}\noutput h'")
    assert expected in print_program(without_biases(p)).splitlines()


@given(programs(smooth=True, sums=False))
def test_projection_by_the_identity_changes_nothing(p: Program) -> None:
    try:
        q = project(p)
    except CellwrightError:
        return
    given_ = arguments(p, SIZES, 3, 2, torch.float64)
    [new] = {r.name for r in q.parameters} - {r.name for r in p.parameters}
    one = torch.eye(SIZES[p.named[p.outputs[0]].shape[0]], dtype=torch.float64)
    assert same(run(q, p, given_, **{new: one}), run(p, p, given_))


def test_a_value_that_two_states_share_is_projected_for_the_output_only() -> None:
    p = project(program("c' = 0.5 * c + W x + R h\nh' = c'\noutput h'"))
    assert print_program(p).splitlines()[-3:] == [
        "c' = 0.5 * c + W x + R h",
        "h' = W_hr c'",
        "output h'",
    ]
    assert {q.name: q.shape for q in p.parameters}["R"] == ("H", "P")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("h' = W x + R h\ny = tanh(h')\noutput y", "the output y is no state"),
        ("h' = tanh(W x) + h\noutput h'", "h is used elementwise"),
        ("h' = tanh(W x + R h)\nm' = R_2 h' + m\noutput h'", "value of h' is read in the same"),
        ("h' = tanh(W x + R^T h)\noutput h'", "h is read through a transposed matrix"),
        ("h' = tanh(W x + R h)\nc' = R c\noutput h'", "R is applied to h and to something"),
        ("h' = tanh(W x + R h + R^T c)\nc' = W x\noutput h'", "R is applied to h and to some"),
        ("h' = tanh(W x + R h)\nc' = h\noutput h'", "h is given another name, or handed on"),
    ],
)
def test_what_cannot_be_projected(text: str, why: str) -> None:
    with pytest.raises(CellwrightError, match=f"proj_size: .*{why}.*; put a torch.nn.Linear"):
        project(program(text))


@given(programs(smooth=True))
def test_spelled_out_is_the_same_step(p: Program) -> None:
    given_ = arguments(p, SIZES, 3, 2, torch.float64)
    q = spelled_out(p)
    assert same(run(q, p, given_), run(p, p, given_))
    assert program(print_program(q)) == q


def test_spelled_out_text_grows_with_the_values_not_with_their_uses() -> None:
    lines = ["a_0 = W x"] + [f"a_{i + 1} = a_{i} * a_{i} + a_{i}" for i in range(12)]
    p = program("\n".join([*lines, "h' = h + a_12", "output h'"]))
    only = replace(p, equations=tuple(e for e in p.equations if e.name == "h'"))
    assert len(print_program(spelled_out(only))) < 1000
    assert spelled_out(cell("lstm").program) == cell("lstm").program
    deep = "x"
    for _ in range(90):
        deep = f"tanh({deep})"
    q = spelled_out(program(f"h' = R h + W {deep}\noutput h'"))
    assert max(line.count("(") for line in print_program(q).splitlines()) <= 21


@given(programs(smooth=True))
def test_a_watched_program_gives_every_named_value(p: Program) -> None:
    given_ = arguments(p, SIZES, 3, 2, torch.float64)
    q = watch(p)
    assert q.outputs == tuple(e.name for e in p.equations)
    found = dict(zip(q.outputs, run(q, p, given_), strict=False))
    expected = run(p, p, given_)[: len(p.outputs)]
    assert same([found[o] for o in p.outputs], expected)


def test_constants_by_name() -> None:
    p = parse("const a = 1\nconst b = 2\nh' = a * h + b * W x").program
    assert [c.default for c in p.with_constants({"b": 3}).constants] == [1, 3]
    with pytest.raises(CellwrightError, match="no constant is called 'c'; the program has a, b"):
        p.with_constants({"c": 3})


def test_alike_are_programs_that_differ_in_names_and_inits_only() -> None:
    p = cell("lstm").program
    renamed = (
        cell("lstm")
        .text.replace("W_i", "U")
        .replace("b_f", "bias")
        .replace("i  =", "g =")
        .replace("i * z", "g * z")
    )
    assert alike(p, parse(renamed + "\ninit bias = 1").program)
    assert not alike(p, parse(cell("lstm").text.replace("tanh(c')", "c'")).program)
    assert not alike(p, cell("coupled_lstm").program)
    assert not alike(cell("gru").program, cell("gru_reset_before").program)
    one = program("const k = 2\nh' = k * W x + h\noutput h'")
    assert alike(one, program("const j = 2\nh' = j * W x + h\noutput h'"))
    assert not alike(one, program("const k = 3\nh' = k * W x + h\noutput h'"))
    assert prime("h") in one.named
