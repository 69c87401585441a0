"""Studies from end to end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from math import isfinite
from pathlib import Path
from shutil import copytree

import pytest
import torch
from rich.console import Console

import cellwright
from cellwright import CellwrightError, cell
from cellwright.cli import app
from cellwright.study import training
from cellwright.study.plain import decode, encode
from cellwright.study.results import Epoch, Run
from cellwright.study.runner import Failed, Finished, Noted, Progressed, Started
from cellwright.study.saved import about
from cellwright.study.search import clock, report
from cellwright.study.search import study as module
from cellwright.study.search.board import board
from cellwright.study.search.contest import Contest
from cellwright.study.search.files import Files, read_study
from cellwright.study.search.queue import Queue
from cellwright.study.search.results import Study
from cellwright.study.search.storage import shared
from cellwright.study.search.study import carry_out, study
from cellwright.study.training import _evaluate
from pages import check_page
from small import PRESET, Here, figures, leading, plan
from tiny import MUSIC, write_music

WRITE = report.write
"""As it is, before tests here put something quicker in its place."""


def _console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, highlight=False)


def _said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _here() -> Iterator[None]:
    """What asks for no number of workers is done in this process."""
    crew = module._crew
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_crew", lambda p: Here(p.task) if p.workers is None else crew(p))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study, str]:
    """Two cells, six trials and two seeds each, one after another."""
    out, console = tmp_path_factory.mktemp("whole"), _console()
    return out, carry_out(plan(), out, console), _said(console)


# --- what is found ------------------------------------------------------------------------------


def test_a_study(whole: tuple[Path, Study, str]) -> None:
    out, found, said = whole
    assert found.complete
    assert [len(one.trials) for one in found.cells] == [6, 6]
    assert [len(one.again) for one in found.cells] == [2, 2]
    stopped = {trial.run.stopped for one in found.cells for trial in one.trials}
    assert "pruned" in stopped
    assert stopped & {"epochs", "patience"}
    assert read_study(out) == found == read_study(out / "study.json")
    assert decode(Study, json.loads(json.dumps(encode(found), allow_nan=False))) == found

    assert "[16/16] " in said
    assert "lstm, trial 0: validation " in said
    assert not {c for c in said if ord(c) < 32} - {"\n"}


def test_another_seed_gives_other_trials(whole: tuple[Path, Study, str], tmp_path: Path) -> None:
    _, found, _ = whole
    other = carry_out(plan(["lstm"], trials=2, seeds=0, seed=1), tmp_path, _console())
    mine, theirs = figures(found), figures(other)
    assert len(theirs) == 2
    assert all(mine[key] != value for key, value in theirs.items())


def test_the_table_of_trials(whole: tuple[Path, Study, str]) -> None:
    out, found, _ = whole
    rows = [*csv.DictReader((out / "trials.csv").read_text().splitlines())]
    assert [(r["cell"], r["trial"], r["again"]) for r in rows[:7]] == [
        *(("lstm", str(k), "0") for k in range(6)), ("lstm", rows[6]["trial"], "1"),
    ]  # fmt: skip
    assert len(rows) == 16
    trial = found.of("gru").trials[3]
    row = next(r for r in rows if (r["cell"], r["trial"], r["again"]) == ("gru", "3", "0"))
    assert float(row["learning_rate"]) == trial.hyperparameters["learning_rate"]
    assert float(row["test"]) == float(row["test_loss"]) == trial.run.test
    assert int(row["parameters"]) >= int(row["learned"]) == trial.run.parameters


def test_the_best_models_are_kept_and_load(whole: tuple[Path, Study, str]) -> None:
    out, found, _ = whole
    for one in found.cells:
        kept = [path for path in (out / "models").iterdir() if path.name.startswith(one.cell)]
        assert len(kept) == len(leading(found, one.cell))
        best = one.best(MUSIC.target.metrics[0])
        assert best is not None
        assert best.run.valid == min(t.run.valid for t in one.trials if t.run.stopped != "pruned")
        assert one.model is not None
        model = cellwright.load(out / one.model)
        assert _evaluate(model, MUSIC, MUSIC.test)["loss"] == best.run.test
        assert model.recurrent.cell.text == cell(one.cell).text
        seen = model.recurrent.trace(model.read(torch.rand(4, 1, 6)))
        assert {"h", "z"} <= {*seen}
        said = about(out / one.model)
        assert said.dataset == MUSIC.summary()
        assert said.run == best.run
        assert said.regime.learning_rate == best.hyperparameters["learning_rate"]


def test_fewer_trials_have_their_best_model_and_more_again_have_theirs(
    whole: tuple[Path, Study, str], tmp_path: Path
) -> None:
    _, found, _ = whole
    copied = tmp_path / "copied"
    copytree(whole[0], copied)
    least = next(name for name in ("lstm", "gru") if len(leading(found, name)) > 1)
    trials = max(leading(found, least))  # all but the best one, and what came after it
    for number in (trials, 6):
        again = carry_out(plan(trials=number, seeds=0), copied, _console())
        for one in again.cells:
            best = one.best(MUSIC.target.metrics[0])
            assert best is not None
            assert one.model is not None
            assert about(copied / one.model).run == best.run
    assert again.of(least).model == found.of(least).model


def test_seeds_are_of_the_best_trial_and_are_others(whole: tuple[Path, Study, str]) -> None:
    _, found, _ = whole
    for one in found.cells:
        best = one.best(MUSIC.target.metrics[0])
        assert best is not None
        assert {run.hidden_size for run in one.again} == {best.run.hidden_size}
        seeds = [run.seed for run in (best.run, *one.again)]
        assert len({*seeds}) == 3
        assert "pruned" not in {run.stopped for run in one.again}


# --- going on -----------------------------------------------------------------------------------


def test_a_study_goes_on_and_grows(whole: tuple[Path, Study, str], tmp_path: Path) -> None:
    """The same command trains nothing; more trials, another cell, no seeds: only what is new."""
    _, found, _ = whole
    carry_out(plan(["lstm"], trials=3, seeds=0), tmp_path, _console())
    journal = (tmp_path / "study.journal").read_bytes()
    console = _console()
    again = carry_out(plan(["lstm"], trials=3, seeds=0), tmp_path, console)
    assert again.complete
    assert "3 trials are finished already" in _said(console)
    assert (tmp_path / "study.journal").read_bytes() == journal
    console = _console()
    more = carry_out(plan(), tmp_path, console)
    assert figures(more) == figures(found)
    assert _said(console).count("lstm, trial ") == 3 + 2  # and two seeds
    console = _console()
    other = replace(PRESET, fixed={**PRESET.fixed, "dropout": 0.1})
    carry_out(plan(["lstm"], trials=1, seeds=0, preset=other), tmp_path, console)
    assert "has 4 searches of other settings, data or cells, not used here" in _said(console)


def test_time_is_shared_out_and_what_it_cut_off_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell's trials and seeds stay within its share. A clock goes on by 0.5 s a look."""
    ticks = count()
    monkeypatch.setattr(training, "perf_counter", lambda: next(ticks) / 2)
    long = replace(PRESET, fixed={**PRESET.fixed, "epochs": 400, "patience": 400}, pruning=False)
    options = {"preset": long, "trials": None, "seeds": 1}
    short = carry_out(plan(minutes=0.5, **options), tmp_path, _console())
    assert short.complete
    for one in short.cells:  # half a minute each of two cells, half of it a training
        runs = [*(trial.run for trial in one.trials), *one.again]
        assert {run.stopped for run in runs} == {"time"}
        assert all(run.seconds < 8.6 for run in runs)  # its test is two looks more
        assert 14 < sum(run.seconds for run in runs) < 17.2
    more = carry_out(plan(minutes=1.0, **options), tmp_path, _console())
    for before, after in zip(short.cells, more.cells, strict=True):
        first, longer = before.trials[0], after.trials[0]
        assert longer.hyperparameters == first.hyperparameters
        assert longer.run.seed == first.run.seed
        assert len(longer.run.epochs) > 1.5 * len(first.run.epochs)
        losses = [[e.valid for e in run.epochs] for run in (first.run, longer.run)]
        assert losses[1][: len(losses[0])] == losses[0]


