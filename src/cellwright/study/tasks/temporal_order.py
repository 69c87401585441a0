"""Temporal order: which of X and Y came first, among many symbols that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError
from cellwright.study.results import Baseline
from cellwright.study.tasks.cases import Cases, Label, judged, label_shares
from cellwright.study.tasks.generated import Generated, Sizes, check, generators
from cellwright.study.tasks.task import Symbols, Task, digest

__all__ = ["TEMPORAL_ORDER", "Options", "temporal_order"]

_NAMES: Final = ("X", "Y", "a", "b", "c", "d", "begin", "end")
_NOISE = slice(2, 6)
_BEGIN, _END = 6, 7
_PLACES: Final = {2: ((0.1, 0.2), (0.5, 0.6)), 3: ((0.1, 0.2), (0.33, 0.43), (0.66, 0.76))}
"""Where the symbols that count stand, in parts of T: experiments 6a and 6b."""


@dataclass(frozen=True)
class Options(Sizes):
    """What `temporal_order(…)` takes."""

    T: int = 100
    """Steps of a sequence at the least; it has up to a tenth more."""
    relevant: int = 2
    """Symbols that count: 2 make 4 classes, 3 make 8."""


def temporal_order(options: Options = Options()) -> Task:
    """Experiment 6 of Hochreiter and Schmidhuber (1997).

    Raises DataError where an option is out of range.
    """
    check("temporal_order", options, options.T + options.T // 10, T=10)
    if options.relevant not in _PLACES:
        raise DataError(f"temporal_order: relevant must be 2 or 3, got {options.relevant}.")
    classes = tuple("".join(word) for word in product("XY", repeat=options.relevant))
    splits = [_drawn(count, options, rng) for count, rng in generators(options)]
    train, valid, test = splits
    return Task(
        kind="temporal_order",
        name=f"temporal order, T = {options.T}",
        source=(
            "Generated: experiment 6 of Hochreiter and Schmidhuber (1997), Long short-term memory, "
            "Neural Computation 9(8)."
        ),
        goal=f"say in which order {options.relevant} symbols came, {options.T} steps or more",
        meaning=(
            f"Of {options.T} symbols or up to a tenth more, {options.relevant} are X or Y and the "
            "others mean nothing; the class is which they were, in their order. Accuracy is the "
            f"share of sequences whose class is told after the last step: 1 in {len(classes)} by "
            "chance. The task can be solved exactly. What training makes small is the negative "
            "log-likelihood of the class."
        ),
        reads=Symbols(_NAMES),
        target=Label(classes, label_shares(train.targets, len(classes))),
        train=train,
        valid=valid,
        test=test,
        baselines=_baselines(train, test, classes),
        fingerprint=digest("temporal_order", {}, *(a for split in splits for a in split.arrays)),
    )


def _drawn(count: int, options: Options, rng: np.random.Generator) -> Cases:
    lengths = rng.integers(options.T, options.T + options.T // 10 + 1, size=count)
    relevant = rng.integers(2, size=(count, options.relevant))
    inputs = []
    for steps, symbols in zip(lengths, relevant, strict=True):
        one = rng.integers(_NOISE.start, _NOISE.stop, size=steps).astype(np.uint8)
        one[0], one[-1] = _BEGIN, _END
        for (low, high), symbol in zip(_PLACES[options.relevant], symbols, strict=True):
            one[rng.integers(int(low * options.T), int(high * options.T) + 1)] = symbol
        inputs.append(one)
    powers = 2 ** np.arange(options.relevant)[::-1]
    return Cases(tuple(inputs), (relevant * powers).sum(1), "sequences")


def _baselines(train: Cases, test: Cases, classes: tuple[str, ...]) -> tuple[Baseline, ...]:
    """The most frequent class of training, of all, and of those with as many X."""
    seen, asked = (_count(split.inputs) for split in (train, test))
    likely = [_most(train.targets[seen == n], train.targets) for n in range(asked.max() + 1)]
    most = _most(train.targets, train.targets)
    told = {
        "majority": (f"calling all {classes[most]}", np.full(len(test.targets), most)),
        "counting": ("counting how many are X, whatever their order", np.array(likely)[asked]),
    }
    return tuple(Baseline(n, words, judged(f, test.targets)) for n, (words, f) in told.items())


def _count(inputs: tuple[NDArray[Any], ...]) -> NDArray[np.intp]:
    return np.array([int((one == 0).sum()) for one in inputs])


def _most(labels: NDArray[np.integer], otherwise: NDArray[np.integer]) -> int:
    return int(np.bincount(labels if len(labels) else otherwise).argmax())


TEMPORAL_ORDER: Final = Generated("temporal_order", Options, temporal_order)
