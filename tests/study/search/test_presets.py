"""Spaces and presets: what is drawn, and what it means."""

from __future__ import annotations

from math import log

import pytest
import torch
from optuna import create_study
from scipy import stats

from cellwright import CellwrightError, cell, cell_names
from cellwright.study.options import OptionError
from cellwright.study.regime import Regime
from cellwright.study.search.hyperparameters import Range, edges, parsed, regime
from cellwright.study.search.presets import PRESETS, preset
from cellwright.study.search.sampling import Numbered, seed_of
from cellwright.study.search.study import settings_of
from cellwright.study.sizes import hidden_size_for
from cellwright.study.training import _optimizer
from tiny import MUSIC

MOMENTUM = "1 - momentum"


def test_the_odyssey_is_that_of_greff_et_al() -> None:
    """arXiv 1503.04069, section IV; nine variants, 200 trials each."""
    found = preset("odyssey")
    assert {(r.name, r.low, r.high, r.log) for r in found.ranges} == {
        ("hidden_size", 20, 200, True),
        ("learning_rate", 1e-6, 1e-2, True),
        (MOMENTUM, 0.01, 1.0, True),
        ("input_noise", 0.0, 1.0, False),
    }
    assert found.trials == 200
    assert not found.pruning
    assert found.sampler == "random"
    named = [cell(name) for name in found.cells]
    assert len({c.name for c in named}) == 9
    assert named[0].name == "peephole_lstm"
    assert {"nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr"} < {c.name for c in named}
    assert cell("np").name in {c.name for c in named}
    setting = {"hidden_size": 63, "learning_rate": 1e-3, MOMENTUM: 0.1, "input_noise": 0.25}
    assert regime(named[0], MUSIC.ends, found.fixed, setting) == Regime(
        hidden_size=63,
        batch_size=1,
        learning_rate=1e-3,
        epochs=150,
        patience=15,
        optimizer="nesterov",
        momentum=0.9,
        clip_norm=None,
        dropout=0.0,
        input_noise=0.25,
        averaging=None,
        initial=0.1,
        summed=True,
    )


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_carried_out(name: str) -> None:
    found = preset(name)
    assert {cell(c).name for c in found.cells} <= {*cell_names()}
    same = {**dict.fromkeys(found.left_to_task, 1), **found.fixed}
    for end in ("low", "high"):
        setting = {r.name: getattr(r, end) for r in found.ranges}
        for c in found.cells:
            made = regime(cell(c), MUSIC.ends, same, setting)
            assert made.learning_rate == setting["learning_rate"]


def test_trials_of_one_epoch_are_not_given_up_early() -> None:
    for epochs, given_up in (("1", False), ("2", True)):
        chosen = preset("modern").overridden({"epochs": epochs})
        assert settings_of(chosen, MUSIC, ("lstm",), "lstm").pruning == given_up


def test_a_budget_of_parameters_is_the_same_for_every_cell() -> None:
    same = {"batch_size": 1, "learning_rate": 0.1, "epochs": 1, "patience": 1}
    for name in ("rnn", "gru", "lstm"):
        size = regime(cell(name), MUSIC.ends, same, {"parameters": 600}).hidden_size
        assert size == hidden_size_for(cell(name), 600, MUSIC.ends)


# --- ranges -------------------------------------------------------------------------------------


def test_ranges_are_overridden_in_their_place_and_sizes_exclude_each_other() -> None:
    modern = preset("modern")
    names = [r.name for r in modern.ranges]
    found = modern.overridden({"learning_rate": "1e-5,1", "dropout": "0.25"})
    assert [r.name for r in found.ranges] == [n for n in names if n != "dropout"]
    assert next(r for r in found.ranges if r.name == "learning_rate") == Range(
        "learning_rate", 1e-5, 1.0, True, False
    )
    assert found.fixed["dropout"] == 0.25
    found = modern.overridden({"hidden_size": "20,200", "batch_size": "4"})
    assert "parameters" not in [r.name for r in found.ranges]
    assert "batch_size" not in found.left_to_task
    assert found.fixed["batch_size"] == 4
    found = modern.overridden({"patience": "10", "epochs": "100", "clip_norm": "0.1,10"})
    assert found.left_to_task == ("batch_size", "averaging")
    assert (found.fixed["patience"], found.fixed["epochs"]) == (10, 100)
    fixed = modern.overridden({"parameters": "500"}).overridden({"hidden_size": "9"}).fixed
    assert "parameters" not in fixed
    assert fixed["hidden_size"] == 9
    with pytest.raises(OptionError, match="parameters=500 and hidden_size=9,20 both say"):
        modern.overridden({"parameters": "500", "hidden_size": "9,20"})
    with pytest.raises(OptionError, match="nothing is searched"):
        modern.overridden({n: "100" if n == "parameters" else "0.5" for n in names})


