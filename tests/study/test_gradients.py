"""Gradients without a graph through the recurrence, against autograd through all of the model."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
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


def _as_layer(states: list[Tensor] | None) -> Tensor | tuple[Tensor, ...] | None:
    given = tuple(s.unsqueeze(0) for s in states or ())
    return given[0] if len(given) == 1 else given or None


def _by_autograd(
    model: Model, task: Task, batch: Batch, states: list[Tensor] | None, summed: bool
) -> tuple[list[Tensor], float]:
    losses = task.target.loss(model(batch.inputs, batch.lengths, _as_layer(states))[0], batch)
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
    """Batch after batch, weights changing, of the same form and others, states going on or not."""
    torch.manual_seed(0)
    model = Model(which, task.form, 5)
    gradients = Gradients(model, task.target)
    batches = [*islice(task.train.batches(size, np.random.default_rng(0)), 3)]
    for batch in (batches[0], batches[0], *batches, batches[0]):
        states = [torch.rand(batch.inputs.shape[1], 5) for _ in which.program.states]
        for begin, summed in ((None, True), (states, False)):
            expected, loss = _by_autograd(model, task, batch, begin, summed)
            judged = gradients.of(batch, begin, summed)
            assert judged.loss == pytest.approx(loss, rel=1e-6)
            outputs, final = model(batch.inputs, batch.lengths, _as_layer(begin))
            assert judged.predictions == int(task.target.loss(outputs, batch).counts.sum())
            for p, grad in zip(model.parameters(), expected, strict=True):
                torch.testing.assert_close(p.grad, grad)
            final = (final,) if isinstance(final, Tensor) else final
            for ours, theirs in zip(judged.states, final, strict=True):
                torch.testing.assert_close(ours, theirs[0])
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(0.1 * torch.randn_like(p))


def test_states_go_on_in_the_same_memory() -> None:
    """What a batch ends with is what the next one begins with, whatever forms they have."""
    torch.manual_seed(0)
    model = Model(cell("lstm"), MUSIC.form, 5)
    gradients = Gradients(model, MUSIC.target)
    states = expected = None
    for batch in [_batch(MUSIC, 1)] * 3:
        states = gradients.of(batch, states, True).states
        _, expected = model(batch.inputs, batch.lengths, expected)
    for ours, theirs in zip(states, expected, strict=True):
        torch.testing.assert_close(ours, theirs[0])


@pytest.mark.parametrize("name", ["antisymmetric_rnn", "cornn", "rwkv4", "fgr", "scrn"])
def test_any_cell(name: str) -> None:
    """Also one that makes something of its parameters before a call, which cannot be repeated."""
    torch.manual_seed(0)
    model = Model(cell(name), MUSIC.form, 5)
    gradients, batch = Gradients(model, MUSIC.target), _batch(MUSIC, 3)
    for _ in range(2):
        expected, _ = _by_autograd(model, MUSIC, batch, None, False)
        gradients.of(batch, None, False)
        with torch.no_grad():
            for p, grad in zip(model.parameters(), expected, strict=True):
                torch.testing.assert_close(p.grad, grad)
                p.add_(0.1 * torch.randn_like(p))


def test_batches_of_one_form_share_memory() -> None:
    """Else nothing above would have tried what is repeated."""
    model, batch = Model(cell("lstm"), MUSIC.form, 5), _batch(MUSIC, 3)
    gradients = Gradients(model, MUSIC.target)
    gradients.of(batch, None, False)
    [repeated] = gradients._repeated.values()
    assert repeated is not None
    assert repeated.works


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
    same = Gradients(model, MUSIC.target).of(batch._replace(inputs=inputs), None, True).loss
    assert noisy == pytest.approx(same, rel=1e-6)
    assert noisy != Gradients(model, MUSIC.target).of(batch, None, True).loss


def test_there_is_no_gradient_of_a_loss_that_is_not_finite() -> None:
    model = Model(cell("lstm"), MUSIC.form, 5)
    with torch.no_grad():
        model.readout.weight.fill_(inf)
    judged = Gradients(model, MUSIC.target).of(_batch(MUSIC, 4), None, True)
    assert not np.isfinite(judged.loss)
    assert all(p.grad is None for p in model.parameters())
