from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from rich.console import Console

from cellwright import CellwrightError, cell, parse
from cellwright.study.compare import carry_out, compare
from cellwright.study.jobs import Job, jobs
from cellwright.study.options import OptionError
from cellwright.study.plain import decode, encode
from cellwright.study.processes import Processes
from cellwright.study.progress import display
from cellwright.study.results import Comparison, Epoch, Run, Settings
from cellwright.study.runner import (
    Event,
    Failed,
    Finished,
    Listed,
    Noted,
    Progressed,
    RunnerError,
    Started,
    run,
)
from cellwright.study.store import OutputError, Store, read_comparison
from cellwright.study.tasks import Task
from models import Fatal, Unreadable
from sessions import session
from tiny import MUSIC, SETTINGS, plan, write_music

METRIC = MUSIC.target.metrics[0]


def _console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, highlight=False)


def _said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _losses(comparison: Comparison) -> list[tuple[object, ...]]:
    return [
        (r.cell, r.seed, r.test, r.valid, [(e.train, e.valid) for e in r.epochs])
        for r in comparison.runs
    ]


def _todo(settings: Settings = SETTINGS) -> tuple[Job, ...]:
    cells = [cell(name) for name in settings.cells]
    return jobs(cells, settings, MUSIC)


def _run(todo: Sequence[Job], workers: int, task: Task = MUSIC) -> list[Event]:
    return list(run(Listed(todo), Processes(task, workers), lambda: False))


# --- from end to end ----------------------------------------------------------------------------


def test_a_comparison_whatever_the_number_of_workers(tmp_path: Path) -> None:
    one, two = _console(), _console()
    alone = carry_out(plan(workers=1), tmp_path / "one", one)
    both = carry_out(plan(workers=2), tmp_path / "two", two)
    assert _losses(alone) == _losses(both)
    assert [(r.cell, r.seed) for r in both.runs] == [
        ("lstm", 0), ("gru", 0), ("lstm", 1), ("gru", 1)
    ]  # fmt: skip
    assert both.complete
    assert read_comparison(tmp_path / "two" / "results.json") == both
    assert "<html" in (tmp_path / "two" / "report.html").read_text()
    assert [r.parameters <= 300 for r in both.runs] == [True] * 4

    said = _said(two)
    assert not {c for c in said if ord(c) < 32} - {"\n"}
    assert "[4/4] " in said
    assert "mean test" in said
    assert "gru and lstm: no difference" in said or "gru is " in said
    for seed in (0, 1):  # seeds in order, with one worker
        assert f"[{2 * seed + 1}/4] lstm, seed {seed}: test " in _said(one)

    files = {f: f.stat().st_mtime_ns for f in (tmp_path / "two" / "runs").iterdir()}
    assert len(files) == 4
    again = _console()
    assert _losses(carry_out(plan(), tmp_path / "two", again)) == _losses(both)
    assert "4 of 4 runs are finished already" in _said(again)
    assert files == {f: f.stat().st_mtime_ns for f in (tmp_path / "two" / "runs").iterdir()}

    more = carry_out(plan(seeds=3), tmp_path / "two", _console())
    assert _losses(more)[:4] == _losses(both)
    assert all(f.stat().st_mtime_ns == when for f, when in files.items())


def test_the_command_takes_a_file_and_options(tmp_path: Path) -> None:
    data = write_music(tmp_path / "melodies.npz")
    mine = tmp_path / "mine.cell"
    mine.write_text("h' = tanh(W x + r * h)\n")
    console = _console()
    found = compare(
        data,
        f"rnn,{mine}",
        parameters=200,
        seeds=1,
        minutes=1e-6,
        out=tmp_path / "out",
        baseline=mine,
        workers=2,
        console=console,
    )
    assert found.settings.cells == ("rnn", "mine")
    assert found.settings.baseline == "mine"
    assert [(r.stopped, len(r.epochs)) for r in found.runs] == [("time", 1)] * 2
    assert found.environment.command == (
        f"cellwright compare {data} --cells rnn,{mine} --parameters 200 --seeds 1 --minutes 1e-06 "
        f"--baseline {mine} --workers 2 --out {tmp_path / 'out'}"
    )
    assert "one seed cannot tell" in _said(console)
    assert "time was up" in _said(console)