@pytest.mark.parametrize(
    ("first", "then"), [("trials", "minutes"), ("minutes", "trials")], ids=["trials", "minutes"]
)
def test_the_other_kind_of_budget_is_refused(tmp_path: Path, first: str, then: str) -> None:
    """It would be what is left of it after trials that cells had unequal shares of it for."""
    budgets = {"trials": {"trials": 2}, "minutes": {"trials": None, "minutes": 0.2 / 60}}
    begun = carry_out(plan(["lstm"], seeds=0, **budgets[first]), tmp_path, _console())  # type: ignore[arg-type]
    number = len(begun.of("lstm").trials)
    journal = (tmp_path / "study.journal").read_bytes()
    with pytest.raises(
        CellwrightError,
        match=rf"begun with --{first}, and the folder {tmp_path} has {number} trials? of lstm\. .* "
        rf"go on with --{first}, or give --{then} another --out",
    ):
        carry_out(plan(["lstm"], seeds=0, **budgets[then]), tmp_path, _console())  # type: ignore[arg-type]
    assert (tmp_path / "study.journal").read_bytes() == journal
    assert read_study(tmp_path) == begun


def test_a_trial_that_raises_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(PRESET, fixed={**PRESET.fixed, "optimizer": "none"})
    options = {"cells": ["lstm"], "trials": 2, "seeds": 1, "preset": broken}
    for _ in range(2):
        console = _console()
        found = carry_out(plan(**options), tmp_path, console)
        assert not found.complete
        assert found.of("lstm").trials == ()
        assert {*found.of("lstm").failed} == {"0", "1"}
        assert _said(console).count(". The other runs go on") == 2
        assert "2 trials broke off, trial 0 with " in _said(console)


