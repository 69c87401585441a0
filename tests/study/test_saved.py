"""Models as files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import cellwright
from cellwright import CellwrightError, cell
from cellwright.study.regime import Regime
from cellwright.study.saved import about, as_file
from cellwright.study.tasks import Task, load
from cellwright.study.training import trained
from tiny import MUSIC

REGIME = Regime(hidden_size=3, batch_size=4, learning_rate=0.01, epochs=1, patience=1)
TASKS = [
    MUSIC,
    load("adding(T=9, train=8, valid=2, test=2)"),
    load("parity(T=9, train=8, valid=2, test=2)"),
]


def _saved(task: Task, path: Path) -> torch.nn.Module:
    run, model = trained(cell("peephole_lstm"), 0, task, REGIME)
    path.write_bytes(as_file(model, task, REGIME, run))
    return model


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.kind)
def test_a_model_is_loaded_as_it_was(task: Task, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = _saved(task, path).eval()
    loaded = cellwright.load(path)
    batch = next(task.test.in_order())
    expected, _ = model(batch.inputs, batch.lengths)
    assert torch.equal(loaded(batch.inputs, batch.lengths)[0], expected)
    said = about(path)
    assert (said.cell.text, said.cell.name) == (cell("peephole_lstm").text, "peephole_lstm")
    assert said.form == task.form
    assert said.dataset == task.summary()
    assert said.regime == REGIME


def test_anyone_can_read_what_it_is(tmp_path: Path) -> None:
    """The equations stand in the file as they were written, without this package."""
    path = tmp_path / "model.safetensors"
    _saved(MUSIC, path)
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["cellwright"])
        assert {*file.keys()} > {"readout.weight"}
    assert said["cell"] == cell("peephole_lstm").text
    assert said["dataset"]["goal"] == MUSIC.goal


def _without_metadata(path: Path) -> None:
    save_file({"w": torch.zeros(1)}, path)


def _of_other_sizes(path: Path) -> None:
    with safe_open(path, "pt") as file:
        save_file({"w": torch.zeros(1)}, path, file.metadata())


def _with_metadata(change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            text = file.metadata()["cellwright"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assert change(text) != text
        save_file(tensors, path, {"cellwright": change(text)})

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read: "),
        (lambda path: path.write_bytes(b""), "is no model that cellwright has saved"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is no model that"),
        (lambda path: path.write_bytes(b"x" * 500), "is no model that"),
        (_without_metadata, "does not say which cell it is of"),
        (_of_other_sizes, "its tensors do not fit its cell, peephole_lstm"),
        (_with_metadata(lambda text: text[:-9]), "is no model that"),
        (_with_metadata(lambda text: text.replace("c' = ", "q = ")), "is no model that"),
        (_with_metadata(lambda text: text.replace('"features"', '"futures"')), "is no model that"),
    ],
)
def test_another_file_is_told(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "model.safetensors"
    _saved(MUSIC, path)
    damage(path)
    with pytest.raises(CellwrightError, match=message) as e:
        cellwright.load(path)
    assert str(path) in str(e.value)


def test_what_is_no_path() -> None:
    with pytest.raises(TypeError, match="a saved model is named by its path, got int"):
        cellwright.load(3)  # type: ignore[arg-type]
