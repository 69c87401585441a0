"""Sequential digits: a handwritten digit, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cellwright.study.readers.errors import DataError
from cellwright.study.tasks.cases import Cases, Label, label_shares
from cellwright.study.tasks.generated import Generated
from cellwright.study.tasks.series import class_baselines, stratified
from cellwright.study.tasks.task import Features, Task, digest

__all__ = ["DIGITS", "Options", "digits"]


@dataclass(frozen=True)
class Options:
    """What `digits(…)` takes."""

    seed: int = 0
    """Of the split, 60, 20 and 20%; and of the order of pixels, where that is `shuffled`."""
    shuffled: bool = False
    """Whether pixels come in an order drawn at random, the same for all digits."""


def digits(options: Options = Options()) -> Task:
    """The 1,797 digits of 8 by 8 pixels that come with scikit-learn, row by row from the top left.

    Raises DataError where an option is out of range.
    """
    if options.seed < 0:
        raise DataError(f"digits: seed must be at least 0, got {options.seed}.")
    from sklearn.datasets import load_digits  # late: it takes a second

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(options.seed)
    rest, test = stratified(labels, 0.2, rng)
    kept, taken = stratified(labels[rest], 0.25, rng)
    pixels = rng.permutation(64) if options.shuffled else np.arange(64)
    steps = (images[:, pixels, None] / 16).astype(np.float32)
    answers = labels.astype(np.int64)
    splits = [Cases(tuple(steps[part]), answers[part], "digits")
              for part in (rest[kept], rest[taken], test)]  # fmt: skip
    classes = tuple(map(str, range(10)))
    return Task(
        kind="digits",
        name="shuffled digits" if options.shuffled else "digits",
        source=(
            "Handwritten digits of Alpaydin and Kaynak (1998), as they come with scikit-learn: "
            "8 by 8 pixels from 0 to 16, divided by 16."
        ),
        goal="tell a digit from its 64 pixels, one a step",
        meaning=(
            "Accuracy is the share of digits that are told after the last pixel: 1 in 10 by chance."
            " Neighbours see all pixels at once, which a model that reads one a step does not. "
            "What training makes small is the negative log-likelihood of the digit."
        ),
        reads=Features(("pixel",)),
        target=Label(classes, label_shares(splits[0].targets, 10)),
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        baselines=class_baselines(
            splits[0].inputs, splits[0].targets, splits[2].inputs, splits[2].targets, classes
        ),
        fingerprint=digest("digits", {}, *(a for split in splits for a in split.arrays)),
    )


DIGITS: Final = Generated("digits", Options, digits)
