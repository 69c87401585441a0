"""Which models are kept, and that they are the ones that were judged."""

from __future__ import annotations

import io
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
import torch
from rich.console import Console

import cellwright
from cellwright import cell
from cellwright.study.compare import carry_out
from cellwright.study.gates_view import PageError, drawn
from cellwright.study.jobs import Job, jobs
from cellwright.study.metric import Metric
from cellwright.study.models import Models
from cellwright.study.results import Run
from cellwright.study.saved import about
from cellwright.study.training import _evaluate
from tiny import MUSIC, SETTINGS, comparison, plan


def test_a_comparison_keeps_the_model_that_its_best_figures_are_of(tmp_path: Path) -> None:
    found = carry_out(plan(), tmp_path, Console(file=io.StringIO()))
    files = {about(path).cell.name: path for path in (tmp_path / "models").iterdir()}
    assert sorted(files) == ["gru", "lstm"]
    for name, path in files.items():
        best = min(found.of(name), key=lambda run: run.valid)
        assert about(path).run == best
        torch.set_num_threads(1)
        model = cellwright.load(path)
        assert _evaluate(model, MUSIC, MUSIC.test)["loss"] == pytest.approx(best.test, rel=1e-6)
    html = (tmp_path / "report.html").read_text("utf-8")
    assert html.count('class="gates-cell"') == 2
    carry_out(plan(), tmp_path, Console(file=io.StringIO()))
    assert (tmp_path / "report.html").read_text("utf-8").count('class="gates-cell"') == 2


@pytest.mark.parametrize(("better", "best"), [("lower", 1), ("higher", 2)])
def test_the_best_validation_stays(better: str, best: int, tmp_path: Path) -> None:
    models = Models(tmp_path, Metric("m", better=better))  # type: ignore[arg-type]
    todo = jobs([cell("lstm")], replace(SETTINGS, seeds=4), MUSIC)
    (run,) = comparison({"lstm": [1.0]}).runs
    runs: dict[Job, Run] = {}
    for job, valid in zip(todo, (2.0, 1.0, 3.0, inf), strict=True):
        own = replace(run, seed=job.seed, valid=valid)
        models.keep(job, own, str(job.seed).encode(), runs)
        runs[job] = own
    (file,) = (tmp_path / "models").iterdir()
    assert models.best(runs) == {"lstm": file}
    assert (file.stem, file.read_text()) == (todo[best].key, str(best))


def test_a_model_of_other_data_is_refused(tmp_path: Path) -> None:
    carry_out(plan(seeds=1), tmp_path, Console(file=io.StringIO()))
    path = next((tmp_path / "models").iterdir())
    other = replace(MUSIC, name="others", reads=replace(MUSIC.reads, names=tuple("abcdef")))
    with pytest.raises(PageError, match=r"and others gives 6 numbers.*made for a test"):
        drawn(other, {"lstm": path})
