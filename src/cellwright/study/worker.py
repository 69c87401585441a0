"""What trains: one job after another, one torch thread, wherever it runs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from cellwright.study.jobs import Job
from cellwright.study.results import Epoch, Run
from cellwright.study.tasks.task import Task

__all__ = ["Broken", "Line", "Message", "Order", "Ready", "Trained", "Warned", "work"]


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


@dataclass(frozen=True)
class Trained:
    """The job is done."""

    run: Run
    model: bytes | None
    """As a file, where the job asked for it."""


Message: TypeAlias = Ready | Warned | Broken | Epoch | Trained
"""What a worker sends: Ready; then for each Job an Epoch at a time, and Trained or Broken."""

Order: TypeAlias = Job | bool
"""What it is sent: a Job, and after an epoch that is one of its rungs whether it goes on."""


class Line(Protocol):
    """A worker's end of what connects it; both raise EOFError or OSError where nobody is there."""

    def send(self, obj: Message, /) -> None:
        """Say something."""

    def recv(self) -> Order:
        """Wait for something to do."""


class _GoneError(Exception):
    """Nobody is at the other end."""


def work(line: Line, task: Task) -> None:
    """Train what `line` asks for until nobody is at its other end."""
    import torch  # late: the process that starts workers does without

    from cellwright.study.saved import as_file
    from cellwright.study.training import trained

    torch.set_num_threads(1)

    def send(message: Message) -> None:
        try:
            line.send(message)
        except (EOFError, OSError):
            raise _GoneError from None

    def forward(message: Warning | str, *_: Any, **__: Any) -> None:
        send(Warned(str(message)))

    def do(job: Job) -> Trained:
        epochs = 0

        def heard(epoch: Epoch) -> bool | None:
            nonlocal epochs
            epochs += 1
            send(epoch)
            return _answer(line) if epochs in job.rungs else None

        run, model = trained(job.cell, job.seed, task, job.regime, heard, job.seconds)
        return Trained(run, as_file(model, task, job.regime, run) if job.saved else None)

    warnings.showwarning = forward
    try:
        send(Ready())
        while True:
            job = line.recv()
            assert isinstance(job, Job)
            try:
                answer: Message = do(job)
            except _GoneError:
                raise
            except Exception as e:
                answer = Broken(f"{type(e).__name__}: {e}")
            send(answer)
    except (_GoneError, EOFError, OSError):
        return


def _answer(line: Line) -> bool:
    try:
        answer = line.recv()
    except (EOFError, OSError):
        raise _GoneError from None
    assert isinstance(answer, bool)
    return answer
