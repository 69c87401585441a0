"""Gradients without a graph through the recurrence, against autograd through all of the model."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
import torch
from torch import Tensor

from cellwright import cell, parse
from cellwright.language import Cell
from cellwright.study.gradients import Gradients
from cellwright.study.model import Model
from cellwright.study.tasks import load
from cellwright.study.tasks.task import Batch, Task
from tiny import MUSIC

TWO_STREAMS = parse(
    "f = σ(W_f x + R_f h + b_f)\nh' = f * h + tanh(W x) * c\nc' = c + f\ny = h' * c'\noutput y",
    "two",
)


def _batch(task: Task, size: int) -> Batch:
    return next(iter(task.train.batches(size, np.random.default_rng(0))))


def _by_autograd(
    model: Model, task: Task, batch: Batch, states: list[Tensor] | None, summed: bool
) -> tuple[list[Tensor], float]:
    given = None if states is None else tuple(s.unsqueeze(0) for s in states)
    given = given[0] if given is not None and len(given) == 1 else given
    losses = task.target.loss(model(batch.inputs, batch.lengths, given)[0], batch)
    loss = losses.sums.sum()
    grads = torch.autograd.grad(loss if summed else loss / losses.counts.sum(), model.parameters())
    return list(grads), loss.item()


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("which", [cell("peephole_lstm"), cell("gru"), TWO_STREAMS], ids=str)
@pytest.mark.parametrize(
    "task",
    [
        MUSIC,
        load("adding(T=9, train=8, valid=2, test=2)"),  # numbers in, read out at the end
        load("parity(T=9, train=8, valid=2, test=2)"),  # one-hot
    ],
    ids=lambda task: task.kind,
)
def test_gradients_are_those_of_autograd(task: Task, which: Cell, size: int) -> None:
    torch.manual_seed(0)
    model, batch = Model(which, task.form, 5), _batch(task, size)
    for states, summed in (
        (None, True),
        ([torch.rand(size, 5) for _ in which.program.states], False),
    ):
        expected, loss = _by_autograd(model, task, batch, states, summed)
        judged = Gradients(model, task.target).of(batch, states, summed)
        assert judged.loss == pytest.approx(loss, rel=1e-6)
        assert judged.predictions == int(
            task.target.loss(model(*batch[::2])[0], batch).counts.sum()
        )
        for p, grad in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, grad)
        _, final = model(batch.inputs, batch.lengths, None)
        if states is None:
            final = (final,) if isinstance(final, Tensor) else final
            for ours, theirs in zip(judged.states, final, strict=True):
                torch.testing.assert_close(ours, theirs[0])


def test_an_embedding_learns() -> None:
    torch.manual_seed(0)
    task = load("parity(T=9, train=8, valid=2, test=2)")
    form = replace(task.form, reads=replace(task.reads, embedding=3))
    model, batch = Model(cell("lstm"), form, 5), _batch(task, 3)
    expected, _ = _by_autograd(model, task, batch, None, False)
    Gradients(model, task.target).of(batch, None, False)
    for p, grad in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.grad, grad)
    assert model.read.weight.grad.abs().max() > 0


def test_noise_is_added_to_what_is_read() -> None:
    model, batch = Model(cell("lstm"), MUSIC.form, 5), _batch(MUSIC, 4)
    torch.manual_seed(1)
    noisy = Gradients(model, MUSIC.target, noise=0.5).of(batch, None, True).loss
    torch.manual_seed(1)
    inputs = batch.inputs + 0.5 * torch.randn_like(batch.inputs)
    assert (
        noisy == Gradients(model, MUSIC.target).of(batch._replace(inputs=inputs), None, True).loss
    )
    assert noisy != Gradients(model, MUSIC.target).of(batch, None, True).loss


def test_there_is_no_gradient_of_a_loss_that_is_not_finite() -> None:
    model = Model(cell("lstm"), MUSIC.form, 5)
    with torch.no_grad():
        model.readout.weight.fill_(inf)
    judged = Gradients(model, MUSIC.target).of(_batch(MUSIC, 4), None, True)
    assert not np.isfinite(judged.loss)
    assert all(p.grad is None for p in model.parameters())
