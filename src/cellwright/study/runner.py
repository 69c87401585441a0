"""Jobs shared out to workers: whatever happens to one, the others go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Protocol, TypeAlias

from cellwright.errors import CellwrightError
from cellwright.study.jobs import Job
from cellwright.study.results import Epoch, Run
from cellwright.study.worker import Broken, Message, Order, Ready, Warned

__all__ = [
    "Crew",
    "Event",
    "Failed",
    "Finished",
    "GoneError",
    "Listed",
    "Noted",
    "Progressed",
    "RunnerError",
    "Started",
    "Supply",
    "Worker",
    "run",
]

_GLANCE: Final = 0.1
"""Seconds between looks at whether to stop, and at what there is to do."""
_PATIENCE: Final = 5.0
"""Seconds that a job waits to be told whether it goes on until another worker takes its place:
starting one takes half as long."""


class RunnerError(CellwrightError):
    """No run can be done here."""


class GoneError(Exception):
    """A worker has ended; the text says how."""

    def __init__(self, how: str, remedy: str) -> None:
        super().__init__(how)
        self.remedy = remedy
        """What to do where that happens before it has even started."""


# --- what happens -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A worker has begun a job; it may have had to start itself before."""

    job: Job


@dataclass(frozen=True)
class Progressed:
    """A job has done one more epoch."""

    job: Job
    epoch: Epoch
    waits: bool = False
    """Whether it waits now to be told if it goes on."""


@dataclass(frozen=True)
class Finished:
    """A job is done."""

    job: Job
    run: Run
    model: bytes | None = None


@dataclass(frozen=True)
class Failed:
    """A job broke off, which no other job notices."""

    job: Job
    why: str
    lost: bool = False
    """Whether its worker ended, so that the job itself may be right."""


@dataclass(frozen=True)
class Noted:
    """Something to tell whoever waits."""

    text: str


Event: TypeAlias = Started | Progressed | Finished | Failed | Noted

# --- what there is to do, and who does it -------------------------------------------------------


class Supply(Protocol):
    """Where jobs come from."""

    @property
    def over(self) -> bool:
        """Whether there will be no more."""
        ...

    def take(self, room: bool) -> Job | None:
        """The next job, or None where there is none now.

        Where there is no `room`, only one that another job may be waiting for.
        """
        ...

    def goes_on(self, job: Job, epochs: Sequence[Epoch]) -> bool | None:
        """Whether a job at one of its rungs goes on; None where that is not known yet."""
        ...


