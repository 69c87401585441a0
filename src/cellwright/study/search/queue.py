"""Which job is next: every cell gets the same budget, and about as much of it at any time."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Final

from cellwright.study.jobs import Job
from cellwright.study.results import Epoch, Run
from cellwright.study.runner import Progressed, Started
from cellwright.study.search.contest import Contest, Given
from cellwright.study.search.lane import Lane
from cellwright.study.search.models import Models
from cellwright.study.search.pruning import Progress

__all__ = ["Queue"]

_ATTEMPTS: Final = 2
"""Times that a job is begun whose worker is gone: not the job, but a lack of memory may be why."""
_LOOK: Final = 0.5
"""Seconds between looks at what other processes have done."""


class Queue:
    """The jobs of a study, for a runner; and where it tells what became of them."""

    def __init__(self, contests: Sequence[Contest], models: Models) -> None:
        self.contests, self.models = contests, models
        self._at: dict[str, tuple[Contest, Given]] = {}
        self._attempts: dict[str, int] = {}
        self._looked = -inf
        self._nothing = False

    # --- a runner's supply -------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """See `runner.Supply`. What other processes do is waited for: they may be killed."""
        return not self._at and all(contest.over for contest in self.contests)

    def take(self, room: bool) -> Job | None:
        """See `runner.Supply`. All cells' first trial comes first, then their second one; where
        time is the budget, the cell is next that has used least of it. Seeds come last."""
        if self._looks() and self._nothing:
            return None
        for contest, next_job in (
            *((c, c.next_trial) for c in sorted(self.contests, key=_place)),
            *((c, c.next_seed) for c in self.contests),
        ):
            given = next_job(room)
            if given is not None:
                self._at[given.job.key] = contest, given
                return given.job
        self._nothing = room
        return None

    def goes_on(self, job: Job, epochs: Sequence[Epoch]) -> bool | None:
        """See `runner.Supply`."""
        self._looks()
        contest, given = self._at[job.key]
        lane, rung, pruning = given.lane, len(epochs), contest.rules.pruning
        assert pruning is not None
        if rung not in lane.progress(given.number).values:
            lane.report(given.number, rung, min(epochs, key=lambda e: e.valid).score)
        # One that is done again may have come further before.
        values = lane.progress(given.number).values
        own = Progress({step: value for step, value in values.items() if step <= rung})
        earlier = [lane.progress(number) for number in range(given.number)]
        if contest.left is not None and contest.left <= 0:  # one that was lost is not done again
            earlier = [replace(one, ended=one.ended or lane.unattended(number))
                       for number, one in enumerate(earlier)]  # fmt: skip
        answer = pruning.goes_on(lane.name, lane.metric, earlier, own)
        if answer is not None:
            given.clock.start()
        return answer

    def _looks(self) -> bool:
        """Look at what others have done, unless that was just now; whether it was."""
        if monotonic() - self._looked < _LOOK:
            return True
        for lane in self._lanes():
            lane.refresh()
        self._looked = monotonic()
        return False

    def _lanes(self) -> Iterator[Lane]:
        for contest in self.contests:
            yield contest.lane
            if (again := contest.again) is not None:
                yield again

    # --- what becomes of jobs ----------------------------------------------------------------

    def hear(self, event: Started | Progressed) -> None:
        """A job has begun, or done one more epoch; at a rung it waits then."""
        _, given = self._at[event.job.key]
        if isinstance(event, Started):
            given.clock.start()
        else:
            given.clock.hear(event.epoch.seconds, event.waits)

    def finish(self, job: Job, run: Run, model: bytes | None) -> None:
        """A job is done. Its model, if it leads, is on disk before the job counts as done.

        Raises OutputError where it cannot be written.
        """
        contest, given = self._at.pop(job.key)
        self._nothing = False
        if model is not None and contest.leads(given.number, run):
            self.models.keep(contest.name, given.number, model)
        given.lane.finish(given.number, run, job.seconds, platform.node())
        if given.lane is contest.lane:
            self.models.drop(contest.name, {*contest.lane.done()} - contest.leading)

    def fail(self, job: Job, why: str, lost: bool) -> bool:
        """A job broke off, or its worker was lost; whether it is begun again."""
        _, given = self._at.pop(job.key)
        self._nothing = False
        self._attempts[job.key] = self._attempts.get(job.key, 0) + 1
        again = lost and self._attempts[job.key] < _ATTEMPTS
        given.lane.give_back(given.number, None if again else why)
        return again

    def close(self) -> None:
        """Leave what is not done to others."""
        for _, given in self._at.values():
            given.lane.give_back(given.number)
        self._at.clear()


def _place(contest: Contest) -> float:
    if contest.budget.seconds is not None:
        return contest.used
    return min(contest.lane.wanted(contest.budget.trials), default=inf)
