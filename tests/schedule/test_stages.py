"""Stages: every value runs once, where what it needs is known, and no engine waits longer than it
must."""

from __future__ import annotations

import pytest
from hypothesis import given

from cellwright.language import cell, cell_names, parse
from cellwright.program.derivative import derivative
from cellwright.program.ops import LEAVES, Value
from cellwright.program.program import Program
from cellwright.schedule.lowering import terms
from cellwright.schedule.printer import print_schedule
from cellwright.schedule.stages import Schedule, schedule
from strategies import programs


def read(v: Value) -> tuple[Value, ...]:
    """What has to be there for `v` that an engine computes."""
    args = [x for pair in terms(v) for x in pair] if v.op == "products" else v.args
    return tuple(a for a in args if a.op not in LEAVES and len(a.shape) < 2)


def in_order(s: Schedule) -> list[tuple[str, int, Value]]:
    found = [("once", 0, v) for v in s.once]
    for phase, stages in s.phases:
        found += [(phase, i, v) for i, stage in enumerate(stages) for v in stage.values]
    return found


@given(programs(smooth=False))
def test_every_value_runs_once_after_what_it_reads(p: Program) -> None:
    for q in (p, derivative(p).backward):
        s = schedule(q)
        order = in_order(s)
        place = {v: i for i, (_, _, v) in enumerate(order)}
        assert len(place) == len(order)
        for i, (phase, stage, v) in enumerate(order):
            assert all(place[a] < i for a in read(v))
            if v.op in ("products", "sum"):  # every unit is there
                own = {a for a in read(v) if order[place[a]][:2] == (phase, stage)}
                assert not own or phase == "once"
        wanted = (*s.next, *s.outputs, *(v for v in s.sums if len(v.shape) < 2))
        assert all(v in place for v in wanted if v.op not in LEAVES)


@given(programs(smooth=False))
def test_the_loop_has_only_what_a_step_waits_for_or_is_cheap(p: Program) -> None:
    s = schedule(p)
    states = set(p.states)
    reached: set[Value] = set(states)
    for phase, _, v in in_order(s):
        args = [x for _, x in terms(v)] if v.op == "products" else v.args
        if any(a in reached for a in args):
            reached.add(v)
            assert phase in ("loop", "behind")
        elif v.op in ("products", "sum"):
            assert phase != "loop"


@pytest.mark.parametrize(
    ("name", "forward", "backward"),
    [("lstm", 1, 2), ("peephole_lstm", 1, 2), ("gru", 1, 2), ("gru_reset_before", 2, 3)],
)
def test_the_stages_of_a_step(name: str, forward: int, backward: int) -> None:
    """Backward, elementwise work comes before the first product."""
    p = cell(name).program
    assert len(schedule(p).loop) == forward
    assert len(schedule(derivative(p).backward).loop) == backward


@pytest.mark.parametrize("name", cell_names())
def test_an_input_is_multiplied_ahead_of_the_loop_and_its_gradient_behind_it(name: str) -> None:
    p = cell(name).program
    by_input = {v for v in p.values if v.op == "apply" and v.args[1] in p.inputs}
    ahead = [term for g in schedule(p).ahead for v in g.products for term in terms(v)]
    assert {m for m, x in ahead if x in p.inputs} == {v.args[0] for v in by_input}
    behind = [v for g in schedule(derivative(p).backward).behind for v in g.products]
    chained = {x for _, x in ahead if x not in p.inputs}  # products with what was made of the input
    assert len(behind) == (1 if by_input else 0) + len(chained)  # of all matrices side by side


def test_matrices_whose_products_are_added_are_one_product() -> None:
    p = parse("h' = tanh(R h + S c + W x)\nc' = R c + S h").program
    [stage] = schedule(p).loop
    assert sorted(len(terms(v)) for v in stage.products) == [2, 2]


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_a_schedule_as_it_is_printed(name: str, snapshot) -> None:
    p = cell(name).program
    found = print_schedule(schedule(p)), print_schedule(schedule(derivative(p).backward))
    assert "\n\n".join(found) == snapshot
