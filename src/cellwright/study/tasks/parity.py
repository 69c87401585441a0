"""Parity: whether a sequence of bits has an odd number of ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cellwright.study.results import Baseline
from cellwright.study.tasks.cases import Cases, Label, judged, label_shares
from cellwright.study.tasks.generated import Generated, Sizes, check, generators
from cellwright.study.tasks.task import Symbols, Task, digest

__all__ = ["PARITY", "Options", "parity"]


@dataclass(frozen=True)
class Options(Sizes):
    """What `parity(…)` takes."""

    T: int = 20
    """Bits of a sequence at the most; it has any number from 1."""


def parity(options: Options = Options()) -> Task:
    """Parity of bits, of sequences whose lengths are evenly from 1 to T.

    Raises DataError where an option is out of range.
    """
    check("parity", options, options.T, T=1)
    splits = [_drawn(count, options.T, rng) for count, rng in generators(options)]
    train, valid, test = splits
    classes = ("even", "odd")
    most = int(np.bincount(train.targets).argmax())
    told = judged(np.full(len(test.targets), most), test.targets)
    return Task(
        kind="parity",
        name=f"parity, T = {options.T}",
        source=(
            "Generated: parity, a regular language that no bounded window tells, as in arXiv "
            "2207.02098."
        ),
        goal=f"say whether 1 to {options.T} bits have an odd number of ones",
        meaning=(
            "Accuracy is the share of sequences whose parity is told after the last bit: half by "
            "chance, and hardly more for whoever does not read every bit. One bit of memory solves "
            "it exactly, for any length. What training makes small is the negative log-likelihood "
            "of the answer."
        ),
        reads=Symbols(("0", "1")),
        target=Label(classes, label_shares(train.targets, 2)),
        train=train,
        valid=valid,
        test=test,
        baselines=(Baseline("majority", f"calling all {classes[most]}", told),),
        fingerprint=digest("parity", {}, *(a for split in splits for a in split.arrays)),
    )


def _drawn(count: int, most: int, rng: np.random.Generator) -> Cases:
    lengths = rng.integers(1, most + 1, size=count)
    inputs = tuple(rng.integers(2, size=steps).astype(np.uint8) for steps in lengths)
    return Cases(inputs, np.array([int(one.sum()) % 2 for one in inputs]), "sequences")


PARITY: Final = Generated("parity", Options, parity)