@pytest.mark.parametrize(
    ("which", "task", "words"),
    [
        ("poem.txt", "text(chunk=9)", "Test loss in bits a character, lower is better."),
        ("load.csv", "forecast(horizon=2,context=5,target=load)", "Test MASE, lower is better."),
        ("waves.npz", None, "Test accuracy, higher is better. Without learning: majority "),
    ],
)
def test_every_kind_of_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, task: str | None, words: str
) -> None:
    """From a file, or a name, to a report, in processes of their own."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("poem.txt").write_text("the rain in spain stays mainly in the plain\n" * 20)
    rows = [
        f"2026-01-{1 + i // 24:02} {i % 24:02}:00,{i % 5 + rng.random():.3f}" for i in range(99)
    ]
    Path("load.csv").write_text("\n".join(["time,load", *rows]))
    np.savez("waves.npz", x=rng.normal(size=(30, 7)), y=np.arange(30) % 3)
    console = _console()
    found = compare(which, "gru,rnn", parameters=400, seeds=1, minutes=1e-6, workers=1,
                    console=console, task=task)  # fmt: skip
    assert found.complete
    assert words in _said(console)
    for run_ in found.runs:
        assert run_.metrics.keys() == {m.name for m in found.dataset.metrics}
        assert run_.test == run_.metrics[found.dataset.metric.name]
    page = Path("compare/report.html").read_text()
    assert found.dataset.goal in page
    assert read_comparison(Path("compare/results.json")) == found
    asked = shlex.split(found.environment.command)
    assert asked[2] == which
    assert ("--task" in asked) is (task is not None)


# --- stopping and going on ----------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from tiny import plan
from cellwright.study.compare import carry_out

if __name__ == "__main__":
    settings = dict(seeds=3, epochs=int(sys.argv[2]), patience=10_000)
    found = carry_out(plan(workers=2, **settings), Path(sys.argv[1]), Console())
    sys.exit(0 if found.complete else 130)
"""


def _start(tmp_path: Path, epochs: int) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "out"), str(epochs)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _ends(leader: int) -> bool:
    """Whether all processes of a session end: multiprocessing's tracker does a moment later."""
    until = time.monotonic() + 5
    while session(leader) and time.monotonic() < until:
        time.sleep(0.02)
    return not session(leader)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    """As a terminal does: every process of the group gets the signal."""
    started = _start(tmp_path, epochs=60)
    runs = tmp_path / "out" / "runs"
    until = time.monotonic() + 60
    while not list(runs.glob("*.json")) and time.monotonic() < until:
        time.sleep(0.02)
    os.killpg(started.pid, number)
    sent = time.monotonic()
    said, _ = started.communicate(timeout=30)
    assert time.monotonic() - sent < 15
    assert started.returncode == 130, said
    assert "Traceback" not in said
    kept = {f: f.stat().st_mtime_ns for f in runs.iterdir()}
    assert 1 <= len(kept) < 6, said
    assert f"Stopped. {len(kept)} of 6 finished runs are kept" in said
    assert "the same command goes on" in said
    assert f"This is a partial result: {6 - len(kept)} of 6 runs" in said
    assert _ends(started.pid)
    assert not read_comparison(tmp_path / "out" / "results.json").complete

    again = _start(tmp_path, epochs=60)
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert f"{len(kept)} of 6 runs are finished already" in said
    assert all(f.stat().st_mtime_ns == when for f, when in kept.items())
    assert len(read_comparison(tmp_path / "out" / "results.json").runs) == 6


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_an_interruption_before_anything_is_finished(tmp_path: Path) -> None:
    """Also while workers still import: none of them may print a stack trace."""
    started = _start(tmp_path, epochs=100_000)
    until = time.monotonic() + 60
    while len(session(started.pid)) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(started.pid, signal.SIGINT)
    said, _ = started.communicate(timeout=30)
    assert started.returncode == 130, said
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    assert "Stopped. 0 of 6 finished runs" in said
    assert _ends(started.pid)


def test_a_worker_that_is_killed_stops_nobody_else() -> None:
    fatal = replace(_todo()[0], cell=Fatal())
    events = _run([fatal, *_todo()[1:]], 2)
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.job is fatal
    assert "SIGKILL: was there too little memory?" in failed.why
    assert {e.job for e in events if isinstance(e, Finished)} == set(_todo()[1:])
    assert active_children() == []


