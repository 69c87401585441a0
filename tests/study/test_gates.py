"""The gates at work: what is shown of a cell is what its layer computes."""

from __future__ import annotations

import base64
import json
import re
from html import unescape

import numpy as np
import pytest
import torch

from cellwright import cell, parse
from cellwright.study.gates import LEVELS, UNKNOWN, example, gates, quantised
from cellwright.study.gates_view import Section, fragment, page
from cellwright.study.model import Model
from cellwright.study.tasks.adding import ADDING
from cellwright.study.tasks.parity import PARITY
from cellwright.study.tasks.task import Task
from cellwright.study.tasks.text import text
from tiny import MUSIC

TEXT = text("a tale", "made for a test", "once upon a time\nthere was <b> & 'x' ÿ ¿ " * 80)
SMALL = {"train": 20, "valid": 4, "test": 5}
TASKS = {
    "music": MUSIC,
    "text": TEXT,
    "adding": ADDING.build(ADDING.options(T=30, **SMALL)),
    "parity": PARITY.build(PARITY.options(**SMALL)),
}


def _model(task: Task, name: str = "lstm", hidden: int = 5) -> Model:
    torch.manual_seed(0)
    return Model(cell(name), task.form, hidden).eval()


@pytest.mark.parametrize("name", ["lstm", "gru", "rhn(L=2)"])
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_planes_are_what_the_layer_traces(task: Task, name: str) -> None:
    model, shown = _model(task, name), example(task)
    found = gates(model, shown)
    with torch.no_grad():
        seen = model.recurrent.trace(model.read(shown.inputs))
    assert [plane.name for plane in found.planes] == list(seen)
    for plane in found.planes:
        true = seen[plane.name][:, 0].T.double().numpy()
        assert plane.codes.shape == (5, shown.steps) and plane.units == 5
        half = (plane.high - plane.low) / LEVELS / 2
        np.testing.assert_allclose(plane.values, true, atol=half * 1.0001, rtol=0)
    captions = {e.name.removesuffix("'"): e.caption for e in model.recurrent.cell.equations}
    assert {plane.name: plane.caption for plane in found.planes} == captions


def test_the_example_is_a_sequence_of_the_test_set() -> None:
    shown = example(MUSIC)
    read = shown.inputs[:, 0].numpy()
    assert shown.steps == shown.whole
    assert any(np.array_equal(read, frames[:-1]) for frames in MUSIC.test.sequences)
    written = example(TEXT)
    assert written.steps == 96 < written.whole
    assert np.array_equal(written.inputs[:, 0].numpy(), TEXT.test.codes[:96])


def test_scales_are_a_gates_or_symmetric() -> None:
    def scale(*values: float) -> tuple[float, float]:
        plane = quantised("v", "", np.array([values]))
        return plane.low, plane.high

    assert scale(0.2, 0.9) == scale(0, 0) == (0, 1)
    assert scale(0, 3) == (0, 3)
    assert scale(-0.5, 0.2) == (-0.5, 0.5)
    assert scale(-1, np.inf) == (-1, 1)
    lost = quantised("v", "", np.array([[np.nan, -np.inf, -2, 2, 0]]))
    assert lost.codes.tolist() == [[UNKNOWN, UNKNOWN, 0, LEVELS, LEVELS // 2]]
    many = quantised("v", "", np.ones((100, 3)))
    assert (many.codes.shape, many.units) == ((64, 3), 100)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_page_holds_the_planes_and_the_input(task: Task) -> None:
    shown = example(task)
    found = {name: gates(_model(task, name), shown) for name in ("lstm", "gru")}
    html = page("Gates", Section(shown, found, dict.fromkeys(found, "5 units")))
    for name, own in found.items():
        part = html[html.index(f'data-cell="{name}"') :].partition("</details>")[0]
        packed = re.findall(r'data-values="([^"]*)"', part)
        assert [base64.b64decode(p) for p in packed] == [p.codes.tobytes() for p in own.planes]
    (now,) = re.findall(r'data-now="([^"]*)"', html)
    assert len(json.loads(unescape(now))) == shown.steps
    assert not re.findall(r"(?:src|href)=|https?:", html)


def test_what_was_read_is_told_step_by_step() -> None:
    def now(task: Task) -> list[str]:
        (found,) = re.findall(r'data-now="([^"]*)"', fragment(Section(example(task), {}, {})))
        said: list[str] = json.loads(unescape(found))
        return said

    frames = example(MUSIC).inputs[:, 0].numpy()
    keys = [" ".join(f"key {k + 1}" for k in np.flatnonzero(row)) for row in frames]
    assert now(MUSIC) == keys
    read = "".join(TEXT.reads.names[c] for c in TEXT.test.codes[:96]).replace(" ", "␣")
    assert now(TEXT)[20] == f"{read[11:20]}[{read[20]}]{read[21:30]}".replace("\n", "⏎")
    bits = example(TASKS["parity"]).inputs[:, 0].tolist()
    assert now(TASKS["parity"]) == [str(bit) for bit in bits]
    number, mark = example(TASKS["adding"]).inputs[3, 0].tolist()
    assert now(TASKS["adding"])[3] == f"number {number:.3g}, mark {mark:.3g}"


def test_hostile_text_stays_text() -> None:
    bad = "<script>alert(1)</script>\"'>"
    own = parse(f"h' = tanh(W x + R h)  # {bad}", bad)
    model = Model(own, MUSIC.form, 3)
    html = fragment(Section(example(MUSIC), {bad: gates(model, example(MUSIC))}, {bad: bad}))
    assert "<script" not in html and "&lt;script&gt;" in html
