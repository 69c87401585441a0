"""The C++ of cells, as a reader sees it. `pytest --snapshot-update` takes what is emitted now."""

from __future__ import annotations

import re

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from cellwright.backends.cpu.emit import emit
from cellwright.language import cell, cell_names, parse
from cellwright.program.derivative import derivative


class _Cpp(SingleFileSnapshotExtension):
    file_extension = "cpp"
    _write_mode = WriteMode.TEXT


@pytest.fixture
def cpp(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_Cpp)


NORMED = """
input x : I
scalar alpha
r  = σ(norm(W_r x) + R_r h)                # two stages, one of them a sum over units
h' = h + alpha * tanh(W x + R (r * h))
"""


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before", "normed"])
def test_a_forward_pass(name: str, cpp: SnapshotAssertion) -> None:
    p = (parse(NORMED) if name == "normed" else cell(name)).program
    assert emit(p) == cpp


@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_a_backward_pass(name: str, cpp: SnapshotAssertion) -> None:
    assert emit(derivative(cell(name).program).backward) == cpp


@pytest.mark.parametrize("name", cell_names())
def test_each_equation_stands_above_its_code(name: str) -> None:
    """Those that are computed in a step, that is: not once for all, nor handed on as they come.
    What has two names stands there by the first."""
    p = cell(name).program
    text = emit(p)
    first = {q.value: q for q in reversed(p.equations)}
    for q in first.values():
        if q.value not in p.stepped or not q.value.args:
            continue
        assert len(re.findall(rf"^ *// {re.escape(q.name)} = ", text, re.M)) >= 1


def test_names_of_a_cell_stay_in_comments() -> None:
    text = "volatile = W_auto x\nmeet = R_REAL h + volatile\nλ_2 = tanh(meet)\nh' = λ_2"
    plain = "v_1 = W_1 x\nv_2 = R_2 h + v_1\nv_3 = tanh(v_2)\nh' = v_3"
    code = [re.sub("//.*", "", emit(parse(t).program)) for t in (text, plain)]
    assert code[0] == code[1]
