"""Training one cell from one seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import inf, isfinite
from time import perf_counter
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from cellwright.language import Cell
from cellwright.study.batches import batches
from cellwright.study.model import NextFrame, nats
from cellwright.study.music import Frames, Music
from cellwright.study.results import Epoch, Run, Settings
from cellwright.study.sizes import hidden_size_for, learned_values

__all__ = ["train"]

_EVALUATED_TOGETHER = 64
"""Sequences a batch where no gradient is wanted."""


class _Losses(NamedTuple):
    per_frame: float
    per_sequence: float


def train(
    cell: Cell,
    seed: int,
    music: Music,
    settings: Settings,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    seconds: float | None = None,
) -> Run:
    """Train one cell from one seed; equal arguments give equal losses on one thread.

    What is evaluated is the exponential moving average of the weights, which learns as fast as the
    weights and forgets the noise of single batches. Training ends when the validation
    loss has not improved for `settings.patience` epochs, after `settings.epochs`, after the last
    epoch that fits into `seconds` (the first always runs), or when a loss is not finite. The test
    loss is the one of the epoch with the best validation loss.

    `on_epoch` hears of each epoch as it ends. torch's global random numbers are left as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _train(cell, seed, music, settings, on_epoch, seconds)


def _train(
    cell: Cell,
    seed: int,
    music: Music,
    settings: Settings,
    on_epoch: Callable[[Epoch], None],
    seconds: float | None,
) -> Run:
    began = perf_counter()
    keys = music.keys
    hidden_size = hidden_size_for(cell, settings.parameters, keys)
    learner = _Learner(cell, hidden_size, music.train, settings, seed)
    epochs: list[Epoch] = []
    best, best_epoch, best_weights = inf, -1, None
    stopped: Literal["patience", "epochs", "time", "diverged"] = "epochs"
    for i in range(settings.epochs):
        trained = learner.epoch()
        valid = _evaluate(learner.average, music.valid).per_frame
        if not (isfinite(trained) and isfinite(valid)):
            stopped = "diverged"
            break
        epochs.append(Epoch(trained, valid, perf_counter() - began))
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
    test = _Losses(inf, inf)
    if best_weights is not None:
        learner.average.load_state_dict(best_weights)
        test = _evaluate(learner.average, music.test)
    return Run(
        cell=cell.name,
        seed=seed,
        hidden_size=hidden_size,
        parameters=learned_values(cell, keys, hidden_size),
        epochs=tuple(epochs),
        best_epoch=best_epoch,
        valid=best,
        test=test.per_frame,
        test_per_sequence=test.per_sequence,
        seconds=perf_counter() - began,
        stopped=stopped,
    )


class _Learner:
    """A model in training, and the running average of its weights."""

    def __init__(
        self,
        cell: Cell,
        hidden_size: int,
        sequences: Sequence[Frames],
        settings: Settings,
        seed: int,
    ) -> None:
        self.sequences, self.settings = sequences, settings
        self.order = np.random.default_rng(seed)
        self.model = NextFrame(cell, sequences[0].shape[1], hidden_size, settings.dropout)
        self.model.start_from(_frequencies(sequences))
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings.learning_rate, fused=True
        )
        self.average = deepcopy(self.model).eval()
        self.steps = 0

    def epoch(self) -> float:
        """One pass over the sequences: the mean loss in nats a frame, dropout included.

        A loss that is not finite ends the pass, and is returned.
        """
        total, frames = 0.0, 0
        for batch in batches(self.sequences, self.settings.batch_size, self.order):
            loss = nats(self.model(batch.inputs, batch.lengths), batch.targets, batch.lengths).sum()
            total, frames = total + loss.item(), frames + int(batch.lengths.sum())
            if not isfinite(total):
                break
            self._step(loss / batch.lengths.sum())
        return total / frames

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


def _frequencies(sequences: Sequence[Frames]) -> Tensor:
    """How often each key sounds `(K,)`, never quite 0 or 1."""
    sounding = sum(sequence.sum(0, dtype=np.float64) for sequence in sequences)
    frames = sum(len(sequence) for sequence in sequences)
    return torch.from_numpy((sounding + 0.5) / (frames + 1)).float()


def _evaluate(model: NextFrame, sequences: Sequence[Frames]) -> _Losses:
    summed, lengths = [], []
    with torch.inference_mode():
        for batch in batches(sorted(sequences, key=len), _EVALUATED_TOGETHER, None):
            logits = model(batch.inputs, batch.lengths)
            summed.append(nats(logits, batch.targets, batch.lengths))
            lengths.append(batch.lengths)
    losses, frames = torch.cat(summed).double(), torch.cat(lengths)
    return _Losses(float(losses.sum() / frames.sum()), float((losses / frames).mean()))