def test_diverged_trials_are_trials_without_a_figure(tmp_path: Path) -> None:
    wild = replace(PRESET.overridden({"learning_rate": "1e37"}), pruning=True)
    console = _console()
    found = carry_out(plan(["lstm"], trials=2, preset=wild), tmp_path, console)
    assert found.complete
    assert [trial.run.stopped for trial in found.of("lstm").trials] == ["diverged"] * 2
    assert found.of("lstm").best(MUSIC.target.metrics[0]) is None
    assert found.of("lstm").model is None
    assert "2 of 2 trials diverged" in _said(console)


# --- what a person sees -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "said"),
    [({}, "0 of 16 runs are finished"), ({"trials": None, "minutes": 1.0}, "0 runs are finished")],
)
def test_a_study_that_is_stopped_before_anything_is_finished_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: dict[str, float], said: str
) -> None:
    asked, console = nullcontext(lambda: True), _console()
    monkeypatch.setattr(module, "stoppable", lambda: asked)
    found = carry_out(plan(**budget), tmp_path, console)  # type: ignore[arg-type]
    assert not found.complete
    told = _said(console)
    assert f"Stopped. {said} and kept; the same command goes on." in told
    assert "nothing to report yet" in told and "models:" not in told


def _a_run(**changes: object) -> Run:
    run = Run("lstm", 1, 34, 19_808, (), -1, 12.5, 12.75, {"loss": 12.75}, 100.0, "patience")
    return replace(run, **changes)


def test_nobody_waits_for_a_trial_that_is_lost_when_time_is_up(tmp_path: Path) -> None:
    asked = plan(("lstm",), trials=None, minutes=0.1 / 60, seeds=0, workers=2)
    with shared(tmp_path, None) as kept:
        rules, budget = module._rules(asked), module._budget(asked, 2)
        contest = Contest(kept, asked.cells[0], "a name", rules, budget)
        queue = Queue([contest], Files(tmp_path).models)
        first, second = queue.take(True), queue.take(True)
        assert first
        assert second
        assert contest.budget.seconds is not None
        epochs = [Epoch(1.0, 9.0, 9.0, contest.budget.seconds)] * second.rungs[0]
        queue.hear(Progressed(second, epochs[-1], waits=True))
        assert queue.goes_on(second, epochs) is None
        queue.fail(first, "its worker ended", lost=True)
        assert queue.take(True) is None
        assert queue.goes_on(second, epochs) is not None


