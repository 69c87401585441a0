"""Labelled series: splits, scaling and judgement, against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from cellwright import cell
from cellwright.study import training
from cellwright.study.readers.ts import Labelled
from cellwright.study.regime import regime_of
from cellwright.study.tasks import DataError, Task, load
from cellwright.study.tasks.cases import Cases, judged
from cellwright.study.tasks.nearest import nearest, resampled, summaries
from cellwright.study.tasks.series import Options, series, stratified
from shared import DATA, needs_data
from tiny import SETTINGS

RNG = np.random.default_rng(0)


def made(count: int, seed: int, channels: int = 2, gaps: bool = False) -> Labelled:
    """Waves that are slow or fast, of several lengths."""
    rng = np.random.default_rng(seed)
    found = Labelled()
    for i in range(count):
        steps = int(rng.integers(8, 20))
        fast = i % 3 == 0
        wave = np.sin(np.arange(steps) * (1.5 if fast else 0.4) + rng.random())
        one = 5 + 3 * wave[:, None] + rng.normal(0, 0.3, (steps, channels))
        if gaps:
            one[rng.random(steps) < 0.2, 0] = np.nan
        found.series.append(one)
        found.labels.append("fast" if fast else "slow")
        found.places.append(f"line {i + 1}")
    return found


def cases(task: Task, split: str) -> Cases:
    found = getattr(task, split)
    assert isinstance(found, Cases)
    return found


def task_of(gaps: bool = False, **parts: Labelled) -> Task:
    given = {"train": made(40, 0, gaps=gaps), "test": made(20, 1, gaps=gaps)} | parts
    return series("waves", "a test", given)


# --- judgement ----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_accuracies_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    chosen, true = np.array(pairs).T
    found = judged(chosen, true)
    assert found["accuracy"] == pytest.approx(accuracy_score(true, chosen))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of classes that are only chosen
        expected = balanced_accuracy_score(true, chosen)
    assert found["balanced accuracy"] == pytest.approx(expected)


def test_a_whole_split_is_judged() -> None:
    task = task_of()
    model = training.Model(cell("gru"), task.form, 4).eval()
    found = training._evaluate(model, task, task.test)
    split = cases(task, "test")
    with torch.no_grad():
        logits = torch.cat([
            model(torch.from_numpy(x)[:, None], torch.tensor([len(x)]))[0] for x in split.inputs
        ]).double()  # fmt: skip
    assert found["loss"] == pytest.approx(
        log_loss(split.targets, logits.softmax(1).numpy()), rel=1e-5
    )
    assert found["accuracy"] == accuracy_score(split.targets, logits.argmax(1))


def test_training_tells_what_means_do_not() -> None:
    task = task_of(gaps=True)
    settings = replace(
        SETTINGS, parameters=800, epochs=60, patience=30, batch_size=8, averaging=0.8
    )
    run = training.train(cell("gru"), 0, task, regime_of(settings, cell("gru"), task.ends))
    assert run.metrics.keys() == {"accuracy", "balanced accuracy", "loss"}
    assert run.test > max(0.9, task.summary().trivial["majority"])


# --- scaling ------------------------------------------------------------------------------------


def test_scaling_is_of_training_alone_and_skips_what_is_missing() -> None:
    train = made(30, 3, gaps=True)
    task = task_of(train=train, valid=made(10, 4, gaps=True))
    theirs = StandardScaler().fit(np.concatenate(train.series))
    inputs = np.concatenate(cases(task, "train").inputs)
    expected = theirs.transform(np.concatenate(train.series))
    np.testing.assert_allclose(inputs[:, :2], np.nan_to_num(expected), atol=1e-5)
    np.testing.assert_array_equal(inputs[:, 2], np.isnan(expected[:, 0]))
    assert task.reads.names == ("channel 1", "channel 2", "channel 1 is missing")
    assert any("values of training" in note and "are missing" in note for note in task.notes)

    shifted = made(10, 4, gaps=True)
    shifted.series[0][:] = 1e6
    other = task_of(train=train, valid=shifted)
    assert all(map(np.array_equal, cases(task, "train").inputs, cases(other, "train").inputs))
    assert task.fingerprint != other.fingerprint


def test_a_constant_channel_is_left_at_zero() -> None:
    train = made(12, 0)
    for one in train.series:
        one[:, 1] = 7
    assert not np.concatenate(cases(task_of(train=train), "train").inputs)[:, 1].any()


# --- splits -------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from("abc"), min_size=2, max_size=60),
    st.floats(0.05, 0.6),
    st.integers(0, 9),
)
def test_a_split_has_of_each_class_its_share(labels: list[str], share: float, seed: int) -> None:
    kept, taken = stratified(labels, share, np.random.default_rng(seed))
    assert sorted([*kept, *taken]) == list(range(len(labels)))
    for one in {*labels}:
        count, own = labels.count(one), sum(labels[i] == one for i in taken)
        assert own == 0 if count == 1 else abs(own - share * count) <= 0.5 or own in (1, count - 1)


def test_a_file_without_halves_is_split_here() -> None:
    task = series("waves", "a test", {"train": made(60, 0)})
    assert task.summary().sizes["series"] == (39, 9, 12)  # class by class, of 20 and of 40
    again, other = (
        series("waves", "a test", {"train": made(60, 0)}, Options(seed=seed)) for seed in (0, 1)
    )
    assert again.fingerprint == task.fingerprint != other.fingerprint


# --- what needs no learning ---------------------------------------------------------------------


def test_the_nearest_is_scikit_learns() -> None:
    train, test = made(50, 5), made(30, 6)
    labels = np.array([label == "fast" for label in train.labels], np.int64)
    for features in (summaries, resampled):
        both = features([*train.series, *test.series])
        scaler = StandardScaler().fit(both[:50])
        theirs = KNeighborsClassifier(1).fit(scaler.transform(both[:50]), labels)
        np.testing.assert_array_equal(
            nearest(both[:50], labels, both[50:]), theirs.predict(scaler.transform(both[50:]))
        )


def test_series_are_resampled_along_lines() -> None:
    long, short = RNG.normal(size=(9, 1)), RNG.normal(size=(4, 1))
    found = resampled([long, short, long[:1]])
    np.testing.assert_allclose(found[0], long[:, 0])
    np.testing.assert_allclose(found[1], np.interp(np.linspace(0, 3, 9), np.arange(4), short[:, 0]))
    assert {*found[2]} == {long[0, 0]}
    assert resampled([RNG.normal(size=(500, 3))]).shape == (1, 64 * 3)


# --- .npz ---------------------------------------------------------------------------------------

X = RNG.normal(size=(20, 6, 2))
Y = np.arange(20) % 2


def complaint(tmp_path: Path, **arrays: np.ndarray) -> str:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError) as caught:
        load(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)
    return str(caught.value).partition(": ")[2]


def test_an_npz_in_any_form(tmp_path: Path) -> None:
    lengths = np.array([3 + i % 4 for i in range(20)])
    padded = X.copy()
    for one, length in zip(padded, lengths, strict=True):
        one[length:] = np.nan
    split = np.array(["train"] * 12 + ["valid"] * 4 + ["test"] * 4)
    found = []
    for arrays in (
        {"x": X, "y": Y, "lengths": lengths, "split": split},
        {"x": padded, "y": Y.astype(float), "split": split},  # padding shows by itself
        {"x": X, "y": np.array(["0", "1"])[Y], "lengths": lengths, "split": split},
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        found.append(load(tmp_path / "a.npz"))
    assert len({task.fingerprint for task in found}) == 1
    assert found[0].summary().sizes["series"] == (12, 4, 4)
    assert [len(one) for one in cases(found[0], "train").inputs] == lengths[:12].tolist()
    np.savez(tmp_path / "b.npz", x=X[:, :, 0], y=Y)
    assert load(tmp_path / "b.npz").ends.inputs == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"y": Y[:-1]}, "y has the shape (19,), x has 20 series."),
        ({"y": Y / 2}, "y of series 2 is 0.5. Expected labels"),
        ({"y": np.zeros(20)}, "all series of training are '0'"),
        ({"y": np.full(20, np.inf)}, "y of series 1 is inf."),
        ({"y": np.arange(20)}, "20 series, of which no class has two"),
        ({"x": np.ones(20)}, "x has the shape (20,). Expected (series, steps) or"),
        ({"x": np.array([["no"]] * 20)}, "x is an array of <U2. Expected numbers."),
        ({"lengths": np.array([0] + [6] * 19)}, "lengths of series 1 is 0; x has 6 steps."),
        ({"lengths": np.array([6] * 19 + [7])}, "lengths of series 20 is 7"),
        ({"lengths": np.ones(20)}, "lengths is an array of float64"),
        ({"split": np.array(["dev"] * 20)}, "split is an array of <U3"),
        ({"split": np.array(["test"] * 20)}, "no series of split train."),
        ({"x": np.full((20, 6), np.nan)}, "series 1 of 20 has no value at all. Leave it out."),
        ({"x": np.where(np.arange(12).reshape(6, 2) == 5, np.inf, X)},
         "series 1 of 20 is infinite at step 3, channel 2."),
        ({"x": np.where([True, False], np.nan, X)}, "channel 1 has no value at all in training"),
        ({"x": X * [1, 1e200]}, "channel 2 has values too large to be squared."),
        ({"split": np.array(["train"] * 18 + ["test"] * 2), "y": np.array([0, 1] * 9 + [0, 2])},
         "test, series 20 of 20, is of the class '2', of which training has no series."),
    ],
)  # fmt: skip
def test_bad_arrays(tmp_path: Path, changes: dict[str, np.ndarray], expected: str) -> None:
    assert complaint(tmp_path, **{"x": X, "y": Y} | changes).startswith(expected)


# --- published sets -----------------------------------------------------------------------------


@needs_data
def test_published() -> None:
    found = {
        name: load(DATA / "uea" / name / f"{name}_{half}.ts")
        for name, half in (("JapaneseVowels", "TEST"), ("ItalyPowerDemand", "TRAIN"))
    }
    vowels, power = (found[name].summary() for name in found)
    assert (vowels.name, power.name) == tuple(found)
    assert vowels.sizes["series"] == (216, 54, 370)
    assert power.sizes["series"] == (53, 14, 1029)
    assert (found["JapaneseVowels"].ends.inputs, vowels.outputs) == (12, 9)
    assert load(DATA / "uea" / "JapaneseVowels").fingerprint == vowels.fingerprint
    assert vowels.trivial["majority"] == 31 / 370
    assert power.trivial["nearest-series"] > 0.93
