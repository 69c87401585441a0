"""The journal, whatever became of those who wrote to it; and who has claimed what."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cellwright.study.search.claims import FileClaims
from cellwright.study.search.storage import StorageError, shared
from cellwright.study.store import OutputError

FORK = multiprocessing.get_context("fork")


def _told(folder: Path) -> list[float | None]:
    """The values of all trials, as Optuna itself reads the journal."""
    backend = JournalFileBackend(str(folder / "study.journal"))
    study = optuna.load_study(study_name="s", storage=JournalStorage(backend))
    return [trial.value for trial in study.trials]


def _tell(folder: Path, value: float) -> None:
    with shared(folder, None) as kept:
        study = optuna.create_study(storage=kept.storage, study_name="s", load_if_exists=True)
        study.tell(study.ask(), value)


# --- half-written lines -------------------------------------------------------------------------


def test_half_a_line_is_cut_off_wherever_it_ends(tmp_path: Path) -> None:
    """Every length of the last line that a killed process may have left, and zeros behind it."""
    _tell(tmp_path, 1.0)
    journal = tmp_path / "study.journal"
    whole = journal.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    begun = whole[: whole[: last - 1].rfind(b"\n") + 1]
    for length in range(1, len(whole) - last):
        for tail in (b"", b"\0" * 70_000):
            journal.write_bytes(whole + whole[last : last + length] + tail)
            with shared(tmp_path, None):
                pass
            assert journal.read_bytes() == whole
    journal.write_bytes(begun + whole[last : last + 9])
    _tell(tmp_path, 2.0)
    assert _told(tmp_path)[-1] == 2.0


def test_a_journal_of_half_a_line_alone_is_empty(tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_bytes(b'{"op_code"' * 20_000)
    _tell(tmp_path, 3.0)
    assert _told(tmp_path) == [3.0]


def test_a_line_is_cut_off_by_the_next_one_to_write(tmp_path: Path) -> None:
    """Also where the process that goes on had the journal open all along."""
    with shared(tmp_path, None) as kept:
        study = optuna.create_study(storage=kept.storage, study_name="s")
        with (tmp_path / "study.journal").open("ab") as file:
            file.write(b'{"op_code":5,"worker')
        study.tell(study.ask(), 4.0)
        assert [t.value for t in study.trials] == [4.0]
    assert _told(tmp_path) == [4.0]


def test_damage_in_the_middle_is_told(tmp_path: Path) -> None:
    _tell(tmp_path, 1.0)
    journal = tmp_path / "study.journal"
    journal.write_bytes(b"{oops}\n" + journal.read_bytes())
    with pytest.raises(OutputError, match=r"study\.journal is damaged .* name another folder"):
        _tell(tmp_path, 2.0)


def _hold(folder: Path) -> None:
    with shared(folder, None) as kept:
        kept.storage._backend._lock.acquire()  # type: ignore[attr-defined]
        (folder / "held").touch()
        time.sleep(60)


def test_a_process_that_is_killed_as_it_writes_blocks_nobody(tmp_path: Path) -> None:
    _tell(tmp_path, 1.0)
    holder = FORK.Process(target=_hold, args=(tmp_path,))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    writer = FORK.Process(target=_tell, args=(tmp_path, 2.0))
    writer.start()
    writer.join(0.5)
    assert writer.is_alive()  # it waits
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    writer.join(10)
    assert writer.exitcode == 0
    holder.join()
    assert _told(tmp_path) == [1.0, 2.0]


def _tell_many(folder: Path, first: int) -> None:
    with shared(folder, None) as kept:
        study = optuna.create_study(storage=kept.storage, study_name="s", load_if_exists=True)
        for value in range(first, first + 25):
            study.tell(study.ask(), float(value))


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    writers = [FORK.Process(target=_tell_many, args=(tmp_path, 100 * k)) for k in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert sorted(_told(tmp_path)) == [float(100 * k + i) for k in range(3) for i in range(25)]


# --- claims -------------------------------------------------------------------------------------


def _claim(path: Path, numbers: list[int]) -> None:
    claims = FileClaims(path)
    got = [claims.take(number) for number in numbers]
    path.with_suffix(".got").write_text(repr(got))
    time.sleep(60)


def _got(path: Path) -> list[bool]:
    while not (text := path.with_suffix(".got")).exists() or not text.read_text():
        time.sleep(0.01)
    found: list[bool] = eval(text.read_text())
    text.unlink()
    return found


def test_a_claim_is_one_process_s_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    claims = FileClaims(path)
    assert claims.take(3)
    assert claims.take(5)
    claims.release(5)
    other = FORK.Process(target=_claim, args=(path, [3, 4, 5]))
    other.start()
    assert _got(path) == [False, True, True]
    assert [claims.take(n) for n in (3, 4, 5, 6)] == [True, False, False, True]
    other.kill()
    other.join()
    assert claims.take(4)
    claims.close()
    third = FORK.Process(target=_claim, args=(path, [3, 4]))
    third.start()
    assert _got(path) == [True, True]
    third.kill()
    third.join()


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://u:secret@host/db", r"postgresql://USER@HOST/DATABASE; got mysql://u:\*\*\*@host"),
        ("nonsense", "takes the URL of a PostgreSQL database"),
        ("postgresql://u:secret@127.0.0.1:1/db", "Connection refused. What is finished is kept"),
    ],
)
def test_a_storage_that_cannot_be_used(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as e, shared(tmp_path, url):
        pass
    assert "secret" not in str(e.value)


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "study.journal").mkdir()
    with (
        pytest.raises(OutputError, match="Name a folder you may write to with --out"),
        shared(tmp_path, None),
    ):
        pass
