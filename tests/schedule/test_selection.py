"""Cells of a kind, in an order."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from cellwright.language import CellError, cell, cell_names
from cellwright.schedule.selection import Conditions, Order, family, select

SIZES = {"I": 64, "H": 64}


def names(order: Order = "name", **conditions: Any) -> list[str]:
    return [c.name for c, _ in select(Conditions(**conditions), SIZES, order)]


def test_without_conditions_every_cell_by_name() -> None:
    assert names() == list(cell_names())


@pytest.mark.parametrize("order", get_args(Order))
def test_an_order_is_of_all_from_the_least_on(order: Order) -> None:
    found = select(Conditions(), SIZES, order)
    assert sorted(c.name for c, _ in found) == list(cell_names())
    keys = {
        "name": lambda c, f: c.name,
        "parameters": lambda c, f: c.program.count(c.sizes(64, 64)),
        "macs": lambda c, f: f.macs,
        "states": lambda c, f: len(c.program.states),
        "stages": lambda c, f: f.stages,
        "memory": lambda c, f: f.memory,
    }
    measured = [keys[order](c, f) for c, f in found]
    assert measured == sorted(measured)
    assert measured[0] != measured[-1]


def test_cells_of_a_kind() -> None:
    scans, units = {*names(linear=True)}, {*names(elementwise=True)}
    assert {"min_gru", "qrnn"} <= scans & units
    assert {"ind_rnn", "sru"} <= units - scans
    assert not {"lstm", "gru", "rnn"} & {*scans, *units}
    assert units.isdisjoint(names(elementwise=False))
    assert units == {*names(stages=0)}
    assert names(states=5) == ["fgr"]
    assert "mgu" in names(stages=2)
    assert names(states=99) == []


def test_a_family() -> None:
    """Who varies a cell, who varies one of those, and itself, under any of its names."""
    assert family(cell("cifg")) == ("cifg", "peephole_lstm", "lstm", "rnn")
    kin = names(like="np")
    assert {"lstm", "peephole_lstm", "cifg", "gru", "mgu1"} <= {*kin}
    assert "rnn" not in kin
    assert "mgu1" in names(like="mgu", stages=2)
    with pytest.raises(CellError, match="Did you mean lstm"):
        names(like="lsmt")