class Listed:
    """Jobs in a list, one after another."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._waiting = deque(jobs)

    @property
    def over(self) -> bool:
        """See `Supply`."""
        return not self._waiting

    def take(self, room: bool) -> Job | None:
        """See `Supply`."""
        return self._waiting.popleft() if self._waiting and room else None

    def goes_on(self, job: Job, epochs: Sequence[Epoch]) -> bool | None:
        """See `Supply`."""
        return True


class Worker(Protocol):
    """One that does jobs, as `worker.work` does them."""

    def send(self, order: Order) -> None:
        """Never fails: that it has ended is found out by whoever listens."""

    def receive(self) -> Message:
        """What it has to say.

        Raises GoneError where it has ended.
        """
        ...

    def end(self) -> None:
        """At once, whatever it does."""


class Crew(Protocol):
    """Workers, wherever they are."""

    @property
    def size(self) -> int:
        """How many do something at a time."""
        ...

    def start(self) -> Worker:
        """One more."""
        ...

    def ready(self, workers: Sequence[Worker], seconds: float) -> Sequence[Worker]:
        """Those with something to say, or that have ended; waits for one for `seconds`."""
        ...

    def close(self) -> None:
        """Let go of what they needed in common, when all have ended."""


# --- doing it -----------------------------------------------------------------------------------


def run(supply: Supply, crew: Crew, stopping: Callable[[], bool]) -> Generator[Event]:
    """Do all jobs, as many at a time as the crew likes, and say what happens.

    One that waits to be told whether it goes on leaves its place to another one. Once `stopping()`
    is true, or when the iterator is closed, all workers are ended at once; what they had finished
    is still given.

    Raises RunnerError where workers do not even start.
    """
    team = _Team(supply, crew)
    try:
        while not (team.over or stopping()):
            yield from team.set_to_work()
            yield from team.listen(_GLANCE)
        while team.listens:
            heard = [*team.listen(0)]
            if not heard:
                break
            yield from heard
    finally:
        team.end()


class _Team:
    """The workers of a run."""

    def __init__(self, supply: Supply, crew: Crew) -> None:
        self.supply, self.crew = supply, crew
        self.members: list[_Member] = []

    @property
    def over(self) -> bool:
        return self.supply.over and not self.listens

    @property
    def listens(self) -> bool:
        return any(m.job for m in self.members)

    @property
    def _full(self) -> bool:
        return sum(m.job is not None and not m.waits(0) for m in self.members) >= self.crew.size

    @property
    def _may_grow(self) -> bool:
        waiting = sum(m.waits(_PATIENCE) for m in self.members)
        return len(self.members) - waiting < self.crew.size

    def set_to_work(self) -> Iterator[Event]:
        """Those that wait for an answer, and others as long as there is something to do."""
        for m in self.members:
            if m.waits(0) and m.job and not self._full:
                answer = self.supply.goes_on(m.job, m.epochs)
                if answer is not None:
                    m.answer(answer)
        while not self._full:
            idle = next((m for m in self.members if not m.job), None)
            if idle is None and not self._may_grow:
                break
            busy = sum(m.job is not None for m in self.members)
            job = self.supply.take(room=busy < 2 * self.crew.size)
            if job is None:
                break
            if idle is None:
                idle = _Member(self.crew.start())
                self.members.append(idle)
            yield from idle.give(job)
        if self.supply.over:
            for m in [m for m in self.members if not m.job]:
                self.members.remove(m)
                m.worker.end()

    def listen(self, seconds: float) -> Iterator[Event]:
        """What happens within so long."""
        busy = {id(m.worker): m for m in self.members if m.job}
        for worker in self.crew.ready([m.worker for m in busy.values()], seconds):
            member = busy[id(worker)]
            yield from member.events()
            if not member.alive:
                self.members.remove(member)
                worker.end()

    def end(self) -> None:
        for m in self.members:
            m.worker.end()


@dataclass(eq=False)
class _Member:
    """A worker, and the job it has."""

    worker: Worker
    job: Job | None = None
    epochs: list[Epoch] = field(default_factory=list)
    asked: float | None = None
    """When it began to wait to be told whether it goes on, if it does."""
    ready: bool = False
    alive: bool = True

    def give(self, job: Job) -> Iterator[Started]:
        self.job, self.epochs = job, []
        self.worker.send(job)
        if self.ready:
            yield Started(job)

    def waits(self, seconds: float) -> bool:
        """Whether it has waited so long."""
        return self.asked is not None and monotonic() - self.asked >= seconds

    def answer(self, goes_on: bool) -> None:
        self.asked = None
        self.worker.send(goes_on)

    def events(self) -> Iterator[Event]:
        """What one message means."""
        assert self.job
        try:
            message = self.worker.receive()
        except GoneError as e:
            self.alive = False
            if not self.ready:
                raise RunnerError(f"a worker ended as it started ({e}). {e.remedy}") from None
            yield Failed(self.job, f"its worker ended ({e})", lost=True)
            self.job = None
            return
        if isinstance(message, Ready):
            self.ready = True
            yield Started(self.job)
        elif isinstance(message, Warned):
            yield Noted(message.text)
        elif isinstance(message, Epoch):
            self.epochs.append(message)
            waits = len(self.epochs) in self.job.rungs
            if waits:
                self.asked = monotonic()
            yield Progressed(self.job, message, waits)
        elif isinstance(message, Broken):
            yield self._over(Failed(self.job, message.why))
        else:
            yield self._over(Finished(self.job, message.run, message.model))

    def _over(self, event: Event) -> Event:
        self.job = None
        return event
