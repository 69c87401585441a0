from __future__ import annotations

from dataclasses import replace
from math import inf, isfinite, nan

import numpy as np
import pytest
import torch

from cellwright import cell
from cellwright.study import training
from cellwright.study.regime import Regime
from cellwright.study.results import Epoch, Run
from cellwright.study.tasks.music import Rolls
from tiny import MUSIC, REGIME


def _train(regime: Regime = REGIME, seed: int = 0, **options: object) -> Run:
    return training.train(cell("lstm"), seed, MUSIC, regime, **options)


def _losses(run: Run) -> tuple[object, ...]:
    return [(e.train, e.valid) for e in run.epochs], run.valid, run.test, run.metrics


def test_equal_seeds_give_equal_losses_and_others_do_not() -> None:
    assert _losses(_train(seed=3)) == _losses(_train(seed=3))
    assert _losses(_train(seed=3)) != _losses(_train(seed=4))


def test_figures_are_what_they_were_before_there_were_other_tasks() -> None:
    """On another processor the last digits differ, of which three epochs make more."""
    run = _train()
    assert [(e.train, e.valid) for e in run.epochs] == [
        pytest.approx(pair, rel=1e-4)
        for pair in ((2.8518768, 2.7656674), (2.8246113, 2.7455037), (2.7910572, 2.7216890))
    ]
    assert run.metrics == pytest.approx({"loss": 2.8128435, "loss by sequence": 2.7963123}, 1e-4)


def test_torchs_own_random_numbers_are_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    _train()
    assert torch.equal(torch.rand(3), expected)


def test_training_learns_what_is_there() -> None:
    """The melodies' rule is worth far more than the keys' shares."""
    regime = replace(REGIME, hidden_size=16, epochs=60, patience=60, dropout=0.0)
    run = _train(regime)
    assert run.test < 0.5 * MUSIC.summary().trivial["static"]
    assert run.stopped == "epochs"


def test_the_first_loss_is_near_what_counting_gives() -> None:
    run = _train(replace(REGIME, learning_rate=1e-9, epochs=1, dropout=0.0))
    assert run.epochs[0].valid == pytest.approx(MUSIC.summary().trivial["static"], rel=0.3)


def test_gradients_are_clipped() -> None:
    """To a norm that is lost beside Adam's epsilon, so that nothing is learned."""
    losses = [e.valid for e in _train(replace(REGIME, clip_norm=1e-12)).epochs]
    assert losses == pytest.approx([losses[0]] * len(losses), abs=1e-3)
    assert [e.valid for e in _train().epochs] != pytest.approx(losses, abs=1e-2)


def test_the_best_epochs_weights_give_the_test_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses of the second epoch are the ones reported, though two worse epochs follow."""
    valid = iter([2.0, 1.0, 3.0, 4.0])
    seen = []
    evaluate = training._evaluate

    def scripted(model: object, task: object, split: object) -> dict[str, float]:
        found = evaluate(model, task, split)
        if split is MUSIC.test:
            return found
        seen.append(evaluate(model, task, MUSIC.test))
        return found | {"loss": next(valid)}

    monkeypatch.setattr(training, "_evaluate", scripted)
    run = _train(replace(REGIME, epochs=9))
    assert (run.best_epoch, run.valid, run.stopped, len(run.epochs)) == (1, 1.0, "patience", 4)
    assert (run.test, run.metrics) == (seen[1]["loss"], seen[1])
    assert seen[1] != seen[3]


def test_both_averages() -> None:
    """Frames weigh alike in one, sequences in the other."""
    run = _train()
    assert run.test == run.metrics["loss"] != run.metrics["loss by sequence"]
    same_length = replace(MUSIC, test=Rolls(tuple(np.eye(6, dtype=np.uint8) for _ in range(3))))
    run = training.train(cell("lstm"), 0, same_length, REGIME)
    assert run.test == pytest.approx(run.metrics["loss by sequence"], rel=1e-6)


def test_time_ends_a_run_at_an_epochs_end() -> None:
    run = _train(replace(REGIME, epochs=50, patience=50), seconds=0.0)
    assert (len(run.epochs), run.stopped, isfinite(run.test)) == (1, "time", True)
    assert _train(seconds=1e6).stopped != "time"


def test_a_run_that_diverges_at_once_has_no_loss() -> None:
    run = _train(replace(REGIME, learning_rate=1e38))
    assert (run.stopped, run.epochs, run.best_epoch) == ("diverged", (), -1)
    assert (run.valid, run.test, run.metrics) == (inf, inf, {})


def test_a_run_that_diverges_later_keeps_its_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _train(replace(REGIME, epochs=2))
    epochs = iter([0.0, 0.0, nan])
    epoch = training._Learner.epoch
    monkeypatch.setattr(training._Learner, "epoch", lambda self: epoch(self) + next(epochs))
    run = _train(replace(REGIME, epochs=9))
    assert run.stopped == "diverged"
    assert _losses(run) == _losses(found)


def test_every_epoch_is_heard_of() -> None:
    heard: list[Epoch] = []
    run = _train(on_epoch=heard.append)
    assert tuple(heard) == run.epochs
    assert [e.seconds for e in heard] == sorted(e.seconds for e in heard)
    assert run.seconds >= heard[-1].seconds


def test_what_is_evaluated_is_the_average_of_the_weights() -> None:
    learner = training._Learner(cell("lstm"), MUSIC, replace(REGIME, hidden_size=3), 0)
    weights = [learner.model.readout.weight.detach().clone()]
    step = learner._step

    def recording() -> None:
        step()
        weights.append(learner.model.readout.weight.detach().clone())

    learner._step = recording  # type: ignore[method-assign]
    learner.epoch()
    average = weights[0]
    for n, weight in enumerate(weights[1:], 1):
        keep = min(REGIME.averaging, n / (n + 9))
        average = keep * average + (1 - keep) * weight
    torch.testing.assert_close(learner.judged.readout.weight.detach(), average)
    assert not torch.allclose(average, weights[-1])
