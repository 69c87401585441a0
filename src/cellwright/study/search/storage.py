"""Where trials are kept, for all processes that work on a study: a journal file, or PostgreSQL."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cellwright.study.options import OptionError
from cellwright.study.search.claims import Claims, FileClaims, PostgresClaims
from cellwright.study.store import OutputError

__all__ = ["Shared", "StorageError", "checked", "shared"]

_DRIVER: Final = "postgresql+psycopg"


class StorageError(OptionError):
    """The database of a study cannot be reached, or broke off."""


@dataclass(frozen=True)
class Shared:
    """Trials, and who works on which."""

    storage: BaseStorage
    claims: Claims


@contextmanager
def shared(out: Path, url: str | None) -> Iterator[Shared]:
    """The journal in the folder `out`, which exists; or the database of a URL.

    Raises StorageError where the URL is none that is known, or the database cannot be reached, also
    later; OutputError where the journal cannot be written.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # one table says all there is to say
    try:
        opened = _journal(out) if url is None else _database(url)
        try:
            yield opened
        finally:
            opened.claims.close()
    except (SQLAlchemyError, StorageInternalError) as e:
        cause = str(e.__cause__ or e).strip().splitlines()[0]
        raise StorageError(
            f"--storage {_hidden(url)}: {cause}. What is finished is kept; the same command goes "
            "on."
        ) from None
    finally:
        optuna.logging.set_verbosity(verbosity)


# --- a file -------------------------------------------------------------------------------------


def _journal(out: Path) -> Shared:
    path = out / "study.journal"
    try:
        lock = _JournalLock(path)
        claims = FileClaims(out / "study.claims")
        storage = JournalStorage(JournalFileBackend(str(path), lock))
    except OSError as e:
        raise OutputError.of(e, path) from None
    except (ValueError, KeyError, TypeError) as e:
        raise OutputError(
            f"{path} is damaged ({e}). Restore it, or name another folder with --out."
        ) from None
    return Shared(storage, claims)


class _JournalLock(JournalFileOpenLock):
    """For whoever appends to a journal: one at a time, whatever becomes of the last one.

    Optuna's own locks are files, which a process that is killed leaves behind for half a minute.
    What such a process, or a machine without power, has left of a line is cut off: nobody has read
    it, as a line counts from its end on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with self._held():
            pass

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> bool:
        """Wait for it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._cut_half_a_line()
        return True

    def release(self) -> None:
        """Let go of it."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def _cut_half_a_line(self) -> None:
        size = os.fstat(self._file).st_size
        if not size or os.pread(self._file, 1, size - 1) == b"\n":
            return
        keep, step = size, 1 << 16
        while keep:
            start = max(0, keep - step)
            at = os.pread(self._file, keep - start, start).rfind(b"\n")
            keep = start if at < 0 else start + at + 1
            if at >= 0:
                break
        os.ftruncate(self._file, keep)


# --- a database ---------------------------------------------------------------------------------


def checked(url: str) -> URL:
    """The URL of a database that can hold a study; nothing is connected to.

    Raises StorageError where it is of another kind, or what connects to it is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise StorageError(
            f"--storage takes the URL of a PostgreSQL database, postgresql://USER@HOST/DATABASE; "
            f"got {_hidden(url)}. Without it, trials are kept in a file in --out"
        )
    if find_spec("psycopg") is None:
        raise StorageError(
            "--storage needs psycopg, which is not installed: pip install 'cellwright[postgres]'"
        )
    return parsed


def _database(url: str) -> Shared:
    full = checked(url).set(drivername=_DRIVER).render_as_string(hide_password=False)
    claims = PostgresClaims(create_engine(full))
    with claims.alone():  # the first one makes the tables
        storage = RDBStorage(full, engine_kwargs={"pool_pre_ping": True})
    return Shared(storage, claims)


def _hidden(url: str | None) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True) if url else ""
    except ArgumentError:
        return repr(url)