@pytest.mark.parametrize("name", PRESETS)
def test_what_means_nothing_to_the_optimizer_is_refused(name: str) -> None:
    """What means something is what changes where two steps lead."""
    found = preset(name)
    same = {"hidden_size": 2, "batch_size": 1, "learning_rate": 0.1, "epochs": 1, "patience": 1}
    same["optimizer"] = found.fixed["optimizer"]
    for hyperparameter in ("learning_rate", MOMENTUM, "weight_decay"):
        ends = set()
        for value in (0.25, 0.5):
            made = regime(cell("gru"), MUSIC.ends, same, {hyperparameter: value})
            weight = torch.ones(1, requires_grad=True)
            steps = _optimizer(made, [weight])
            for gradient in (1.0, 3.0):
                weight.grad = torch.full((1,), gradient)
                steps.step()
            ends.add(weight.item())
        if len(ends) == 2:
            assert found.overridden({hyperparameter: "0.25,0.5"})
            continue
        for text in ("0.25,0.5", "0.25"):
            refused = f"{hyperparameter}={text} would change nothing"
            with pytest.raises(OptionError, match=refused) as told:
                found.overridden({hyperparameter: text})
            assert "epochs" not in str(told.value)  # which cannot be searched


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("learning_rat", "1", r"no hyperparameter 'learning_rat'. There are:\n    parameters: "),
        ("epoch", "1", r"\n    epochs: of a trial, at the most; one value"),
        ("learning_rate", "1e-2,1e-4", "has to go up"),
        ("learning_rate", "0,1", "must be more than 0, got 0"),
        ("learning_rate", "0", "must be more than 0, got 0"),
        ("learning_rate", "fast", "LOW,HIGH, or fixed at one of them, VALUE; got 'fast'"),
        ("learning_rate", "1,2,3", "got '1,2,3'"),
        ("learning_rate", "nan,1", "got 'nan,1'"),
        ("hidden_size", "20,200.5", "a range of whole numbers"),
        ("hidden_size", "0,20", "must be at least 1, got 0"),
        ("dropout", "0,1", "must be at least 0 and at most 0.99, got 1"),
        (MOMENTUM, "0.1,2", "must be more than 0 and at most 1, got 2"),
        ("weight_decay", "0,1", "must be more than 0, got 0"),
        ("epochs", "10,20", "epochs is a budget, .* give one whole number, got '10,20'"),
        ("patience", "all", "patience is a budget, .* give one whole number, got 'all'"),
        ("epochs", "0", "epochs must be at least 1, got 0"),
    ],
)
def test_a_wrong_range_is_told(name: str, text: str, message: str) -> None:
    with pytest.raises(CellwrightError, match=message):
        parsed(name, text)


def test_what_is_allowed_at_one_value() -> None:
    assert parsed("weight_decay", "0") == 0.0
    assert parsed("hidden_size", "64") == 64


def test_an_optimum_at_an_edge_is_flagged() -> None:
    ranges = preset("odyssey").ranges
    setting = {"hidden_size": 63, "learning_rate": 9e-3, MOMENTUM: 0.0101, "input_noise": 0.94}
    assert edges(setting, ranges) == {"learning_rate": "upper", MOMENTUM: "lower"}
    assert edges({**setting, "learning_rate": 5e-3, MOMENTUM: 0.1}, ranges) == {}


# --- draws --------------------------------------------------------------------------------------


def test_draws_are_uniform_in_scale_and_each_trials_own() -> None:
    """Kolmogorov and Smirnov's test against the distributions of the paper; no two alike."""
    seeds = [seed_of(0, cell("gru"), f"trial {k}") for k in range(300)]
    study = create_study(sampler=Numbered("random", seeds.__getitem__))
    ranges = preset("odyssey").ranges
    drawn = [study.ask({r.name: r.distribution for r in ranges}).params for _ in seeds]
    for r in ranges:
        values = [d[r.name] for d in drawn]
        assert min(values) >= r.low
        assert max(values) <= r.high
        scaled = [log(v) if r.log else v for v in values]
        low, high = (log(r.low), log(r.high)) if r.log else (r.low, r.high)
        assert stats.kstest(scaled, stats.uniform(low, high - low).cdf).pvalue > 0.01
    pairs = [[d["learning_rate"] for d in drawn], [d["input_noise"] for d in drawn]]
    assert abs(stats.spearmanr(*pairs).statistic) < 0.15
    assert len({*pairs[0]}) == 300
    # Another order, some twice, other hyperparameters beside it: the same draws.
    again = create_study(sampler=Numbered("random", lambda k: seeds[299 - k]))
    for k in range(3):
        found = again.ask({r.name: r.distribution for r in reversed(ranges[1:])}).params
        assert found == {r.name: drawn[299 - k][r.name] for r in ranges[1:]}


def test_a_seed_is_of_the_study_the_equations_and_the_trial() -> None:
    lstm, gru = cell("lstm"), cell("gru")
    seeds = {
        seed_of(0, lstm, "trial 0"), seed_of(1, lstm, "trial 0"), seed_of(0, gru, "trial 0"),
        seed_of(0, lstm, "trial 1"),
    }  # fmt: skip
    assert len(seeds) == 4
    assert all(0 <= seed < 2**48 for seed in seeds)
    assert seed_of(0, cell("np"), "trial 0") == seed_of(0, lstm, "trial 0")
