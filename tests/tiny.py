"""A comparison small enough to be over in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cellwright import cell
from cellwright.study.compare import Plan
from cellwright.study.regime import Regime, regime_of
from cellwright.study.results import Baseline, Comparison, Environment, Run, Settings
from cellwright.study.tasks.music import Frames, Rolls, music
from cellwright.study.tasks.task import Task

__all__ = ["MUSIC", "REGIME", "SETTINGS", "comparison", "frames", "plan", "write_music"]

KEYS = 6


def _melodies(count: int, seed: int) -> tuple[Frames, ...]:
    """One key goes up or down a step at a time, and another one sounds now and then."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        steps = int(rng.integers(2, 14))
        frames = np.zeros((steps, KEYS), np.uint8)
        start, way = rng.integers(KEYS), rng.choice((-1, 1))
        frames[range(steps), (start + way * np.arange(steps)) % KEYS] = 1
        frames[:, 0] |= rng.random(steps) < 0.2
        found.append(frames)
    return tuple(found)


MUSIC = music("melodies", "made for a test", _melodies(20, 0), _melodies(5, 1), _melodies(7, 2))

SETTINGS = Settings(
    cells=("lstm", "gru"),
    baseline="lstm",
    parameters=300,
    seeds=2,
    epochs=3,
    patience=2,
    minutes=None,
    batch_size=6,
    learning_rate=0.02,
    clip_norm=1.0,
    dropout=0.2,
    averaging=0.9,
)

REGIME: Regime = regime_of(SETTINGS, cell("lstm"), MUSIC.ends)
"""The LSTM's."""


def plan(workers: int = 2, **changes: object) -> Plan:
    """What `carry_out` takes: the tiny settings with changes."""
    settings = replace(SETTINGS, **changes)
    return Plan(tuple(cell(name) for name in settings.cells), MUSIC, settings, workers, "test")


def write_music(path: Path, task: Task = MUSIC) -> Path:
    """The music as an .npz file."""
    splits = {name: frames(task, name) for name in ("train", "valid", "test")}
    arrays = {name: np.concatenate(sequences) for name, sequences in splits.items()}
    arrays |= {f"{n}_lengths": np.array([len(s) for s in ss]) for n, ss in splits.items()}
    np.savez(path, **arrays)
    return path


def frames(task: Task, split: str) -> tuple[Frames, ...]:
    """The sequences of a split of music."""
    rolls = getattr(task, split)
    assert isinstance(rolls, Rolls)
    return rolls.sequences


def comparison(tests: dict[str, Sequence[float]], seeds: int = 5, **changes: object) -> Comparison:
    """A comparison with these test losses, on data enough; the first cell is the baseline."""
    names = tuple(tests)
    settings = replace(SETTINGS, cells=names, baseline=names[0], seeds=seeds)
    runs = tuple(
        Run(
            cell=name,
            seed=seed,
            hidden_size=3,
            parameters=290,
            epochs=(),
            best_epoch=-1,
            valid=test,
            test=test,
            metrics={"loss": test, "loss by sequence": test} if np.isfinite(test) else {},
            seconds=1.0,
            stopped="patience" if np.isfinite(test) else "diverged",
        )
        for name, losses in tests.items()
        for seed, test in enumerate(losses)
    )
    return Comparison(
        settings,
        replace(
            MUSIC.summary(),
            sizes={"sequences": (60, 20, 20)},
            baselines=(Baseline("static", "counting", {"loss": 11.0}),),
        ),
        Environment("0", "2", "3", "p", "c", 2, "cellwright compare", "2026-01-01T00:00:00", 9.0),
        tuple(replace(run, **changes) for run in runs),
    )
