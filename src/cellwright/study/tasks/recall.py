"""The copy task: a few symbols are shown, and asked for again after a long blank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.batches import in_order, shuffled
from cellwright.study.metric import Metric
from cellwright.study.results import Baseline
from cellwright.study.tasks.generated import Generated, Sizes, check, generators
from cellwright.study.tasks.task import Batch, Evidence, Losses, Symbols, Task, digest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["COPY", "Options", "Recall", "Shown", "copy"]

_LOSS: Final = Metric("loss", "nats", "symbol", decimals=4)
_SYMBOLS: Final = Metric("symbols right", "%", better="higher", decimals=2)
_WHOLE: Final = Metric("sequences right", "%", better="higher", decimals=2)


@dataclass(frozen=True)
class Options(Sizes):
    """What `copy(…)` takes."""

    T: int = 20
    """Steps between the last symbol shown and the first one asked for."""
    length: int = 10
    """Symbols shown, and asked for."""
    symbols: int = 8
    """What each can be."""


def copy(options: Options = Options()) -> Task:
    """The copy memory task of Hochreiter and Schmidhuber (1997), as Arjovsky et al. (2016) have it.

    Raises DataError where an option is out of range.
    """
    steps = options.T + 2 * options.length
    check("copy", options, steps, T=1, length=1, symbols=2)
    shown = [rng.integers(options.symbols, size=(n, options.length)) for n, rng in
             generators(options)]  # fmt: skip
    train, valid, test = (Shown(one.astype(np.uint8 if options.symbols < 256 else np.uint16),
                                options.T, options.symbols) for one in shown)  # fmt: skip
    names = tuple(str(k + 1) for k in range(options.symbols))
    return Task(
        kind="copy",
        name=f"copy, T = {options.T}",
        source=(
            "Generated: the copy task of arXiv 1511.06464, after Hochreiter and Schmidhuber (1997)."
        ),
        goal=f"say {options.length} symbols again after {options.T} steps",
        meaning=(
            f"{options.length} symbols, each one of {options.symbols}, are shown; {options.T} "
            "steps later, the last of them a sign to begin, they are asked for in the same order. "
            "Loss and symbols right are means over the symbols that are asked for; the blanks "
            "before, which papers count too, are not, so their figures are smaller. A model "
            f"without memory has {log(options.symbols):.4f} nats a symbol, as chance has. The task "
            "can be solved exactly, and counts as solved where all sequences are right."
        ),
        reads=Symbols((*names, "blank", "say it")),
        target=Recall(names),
        train=train,
        valid=valid,
        test=test,
        baselines=(
            Baseline(
                "no-memory",
                "guessing each symbol",
                {
                    _LOSS.name: log(options.symbols),
                    _SYMBOLS.name: 1 / options.symbols,
                    _WHOLE.name: options.symbols**-options.length,
                },
            ),
        ),
        fingerprint=digest("copy", {"T": options.T, "symbols": options.symbols}, *shown),
    )


@dataclass(frozen=True, eq=False)
class Shown:
    """A split: the symbols of each sequence, `(N, length)`; what is around them is always the
    same."""

    shown: NDArray[Any]
    blank: int
    """Steps between."""
    symbols: int

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in shuffled([1] * len(self.shown), size, rng))

    def in_order(self) -> Iterator[Batch]:
        """See `task.Split`."""
        return (self._batch(part) for part in in_order([1] * len(self.shown)))

    def sizes(self) -> dict[str, int]:
        """See `task.Split`."""
        return {"sequences": len(self.shown), "symbols asked for": self.shown.size}

    def _batch(self, part: NDArray[np.intp]) -> Batch:
        import torch  # late: it takes a second, which nobody waits for to read data

        shown = self.shown[part].T
        length, count = shown.shape
        inputs = np.full((self.blank + 2 * length, count), self.symbols, np.int64)
        inputs[:length] = shown
        inputs[length + self.blank - 1] = self.symbols + 1
        targets = np.full_like(inputs, -1)
        targets[-length:] = shown
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            torch.full((count,), len(inputs)),
        )


@dataclass(frozen=True)
class Recall:
    """The logit of each symbol, where one is asked for: targets are -1 elsewhere."""

    names: tuple[str, ...]

    last: bool = False
    objective: Metric = _LOSS
    metrics: tuple[Metric, ...] = (_LOSS, _SYMBOLS, _WHOLE)

    def start(self) -> None:
        """See `task.Target`: all are as frequent."""
        return

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        from cellwright.study.losses import categorical

        asked = batch.targets >= 0
        return Losses(categorical(outputs, batch.targets).sum(0), asked.sum(0))

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        right = (outputs.argmax(2) == batch.targets).sum(0)
        return self.loss(outputs, batch)._asdict() | {"right": right}

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        counts, right = evidence["counts"], evidence["right"]
        return {
            _LOSS.name: float(evidence["sums"].double().sum() / counts.sum()),
            _SYMBOLS.name: float(right.sum() / counts.sum()),
            _WHOLE.name: float((right == counts).double().mean()),
        }


COPY: Final = Generated("copy", Options, copy)
