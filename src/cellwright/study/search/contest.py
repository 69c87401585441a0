"""One cell's part in a study: its trials, and the seeds of the best of them, within its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from optuna.samplers import BaseSampler

from cellwright.language import Cell
from cellwright.study.jobs import Job
from cellwright.study.metric import Metric
from cellwright.study.regime import Regime
from cellwright.study.results import Run
from cellwright.study.search.clock import Clock
from cellwright.study.search.hyperparameters import Range, Setting
from cellwright.study.search.lane import Done, Lane
from cellwright.study.search.pruning import Hyperband
from cellwright.study.search.sampling import seed_of
from cellwright.study.search.storage import Shared

__all__ = ["Budget", "Contest", "Given", "Rules"]


@dataclass(frozen=True)
class Budget:
    """What each cell gets: trials, or seconds of training, those of its seeds included."""

    trials: int | None
    seconds: float | None
    seeds: int

    @property
    def most(self) -> float | None:
        """Seconds of one training, so that the seeds of the best trial have as many each."""
        return None if self.seconds is None else self.seconds / (1 + self.seeds)


@dataclass(frozen=True)
class Rules:
    """What is the same for all cells."""

    seed: int
    metric: Metric
    ranges: tuple[Range, ...]
    sampler: Callable[[Callable[[int], int]], BaseSampler]
    """Made of the seed of each trial, by its number."""
    pruning: Hyperband | None
    regime: Callable[[Cell, Setting], Regime]


@dataclass(frozen=True)
class Given:
    """A job, and where it comes from."""

    job: Job
    lane: Lane
    number: int
    clock: Clock = field(default_factory=Clock)


class Contest:
    """A cell and its lanes."""

    def __init__(self, shared: Shared, cell: Cell, name: str, rules: Rules, budget: Budget) -> None:
        """`name` says all that decides what a trial gives."""
        self.cell, self.name, self.rules, self.budget = cell, name, rules, budget
        self._shared = shared
        sampler = rules.sampler(self._seed_of_trial)
        self.lane = Lane(shared, name, rules.metric, rules.ranges, sampler)
        self._again: Lane | None = None
        self._clocks: dict[int, Clock] = {}

    def _seed_of_trial(self, number: int) -> int:
        return seed_of(self.rules.seed, self.cell, f"trial {number}")

    # --- what is known -----------------------------------------------------------------------

    @property
    def done(self) -> dict[int, Done]:
        """What was done of the trials that the budget asks for."""
        return self.lane.done(self.budget.trials)

    @property
    def best(self) -> int | None:
        """The number of the trial with the best validation, of those not given up if any."""
        found = {n: self._place(done.run) for n, done in self.done.items() if done.run.metrics}
        return min(found, key=lambda n: (found[n], n), default=None)

    def leads(self, number: int, run: Run) -> bool:
        """Whether a trial that is just done is better than all with smaller numbers.

        A study of no more trials than these then has it for its best.
        """
        before = {n: done.run for n, done in self.lane.done(number).items()}
        return number in self._leading(before | {number: run})

    @property
    def leading(self) -> set[int]:
        """The trials that lead, those beyond the budget included."""
        return self._leading({n: done.run for n, done in self.lane.done().items()})

    def _leading(self, runs: Mapping[int, Run]) -> set[int]:
        found, best = set(), None
        for number, run in runs.items():
            place = self._place(run)
            if run.metrics and (best is None or place < best):
                found.add(number)
                best = place
        return found

    def _place(self, run: Run) -> tuple[bool, float]:
        return run.stopped == "pruned", self.rules.metric.order(run.valid)

    @property
    def used(self) -> float:
        """Seconds that trials trained, and do so far where they are this process's."""
        running = sum(self._clocks[n].seconds for n in self.lane.running)
        return running + sum(done.run.seconds for done in self.done.values())

    @property
    def left(self) -> float | None:
        """Seconds for further trials: what the seeds of the best one will take is set aside."""
        if self.budget.seconds is None:
            return None
        best = self.best
        aside = self.budget.seeds * self.done[best].run.seconds if best is not None else 0.0
        return self.budget.seconds - self.used - aside

    @property
    def searched(self) -> bool:
        """Whether all trials are done that the budget is for."""
        if self.budget.trials is not None:
            return not self.lane.open(self.budget.trials)
        left = self.left
        assert left is not None
        return left <= 0 and not self.lane.busy()

    @property
    def again(self) -> Lane | None:
        """The seeds of the best trial; None while it is not known, and where none are wanted."""
        if not self.budget.seeds or not self.searched or (best := self.best) is None:
            return None
        name = f"{self.name} trial {best} again"
        if self._again is None or self._again.name != name:
            self._again = Lane(self._shared, name, self.rules.metric)
        return self._again

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, by any process."""
        again = self.again
        return self.searched and (again is None or not again.open(self.budget.seeds))

    # --- jobs --------------------------------------------------------------------------------

    def next_trial(self, new: bool) -> Given | None:
        """A trial to do, if there is one; without `new`, only one that was begun before."""
        left, most = self.left, self.budget.most
        if left is not None and most is not None:
            if left <= 0:
                return None
            left = min(left, most)
        taken = self.lane.take(self.budget.trials, left, new)
        if taken is None:
            return None
        clock = self._clocks[taken.number] = Clock()
        label, pruning = f"trial {taken.number}", self.rules.pruning
        job = Job(
            cell=self.cell,
            seed=self._seed_of_trial(taken.number),
            label=label,
            key=f"{self.name} {label}",
            regime=self.rules.regime(self.cell, taken.setting),
            seconds=left,
            rungs=pruning.rungs if pruning else (),
            saved=True,
        )
        return Given(job, self.lane, taken.number, clock)

    def next_seed(self, new: bool) -> Given | None:
        """A seed of the best trial to do, if there is one."""
        again, best = self.again, self.best
        if again is None or best is None:
            return None
        taken = again.take(self.budget.seeds, self.budget.most, new)
        if taken is None:
            return None
        label = f"trial {best} again, seed {taken.number}"
        job = Job(
            cell=self.cell,
            seed=seed_of(self.rules.seed, self.cell, f"seed {taken.number}"),
            label=label,
            key=f"{self.name} {label}",
            regime=self.rules.regime(self.cell, self.done[best].setting),
            seconds=self.budget.most,
        )
        return Given(job, again, taken.number)
