"""A process that trains: one job after another, one torch thread."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from cellwright.study.jobs import Job
from cellwright.study.results import Epoch, Run, Settings
from cellwright.study.tasks.task import Task

__all__ = ["Broken", "Message", "Ready", "Warned", "work"]


@dataclass(frozen=True)
class Ready:
    """The worker has started."""


@dataclass(frozen=True)
class Warned:
    """A warning, which one person reads once and not every process prints."""

    text: str


@dataclass(frozen=True)
class Broken:
    """The job raised an error."""

    why: str


Message: TypeAlias = Ready | Warned | Broken | Epoch | Run
"""What a worker sends: Ready; then for each Job an Epoch at a time, and a Run or Broken."""


class _GoneError(Exception):
    """Nobody is at the other end."""


def work(
    connection: Connection[Message, Job], task: Task, settings: Settings, seconds: float | None
) -> None:
    """Train what `connection` asks for until nobody is at its other end."""
    import torch  # late: the process that starts workers does without

    from cellwright.study.training import train

    torch.set_num_threads(1)

    def send(message: Message) -> None:
        try:
            connection.send(message)
        except OSError:
            raise _GoneError from None

    def forward(message: Warning | str, *_: Any, **__: Any) -> None:
        send(Warned(str(message)))

    warnings.showwarning = forward
    try:
        send(Ready())
        while True:
            job = connection.recv()
            try:
                answer: Message = train(job.cell, job.seed, task, settings, send, seconds)
            except _GoneError:
                raise
            except Exception as e:
                answer = Broken(f"{type(e).__name__}: {e}")
            send(answer)
    except (_GoneError, EOFError, OSError):
        return
