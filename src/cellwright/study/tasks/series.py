"""Labelled series: which class a whole series is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import Found
from cellwright.study.readers.series_npz import EXPECTED, in_npz
from cellwright.study.readers.ts import Labelled, other_half, read
from cellwright.study.results import Baseline
from cellwright.study.tasks.cases import Cases, Label, judged, label_shares
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.nearest import nearest, resampled, summaries
from cellwright.study.tasks.scaling import scaling
from cellwright.study.tasks.task import Features, Task, digest

__all__ = ["SERIES", "Options", "class_baselines", "series", "stratified"]


@dataclass(frozen=True)
class Options:
    """What `series(…)` takes."""

    valid: float = 0.2
    """Share of the training series that are kept for validation, where the file has no split."""
    test: float = 0.2
    """Share of all series that are kept for the test, where there is no file with a test set."""
    seed: int = 0
    """Of these splits."""


def series(
    name: str, source: str, parts: dict[str, Labelled], options: Options = Options()
) -> Task:
    """The task of telling the class of each series.

    `parts` has at least `train`; `test` and `valid` are taken from it where they are not there,
    class by class. Numbers are scaled by the mean and deviation of each channel in training; a
    missing one is 0 then, which is the mean, and where a channel lacks any there is a second one
    beside it that says so.

    Raises DataError where the data leave nothing to learn.
    """
    train, valid, test, notes = _split(parts, options)
    classes = _classes(train, (valid, test))
    scaling = _Scaling.of(train.series)
    inputs = [tuple(map(scaling, part.series)) for part in (train, valid, test)]
    answers = [np.array([classes.index(label) for label in part.labels])
               for part in (train, valid, test)]  # fmt: skip
    splits = [Cases(x, y) for x, y in zip(inputs, answers, strict=True)]
    return Task(
        kind="series",
        name=name,
        source=source,
        goal=f"tell the class of each series of {name}",
        meaning=(
            "Accuracy is the share of series whose class is told, after the last step; balanced "
            "accuracy is the mean of that over classes, so a rare class counts for as much as a "
            "frequent one. What training makes small, and the best epoch has the least of in "
            "validation, is the loss: the negative log-likelihood of the class."
        ),
        reads=Features(scaling.names),
        target=Label(classes, label_shares(answers[0], len(classes))),
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        baselines=class_baselines(inputs[0], answers[0], inputs[2], answers[2], classes),
        fingerprint=digest(
            "series", {"classes": classes}, *(a for split in splits for a in split.arrays)
        ),
        notes=(*notes, *scaling.notes(train.series)),
    )


# --- splits -------------------------------------------------------------------------------------


def _split(
    parts: dict[str, Labelled], options: Options
) -> tuple[Labelled, Labelled, Labelled, list[str]]:
    for name in ("valid", "test"):
        if not 0 < getattr(options, name) < 1:
            raise DataError(f"series: {name} must be above 0 and below 1, "
                            f"got {getattr(options, name):g}.")  # fmt: skip
    rng = np.random.default_rng(options.seed)
    train, notes = parts["train"], []
    found = {}
    for name, words in (("test", "the test"), ("valid", "validation")):
        if name in parts:
            found[name] = parts[name]
            continue
        kept, taken = stratified(train.labels, getattr(options, name), rng)
        if not len(taken):
            raise DataError(f"{len(train.labels)} series, of which no class has two: none can be "
                            f"kept for {words}. Give more of each class.")  # fmt: skip
        train, found[name] = _part(train, kept), _part(train, taken)
        notes.append(f"{len(taken)} series are kept from training for {words}, class by class, "
                     f"chosen by seed {options.seed}.")  # fmt: skip
    return train, found["valid"], found["test"], notes


def stratified(
    labels: Sequence[Any], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers that are kept and taken: of each class the `share`, one at least where it has two."""
    values, inverse = np.unique(np.array(labels), return_inverse=True)
    taken = []
    for k in range(len(values)):
        own = rng.permutation(np.flatnonzero(inverse == k))
        count = min(max(1, round(share * len(own))), len(own) - 1)
        taken.append(own[:count])
    chosen = np.sort(np.concatenate(taken))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def _part(of: Labelled, numbers: NDArray[np.intp]) -> Labelled:
    return Labelled(
        [of.series[i] for i in numbers],
        [of.labels[i] for i in numbers],
        [of.places[i] for i in numbers],
    )