def test_a_worker_that_is_killed_as_it_starts_is_no_script_without_a_guard() -> None:
    task = cast(Task, Fatal())
    with pytest.raises(RunnerError, match=r"SIGKILL.* too little memory.*--workers 1"):
        _run(_todo(), 2, task)
    assert active_children() == []


def test_an_error_in_a_run_stops_nobody_else(tmp_path: Path) -> None:
    """A run that raises is told in a line, and tried again by the same command."""
    broken = replace(_todo()[0], cell=None)
    events = _run([broken, *_todo()[1:]], 1)
    (failed,) = [e for e in events if isinstance(e, Failed)]
    assert failed.job is broken
    assert failed.why.startswith("TypeError: ")
    assert sum(isinstance(e, Finished) for e in events) == 3


def test_an_error_of_the_system_in_a_run_is_told() -> None:
    """It is not taken for one of the pipe, which ends a worker without a word."""
    broken = replace(_todo()[0], regime=Unreadable())
    (failed,) = [e for e in _run([broken], 1) if isinstance(e, Failed)]
    assert failed.why == "OSError: [Errno 28] No space left on device"


def test_closing_the_iterator_ends_the_workers() -> None:
    settings = replace(SETTINGS, epochs=100_000, patience=100_000)
    events = run(Listed(_todo(settings)), Processes(MUSIC, 2), lambda: False)
    next(e for e in events if isinstance(e, Progressed))
    assert len(active_children()) == 2
    events.close()
    assert active_children() == []


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom rich.console import Console\nfrom tiny import plan\n"
        "from cellwright.study.compare import carry_out\n"
        "carry_out(plan(workers=1), Path(__file__).parent / 'out', Console())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 'start it below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]


# --- what is kept -------------------------------------------------------------------------------


def _a_run(job: Job, **changes: object) -> Run:
    epochs = (Epoch(3.0, 2.5, 2.5, 0.1), Epoch(2.0, 2.25, 2.25, 0.2))
    found = Run(
        job.cell.name, job.seed, 3, 290, epochs, 1, 2.25, 2.5, {"loss": 2.5}, 0.3, "patience"
    )
    return replace(found, **changes)


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    store, todo = Store(tmp_path), _todo()
    written = _a_run(todo[0]), _a_run(todo[1], valid=float("inf"), test=float("inf"), epochs=())
    for job, one in zip(todo, written, strict=False):
        store.save(job, one, None)
    assert store.load(todo, None).runs == dict(zip(todo, written, strict=False))
    assert store.load(todo, None).notes == ()
    for path in (tmp_path / "runs").iterdir():
        json.loads(path.read_text(), parse_constant=pytest.fail)  # no Infinity, which is no JSON


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[" * 100_000,
        lambda text: "{}",
        lambda text: text.replace('"test": 2.5', '"test": "2.5"'),
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"patience"', '"boredom"'),
        lambda text: text.replace('"key": "', '"key": "0'),
    ],
)
def test_a_damaged_file_is_told_and_ignored(tmp_path: Path, damage: object) -> None:
    store, todo = Store(tmp_path), _todo()
    store.save(todo[0], _a_run(todo[0]), None)
    store.save(todo[1], _a_run(todo[1]), None)
    path = tmp_path / "runs" / f"{todo[0].key}.json"
    assert damage(path.read_text()) != path.read_text()
    path.write_text(damage(path.read_text()))
    kept = store.load(todo, None)
    assert set(kept.runs) == {todo[1]}
    (note,) = kept.notes
    assert note.startswith(f"{path} is damaged")
    assert note.endswith("lstm, seed 0 is trained again.")
    assert "\n" not in note
    assert len(note) < 300


