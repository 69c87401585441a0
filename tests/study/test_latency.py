"""What a step of a saved model takes."""

from __future__ import annotations

from pathlib import Path

import torch

from cellwright import cell
from cellwright.study.latency import latencies
from cellwright.study.model import Model
from cellwright.study.regime import Regime
from cellwright.study.results import Run
from cellwright.study.saved import as_file
from cellwright.study.tasks import Task, load
from cellwright.study.tasks.task import Symbols
from tiny import MUSIC


def _saved(task: Task, hidden: int, path: Path) -> Path:
    regime = Regime(hidden_size=hidden, batch_size=4, learning_rate=0.01, epochs=1, patience=1)
    run = Run("gru", 0, hidden, 9, (), -1, 1.0, 1.0, {}, 1.0, "epochs")
    path.write_bytes(as_file(Model(cell("gru"), task.form, hidden), task, regime, run))
    return path


def test_a_step_of_more_units_takes_longer_whatever_is_read(tmp_path: Path) -> None:
    symbols = load("copy(T=9, train=8, valid=2, test=2)")
    assert isinstance(symbols.reads, Symbols)
    threads = torch.get_num_threads()
    found = latencies({
        "small": _saved(MUSIC, 2, tmp_path / "small"),
        "large": _saved(MUSIC, 500, tmp_path / "large"),
        "symbols": _saved(symbols, 2, tmp_path / "symbols"),
    })  # fmt: skip
    assert 0 < found["small"] < found["large"] and 0 < found["symbols"] < found["large"]
    assert torch.get_num_threads() == threads
