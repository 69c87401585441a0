"""Polyphonic music: which keys sound next, given all that sounded so far."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cellwright.study.batches import in_order, padded, shuffled
from cellwright.study.metric import Metric
from cellwright.study.results import Baseline
from cellwright.study.tasks.task import Batch, Evidence, Features, Losses, Task

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Frames", "NextFrame", "Rolls", "music"]

Frames: TypeAlias = NDArray[np.uint8]
"""`(T, K)` of 0 and 1: which of K keys sound at each of T steps."""

_LOSS: Final = Metric("loss", "nats", "frame")
_BY_SEQUENCE: Final = Metric("loss by sequence", "nats", "frame")


def music(
    name: str,
    source: str,
    train: Sequence[Frames],
    valid: Sequence[Frames],
    test: Sequence[Frames],
    notes: tuple[str, ...] = (),
) -> Task:
    """The task of predicting each frame but a sequence's first from those before it.

    Each sequence has at least two frames, and all have the same keys.
    """
    splits = Rolls(tuple(train)), Rolls(tuple(valid)), Rolls(tuple(test))
    keys = train[0].shape[1]
    names = tuple(f"key {k + 1}" for k in range(keys)) if keys != 88 else _PIANO
    return Task(
        kind="music",
        name=name,
        source=source,
        goal=f"predict the next frame of {name}",
        meaning=(
            "The loss of a frame is its negative log-likelihood given the frames before it: the "
            f"sum over {keys} keys of the binary cross-entropy, in nats. The loss is the mean over "
            "all predicted frames of a split, so a long sequence counts for more than a short one. "
            "The first frame of a sequence is given, not predicted. Papers that average over "
            "sequences first get another number, so every run has both."
        ),
        reads=Features(names),
        target=NextFrame(names, _share(*_counted(train))),
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        baselines=_baselines(train, test),
        fingerprint=_fingerprint(splits),
        notes=notes,
    )


@dataclass(frozen=True, eq=False)
class Rolls:
    """A split: sequences of frames."""

    sequences: tuple[Frames, ...] = field(repr=False)

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in shuffled(self._lengths, size, rng))

    def in_order(self) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in in_order(self._lengths))

    def sizes(self) -> dict[str, int]:
        """See `task.Split`."""
        predicted = sum(self._lengths) - len(self.sequences)
        return {"sequences": len(self.sequences), "predicted frames": predicted}

    @property
    def _lengths(self) -> list[int]:
        return [len(frames) for frames in self.sequences]

    def _batch(self, part: NDArray[np.intp]) -> Batch:
        import torch  # late, as in `padded`

        chosen = [self.sequences[i] for i in part]
        return Batch(
            padded([frames[:-1] for frames in chosen], np.float32),
            padded([frames[1:] for frames in chosen], np.float32),
            torch.tensor([len(frames) - 1 for frames in chosen]),
        )


@dataclass(frozen=True, eq=False)
class NextFrame:
    """The logit of each key."""

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    """How often each key sounds in training, in (0, 1)."""

    last: bool = False
    objective: Metric = _LOSS
    metrics: tuple[Metric, ...] = (_LOSS, _BY_SEQUENCE)

    def start(self) -> Tensor:
        """See `task.Target`."""
        import torch

        return torch.logit(torch.from_numpy(self.shares).float())

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        from cellwright.study.losses import bernoulli

        return Losses(bernoulli(outputs, batch.targets, batch.lengths), batch.lengths)

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        return self.loss(outputs, batch)._asdict()

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        sums, counts = evidence["sums"].double(), evidence["counts"]
        return {
            _LOSS.name: float(sums.sum() / counts.sum()),
            _BY_SEQUENCE.name: float((sums / counts).mean()),
        }


_PIANO: Final = tuple(
    f"{['C', 'C#', 'D', 'D#', 'E', 'F', 'F#', 'G', 'G#', 'A', 'A#', 'B'][n % 12]}{n // 12 - 1}"
    for n in range(21, 109)
)
"""The keys of a piano, MIDI's 21 to 108: A0 to C8."""


def _fingerprint(splits: Sequence[Rolls]) -> str:
    """Of the sequences and the split, whatever file they came in."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(f"{len(split.sequences)} sequences\n".encode())
        for frames in split.sequences:
            digest.update(f"{len(frames)} frames of {frames.shape[1]} keys\n".encode())
            digest.update(np.packbits(frames).tobytes())
    return digest.hexdigest()


# --- predictors that count and do not learn -----------------------------------------------------


def _baselines(train: Sequence[Frames], test: Sequence[Frames]) -> tuple[Baseline, ...]:
    """Shares are (count + 1/2) / (frames + 1): what never happens in training is still possible."""
    before, after = _pairs(train)
    shown, asked = _pairs(test)
    began = _share((after & ~before).sum(0), (~before).sum(0))
    went_on = _share((after & before).sum(0), before.sum(0))
    lengths = np.array([len(frames) - 1 for frames in test])
    return (
        Baseline(
            "static",
            "knowing only how often each key sounds",
            _losses(asked, _share(*_counted(train)), lengths),
        ),
        Baseline(
            "copy-previous",
            "expecting the previous frame again",
            _losses(asked, np.where(shown, went_on, began), lengths),
        ),
    )


def _pairs(split: Sequence[Frames]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """All frames that are followed by one, and those that follow: both `(predicted, K)`."""
    before = np.concatenate([frames[:-1] for frames in split])
    after = np.concatenate([frames[1:] for frames in split])
    return before.astype(np.bool_), after.astype(np.bool_)


def _counted(split: Sequence[Frames]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """In how many frames each key sounds, of how many."""
    sounding = np.sum([frames.sum(0, dtype=np.float64) for frames in split], 0)
    return sounding, np.array(float(sum(map(len, split))))


def _share(
    count: NDArray[np.integer | np.floating], of: NDArray[np.integer | np.floating]
) -> NDArray[np.float64]:
    return (count + 0.5) / (of + 1.0)


def _losses(
    asked: NDArray[np.bool_], chance: NDArray[np.float64], lengths: NDArray[np.intp]
) -> dict[str, float]:
    """Both averages of the test set's nats; `chance` is of a key to sound, `(predicted, K)`."""
    nats = -np.log(np.where(asked, chance, 1 - chance)).sum(1)
    sums = np.add.reduceat(nats, np.cumsum(lengths) - lengths)
    return {_LOSS.name: float(nats.mean()), _BY_SEQUENCE.name: float((sums / lengths).mean())}
