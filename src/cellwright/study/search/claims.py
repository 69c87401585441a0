"""Who does what: locks that end with whoever holds them, however that ends.

A trial that a process works on is one that it holds the lock of. So no process looks at another
one's clock, and what a killed process was at is free at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text

__all__ = ["Claims", "FileClaims", "PostgresClaims"]

_NO_TRIAL = 2**31 - 1


class Claims(Protocol):
    """Locks by number, shared by all processes that work on a study."""

    def take(self, number: int) -> bool:
        """Whether it is held from now on; False where somebody else holds it.

        One that is held already is not taken twice.
        """
        ...

    def release(self, number: int) -> None:
        """Let go of one that is held."""

    def alone(self) -> AbstractContextManager[None]:
        """One process at a time is in here."""
        ...

    def close(self) -> None:
        """Let go of all."""


class FileClaims:
    """A byte of a file each, by POSIX locks, which hold across NFS too.

    They belong to a process: within one, two of these on the same file do not see each other.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError where the file cannot be written."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def take(self, number: int) -> bool:
        """See `Claims`."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except (BlockingIOError, PermissionError):  # POSIX allows both
            return False
        return True

    def release(self, number: int) -> None:
        """See `Claims`."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Claims`. A byte that is no trial's."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _NO_TRIAL)
        try:
            yield
        finally:
            self.release(_NO_TRIAL)

    def close(self) -> None:
        """See `Claims`."""
        os.close(self._file)


class PostgresClaims:
    """Advisory locks of PostgreSQL's, held by a connection of their own.

    The server drops them with the connection: when the process ends, and within a minute where its
    machine is gone.
    """

    _SPACE = 0x43656C6C
    """Of two numbers that a lock has, the one that says whose it is."""

    def __init__(self, engine: Engine) -> None:
        """Raises sqlalchemy's errors where there is no connection."""
        self._connection: Connection = engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        )
        self._connection.detach()  # to be closed, and not used again by anybody
        for setting, seconds in (("idle", 20), ("interval", 10), ("count", 4)):
            self._connection.execute(text(f"SET tcp_keepalives_{setting} = {seconds}"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See `Claims`."""
        self._ask("pg_advisory_lock", _NO_TRIAL)
        try:
            yield
        finally:
            self.release(_NO_TRIAL)

    def take(self, number: int) -> bool:
        """See `Claims`."""
        return bool(self._ask("pg_try_advisory_lock", number))

    def release(self, number: int) -> None:
        """See `Claims`."""
        self._ask("pg_advisory_unlock", number)

    def close(self) -> None:
        """See `Claims`."""
        self._connection.close()

    def _ask(self, function: str, number: int) -> object:
        found = self._connection.execute(
            text(f"SELECT {function}(:space, :number)"), {"space": self._SPACE, "number": number}
        )
        return found.scalar()
