"""The trials of one cell: numbered, each done once, whoever does them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import optuna
from optuna.pruners import NopPruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from cellwright.study.metric import Metric
from cellwright.study.plain import decode, encode
from cellwright.study.results import Run
from cellwright.study.search.hyperparameters import Range, Setting
from cellwright.study.search.pruning import Progress
from cellwright.study.search.storage import Shared

__all__ = ["Done", "Lane", "Taken"]


@dataclass(frozen=True)
class Taken:
    """A trial that is this process's to do."""

    number: int
    setting: Setting


@dataclass(frozen=True)
class Done:
    """A trial that was done."""

    run: Run
    setting: Setting
    granted: float | None
    """Seconds that it could have taken; None for as many as it liked."""
    host: str
    """Where, by the machine's name."""


class Lane:
    """Trials from 0 on of an Optuna study, which any number of processes share.

    Whoever does a trial holds its claim, so one that is neither finished nor claimed is anyone's to
    do: it was never begun, time cut it off, or its process is gone. It is done under its own
    number, so from its own seed. Optuna's `ask` makes a trial, its `tell` ends it.
    """

    def __init__(
        self,
        shared: Shared,
        name: str,
        metric: Metric,
        ranges: Sequence[Range] = (),
        sampler: BaseSampler | None = None,
    ) -> None:
        """`name` says all that decides its trials' results."""
        self.name, self.metric, self.ranges = name, metric, ranges
        self._claims = shared.claims
        kept, pruner = shared.storage, NopPruner()
        try:
            self._study = optuna.load_study(
                storage=kept, study_name=name, sampler=sampler, pruner=pruner
            )
        except KeyError:  # nobody has begun it, unless somebody does just now
            self._study = optuna.create_study(
                storage=kept,
                study_name=name,
                direction="minimize" if metric.better == "lower" else "maximize",
                sampler=sampler,
                pruner=pruner,
                load_if_exists=True,
            )
        self.failed: dict[int, str] = {}
        """Those that raised an error in this process, and which."""
        self.running: set[int] = set()
        """Those that are this process's."""
        self._read: dict[int, Done] = {}
        self._trials: list[FrozenTrial] = []
        self.refresh()

    def refresh(self) -> None:
        """Look at what others have done."""
        self._trials = self._study.get_trials(deepcopy=False)

    # --- taking ------------------------------------------------------------------------------

    def take(self, limit: int | None, seconds: float | None, new: bool) -> Taken | None:
        """The first trial below `limit` that is anyone's, and now this process's; None for none.

        `seconds` is how long it may take: one that time cut off is done again where there is more.
        Without `new`, only one that was begun before.
        """
        for trial in self._trials[:limit]:
            if self._open(trial, seconds) and self._claims.take(trial._trial_id):
                taken = self._claimed(trial.number, seconds)
                if taken is not None:
                    return taken
        return self._make(limit, seconds) if new else None

    def _make(self, limit: int | None, seconds: float | None) -> Taken | None:
        """A trial that was never begun, if there is one below `limit`."""
        with self._claims.alone():
            self.refresh()
            if limit is not None and len(self._trials) >= limit:
                return None
            made = self._study.ask()
            if not self._claims.take(made._trial_id):
                return None  # somebody took it for one that was left
        return self._claimed(made.number, seconds)

    def _open(self, trial: FrozenTrial, seconds: float | None) -> bool:
        if trial.state.is_finished() or {trial.number} & {*self.running, *self.failed}:
            return False
        done = self._done(trial)
        if done is None or done.run.stopped != "time" or done.granted is None:
            return True
        return seconds is None or seconds > done.granted

    def _claimed(self, number: int, seconds: float | None) -> Taken | None:
        """A trial whose claim this process has just got, unless it was done in the meantime."""
        self.refresh()
        trial = self._trials[number]
        if not self._open(trial, seconds):
            self._claims.release(trial._trial_id)
            return None
        done = self._done(trial)
        if done is not None and done.run.stopped != "time":  # it was told to all but Optuna
            self._tell(number, done.run)
            self._claims.release(trial._trial_id)
            return None
        handle = self._handle(number)
        for one in self.ranges:  # what was drawn already stays
            if one.integer:
                handle.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
            else:
                handle.suggest_float(one.name, one.low, one.high, log=one.log)
        if "error" in trial.user_attrs:
            handle.set_user_attr("error", None)
        self.running.add(number)
        self.refresh()
        return Taken(number, self._setting(self._trials[number]))

    def _setting(self, trial: FrozenTrial) -> Setting:
        return {one.name: trial.params[one.name] for one in self.ranges}

    # --- telling -----------------------------------------------------------------------------

    def report(self, number: int, step: int, value: float) -> None:
        """Say how far a trial of this process's has come."""
        self._handle(number).report(value, step)
        self.refresh()

    def finish(self, number: int, run: Run, granted: float | None, host: str) -> None:
        """Keep what a trial of this process's gave. One that time cut off may be done again."""
        record = {"run": encode(run), "granted": granted, "host": host}
        self._handle(number).set_user_attr("done", record)
        if run.stopped != "time":
            self._tell(number, run)
        self._let_go(number)

    def give_back(self, number: int, error: str | None = None) -> None:
        """Leave a trial of this process's to whoever wants it; after an error, to other processes
        only, and no trial waits for it."""
        if error is not None:
            self.failed[number] = error
            self._handle(number).set_user_attr("error", error)
        self._let_go(number)

    def _let_go(self, number: int) -> None:
        self._claims.release(self._trials[number]._trial_id)
        self.running.remove(number)
        self.refresh()

    def _tell(self, number: int, run: Run) -> None:
        if run.stopped == "pruned":
            self._study.tell(number, state=TrialState.PRUNED, skip_if_finished=True)
            return
        worst = float("inf") if self.metric.better == "lower" else -float("inf")
        value = run.valid if run.metrics else worst
        self._study.tell(number, value, skip_if_finished=True)

    def _handle(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._trials[number]._trial_id)

    # --- what is known -----------------------------------------------------------------------

    def __len__(self) -> int:
        """Trials that were begun."""
        return len(self._trials)

    def done(self, limit: int | None = None) -> dict[int, Done]:
        """What was done of those below `limit`, by number."""
        found = {trial.number: self._done(trial) for trial in self._trials[:limit]}
        return {number: done for number, done in found.items() if done is not None}

    def errors(self, limit: int | None = None) -> dict[int, str]:
        """Which raised an error, of those below `limit` that were not done since, and which."""
        found = {t.number: t.user_attrs.get("error") for t in self._trials[:limit]}
        return {n: error for n, error in found.items() if error and not self._done(self._trials[n])}

    def wanted(self, limit: int | None) -> Iterator[int]:
        """The numbers of those below `limit` that are neither done nor this process's, in order."""
        mine = {*self.running, *self.failed}
        yield from (t.number for t in self._undone(limit) if t.number not in mine)
        yield from range(len(self._trials), limit) if limit is not None else (len(self._trials),)

    def open(self, limit: int) -> bool:
        """Whether one below `limit` is still to be done, by this process or another one."""
        left = any(t.number not in self.failed for t in self._undone(limit))
        return left or len(self._trials) < limit

    def busy(self, limit: int | None = None) -> bool:
        """Whether a process works on one below `limit`."""
        return bool(self.running) or any(self._claimed_by_another(t) for t in self._undone(limit))

    def unattended(self, number: int) -> bool:
        """Whether nobody works on a trial that has not ended."""
        trial = self._trials[number]
        return (
            not self.progress(number).ended
            and number not in self.running
            and not self._claimed_by_another(trial)
        )

    def _claimed_by_another(self, trial: FrozenTrial) -> bool:
        if self._claims.take(trial._trial_id):
            self._claims.release(trial._trial_id)
            return False
        return True

    def _undone(self, limit: int | None) -> Iterator[FrozenTrial]:
        return (t for t in self._trials[:limit] if not self._done(t))

    def progress(self, number: int) -> Progress:
        """How far one has come."""
        trial = self._trials[number]
        ended = self._done(trial) is not None or bool(trial.user_attrs.get("error"))
        return Progress(trial.intermediate_values, ended)

    def _done(self, trial: FrozenTrial) -> Done | None:
        if trial.number in self._read:
            return self._read[trial.number]
        record = trial.user_attrs.get("done")
        if record is None:
            return None
        run = decode(Run, record["run"])
        done = Done(run, self._setting(trial), record["granted"], record["host"])
        if run.stopped != "time":
            self._read[trial.number] = done
        return done
