"""Studies that nobody trained, for what reads them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from cellwright import cell
from cellwright.study.results import Baseline, Dataset, Environment, Epoch, Run
from cellwright.study.search.hyperparameters import Range, Setting
from cellwright.study.search.presets import preset
from cellwright.study.search.results import Searched, Study, Trial
from cellwright.study.search.study import settings_of
from tiny import MUSIC

__all__ = ["CELLS", "searched"]

CELLS = ("lstm", "gru", "rnn")


def searched(
    cells: Sequence[str] = CELLS,
    trials: int = 20,
    seeds: int = 0,
    preset_name: str = "odyssey",
    step: float = 0.3,
    seed: int = 0,
    **dataset: object,
) -> Study:
    """A whole study; each cell is worse than the one before by a `step`.

    The learning rate matters most, and is best at the upper end of its range.
    """
    names = tuple(cells)
    settings = settings_of(preset(preset_name), MUSIC, names, names[0], trials, None, seeds, seed)
    found = []
    for i, name in enumerate(names):
        rng = random.Random(f"{name!a}{seed}")
        draws = [_draw(settings.ranges, rng) for _ in range(trials)]
        own = tuple(
            Trial(k, setting, _run(name, k, 8.5 + i * step, setting, rng))
            for k, setting in enumerate(draws)
        )
        text = cell(name if name in CELLS else "lstm").text
        one = Searched(name, "", text, own, (), {}, None)
        best = one.best(MUSIC.summary().metric)
        again = [
            _run(name, 1000 + k, 8.5 + i * step, best.hyperparameters, rng)
            for k in range(seeds)
            if best
        ]
        found.append(replace(one, again=tuple(again)))
    counting = Baseline("static", "counting", {"loss": 11.5})
    about: Dataset = replace(MUSIC.summary(), **{"baselines": (counting,), **dataset})  # type: ignore[arg-type]
    edges = {one.cell: one.edges(about.metric, settings.ranges) for one in found}
    ran = Environment("0.1.0", "2.13.0", "3.11.2", "Linux 6.1", "a processor", 2,
                      "cellwright study", "2026-11-23T17:00:00Z", 214.2)  # fmt: skip
    return Study(settings, about, ran, tuple(found), edges, complete=True)


def _draw(ranges: Sequence[Range], rng: random.Random) -> Setting:
    setting: Setting = {}
    for one in ranges:
        at, high = rng.random(), one.high / one.low if one.log else one.high - one.low
        value = one.low * high**at if one.log else one.low + high * at
        setting[one.name] = int(value) if one.integer else value
    return setting


def _run(name: str, seed: int, level: float, setting: Setting, rng: random.Random) -> Run:
    loss = level + 0.2 * abs(math.log10(setting["learning_rate"]) + 2) + rng.gauss(0, 0.02)
    epochs = tuple(
        Epoch(loss - 0.5 + 9 / k**2, loss + 9 / k**2, loss + 9 / k**2, 0.5 * k)
        for k in range(1, 12)
    )
    test = loss + 0.1 + rng.gauss(0, 0.01)
    return Run(name, seed, 30, 9_000, epochs, 10, epochs[-1].valid, test,
               {"loss": test, "loss by sequence": test}, 6.0, "patience")  # fmt: skip
