"""Variations of programs, as equations; tests/layers/test_variations.py has them as layers."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import given, settings

from cellwright.backends import reference
from cellwright.errors import CellwrightError
from cellwright.language import cell, cell_names, print_program, program
from cellwright.program.derivative import derivative
from cellwright.program.memory import gates, kept, written
from cellwright.program.program import Program
from cellwright.program.variations import (
    drop_states,
    drop_updates,
    initial,
    layer_norm,
    restart,
    zoneout,
)
from conformance import arguments, errors
from strategies import programs

VARIED = {
    "layer_norm": layer_norm,
    "drop_updates": drop_updates,
    "drop_states": drop_states,
    "zoneout, drawn": lambda p: zoneout(p, {s.name: 0.3 for s in p.states}, drawn=True),
    "zoneout": lambda p: zoneout(p, {s.name: 0.3 for s in p.states}, drawn=False),
    "restart": restart,
}


def equations(p: Program) -> list[str]:
    lines = print_program(p).splitlines()
    return [line for line in lines if " = " in line and not line.startswith("init ")]


# --- layer normalisation ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W x * (b + R h)", "gain_W * standardize(W x) * (b + gain_R * standardize(R h))"),
        ("R^T h + R h - x", "gain_R_T * standardize(R^T h) + gain_R * standardize(R h) - x"),
        ("R h + R tanh(h) - x", "gain_R * standardize(R h) + gain_R * standardize(R tanh(h)) - x"),
        ("x - R V h", "x - gain_R * standardize(R (gain_V * standardize(V h)))"),
        ("norm(W x) + R h", "gain_h_1 * standardize(W x) + gain_R * standardize(R h)"),
        ("W x + gain_W * h", "gain_W_2 * standardize(W x) + gain_W * h"),
    ],
)  # fmt: skip
def test_layer_norm_in_the_language(text: str, expected: str) -> None:
    p = layer_norm(program(f"h' = {text}\noutput h'"))
    assert equations(p)[-1] == f"h' = {expected}"
    assert all(q.init == 1 for q in p.parameters if q.name in (*["gain_R", "gain_V"], "gain_W_2"))


def test_a_product_that_is_read_as_it_is_too_is_normalised() -> None:
    p = layer_norm(program("u = W x\nh' = norm(u) + 0.5 * h\noutput u"))
    assert equations(p)[0] == "u = gain_W * standardize(W x)"


# --- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W_f x * h + W_i x * W_z x", "W_f x * h + keep * (W_i x * W_z x)"),
        ("(1 - W x) * W_n x + W x * h", "keep * ((1 - W x) * W_n x) + W x * h"),
        ("h + W_z x * (W_n x - h)", "h + W_z x * (keep * W_n x - h)"),
        ("-(0.5 * h) - W x / 2", "-(0.5 * h) - keep * (W x / 2)"),
        ("(h + W x) / 2", "(h + keep * W x) / 2"),
        ("tanh(0.5 * h + W x)", "tanh(0.5 * h + keep * W x)"),
        ("W_f x * tanh(h) + W x", "W_f x * tanh(h) + keep * W x"),
        ("W x + h * (1 - h)", "keep * W x + h * (1 - h)"),
        ("h + σ(W x + p * h) * tanh(R h)", "h + keep * (sigmoid(W x + p * h) * tanh(R h))"),
        ("tanh(W x + R h)", "tanh(W x + R (keep_h * h))"),
        ("keep * h + W x", "keep * h + keep_2 * W x"),
    ],
)
def test_what_drop_updates_drops(text: str, expected: str) -> None:
    p = drop_updates(program(f"h' = {text}\noutput h'"))
    assert equations(p)[-1] == f"h' = {expected}"


def test_what_is_written_to_several_states_is_dropped_at_once() -> None:
    p = drop_updates(program("z' = z + W x\nh' = h + 0.1 * z'\noutput h'"))
    assert equations(p) == ["z' = z + keep * W x", "h' = h + keep * (0.1 * z')"]


def test_of_a_mean_values_are_dropped_and_no_weights() -> None:
    p = drop_updates(program("i = exp(V x)\nc' = c + i * W x\nn' = n + i\nh = c' / n'\noutput h"))
    assert equations(p)[1:] == ["c' = c + keep * (i * W x)", "n' = n + i", "h = c' / n'"]
    for name in cell_names():
        q = drop_updates(cell(name).program) if written(cell(name).program) else None
        given_ = arguments(q, {"I": 3, "H": 3, "K": 2}, 3, 2, torch.float64) if q else None
        if q and given_:
            masks = [torch.zeros_like(x) for x in given_.inputs[1:]]
            found = reference.run(
                q, [given_.inputs[0], *masks], [0 * s for s in given_.states], given_.parameters
            )
            assert all(x.isfinite().all() for x in (*found.outputs, *found.states)), name


def test_drop_updates_of_every_cell_leaves_alone_what_is_kept() -> None:
    for name in cell_names():
        p = cell(name).program
        if any(kept(p, s) for s in p.states):
            q = drop_updates(p)
            assert [v.name for v in q.inputs[1:]] == ["keep"], name
            assert [len(gates(q, s)[0]) for s in q.states] == [
                len(gates(p, s)[0]) for s in p.states
            ], name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tanh(W x + R h) + h", "tanh(W x + R (keep_h * h)) + h"),
        ("tanh(W x + R (W_r x * h))", "tanh(W x + R (keep_h * (W_r x * h)))"),
        ("tanh(W x + R tanh(h))", "tanh(W x + R (keep_h * tanh(h)))"),
        ("tanh(W x + R h + V tanh(h))", "tanh(W x + R (keep_h * h) + V tanh(h))"),
        ("R^T h + V (h - W x)", "R^T (keep_h * h) + V (keep_h * (h - W x))"),
    ],
)
def test_what_drop_states_drops(text: str, expected: str) -> None:
    p = drop_states(program(f"h' = {text}\noutput h'"))
    assert equations(p)[-1] == f"h' = {expected}"


def test_a_new_value_that_a_matrix_reads_is_dropped_as_the_old_one() -> None:
    p = drop_states(program("c' = c + W x\nh' = tanh(R c' + V h)\ny = U h'\noutput y"))
    assert equations(p) == [
        "c' = c + W x",
        "h' = tanh(R (keep_c * c') + V (keep_h * h))",
        "y = U h'",
    ]


def test_nothing_to_drop() -> None:
    with pytest.raises(CellwrightError, match="no matrix reads a state"):
        drop_states(program("h' = h + W x\noutput h'"))
    with pytest.raises(CellwrightError, match="no matrix reads a state"):
        drop_updates(program("h' = tanh(W x)\noutput h'"))


# --- states -------------------------------------------------------------------------------------


def test_zoneout_reads_a_new_value_as_it_was_to_be() -> None:
    p = program("c' = 0.5 * c + W x\nh' = tanh(c') + R h\noutput h'")
    q = zoneout(p, {"c": 0.1}, drawn=True)
    assert equations(q) == [
        "c' = zone_c * c + (1 - zone_c) * (0.5 * c + W x)",
        "h' = tanh(0.5 * c + W x) + R h",
    ]
    expected = zoneout(p, {"c": 0.1, "h": 0.2}, drawn=False)
    assert [(k.name, k.default) for k in expected.constants] == [("zone_c", 0.1), ("zone_h", 0.2)]
    assert expected.inputs == p.inputs


def test_restart_in_the_language() -> None:
    p = program("h' = tanh(W x + R h) + initial_h\noutput h'")
    assert initial(p) == {"h": "initial_h_2"}
    assert equations(restart(p))[-1] == (
        "h' = tanh(W x + R where(restart, initial_h_2, h)) + initial_h"
    )


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIED)
@settings(max_examples=40 if os.environ.get("CI") else 5)
@given(p=programs(smooth=True, sums=False))
def test_of_random_programs_they_are_legal_read_back_and_differentiated(
    name: str, p: Program
) -> None:
    try:
        q = VARIED[name](p)
    except CellwrightError:
        return
    assert program(print_program(q)) == q
    assert {s.name for s in q.states} == {s.name for s in p.states}
    assert q.outputs == p.outputs
    assert q.inputs[: len(p.inputs)] == p.inputs
    masks = tuple(range(len(p.inputs), len(q.inputs)))
    without = derivative(q, tuple(i for i in range(len(q.inputs)) if i not in masks))
    assert len(without.backward.outputs) == len(p.inputs)


def test_what_needs_no_gradient_costs_nothing_in_the_backward_pass() -> None:
    p = zoneout(cell("lstm").program, {"h": 0.1, "c": 0.1}, drawn=True)
    whole, lean = derivative(p), derivative(p, (0,))
    assert [o.startswith("d_zone") for o in whole.backward.outputs] == [False, True, True]
    assert lean.backward.outputs == whole.backward.outputs[:1]
    assert len(lean.backward.values) < len(whole.backward.values)
    plain = derivative(cell("lstm").program)
    assert len(lean.forward.outputs) == len(plain.forward.outputs)


@pytest.mark.parametrize("name", VARIED)
def test_gradients_of_masks_are_right_where_they_are_asked_for(name: str) -> None:
    p = VARIED[name](cell("peephole_lstm").program)
    given_ = arguments(p, {"I": 3, "H": 4, "K": 2}, 4, 2, torch.float64)
    assert max(errors(p, given_, "reference").values()) <= 1e-12


# --- gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "keeping", "writing"),
    [
        ("lstm", "c", "+b_f", "+b_i"),
        ("lstm", "h", "", ""),
        ("peephole_lstm", "c", "+b_f", "+b_i"),
        ("coupled_lstm", "c", "+b_f", ""),
        ("cifg", "c", "-b_i", ""),
        ("gru", "h", "+b_z", ""),
        ("mut1", "h", "-b_z", ""),
        ("lem", "c", "-b_1", ""),
        ("star", "h", "-b_k", ""),
        ("cfn", "h", "+b_f", "+b_i"),
        ("rhn", "h", "-b_t_2 -b_t_1", ""),
        ("min_lstm", "h", "+b_f -b_i", ""),
        ("nfg", "c", "", "+b_i"),
        ("slim_lstm_4", "h", "", ""),
        ("rnn", "h", "", ""),
    ],
)
def test_gates(name: str, state: str, keeping: str, writing: str) -> None:
    p = cell(name).program
    [s] = [s for s in p.states if s.name == state]
    found = [
        " ".join("-+"[gate.sign > 0] + b for gate in some for b, _ in gate.biases)
        for some in gates(p, s)
    ]
    assert found == [keeping, writing]


def test_gates_of_other_forms() -> None:
    def signs(text: str) -> list[list[int]]:
        p = program(f"{text}\noutput h'")
        found = gates(p, p.states[0])
        return [[g.sign * sign for g in some for _, sign in g.biases] for some in found]

    assert signs("h' = h + σ(W x - b) * (tanh(V x) - h)") == [[1], []]
    assert signs("h' = h - σ(W x + b) * h") == [[-1], []]
    assert signs("h' = h / (1 + σ(W x + b)) + (1 - σ(V x + a)) * W x") == [[-1], [-1]]
    assert signs("u = W x + b\nh' = 0.5 * h + u * σ(u)") == [[], []]
