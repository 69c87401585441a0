"""Training one cell from one seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from math import inf, isfinite
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.sgd import sgd

from cellwright.language import Cell
from cellwright.study.gradients import Gradients
from cellwright.study.model import Model, State
from cellwright.study.regime import Regime
from cellwright.study.results import Epoch, Run
from cellwright.study.sizes import learned_values
from cellwright.study.tasks.task import Split, Task

__all__ = ["train", "trained"]


def train(
    cell: Cell,
    seed: int,
    task: Task,
    regime: Regime,
    on_epoch: Callable[[Epoch], bool | None] = lambda _: None,
    seconds: float | None = None,
) -> Run:
    """Train one cell from one seed; equal arguments give equal figures on one thread.

    Training ends when the task's objective on the validation set has not improved for
    `regime.patience` epochs, after `regime.epochs`, after the last epoch that fits into `seconds`
    (the first always runs), when a loss is not finite, or where `on_epoch`, which hears of each
    epoch as it ends, returns False. The time that takes counts as nobody's. The figures of the test
    set are those of the epoch with the best objective in validation.

    What is evaluated is, where the regime says so, the exponential moving average of the weights,
    which learns as fast as the weights and forgets the noise of single batches.

    torch's global random numbers are left as they were.
    """
    return trained(cell, seed, task, regime, on_epoch, seconds)[0]


def trained(
    cell: Cell,
    seed: int,
    task: Task,
    regime: Regime,
    on_epoch: Callable[[Epoch], bool | None] = lambda _: None,
    seconds: float | None = None,
) -> tuple[Run, Model]:
    """As `train`, with the model of the best epoch; where there is none, it has learned nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _train(cell, seed, task, regime, on_epoch, seconds)


def _train(
    cell: Cell,
    seed: int,
    task: Task,
    regime: Regime,
    on_epoch: Callable[[Epoch], bool | None],
    seconds: float | None,
) -> tuple[Run, Model]:
    objective, decides = task.target.objective.name, task.target.metrics[0].name
    learner = _Learner(cell, task, regime, seed)
    learner.gradients.prepare()
    began = perf_counter()
    epochs: list[Epoch] = []
    best, best_epoch = inf, -1
    best_weights = _weights(learner.judged)
    stopped: Literal["patience", "epochs", "time", "diverged", "pruned"] = "epochs"
    for i in range(regime.epochs):
        loss = learner.epoch()
        found = _evaluate(learner.judged, task, task.valid) if isfinite(loss) else {}
        valid = found.get(objective, inf)
        if not isfinite(valid):
            stopped = "diverged"
            break
        epochs.append(Epoch(loss, valid, found[decides], perf_counter() - began))
        if valid < best:
            best, best_epoch, best_weights = valid, i, _weights(learner.judged)
        told = perf_counter()
        goes_on = on_epoch(epochs[-1])
        began += perf_counter() - told
        if i - best_epoch >= regime.patience:
            stopped = "patience"
            break
        so_far = epochs[-1].seconds
        if seconds is not None and so_far + so_far / len(epochs) > seconds:
            stopped = "time"
            break
        if goes_on is False and len(epochs) < regime.epochs:
            stopped = "pruned"
            break
    learner.judged.load_state_dict(best_weights)
    measured = _evaluate(learner.judged, task, task.test) if epochs else {}
    run = Run(
        cell=cell.name,
        seed=seed,
        hidden_size=regime.hidden_size,
        parameters=learned_values(cell, task.ends, regime.hidden_size),
        epochs=tuple(epochs),
        best_epoch=best_epoch,
        valid=epochs[best_epoch].score if measured else inf,
        test=measured.get(decides, inf),
        metrics={metric.name: measured[metric.name] for metric in task.target.metrics if measured},
        seconds=perf_counter() - began,
        stopped=stopped,
    )
    return run, learner.judged


def _weights(model: Model) -> dict[str, Any]:
    return {name: w.clone() for name, w in model.state_dict().items()}


class _Learner:
    """A model in training, and what is judged of it: itself, or the average of its weights."""

    def __init__(self, cell: Cell, task: Task, regime: Regime, seed: int) -> None:
        self.task, self.regime = task, regime
        self.order = np.random.default_rng(seed)
        start = task.target.start()
        self.model = Model(cell, task.form, regime.hidden_size, regime.dropout, start)
        if regime.initial is not None:
            for p in self.model.parameters():
                torch.nn.init.normal_(p, std=regime.initial)
        self.gradients = Gradients(self.model, task.target, regime.input_noise)
        self.optimizer = _optimizer(regime, self.model.parameters())
        self.judged = deepcopy(self.model) if regime.averaging is not None else self.model
        self.steps = 0

    def epoch(self) -> float:
        """One pass over the training set: the mean of the objective, dropout included.

        A loss that is not finite ends the pass, and is returned.
        """
        self.model.train()
        total, count = 0.0, 0
        states: Sequence[Tensor] | None = None
        for batch in self.task.train.batches(self.regime.batch_size, self.order):
            judged = self.gradients.of(batch, states if batch.goes_on else None, self.regime.summed)
            states = judged.states
            total, count = total + judged.loss, count + judged.predictions
            if not isfinite(total):
                break
            self._step()
        return total / count

    def _step(self) -> None:
        """Move the weights by their gradients."""
        if self.regime.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.regime.clip_norm)
        self.optimizer.step()
        self.steps += 1
        if self.regime.averaging is None:
            return
        # Early on the average is over what there is, so that the first weights do not linger.
        keep = min(self.regime.averaging, self.steps / (self.steps + 9))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.judged.parameters()), list(self.model.parameters()), 1 - keep
            )


class _Steps(Protocol):
    """What moves weights by their gradients."""

    def step(self) -> object:
        """Once."""


class _Nesterov:
    """torch's SGD without its wrapper, which takes as long as the update of a small cell does."""

    def __init__(self, parameters: Iterable[Tensor], rate: float, momentum: float) -> None:
        self.parameters, self.rate, self.momentum = [*parameters], rate, momentum
        self.velocities: list[Tensor | None] = [None] * len(self.parameters)

    def step(self) -> None:
        with torch.no_grad():
            sgd(
                self.parameters,
                [p.grad for p in self.parameters if p.grad is not None],  # which all have
                self.velocities,
                fused=True,
                weight_decay=0.0,
                momentum=self.momentum,
                lr=self.rate,
                dampening=0.0,
                nesterov=self.momentum > 0,  # torch has no Nesterov's momentum of 0
                maximize=False,
            )


def _optimizer(regime: Regime, parameters: Iterable[Tensor]) -> _Steps:
    """All fused: one call a step, whatever the number of parameters."""
    rate = regime.learning_rate
    match regime.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=regime.weight_decay, fused=True)
        case "nesterov":
            return _Nesterov(parameters, rate * (1 - regime.momentum), regime.momentum)


def _evaluate(model: Model, task: Task, split: Split) -> dict[str, float]:
    """The objective and the metrics on a split, by name."""
    model.eval()
    seen: dict[str, list[Tensor]] = {}
    state: State | None = None
    with torch.inference_mode():
        for batch in split.in_order():
            outputs, state = model(batch.inputs, batch.lengths, state if batch.goes_on else None)
            for name, values in task.target.evidence(outputs, batch).items():
                seen.setdefault(name, []).append(values)
        return task.target.measure({name: torch.cat(values) for name, values in seen.items()})
