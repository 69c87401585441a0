"""Forecasting: windows, scaling and figures against loops, scikit-learn and PyArrow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from cellwright import cell
from cellwright.study import training
from cellwright.study.regime import regime_of
from cellwright.study.tasks import DataError, Task, load
from cellwright.study.tasks.seasons import season_of
from cellwright.study.tasks.windows import Horizon, Windows
from tiny import SETTINGS

RNG = np.random.default_rng(0)
ROWS = 200
DAY = 20 + 5 * np.sin(np.arange(ROWS) * 2 * np.pi / 24) + RNG.normal(0, 0.5, ROWS)
OTHER = RNG.normal(3, 2, ROWS).cumsum()


def write(
    path: Path, *columns: np.ndarray, step: timedelta = timedelta(hours=1), **skip: range
) -> Path:
    """Columns a, b, …, with times beside them; nothing where a value is missing."""
    lines = [",".join(["time", *"abcdef"[: len(columns)]])]
    rows = [i for i in range(len(columns[0])) if i not in skip.get("skip", ())]
    for i in rows:
        values = ["" if np.isnan(c[i]) else repr(float(c[i])) for c in columns]
        lines.append(",".join([f"{datetime(2024, 1, 1) + i * step:%Y-%m-%d %H:%M}", *values]))
    path.write_text("\n".join(lines) + "\n")
    return path


def windows(task: Task, split: str) -> Windows:
    found = getattr(task, split)
    assert isinstance(found, Windows)
    return found


@pytest.fixture
def made(tmp_path: Path) -> Task:
    return load(
        write(tmp_path / "a.csv", DAY, OTHER), "forecast(target=a,horizon=5,context=30,base=last)"
    )


# --- windows ------------------------------------------------------------------------------------


def test_a_window_sees_what_was_and_is_asked_what_comes(made: Task) -> None:
    scaled = (
        StandardScaler().fit(np.stack([DAY, OTHER], 1)[:140]).transform(np.stack([DAY, OTHER], 1))
    )
    ends = {"train": (0, 140), "valid": (140, 160), "test": (160, 200)}
    for split, (low, high) in ends.items():
        found = windows(made, split)
        wanted = list(range(max(low, 30), high - 5 + 1))
        assert found.starts.tolist() == wanted
        at = 0
        for batch in found.in_order():
            for b in range(len(batch.lengths)):
                start = wanted[at]
                np.testing.assert_allclose(
                    batch.inputs[:, b], scaled[start - 30 : start], atol=1e-5
                )
                off = scaled[start : start + 5, 0] - scaled[start - 1, 0]
                np.testing.assert_allclose(batch.targets[b, :, 0], off, atol=1e-5)
                at += 1
        assert at == len(wanted)


def test_a_pass_draws_each_window_once(made: Task) -> None:
    split = windows(made, "train")
    one, again, other = (
        torch.cat([b.inputs for b in split.batches(16, np.random.default_rng(seed))], 1)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    (whole,) = split.in_order()
    assert {tuple(x) for x in one.flatten(2)[-1].tolist()} == {
        tuple(x) for x in whole.inputs[-1].tolist()
    }
    assert one.shape[1] == len(split.starts)


def test_what_comes_later_changes_nothing_before(tmp_path: Path) -> None:
    options = "forecast(horizon=5,context=30,season=24)"
    task = load(write(tmp_path / "a.csv", DAY, OTHER), options)
    later = DAY.copy()
    later[150:] *= 100
    other = load(write(tmp_path / "b.csv", later, OTHER), options)
    np.testing.assert_array_equal(
        windows(task, "train").inputs[:140], windows(other, "train").inputs[:140]
    )
    assert task.fingerprint != other.fingerprint
    assert task.target.metrics == other.target.metrics


def test_no_window_crosses_a_gap(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", DAY, skip=range(60, 63))
    task = load(path, "forecast(horizon=4,context=10,season=3)")
    starts = windows(task, "train").starts
    assert {*range(10, 134)} - {*starts.tolist()} == {
        s for s in range(10, 134) if s - 10 < 60 < s + 4
    }
    assert any("1 step is not as long in time" in n and "line 62" in n for n in task.notes)


def test_missing_values_are_the_last_ones_before_and_ask_nothing(tmp_path: Path) -> None:
    holes, other = DAY.copy(), OTHER.copy()
    holes[[0, 1, 50, 51, 52, 120, 170]] = np.nan
    other[155] = np.nan
    task = load(write(tmp_path / "a.csv", holes, other), "forecast(target=a,horizon=3,context=9)")
    split = windows(task, "train")
    assert task.reads.names == ("a", "b", "a is missing")
    middle, spread = np.nanmean(holes[:140]), np.nanstd(holes[:140])
    theirs = pc.fill_null_forward(pa.array(holes, from_pandas=True)).to_numpy(False)
    filled = np.nan_to_num((theirs - middle) / spread)  # the mean, where nothing was before
    np.testing.assert_allclose(split.inputs[:, 0], filled, atol=1e-5)
    np.testing.assert_array_equal(split.inputs[:, 2], np.isnan(holes))
    known = torch.ones(1, 3, 1)
    (batch,) = windows(task, "test").in_order()
    losses = task.target.loss(torch.zeros(len(batch.lengths), 3), batch)
    assert losses.counts.sum() == 38 * 3 - 3
    assert torch.isfinite(losses.sums).all()
    assert known.sum() == 3
    assert any("Column b lacks 1 of 200 values" in note for note in task.notes)


# --- figures ------------------------------------------------------------------------------------


def test_figures_by_the_textbook(tmp_path: Path) -> None:
    """MASE of Hyndman and Koehler (2006) in loops, in the units of the file."""
    path = write(tmp_path / "a.csv", DAY, OTHER)
    task = load(path, "forecast(target='a,b',horizon=30,context=30,season=24,valid=0.2)")
    scale = [np.mean([abs(c[t] - c[t - 24]) for t in range(24, 120)]) for c in (DAY, OTHER)]
    told = {name: [] for name in ("seasonal-naive", "naive", "mean")}
    for start in range(160, 171):
        for k in range(30):
            for column, q in zip((DAY, OTHER), scale, strict=True):
                true = column[start + k]
                before = start + k - 24 if k < 24 else start + k - 48
                told["seasonal-naive"].append(abs(true - column[before]) / q)
                told["naive"].append(abs(true - column[start - 1]) / q)
                told["mean"].append(abs(true - column[:120].mean()) / q)
    expected = {name: np.mean(values) for name, values in told.items()}
    assert task.summary().trivial == pytest.approx(expected, rel=1e-4)


def test_one_target_is_judged_in_its_own_unit(made: Task) -> None:
    (batch,) = windows(made, "test").in_order()
    split, target = windows(made, "test"), made.target
    assert isinstance(target, Horizon)
    said = torch.from_numpy(RNG.normal(0, 1, (len(split.starts), 5)).astype(np.float32))
    found = target.measure(target.evidence(said, batch))
    spread = DAY[:140].std()
    true = np.concatenate([DAY[s : s + 5] for s in split.starts])
    naive = np.concatenate([np.full(5, DAY[s - 1]) for s in split.starts])
    forecast = naive + said.numpy().ravel() * spread
    scale = np.abs(DAY[24:140] - DAY[:116]).mean()
    mae = mean_absolute_error(true, forecast)
    assert found == pytest.approx(
        {
            "absolute error": mae / spread,
            "MASE": mae / scale,
            "MAE": mae,
            "RMSE": root_mean_squared_error(true, forecast),
        },
        rel=1e-4,
    )


@pytest.mark.parametrize(("base", "name"), [("last", "naive"), ("season", "seasonal-naive")])
def test_a_model_that_says_nothing_is_the_naive_forecast(
    tmp_path: Path, base: str, name: str
) -> None:
    task = load(write(tmp_path / "a.csv", DAY), f"forecast(horizon=30,valid=0.2,base={base})")
    (batch,) = windows(task, "test").in_order()
    silent = task.target.evidence(torch.zeros(len(batch.lengths), 30), batch)
    assert task.target.measure(silent)["MASE"] == pytest.approx(task.summary().trivial[name])
    assert windows(task, "train").starts[0] == 40


def test_training_learns_what_goes_on_from_the_last_value(tmp_path: Path) -> None:
    rng, drift = np.random.default_rng(1), np.zeros(600)
    for t in range(1, 600):
        drift[t] = 0.95 * drift[t - 1] + rng.normal(0, 0.3)
    load_ = 5 * np.sin(np.arange(600) * 2 * np.pi / 24) + drift
    task = load(
        write(tmp_path / "a.csv", load_), "forecast(horizon=1,context=12,season=24,base=last)"
    )
    settings = replace(SETTINGS, parameters=500, epochs=8, patience=8, batch_size=32, dropout=0.0)
    run = training.train(cell("gru"), 0, task, regime_of(settings, cell("gru"), task.ends))
    assert run.test < 0.8 * min(task.summary().trivial.values())


# --- seasons ------------------------------------------------------------------------------------


def wave(period: float, rows: int = 300, noise: float = 0.5, trend: float = 0.0) -> np.ndarray:
    at = np.arange(rows)
    return (
        np.sin(2 * np.pi * at / period) + RNG.normal(0, noise, rows) + trend * at
    )[:, None]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "seconds", "season"),
    [
        (wave(24), 3600.0, 24),
        (wave(24, trend=0.1), 3600.0, 24),
        (wave(12), 365.25 * 86400 / 12, 12),
        (wave(52.18, 600, trend=0.2), 7 * 86400.0, 52),
        (wave(17), None, 17),
        (wave(17), 3600.0, 1),  # no cycle of the calendar
        (RNG.normal(size=(300, 1)), None, 1),
        (RNG.normal(size=(300, 1)), 3600.0, 1),
        (RNG.normal(size=(300, 1)).cumsum(0), None, 1),
        (RNG.normal(size=(300, 1)).cumsum(0), 3600.0, 1),
        (wave(24, 30), 3600.0, 1),  # too short to tell
        (np.ones((300, 1)), 3600.0, 1),
    ],
)
def test_seasons(table: np.ndarray, seconds: float | None, season: int) -> None:
    assert season_of(table, seconds) == season


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("target=c", "no column c; it has time, a, b."),
        ("target=time", "column time cannot be forecast: it has no numbers."),
        ("horizon=0", "horizon must be at least 1, got 0"),
        ("horizon=30", "validation has no window of"),
        ("context=180", "training has no window of 180 rows seen"),
        ("season=140", "a season of 140 rows is longer than training, which has 140."),
        ("valid=0.5,test=0.5", "valid and test leave nothing to learn from"),
        ("base=first", "base must be last or season, got first"),
        ("test=1.5", "test must be above 0 and below 1"),
    ],
)
def test_options(tmp_path: Path, options: str, expected: str) -> None:
    path = write(tmp_path / "a.csv", DAY, OTHER)
    with pytest.raises(DataError) as caught:
        load(path, f"forecast({options})")
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


def test_columns_that_nothing_can_be_learned_from(tmp_path: Path) -> None:
    for column, expected in (
        (np.where(np.arange(ROWS) < 150, np.nan, DAY), "column a has no value at all in training"),
        (np.ones(ROWS), "column a is always what it was 1 rows before"),
        (DAY * 1e300, "column a has values too large to be squared."),
    ):
        with pytest.raises(DataError, match=expected):
            load(write(tmp_path / "a.csv", column))
    (tmp_path / "b.csv").write_text("d,word\n2020-01-01,a\n2020-01-02,b\n")
    with pytest.raises(DataError, match="no column of numbers beside the times"):
        load(tmp_path / "b.csv")


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = write(path, DAY).read_text().splitlines()
    path.write_text("\n".join([lines[0] + ",wind", *(f"{line},NW" for line in lines[1:])]))
    task = load(path)
    assert "Left out, as they have no numbers: wind." in task.notes
    assert "A season is 24 rows, after which training is most like itself." in task.notes
    assert "Times are of column time, 2024-01-01 00:00 to 2024-01-09 07:00, 1 hour apart." in (
        task.notes
    )
    assert (task.ends.inputs, task.ends.outputs) == (1, 10)
