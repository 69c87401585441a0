"""Several workers, several commands, and any of them killed: the same trials, each once.

`KILLS=30 pytest tests/study/search/test_processes.py` kills as often; without it, three times.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState
from rich.console import Console

from cellwright.study.search.files import read_study
from cellwright.study.search.results import Study
from cellwright.study.search.study import carry_out
from sessions import session
from small import command, figures, leading, plan

OVER = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
KILLS = int(os.environ.get("KILLS", "3"))


def test_two_workers_find_what_one_finds(alone: tuple[Path, Study], tmp_path: Path) -> None:
    _, found = alone
    assert found.complete
    two = carry_out(plan(workers=2), tmp_path, Console(file=io.StringIO()))
    assert figures(two) == figures(found)


# --- commands -----------------------------------------------------------------------------------


def _entries(out: Path) -> list[dict[str, object]]:
    """The journal, half a line at its end aside."""
    journal = out / "study.journal"
    text = journal.read_bytes() if journal.exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def _told(out: Path) -> dict[object, list[object]]:
    """What the journal says of each trial that is over, each time it says so."""
    found: dict[object, list[object]] = {}
    for e in _entries(out):
        if e["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES and e["state"] in OVER:
            found.setdefault(e["trial_id"], []).append((e["values"], e["datetime_complete"]))
    return found


def test_two_commands_share_the_work(alone: tuple[Path, Study], tmp_path: Path) -> None:
    commands = [command(tmp_path) for _ in range(2)]
    said = [one.communicate(timeout=300)[0] for one in commands]
    assert [one.returncode for one in commands] == [0, 0], said
    did = [text.count(": validation ") for text in said]
    assert sum(did) == 16, said
    assert min(did) > 0, said
    assert [len(times) for times in _told(tmp_path).values()] == [1] * 16
    assert figures(read_study(tmp_path)) == figures(alone[1])


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks in /proc")


@needs_proc
def test_ctrl_c_keeps_what_is_finished(alone: tuple[Path, Study], tmp_path: Path) -> None:
    started = command(tmp_path)
    assert started.stdout
    for line in started.stdout:
        if "[2/16]" in line:
            break
    os.killpg(started.pid, signal.SIGINT)
    said, _ = started.communicate(timeout=60)
    assert started.returncode == 1, said
    assert "Traceback" not in said
    part = read_study(tmp_path)
    assert not part.complete
    expected = figures(alone[1])
    assert 2 <= len(figures(part)) < 16
    kept = f"Stopped. {len(figures(part))} of 16 runs are finished and kept"
    assert f"{kept}; the same command goes on." in said
    assert all(expected[key] == value for key, value in figures(part).items())


@needs_proc
@pytest.mark.timeout(60 * KILLS)
def test_kill_9_loses_and_doubles_nothing(alone: tuple[Path, Study], tmp_path: Path) -> None:
    """Two commands at work; at random moments one process of theirs is killed, a command or a
    worker, or all are, as by a power cut, with half a line left in the journal."""
    chance = random.Random(os.environ.get("SEED", "0"))
    commands = [command(tmp_path) for _ in range(2)]
    kept: dict[object, list[object]] = {}
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 6))
        alive = [pid for one in commands for pid in session(one.pid)]
        everything = chance.random() < 0.3
        for pid in alive if everything else chance.sample(alive, min(1, len(alive))):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if everything:
            for one in commands:
                one.wait(30)
            with (tmp_path / "study.journal").open("ab") as file:
                file.write(b'{"op_code":6,"worker_id":"1-2","tri'[: chance.randrange(36)])
        kept |= _told(tmp_path)
        for k, one in enumerate(commands):
            if one.poll() is not None:
                one.communicate()
                commands[k] = command(tmp_path)
    said = [one.communicate(timeout=300)[0] for one in commands]
    last = command(tmp_path)
    said.append(last.communicate(timeout=300)[0])
    assert last.returncode == 0, said
    assert [len(times) for times in _told(tmp_path).values()] == [1] * 16
    found = read_study(tmp_path)
    assert found.complete
    assert figures(found) == figures(alone[1])
    assert kept.items() <= _told(tmp_path).items()
    leaders = sum(len(leading(found, one.cell)) for one in found.cells)
    assert len([*(tmp_path / "models").iterdir()]) == leaders
