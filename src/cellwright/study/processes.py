"""Workers on this machine: processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread

from cellwright.study.runner import GoneError, Worker
from cellwright.study.tasks.task import Task
from cellwright.study.worker import Message, Order, work

__all__ = ["Processes"]


class Processes:
    """A crew of processes, each with one thread."""

    def __init__(self, task: Task, size: int) -> None:
        self.task, self.size = task, size

    def start(self) -> Worker:
        """See `runner.Crew`."""
        return _Process(self.task)

    def ready(self, workers: Sequence[Worker], seconds: float) -> Sequence[Worker]:
        """See `runner.Crew`."""
        by_connection = {w.connection: w for w in workers if isinstance(w, _Process)}
        return [by_connection[c] for c in wait([*by_connection], seconds) if c in by_connection]


class _Process:
    """One of them."""

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: Connection[Order, Message] = ours
        self.process = context.Process(target=_work, args=(theirs, task), daemon=True)
        with _deaf():
            self.process.start()
        theirs.close()

    def send(self, order: Order) -> None:
        """See `runner.Worker`."""
        with suppress(OSError):
            self.connection.send(order)

    def receive(self) -> Message:
        """See `runner.Worker`."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            raise GoneError(self._ending(), self._remedy()) from None

    def end(self) -> None:
        """See `runner.Worker`."""
        self.connection.close()
        self.process.kill()
        self.process.join()

    def _ending(self) -> str:
        code = self.process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        memory = ": was there too little memory?" if -code == signal.SIGKILL else ""
        return f"{signal.Signals(-code).name}{memory}"

    def _remedy(self) -> str:
        if (self.process.exitcode or 0) < 0:
            return (
                "What is finished is kept; the same command goes on, with --workers 1 if need be."
            )
        return 'If this is a script, start it below `if __name__ == "__main__":`'


def _work(connection: Connection[Message, Order], task: Task) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    work(connection, task)


def _end_with_parent() -> None:
    """One that is killed ends nobody, and a worker may be in the middle of a long epoch."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


@contextmanager
def _deaf() -> Iterator[None]:
    """Processes started in here do not hear Ctrl-C, not even before they run a line of Python.

    A terminal sends it to them as well; it is this process that ends them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It would start with the first process, and open the signals' way again as it does.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