def test_files_of_other_settings_are_left_alone(tmp_path: Path) -> None:
    store, todo = Store(tmp_path), _todo()
    for job in todo[:2]:
        store.save(job, _a_run(job), None)
    other = _todo(replace(SETTINGS, dropout=0.5))
    kept = store.load(other, None)
    assert kept.runs == {}
    assert kept.notes == (
        f"{tmp_path / 'runs'} has 2 files of other settings or data, not used here.",
    )
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_run_counts_where_it_had_the_same_time_or_needed_no_more(tmp_path: Path) -> None:
    store, todo = Store(tmp_path), _todo()
    store.save(todo[0], _a_run(todo[0], stopped="time"), 120.0)
    took = _a_run(todo[1])
    store.save(todo[1], took, None)
    assert set(store.load(todo, 120.0).runs) == {todo[0], todo[1]}
    assert set(store.load(todo, 240.0).runs) == {todo[1]}
    assert set(store.load(todo, None).runs) == {todo[1]}
    assert set(store.load(todo, took.seconds / 2).runs) == set()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"seeds": 5}, True),
        ({"cells": ("lstm", "gru", "rnn")}, True),
        ({"baseline": "gru"}, True),
        ({"minutes": 3.0}, True),
        ({"parameters": 301}, True),  # the same hidden size
        ({"parameters": 900}, False),
        ({"epochs": 4}, False),
        ({"patience": 3}, False),
        ({"batch_size": 7}, False),
        ({"learning_rate": 0.01}, False),
        ({"clip_norm": 2.0}, False),
        ({"dropout": 0.1}, False),
        ({"averaging": 0.5}, False),
    ],
)
def test_a_key_is_of_what_decides_the_result(change: dict[str, object], same: bool) -> None:
    assert (_todo(replace(SETTINGS, **change))[0].key == _todo()[0].key) is same


def test_a_key_is_of_equations_not_captions_and_of_the_data() -> None:
    def key(text: str, name: str = "mine", fingerprint: str = "a") -> str:
        task = replace(MUSIC, fingerprint=fingerprint)
        return jobs([parse(text, name)], SETTINGS, task)[0].key

    assert key("h' = tanh(W x + R h)") == key("note: hm\nh' = tanh(W x + R h)  # new state")
    assert key("h' = tanh(W x + R h)") != key("h' = tanh(W x + R h + b)")
    assert key("h' = tanh(W x + R h)") != key("h' = tanh(W x + R h)", "yours")
    assert key("h' = tanh(W x + R h)") != key("h' = tanh(W x + R h)", fingerprint="b")
    assert len({job.key for job in _todo()}) == 4
    wide = "size K = {}\nvector p : K\nh' = tanh(W x + R h + sum(p))"
    assert key(wide.format(2)) != key(wide.format(3))