def _classes(train: Labelled, others: Sequence[Labelled]) -> tuple[str, ...]:
    """The classes in training, in their order; those of the others have to be among them."""
    known = {*train.labels}
    if len(known) < 2:
        raise DataError(f"all series of training are {train.labels[0]!r}: with one class there is "
                        "nothing to tell.")  # fmt: skip
    channels = train.series[0].shape[1]
    for name, part in zip(("valid", "test"), others, strict=True):
        for place, label, one in zip(part.places, part.labels, part.series, strict=True):
            if label not in known:
                raise DataError(f"{name}, {place}, is of the class {label!r}, of which training "
                                "has no series. Leave it out, or give training some.")  # fmt: skip
            if one.shape[1] != channels:
                raise DataError(f"{name}, {place}, has {one.shape[1]} channels; training has "
                                f"{channels}.")  # fmt: skip
    numbers = all(label.lstrip("-").isdecimal() for label in known)
    return tuple(sorted(known, key=lambda label: (int(label) if numbers else 0, label)))


# --- scaling ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Scaling:
    """From numbers as they are to what a model reads; called on one series, `(T, K)`."""

    middle: NDArray[np.float64]
    spread: NDArray[np.float64]
    lacking: NDArray[np.intp]
    """Channels that lack a value somewhere in training."""

    @staticmethod
    def of(training: Sequence[NDArray[np.float64]]) -> _Scaling:
        steps = np.concatenate(training)
        channels = [f"channel {k + 1}" for k in range(steps.shape[1])]
        lacking = np.flatnonzero(~np.isfinite(steps).all(0))
        return _Scaling(*scaling(steps, channels), lacking)

    @property
    def names(self) -> tuple[str, ...]:
        channels = [f"channel {k + 1}" for k in range(len(self.middle))]
        return (*channels, *(f"{channels[k]} is missing" for k in self.lacking))

    def __call__(self, one: NDArray[np.float64]) -> NDArray[np.float32]:
        missing = np.isnan(one)
        scaled = np.where(missing, 0, (one - self.middle) / self.spread)
        return np.concatenate([scaled, missing[:, self.lacking]], 1).astype(np.float32)

    def notes(self, training: Sequence[NDArray[np.float64]]) -> list[str]:
        """What was done, in sentences."""
        found = ["Each channel is scaled to mean 0 and deviation 1 in training."]
        steps = [len(one) for one in training]
        span = f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)} to {max(steps)}"
        found.append(f"Series of training have {span} steps.")
        gaps = sum(int(np.isnan(one).sum()) for one in training)
        if gaps:
            share = gaps / sum(one.size for one in training)
            found.append(f"{gaps:,} values of training ({share:.2%}) are missing: they are read as "
                         f"the mean, and {len(self.lacking)} more numbers a step say "
                         "so.")  # fmt: skip
        return found


# --- what needs no learning ---------------------------------------------------------------------


def class_baselines(
    train: Sequence[NDArray[Any]],
    labels: NDArray[np.integer],
    test: Sequence[NDArray[Any]],
    true: NDArray[np.integer],
    classes: Sequence[str],
) -> tuple[Baseline, ...]:
    """The most frequent class, and nearest neighbours; series are scaled, `(T, K)`."""
    most = int(np.bincount(labels, minlength=len(classes)).argmax())
    told = {
        "majority": (f"calling all {classes[most]}", np.full(len(true), most)),
        "nearest-summary": (
            "the nearest by means, deviations, extremes, ends and length",
            nearest(summaries(train), labels, summaries(test)),
        ),
        "nearest-series": ("the nearest step by step", _step_by_step(train, labels, test)),
    }
    return tuple(Baseline(n, words, judged(found, true)) for n, (words, found) in told.items())


def _step_by_step(
    train: Sequence[NDArray[Any]], labels: NDArray[np.integer], test: Sequence[NDArray[Any]]
) -> NDArray[np.integer]:
    both = resampled([*train, *test])
    return nearest(both[: len(train)], labels, both[len(train) :])


# --- files --------------------------------------------------------------------------------------


def _reads(found: Found) -> bool:
    return found.format == "ts" or (found.format == "npz" and {"x", "y"} <= {*found.arrays})


def _from_file(found: Found, options: Options) -> Task:
    path = found.path
    if found.format == "npz":
        return series(path.stem, str(path), in_npz(path), options)
    pair = other_half(path)
    if pair is None:
        return series(path.stem, str(path), {"train": _read(path, path)}, options)
    parts = {name: _read(file, path) for name, file in zip(("train", "test"), pair, strict=True)}
    return series(path.stem.rsplit("_", 1)[0], str(path), parts, options)


def _read(file: Any, asked: Any) -> Labelled:
    """Naming the file, where it is not the one that was asked for."""
    try:
        return read(file)
    except DataError as e:
        raise DataError(str(e) if file == asked else f"its other half {file.name}: {e}") from None


SERIES: Final = Kind(
    "series",
    _reads,
    f"a .ts file as the UEA and UCR archives have them, or {EXPECTED}",
    Options,
    _from_file,
)
