"""Runs shared out to worker processes: whatever happens to one, the others go on."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TypeAlias

from cellwright.errors import CellwrightError
from cellwright.study.jobs import Job
from cellwright.study.results import Epoch, Run, Settings
from cellwright.study.tasks.task import Task
from cellwright.study.worker import Broken, Ready, Warned, work

__all__ = ["Event", "Failed", "Finished", "Noted", "Progressed", "RunnerError", "Started", "run"]

_GLANCE = 0.1
"""Seconds between looks at whether to stop."""


class RunnerError(CellwrightError):
    """No run can be done here."""


@dataclass(frozen=True)
class Started:
    """A worker has taken a job."""

    job: Job


@dataclass(frozen=True)
class Progressed:
    """A job has done one more epoch."""

    job: Job
    epoch: Epoch


@dataclass(frozen=True)
class Finished:
    """A job is done."""

    job: Job
    run: Run


@dataclass(frozen=True)
class Failed:
    """A job broke off, which no other job notices."""

    job: Job
    why: str


@dataclass(frozen=True)
class Noted:
    """Something to tell whoever waits."""

    text: str


Event: TypeAlias = Started | Progressed | Finished | Failed | Noted


def run(
    jobs: Sequence[Job],
    task: Task,
    settings: Settings,
    workers: int,
    seconds: float | None,
    stopping: Callable[[], bool],
) -> Generator[Event]:
    """Do all jobs, in order, `workers` at a time, and say what happens.

    Each run ends with the last epoch that fits into `seconds`. Once `stopping()` is true, or when
    the iterator is closed, all workers are ended at once; what they had finished is still given.

    Raises RunnerError where workers do not even start.
    """
    waiting = deque(jobs)
    pool: list[_Worker] = []
    try:
        while (waiting or pool) and not stopping():
            while waiting and len(pool) < workers:
                worker = _Worker(waiting.popleft(), task, settings, seconds)
                pool.append(worker)
                yield Started(worker.job)
            ready = wait([worker.connection for worker in pool], _GLANCE)
            for worker in [w for w in pool if w.connection in ready]:
                yield from worker.events()
                if not worker.busy and worker.alive and waiting:
                    yield Started(worker.give(waiting.popleft()))
                elif not worker.busy:
                    pool.remove(worker)
                    worker.end()
        for worker in pool:
            while worker.busy and worker.connection.poll():
                yield from worker.events()
    finally:
        for worker in pool:
            worker.end()


class _Worker:
    """A process, and the job it has."""

    def __init__(self, job: Job, task: Task, settings: Settings, seconds: float | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=work, args=(theirs, task, settings, seconds), daemon=True
        )
        with _deaf():
            self.process.start()
        theirs.close()
        self.ready = False
        self.alive = True
        self.give(job)

    def give(self, job: Job) -> Job:
        self.job, self.busy = job, True
        # A worker that has just died cannot take it; the next look finds that out.
        with suppress(OSError):
            self.connection.send(job)
        return job

    def events(self) -> Iterator[Event]:
        """What one message means."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join()
            self.alive = self.busy = False
            if not self.ready:
                raise RunnerError(
                    f"a worker process ended as it started ({self._ending()}). {self._remedy()}"
                ) from None
            yield Failed(self.job, f"its worker process ended ({self._ending()})")
            return
        if isinstance(message, Ready):
            self.ready = True
        elif isinstance(message, Warned):
            yield Noted(message.text)
        elif isinstance(message, Epoch):
            yield Progressed(self.job, message)
        else:
            self.busy = False
            if isinstance(message, Broken):
                yield Failed(self.job, message.why)
            else:
                yield Finished(self.job, message)

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
        return 'If this is a script, call compare below `if __name__ == "__main__":`'

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


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