def test_only_training_takes_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the start of a worker, nor the wait to be told whether a trial goes on."""
    now = 0.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    asked = plan(("lstm",), trials=None, minutes=1.0, seeds=0, workers=1)
    with shared(tmp_path, None) as kept:
        rules, budget = module._rules(asked), module._budget(asked, 1)
        contest = Contest(kept, asked.cells[0], "a name", rules, budget)
        queue = Queue([contest], Files(tmp_path).models)
        first, second = queue.take(True), queue.take(True)
        assert first
        assert second
        now += 30  # the workers start
        assert contest.used == 0
        queue.hear(Started(first))
        queue.hear(Started(second))
        now += 5
        assert contest.used == 10
        epoch = Epoch(1.0, 9.0, 9.0, 4.0)
        queue.hear(Progressed(second, epoch, waits=True))
        assert contest.used == 9
        now += 20
        assert contest.used == 29
        assert queue.goes_on(second, [epoch]) is None
        queue.hear(Progressed(first, epoch, waits=True))
        assert contest.used == 8
        for job in (first, second):
            assert queue.goes_on(job, [epoch])
        now += 2
        assert contest.used == 12
        queue.finish(first, _a_run(seconds=7.0), None)
        assert contest.used == 7 + 6
        assert contest.left == 60 - 13


@pytest.mark.parametrize("minutes", [None, 60.0])
def test_the_live_table_fits_into_80_columns(tmp_path: Path, minutes: float | None) -> None:
    names = ["peephole_lstm", "gru_reset_before"]
    trials = None if minutes else 200
    asked = plan(names, trials=trials, minutes=minutes, seeds=5)
    with shared(tmp_path, None) as kept:
        rules = module._rules(asked)
        budget = module._budget(asked, 2)
        contests = [Contest(kept, c, c.name, rules, budget) for c in asked.cells]
        console = _console(terminal=True)
        live = board(console, MUSIC.target.metrics[0], contests, 2)
        given = [contest.next_trial(True) for contest in contests]
        jobs = [one.job for one in given if one]
        for job in jobs:
            live.show(Started(job))
        for _ in range(12):
            live.show(Progressed(jobs[0], _a_run().epochs))  # type: ignore[arg-type]
        assert given[1]
        given[1].lane.finish(0, _a_run(), None, "here")
        live.show(Finished(jobs[1], _a_run()))
        live.show(Noted("a [red]warning[/red]"))
        live.show(Failed(jobs[0], "its worker ended (SIGKILL)"))
        live.show(Started(jobs[0]))
        live.show(Progressed(jobs[0], _a_run().epochs))  # type: ignore[arg-type]
        shown = Console(width=80, file=io.StringIO(), color_system=None)
        shown.print(live)
    lines = _said(shown).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 8
    rows = [line.split() for line in lines]
    rate = f"{given[1].job.regime.learning_rate:.3g}"
    of = "" if minutes else "/200"
    assert ["peephole_lstm", f"0{of}", "0/5", "1", "–", "–", "–"] in rows
    assert ["gru_reset_before", f"1{of}", "0/5", "12.500", "34", rate] in rows
    assert any(("1 of 410 runs" if not minutes else "1 runs") in line for line in lines)
    assert "a [red]warning[/red]" in _said(console)


def test_the_ranking_at_the_end(whole: tuple[Path, Study, str]) -> None:
    _, found, said = whole
    metric = MUSIC.target.metrics[0]
    lines = [line.split() for line in said.splitlines()]
    ranked = sorted(found.cells, key=lambda one: one.best(metric).run.valid)
    rows = [line for line in lines if line and line[0] in ("lstm", "gru")]
    rows = [row for row in rows if row[1:2] == ["6"]]
    assert [row[0] for row in rows] == [one.cell for one in ranked]
    for row, one in zip(rows, ranked, strict=True):
        best = one.best(metric)
        again = sum(run.test for run in one.again) / 2
        assert row[2:6] == [
            *map(metric.text, (best.run.valid, best.run.test, again)), str(best.run.hidden_size)
        ]  # fmt: skip
    for one in found.cells:
        for name, end in found.edges[one.cell].items():
            assert f"{one.cell}: the best {name.replace('_', ' ')}, " in said
            assert f"is at the {end} end of its range" in said


# --- the command --------------------------------------------------------------------------------


def test_the_command_takes_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_music(tmp_path / "melodies.npz")
    out = tmp_path / "out"
    words = (
        f"study {data} --cells gru --trials 1 --seeds 0 --seed 7 --learning-rate 1e-2,1e-1 "
        f"--parameters 200 --range weight-decay=0.01 --range dropout=0,0.1 --workers 1 --out {out}"
    )
    monkeypatch.setattr(module, "_crew", lambda asked: Here(asked.task))
    monkeypatch.setattr(report, "write", WRITE)
    with pytest.raises(SystemExit) as e:
        app(words, exit_on_error=False)
    assert e.value.code == 0
    found = read_study(out)
    assert found.settings.trials == 1
    assert {(r.name, r.low, r.high) for r in found.settings.ranges} == {
        ("learning_rate", 0.01, 0.1), ("dropout", 0, 0.1)
    }  # fmt: skip
    assert found.settings.fixed["weight_decay"] == 0.01
    assert found.environment.command == (
        f"cellwright study {data} --cells gru --preset modern --trials 1 --seeds 0 --seed 7 "
        f"--workers 1 --range learning_rate=1e-2,1e-1 --range parameters=200 "
        f"--range weight_decay=0.01 --range dropout=0,0.1 --out {out}"
    )
    assert isfinite(found.of("gru").trials[0].run.test)
    assert f"Report: {out / 'report.html'}" in capsys.readouterr().out
    text = (out / "report.html").read_text()
    check_page(text)
    assert text.count("<script>") == 1 and 'data-cell="gru"' in text  # the gates

    (out / "report.html").unlink()
    data.rename(tmp_path / "moved.npz")
    for options, gates in (("", False), (f" --data {tmp_path / 'moved.npz'}", True)):
        app(f"report {out}{options}", exit_on_error=False, result_action="return_value")
        assert ('data-cell="gru"' in (out / "report.html").read_text()) == gates
        assert ("Without the gates" in capsys.readouterr().out) != gates
    with pytest.raises(CellwrightError, match="is not what the study was about"):
        app(f"report {out} --data parity", exit_on_error=False, result_action="return_value")


@pytest.mark.parametrize(
    "words",
    ["--range dropout=0.1 --range dropout=0,0.5", "--learning-rate 1 --range learning-rate=1"],
)
def test_what_is_given_twice_is_refused(words: str) -> None:
    with pytest.raises(CellwrightError, match=r"is given twice, as .*: give it once"):
        app(f"study --preset no {words}", exit_on_error=False, result_action="return_value")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "old"}, "there is no preset 'old': choose modern or odyssey"),
        ({"trials": 3, "minutes": 1.0}, "--trials or --minutes: give one of them"),
        ({"trials": 0}, "--trials must be a whole number of at least 1, got 0"),
        ({"minutes": 0.0}, "--minutes must be more than 0"),
        ({"seeds": -1}, "--seeds must be a whole number of at least 0, got -1"),
        ({"cells": "lstm,gruu"}, "Did you mean gru"),
        ({"baseline": "mgu"}, "--baseline mgu is not one of the cells"),
        ({"ranges": {"parameters": "10,1000"}}, "too few for lstm"),
        ({"cells": "mut2", "ranges": {"hidden_size": "4,8"}}, "hidden size must be 6"),
        ({"data": "absent.npz"}, "no such file"),
        ({"data": "absent.npz", "storage": "sqlite:///s.db"}, "a PostgreSQL database, postgresql:"),
        ({"out": "/proc/nowhere"}, "Name a folder you may write to with --out"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_music(tmp_path / "melodies.npz")
    given = {"data": "melodies.npz", "cells": "rnn,lstm", **options}
    with pytest.raises(CellwrightError) as e:
        study(console=_console(), **given)  # type: ignore[arg-type]
    assert message in str(e.value)
    assert not (tmp_path / "study").exists()
