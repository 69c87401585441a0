"""Training one cell from one seed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import inf, isfinite
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from cellwright.language import Cell
from cellwright.study.model import Model, State
from cellwright.study.results import Epoch, Run, Settings
from cellwright.study.sizes import hidden_size_for, learned_values
from cellwright.study.tasks.task import Split, Task

__all__ = ["train"]


def train(
    cell: Cell,
    seed: int,
    task: Task,
    settings: Settings,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    seconds: float | None = None,
) -> Run:
    """Train one cell from one seed; equal arguments give equal figures on one thread.

    What is evaluated is the exponential moving average of the weights, which learns as fast as the
    weights and forgets the noise of single batches. Training ends when the task's objective on the
    validation set has not improved for `settings.patience` epochs, after `settings.epochs`, after
    the last epoch that fits into `seconds` (the first always runs), or when a loss is not finite.
    The figures of the test set are those of the epoch with the best objective in validation.

    `on_epoch` hears of each epoch as it ends. torch's global random numbers are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _train(cell, seed, task, settings, on_epoch, seconds)


def _train(
    cell: Cell,
    seed: int,
    task: Task,
    settings: Settings,
    on_epoch: Callable[[Epoch], None],
    seconds: float | None,
) -> Run:
    began = perf_counter()
    objective, decides = task.target.objective.name, task.target.metrics[0].name
    hidden_size = hidden_size_for(cell, settings.parameters, task.ends)
    learner = _Learner(cell, hidden_size, task, settings, seed)
    epochs: list[Epoch] = []
    best, best_epoch, best_weights = inf, -1, None
    stopped: Literal["patience", "epochs", "time", "diverged"] = "epochs"
    for i in range(settings.epochs):
        trained = learner.epoch()
        found = _evaluate(learner.average, task, task.valid) if isfinite(trained) else {}
        valid = found.get(objective, inf)
        if not isfinite(valid):
            stopped = "diverged"
            break
        epochs.append(Epoch(trained, valid, found[decides], perf_counter() - began))
        on_epoch(epochs[-1])
        if valid < best:
            best, best_epoch, best_weights = valid, i, deepcopy(learner.average.state_dict())
        if i - best_epoch >= settings.patience:
            stopped = "patience"
            break
        so_far = epochs[-1].seconds
        if seconds is not None and so_far + so_far / len(epochs) > seconds:
            stopped = "time"
            break
    measured: dict[str, float] = {}
    if best_weights is not None:
        learner.average.load_state_dict(best_weights)
        measured = _evaluate(learner.average, task, task.test)
    return Run(
        cell=cell.name,
        seed=seed,
        hidden_size=hidden_size,
        parameters=learned_values(cell, task.ends, hidden_size),
        epochs=tuple(epochs),
        best_epoch=best_epoch,
        valid=epochs[best_epoch].score if measured else inf,
        test=measured.get(decides, inf),
        metrics={metric.name: measured[metric.name] for metric in task.target.metrics if measured},
        seconds=perf_counter() - began,
        stopped=stopped,
    )


class _Learner:
    """A model in training, and the running average of its weights."""

    def __init__(
        self, cell: Cell, hidden_size: int, task: Task, settings: Settings, seed: int
    ) -> None:
        self.task, self.settings = task, settings
        self.order = np.random.default_rng(seed)
        self.model = Model(cell, task, hidden_size, settings.dropout)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings.learning_rate, fused=True
        )
        self.average = deepcopy(self.model).eval()
        self.steps = 0

    def epoch(self) -> float:
        """One pass over the training set: the mean of the objective, dropout included.

        A loss that is not finite ends the pass, and is returned.
        """
        total, count = 0.0, 0
        state: State | None = None
        for batch in self.task.train.batches(self.settings.batch_size, self.order):
            state = _cut(state) if batch.goes_on and state is not None else None
            outputs, state = self.model(batch.inputs, batch.lengths, state)
            losses = self.task.target.loss(outputs, batch)
            loss = losses.sums.sum()
            total, count = total + loss.item(), count + int(losses.counts.sum())
            if not isfinite(total):
                break
            self._step(loss / losses.counts.sum())
        return total / count

    def _step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        self.steps += 1
        # Early on the average is over what there is, so that the first weights do not linger.
        keep = min(self.settings.averaging, self.steps / (self.steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - keep
            )


def _cut(state: State) -> State:
    """The same state, without what led to it."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(one.detach() for one in state)


def _evaluate(model: Model, task: Task, split: Split) -> dict[str, float]:
    """The objective and the metrics on a split, by name."""
    seen: dict[str, list[Tensor]] = {}
    state: State | None = None
    with torch.inference_mode():
        for batch in split.in_order():
            outputs, state = model(batch.inputs, batch.lengths, state if batch.goes_on else None)
            for name, values in task.target.evidence(outputs, batch).items():
                seen.setdefault(name, []).append(values)
        return task.target.measure({name: torch.cat(values) for name, values in seen.items()})
