"""What the generated tasks have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cellwright.study.readers.errors import DataError
from cellwright.study.tasks.task import Task

__all__ = ["Generated", "Sizes", "check", "generators"]

_MOST: Final = 1 << 28
"""Numbers in all sequences together."""


@dataclass(frozen=True)
class Generated:
    """What a name without a file means."""

    name: str
    options: type
    """The parameters in brackets: a dataclass with defaults."""
    build: Callable[[Any], Task]
    """Raises DataError where an option is out of range."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The parameters that all have: sequences in each split, and the seed that they come from."""

    train: int = 10_000
    valid: int = 1_000
    test: int = 2_000
    seed: int = 0


def check(name: str, options: Sizes, steps: int, **least: int) -> None:
    """Raise DataError where an option is below its `least`, or the whole is too large.

    `steps` are those of a sequence at the most.
    """
    for key, value in {"train": 1, "valid": 1, "test": 1, "seed": 0, **least}.items():
        if getattr(options, key) < value:
            raise DataError(f"{name}: {key} must be at least {value}, got {getattr(options, key)}.")
    total = steps * (options.train + options.valid + options.test)
    if total > _MOST:
        raise DataError(f"{name}: {total:,} steps in all; at most {_MOST:,} are held in memory. "
                        "Ask for fewer or shorter sequences.")  # fmt: skip


def generators(options: Sizes) -> list[tuple[int, np.random.Generator]]:
    """How many sequences each split has, and what draws them: not how many the others have."""
    counts = (options.train, options.valid, options.test)
    return [(n, np.random.default_rng([options.seed, i])) for i, n in enumerate(counts)]
