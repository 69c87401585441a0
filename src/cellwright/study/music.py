"""Sequences of binary frames in three splits, and what predicts them without learning anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cellwright.study.results import Dataset

__all__ = ["Frames", "Music"]

Frames: TypeAlias = NDArray[np.uint8]
"""`(T, K)` of 0 and 1: which of K keys sound at each of T steps."""


@dataclass(frozen=True, eq=False)
class Music:
    """Each sequence has at least two frames and all have the same keys.

    The task is to predict each frame but a sequence's first from those before it. Every loss is
    the negative log-likelihood summed over keys, averaged over all predicted frames of a split, in
    nats: a long sequence counts for more than a short one.
    """

    name: str
    source: str
    """Where it comes from: a file's path, or a sentence."""
    train: tuple[Frames, ...] = field(repr=False)
    valid: tuple[Frames, ...] = field(repr=False)
    test: tuple[Frames, ...] = field(repr=False)

    @property
    def keys(self) -> int:
        """Keys in a frame: 88 for a piano."""
        return int(self.train[0].shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the sequences and the split, whatever file they came in."""
        digest = hashlib.sha256()
        for split in self._splits:
            digest.update(f"{len(split)} sequences\n".encode())
            for frames in split:
                digest.update(f"{len(frames)} frames of {self.keys} keys\n".encode())
                digest.update(np.packbits(frames).tobytes())
        return digest.hexdigest()

    def baselines(self) -> dict[str, float]:
        """Test loss, nats a frame, of predictors that count and do not learn.

        `static`: each key's share of the training frames, whatever sounds. `copy-previous`: each
        key's chance to go on and its chance to begin. Shares are (count + 1/2) / (frames + 1), so
        that what never happens in training is still possible.
        """
        before, after = _pairs(self.train)
        shown, asked = _pairs(self.test)
        began = _share((after & ~before).sum(0), (~before).sum(0))
        went_on = _share((after & before).sum(0), before.sum(0))
        frames = np.concatenate(self.train)
        return {
            "static": _loss(asked, _share(frames.sum(0), np.array(len(frames)))),
            "copy-previous": _loss(asked, np.where(shown, went_on, began)),
        }

    def summary(self) -> Dataset:
        """What the report says about it."""
        train, valid, test = self._splits
        return Dataset(
            name=self.name,
            source=self.source,
            fingerprint=self.fingerprint,
            sequences=(len(train), len(valid), len(test)),
            frames=(_predicted(train), _predicted(valid), _predicted(test)),
            keys=self.keys,
            baselines=self.baselines(),
        )

    @property
    def _splits(self) -> tuple[tuple[Frames, ...], tuple[Frames, ...], tuple[Frames, ...]]:
        return self.train, self.valid, self.test


def _predicted(split: Sequence[Frames]) -> int:
    return sum(len(frames) - 1 for frames in split)


def _pairs(split: Sequence[Frames]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """All frames that are followed by one, and those that follow: both `(predicted, K)`."""
    before = np.concatenate([frames[:-1] for frames in split])
    after = np.concatenate([frames[1:] for frames in split])
    return before.astype(np.bool_), after.astype(np.bool_)


def _share(count: NDArray[np.integer], of: NDArray[np.integer]) -> NDArray[np.float64]:
    return (count + 0.5) / (of + 1.0)


def _loss(asked: NDArray[np.bool_], chance: NDArray[np.float64]) -> float:
    return float(-np.log(np.where(asked, chance, 1 - chance)).sum(1).mean())
