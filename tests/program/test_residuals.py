"""What is saved suffices, and no more is saved than pays."""

from __future__ import annotations

import pytest
from hypothesis import given

from cellwright.language import cell, cell_names, parse
from cellwright.program.derivative import derivative
from cellwright.program.ops import TABLE, topological
from cellwright.program.program import Program
from strategies import programs


@given(programs(smooth=False))
def test_what_is_saved_suffices(p: Program) -> None:
    """The backward pass has streams and parameters for all it reads: nothing is left over from the
    forward pass."""
    d = derivative(p)
    own = {v.name for v in d.backward.inputs}
    assert {v.name for v in topological(d.backward.values) if v.op == "input"} <= own
    assert not {s.name for s in p.states} & own


@pytest.mark.parametrize("name", cell_names())
def test_no_product_is_made_twice(name: str) -> None:
    """Matrices of the forward pass come back transposed only, but those that it has transposed
    itself: what they gave is saved, or is below something that is."""
    p = cell(name).program
    turned = {v.args[0] for v in p.values if v.op == "transpose"}
    applied = {v.args[0] for v in derivative(p).backward.values if v.op == "apply"}
    assert {m for m in applied if m.op != "transpose"} <= turned


def saved(text: str) -> list[str]:
    p = parse(text).program
    d = derivative(p)
    return sorted(d.forward.outputs[len(p.outputs) :])


def test_lstm_saves_its_gates_both_states_and_the_tanh_of_one() -> None:
    p = cell("lstm").program
    d = derivative(p)
    kept = d.forward.outputs[len(p.outputs) :]
    assert len(kept) == 7
    assert {"i", "f", "z", "o", "h_old", "c_old", "tanh_c_new"} == {*kept}


def test_what_is_cheap_is_computed_again() -> None:
    assert len(saved("z = σ(W x + R h)\nh' = (1 - z) * h + z * tanh(U x)")) == 3  # z, tanh, h


def test_what_is_dear_is_saved() -> None:
    dear = [n for n, row in TABLE.items() if row.cost > 10]
    assert {"sum", "standardize", "mean", "deviation"} <= {*dear}
