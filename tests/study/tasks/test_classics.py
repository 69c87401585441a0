"""The generated tasks: what is drawn is what the papers describe, and what solves it is right."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import log

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from cellwright import CellwrightError, cell
from cellwright.study import training
from cellwright.study.regime import regime_of
from cellwright.study.tasks import CLASSICS, DataError, Task, load
from cellwright.study.tasks.cases import Cases
from cellwright.study.tasks.recall import Shown
from cellwright.study.tasks.task import Batch
from tiny import SETTINGS

SMALL = "train=300,valid=40,test=60"


def cases(task: Task, split: str = "train") -> Cases:
    found = getattr(task, split)
    assert isinstance(found, Cases)
    return found


def whole(task: Task, split: str = "test") -> Batch:
    """A split in one batch."""
    (batch,) = getattr(task, split).in_order()
    return batch


@pytest.mark.parametrize("name", CLASSICS)
def test_a_seed_decides_everything(name: str) -> None:
    inside = SMALL if name != "digits" else "shuffled=true"
    tasks = [load(f"{name}({inside},seed={seed})") for seed in (0, 0, 1)]
    assert tasks[0].fingerprint == tasks[1].fingerprint != tasks[2].fingerprint
    assert load(f"{name}({inside})").fingerprint == tasks[0].fingerprint
    summary = tasks[0].summary()
    assert all(summary.metric.name in b.values for b in summary.baselines)
    if name != "digits":
        more = load(f"{name}(train=500,valid=40,test=60)")
        assert torch.equal(whole(more).inputs, whole(tasks[0]).inputs)
        assert not torch.equal(whole(tasks[0]).inputs, whole(tasks[2]).inputs)


def test_adding() -> None:
    task = load(f"adding(T=31,{SMALL})")
    batch = whole(task)
    values, marks = batch.inputs.unbind(2)  # (T, B)
    assert batch.inputs.shape == (31, 60, 2)
    assert (marks[:15].sum(0) == 1).all() and (marks[15:].sum(0) == 1).all()
    torch.testing.assert_close((values * marks).sum(0), batch.targets[:, 0])
    assert stats.kstest(values.flatten(), "uniform").pvalue > 1e-3
    target = task.target
    assert target.measure(target.evidence(batch.targets + 0.07, batch)) == pytest.approx(
        {"squared error": 0.0049, "sums right": 1.0}, rel=1e-4
    )
    assert target.measure(target.evidence(batch.targets + 0.09, batch))["sums right"] == 0
    # The variance of the sum of two uniform numbers.
    large = load("adding(T=2,test=100000)").summary()
    assert large.trivial["constant"] == pytest.approx(1 / 6, rel=0.02)


def test_copy() -> None:
    task = load(f"copy(T=7,length=3,symbols=5,{SMALL})")
    batch = whole(task)
    assert isinstance(task.test, Shown)
    for b, shown in enumerate(task.test.shown.tolist()):
        assert batch.inputs[:, b].tolist() == [*shown, *[5] * 6, 6, *[5] * 3]
        assert batch.targets[:, b].tolist() == [*[-1] * 10, *shown]
    right = torch.nn.functional.one_hot(batch.targets.clamp(min=0), 5).float() * 100
    half = right.clone()
    half[-1, :30] = half[-1, :30].roll(1, 1)
    measure, evidence = task.target.measure, task.target.evidence
    assert measure(evidence(right, batch)) == pytest.approx(
        {"loss": 0, "symbols right": 1, "sequences right": 1}
    )
    assert measure(evidence(half, batch)) == pytest.approx(
        {"loss": 100 / 6, "symbols right": 5 / 6, "sequences right": 0.5}
    )
    assert task.target.loss(torch.zeros_like(right), batch).sums.sum() == pytest.approx(
        60 * 3 * log(5), rel=1e-5
    )
    assert task.summary().trivial == {"no-memory": log(5)}


@pytest.mark.parametrize("relevant", [2, 3])
def test_temporal_order(relevant: int) -> None:
    task = load(f"temporal_order(T=50,relevant={relevant},{SMALL})")
    words = ["".join(word) for word in product("XY", repeat=relevant)]
    assert task.target.names == tuple(words)
    split = cases(task)
    for one, label in zip(split.inputs, split.targets, strict=True):
        assert 50 <= len(one) <= 55
        assert (one[0], one[-1]) == (6, 7)
        (places,) = np.nonzero(one < 2)
        assert "".join("XY"[s] for s in one[places]) == words[label]
        assert all(2 <= s < 6 for s in np.delete(one, [0, *places, len(one) - 1]))
        assert 5 <= places[0] <= 10
    chance = {2: 0.75, 3: 0.5}[relevant]  # who knows how many are X
    assert load(f"temporal_order(relevant={relevant})").summary().trivial[
        "counting"
    ] == pytest.approx(chance, abs=0.03)


def test_parity() -> None:
    split = cases(load(f"parity(T=9,{SMALL})"))
    assert {len(one) for one in split.inputs} == set(range(1, 10))
    assert [int(one.sum()) % 2 for one in split.inputs] == split.targets.tolist()


def test_digits() -> None:
    task = load("digits")
    images, labels = load_digits(return_X_y=True)
    shown = np.concatenate([np.stack(cases(task, s).inputs) for s in ("train", "valid", "test")])
    told = np.concatenate([cases(task, s).targets for s in ("train", "valid", "test")])
    assert task.summary().sizes["digits"] == (1079, 359, 359)
    order = [np.lexsort(np.column_stack([x.reshape(1797, 64), y]).T)
             for x, y in ((shown * 16, told), (images, labels))]  # fmt: skip
    np.testing.assert_array_equal(shown.reshape(1797, 64)[order[0]] * 16, images[order[1]])
    np.testing.assert_array_equal(told[order[0]], labels[order[1]])
    mixed = cases(load("digits(shuffled=true)")).inputs[0]
    assert not np.array_equal(mixed, cases(task).inputs[0])
    assert sorted(mixed[:, 0]) == sorted(cases(task).inputs[0][:, 0])
    theirs = KNeighborsClassifier(1).fit(shown[:1079, :, 0], told[:1079])
    plain = theirs.score(shown[-359:, :, 0], told[-359:])
    assert task.summary().trivial["nearest-series"] == pytest.approx(plain, abs=0.03)


@pytest.mark.parametrize(
    ("which", "enough"),
    [
        ("adding(T=4,train=400,valid=50,test=100)", 0.06),  # of 0.167
        ("copy(T=2,length=1,symbols=4,train=300,valid=50,test=100)", 0.7),  # of log 4, 1.386
    ],
)
def test_training_learns_it(which: str, enough: float) -> None:
    settings = replace(SETTINGS, parameters=600, epochs=8, dropout=0.0, batch_size=16)
    task, gru = load(which), cell("gru")
    assert training.train(gru, 0, task, regime_of(settings, gru, task.ends)).test < enough


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ("ading", "ading: there is no such file, nor such a task. Did you mean adding?"),
        ("zzz(T=3)", "There are adding, copy, temporal_order, parity, digits."),
        ("adding(t=3)", "adding has no parameter t. Did you mean T?"),
        ("adding(T=1)", "adding: T must be at least 2, got 1."),
        ("adding(train=0)", "adding: train must be at least 1, got 0."),
        ("adding(T=100000)", "1,300,000,000 steps in all; at most 268,435,456 are held"),
        ("copy(symbols=1)", "copy: symbols must be at least 2"),
        ("temporal_order(relevant=4)", "relevant must be 2 or 3, got 4"),
        ("parity(seed=-1)", "parity: seed must be at least 0"),
        ("digits(seed=-1)", "digits: seed must be at least 0"),
    ],
)
def test_mistakes(which: str, expected: str) -> None:
    with pytest.raises(CellwrightError) as caught:
        load(which)
    assert expected in str(caught.value)


def test_a_file_comes_before_a_name(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))
    with open("adding", "w") as file:  # noqa: PTH123 - by its bare name
        file.write("to be read, not drawn. " * 200)
    assert load("adding").kind == "text"
    with pytest.raises(DataError, match="is generated, and no file"):
        load("copy", "text")
    with pytest.raises(DataError, match="name the file that is to be read so"):
        load(None, "text")
