"""What every task keeps, whatever it is: training and the report rely on it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from cellwright.study.plain import decode, encode
from cellwright.study.readers.table import Column
from cellwright.study.readers.ts import Labelled
from cellwright.study.results import Dataset
from cellwright.study.tasks import CLASSICS, KINDS, Task, load
from cellwright.study.tasks.forecast import Options, forecast
from cellwright.study.tasks.recipes import RECIPES
from cellwright.study.tasks.series import series
from cellwright.study.tasks.task import Batch, Symbols
from cellwright.study.tasks.text import text
from tiny import MUSIC


def _series() -> Task:
    rng = np.random.default_rng(0)
    shapes = [(int(rng.integers(3, 9)), 2) for _ in range(60)]
    made = [np.where(rng.random(s) < 0.1, np.nan, rng.normal(size=s)) for s in shapes]
    labels, places = [str(i % 3) for i in range(60)], [f"line {i + 1}" for i in range(60)]
    return series("waves", "a test", {"train": Labelled(made, labels, places)})


def _forecast() -> Task:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(120) < 0.05, np.nan, rng.normal(size=120))
    return forecast("load", "a test", {"load": Column("load", values)},
                    Options(time="none", horizon=3, context=8))  # fmt: skip


MADE: dict[str, Callable[[], Task]] = {
    "music": lambda: MUSIC,
    "text": lambda: text("poem", "a test", "the rain in spain stays mainly in the plain\n" * 60),
    "series": _series,
    "forecast": _forecast,
    **{
        name: lambda name=name: load(name if name == "digits" else f"{name}(train=90)")
        for name in CLASSICS
    },
}


@pytest.fixture(params=MADE, scope="module")
def task(request: pytest.FixtureRequest) -> Task:
    made = MADE[request.param]()
    assert made.kind == request.param
    return made


def test_every_kind_is_here() -> None:
    assert MADE.keys() == {*KINDS, *CLASSICS} == RECIPES.keys()


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        x.goes_on == y.goes_on
        and all(
            p.shape == q.shape and torch.allclose(p, q, equal_nan=True)
            for p, q in zip(x[:3], y[:3], strict=True)
        )
        for x, y in zip(a, b, strict=True)
    )


def test_batches_are_what_the_task_says(task: Task) -> None:
    split = task.train
    once, again, other = (list(split.batches(4, np.random.default_rng(s))) for s in (1, 1, 2))
    assert same(once, again)
    assert not same(once, other)
    for batch in [*once, *task.valid.in_order(), *task.test.in_order()]:
        steps, count = batch.inputs.shape[:2]
        assert batch.lengths.shape == (count,)
        assert batch.lengths.dtype == torch.int64
        assert int(batch.lengths.max()) == steps
        assert int(batch.lengths.min()) >= 1
        if isinstance(task.reads, Symbols):
            assert batch.inputs.dtype == torch.int64
            assert int(batch.inputs.max()) < len(task.reads.names)
        else:
            assert batch.inputs.shape[2] == task.reads.width
            assert batch.inputs.dtype == torch.float32
            assert torch.isfinite(batch.inputs).all()
        assert batch.targets.shape[: 1 if task.target.last else 2] == (
            (count,) if task.target.last else (steps, count)
        )
    for first, second in pairwise(once):
        assert not second.goes_on or first.lengths.shape == second.lengths.shape


def test_a_split_is_judged_by_what_training_makes_small(task: Task) -> None:
    """The objective of a whole split is the loss of its batches; and every metric is there."""
    generator, sums, counts, evidence = torch.Generator().manual_seed(0), 0.0, 0, {}
    for batch in task.test.in_order():
        steps, count = batch.inputs.shape[:2]
        shape = (count,) if task.target.last else (steps, count)
        outputs = torch.randn(*shape, task.ends.outputs, generator=generator)
        losses = task.target.loss(outputs, batch)
        assert losses.sums.shape == losses.counts.shape == (count,)
        sums, counts = sums + float(losses.sums.double().sum()), counts + int(losses.counts.sum())
        for name, values in task.target.evidence(outputs, batch).items():
            assert values.shape == (count,)
            evidence.setdefault(name, []).append(values)
    found = task.target.measure({name: torch.cat(values) for name, values in evidence.items()})
    assert found.keys() == {m.name for m in (task.target.objective, *task.target.metrics)}
    assert found[task.target.objective.name] == pytest.approx(sums / counts, rel=1e-5)


def test_the_readout_begins_with_what_counting_gives(task: Task) -> None:
    start = task.target.start()
    assert start is None or (start.shape, start.dtype) == ((task.ends.outputs,), torch.float32)
    assert start is None or torch.isfinite(start).all()


def test_a_task_goes_to_a_process_and_its_summary_into_a_file(task: Task) -> None:
    sent = pickle.loads(pickle.dumps(task))
    assert sent.fingerprint == task.fingerprint
    assert len(task.fingerprint) == 64
    assert same(list(sent.test.in_order()), list(task.test.in_order()))
    summary = task.summary()
    assert decode(Dataset, json.loads(json.dumps(encode(summary), allow_nan=False))) == summary
    known = {m.name for m in summary.metrics}
    assert all(summary.metric.name in b.values and b.values.keys() <= known
               for b in summary.baselines)  # fmt: skip
    for sentence in (summary.meaning, *summary.notes):
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
    assert not summary.goal.endswith(".")