def test_a_comparison_survives_json() -> None:
    from tiny import comparison

    found = comparison({"lstm": [1.5, float("inf")], "gru": []}, seeds=2)
    text = json.dumps(encode(found), allow_nan=False)
    assert decode(Comparison, json.loads(text)) == found
    for wrong in ({}, None, [], {**encode(found), "more": 1}):
        with pytest.raises(ValueError, match="expected Comparison"):
            decode(Comparison, wrong)


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": "lstm,peephole"}, "Did you mean peephole_lstm"),
        (
            {"cells": "lstm,gru,lstm"},
            "--cells has lstm twice (lstm and lstm): they are the same, name one",
        ),
        ({"cells": "lstm,np"}, "--cells has lstm twice (lstm and np): they are the same, name one"),
        (
            {"cells": "rhn, rhn(L=2)"},
            "--cells has rhn twice (rhn and rhn(L=2)): they are the same, name one",
        ),
        (
            {"cells": "rnn,rhn(L=3)", "baseline": "rhn"},
            "--baseline rhn is not one of the cells compared, rnn, rhn(L=3)",
        ),
        ({"cells": "rnn,rhn(L=3,K=1)"}, "rhn(L=3,K=1): no argument is called 'K'"),
        ({"cells": ()}, "--cells is empty"),
        ({"cells": ""}, "--cells is empty"),
        ({"cells": ","}, "--cells is empty"),
        ({"cells": "lstm,./absent.cell"}, "absent.cell: cannot be read"),
        ({"seeds": 0}, "--seeds must be a whole number of at least 1, got 0"),
        ({"minutes": 0}, "--minutes must be more than 0, got 0"),
        ({"minutes": -1.5}, "--minutes must be more than 0, got -1.5"),
        ({"minutes": float("nan")}, "--minutes must be more than 0, got nan"),
        ({"workers": 0}, "--workers must be a whole number of at least 1, got 0"),
        ({"parameters": 0}, "--parameters must be a whole number of at least 1, got 0"),
        ({"parameters": 43}, "use --parameters 44 or more"),  # what the LSTM needs, not the RNN
        ({"baseline": "mgu"}, "--baseline mgu is not one of the cells compared, rnn, lstm"),
        ({"baseline": "mguu"}, "Did you mean mgu"),
        ({"data": "absent.npz"}, "no such file"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_music(tmp_path / "melodies.npz")
    given = {"data": "melodies.npz", "cells": "rnn,lstm", "parameters": 300, **options}
    with pytest.raises(CellwrightError) as e:
        compare(**given)
    assert message in str(e.value)
    assert not (tmp_path / "compare").exists()


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for folder, text in (("a", "h' = tanh(W x + R h)"), ("b", "h' = tanh(W x)*h")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my.cell").write_text(text)
    with pytest.raises(OptionError, match="rename one of the files"):
        compare(cells=[tmp_path / "a" / "my.cell", tmp_path / "b" / "my.cell"])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(OutputError, match="Name a folder you may write to with --out"):
            carry_out(plan(), out, _console())
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"report\.html cannot be written"):
        carry_out(plan(), tmp_path / "out", _console())
    assert not list((tmp_path / "out" / "runs").iterdir())


# --- what a person sees -------------------------------------------------------------------------


def test_the_table_fits_into_80_columns() -> None:
    names = ("peephole_lstm", "gru_reset_before", "a_cell_of_a_very_long_name")
    cells = [replace(cell("lstm"), origin=name) for name in names]
    settings = replace(SETTINGS, cells=names, seeds=100)
    todo = jobs(cells, settings, MUSIC)
    console = _console(terminal=True)
    board = display(console, METRIC, todo, dict.fromkeys(names, (1024, 12_345_678)), {}, 2)
    board.show(Started(todo[0]))
    for _ in range(7):
        board.show(Progressed(todo[0], Epoch(10.0, 12.0, 12.3456, 1.0)))
    board.show(Progressed(todo[0], Epoch(10.0, 11.0, 13.0, 1.0)))
    board.show(Started(todo[1]))
    board.show(Finished(todo[1], _a_run(todo[1], test=11.0, valid=12.0, seconds=4000.0)))
    board.show(Started(todo[3]))
    shown = Console(width=80, file=io.StringIO(), color_system=None)
    shown.print(board)
    lines = _said(shown).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines]
    assert ["peephole_lstm", "1024", "12,345,678", "0/100", "0–8", "12.346", "–"] in rows
    assert ["gru_reset_before", "1024", "12,345,678", "1/100", "12.000", "11.000"] in rows
    assert any("1 of 300 runs" in line and "left" in line for line in lines)
    assert len(lines) == 9  # nothing is wrapped: table, bar and hint


def test_remarks_on_a_terminal_and_in_a_pipe() -> None:
    todo = _todo()
    for terminal in (True, False):
        console = _console(terminal)
        with display(console, METRIC, todo, {"lstm": (3, 290), "gru": (3, 290)}, {}, 1) as board:
            board.show(Started(todo[0]))
            board.show(Failed(todo[0], "its worker process ended (SIGKILL)"))
            board.show(Noted("a [red]warning[/red]"))
        said = " ".join(_said(console).split())
        assert "lstm, seed 0: its worker process ended (SIGKILL). The other runs go on" in said
        assert "a [red]warning[/red]" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "test 2.500 after epoch 2 (2 epochs, 0 s)"),
        ({"stopped": "epochs"}, "test 2.500 after epoch 2 (2 epochs, 0 s, the limit)"),
        ({"stopped": "time"}, "test 2.500 after epoch 2 (2 epochs, 0 s, time was up)"),
        ({"stopped": "diverged"}, "test 2.500 after epoch 2 (2 epochs, 0 s, then diverged)"),
        ({"stopped": "diverged", "test": float("inf"), "epochs": ()}, "diverged (0 epochs, 0 s)"),
    ],
)
def test_a_line_a_run(changes: dict[str, object], words: str) -> None:
    console, todo = _console(), _todo()
    with display(console, METRIC, todo, {}, {todo[0]: _a_run(todo[0])}, 1) as lines:
        lines.show(Finished(todo[1], _a_run(todo[1], **changes)))
    assert _said(console) == f"[2/4] gru, seed 0: {words}\n"
