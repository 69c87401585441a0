"""Hoisting: every value runs once, in a phase where what it needs is known."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from cellwright.backends import reference
from cellwright.language import cell, cell_names
from cellwright.program.derivative import derivative
from cellwright.program.ops import LEAVES
from cellwright.program.program import Program
from cellwright.schedule.phases import phases
from conformance import arguments
from strategies import programs


@given(programs(smooth=False))
def test_every_value_is_in_one_phase_and_in_order(p: Program) -> None:
    for q in (p, derivative(p).backward):
        cut = phases(q)
        order = [*cut.once, *cut.before, *cut.loop, *cut.after]
        assert len(order) == len(set(order))
        vectors = {v for v in q.values if v.op not in LEAVES and len(v.shape) < 2}
        assert vectors <= set(order)
        for i, v in enumerate(order):
            assert all(a in order[:i] for a in v.args if a.op not in LEAVES)


@given(programs(smooth=False))
def test_what_reads_no_state_is_hoisted(p: Program) -> None:
    cut = phases(p)
    assert all(v in p.recurrent for v in (*cut.loop, *cut.after))
    assert not any(v in p.recurrent for v in (*cut.once, *cut.before))


@pytest.mark.parametrize("name", cell_names())
def test_all_input_matrices_are_one_gemm(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One GEMM for each vector that matrices are applied to: over all steps for every `W x`, and
    for what nothing in the recurrence reads."""
    p = cell(name).program
    rows: list[int] = []
    linear = torch.nn.functional.linear
    monkeypatch.setattr(
        torch.nn.functional, "linear", lambda x, w: (rows.append(x.shape[0]), linear(x, w))[1]
    )
    T, B = 6, 2
    given_ = arguments(p, cell(name).sizes(3, 4), T, B, torch.float64)
    reference.run(p, given_.inputs, given_.states, given_.parameters)
    cut = phases(p)
    before, loop, after = (
        len({v.args[1] for v in phase if v.op == "apply"})
        for phase in (cut.before, cut.loop, cut.after)
    )
    assert rows == [T * B] * before + [B] * T * loop + [T * B] * after
