"""Text: which character comes next, given all that came before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log, log2
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from cellwright.study.metric import Metric
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import Found
from cellwright.study.readers.text import read
from cellwright.study.results import Baseline
from cellwright.study.tasks.kind import Kind
from cellwright.study.tasks.task import Batch, Evidence, Losses, Symbols, Task, digest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TEXT", "NextCharacter", "Options", "Stream", "text"]

Codes = NDArray[np.unsignedinteger[Any]]
"""`(N,)`: the number of each character, in the smallest type that holds them."""

_LOSS: Final = Metric("loss", "bits", "character")
_SHARES: Final = (0.9, 0.95)
"""Where validation and test begin."""
_ONE_HOT: Final = 256
"""Characters that are read one-hot; more of them have a learned embedding."""
_EMBEDDING: Final = 64
_JUDGED: Final = 50_000
"""Characters of a stretch to be judged, at the least: each begins without a state."""
_JUDGED_TOGETHER: Final = 16
_UNSEEN: Final = "�"
_POINTS: Final = 0x110000
"""Of Unicode."""


@dataclass(frozen=True)
class Options:
    """What `text(…)` takes."""

    chunk: int = 100
    """Characters between two steps of the optimiser: gradients go back no further, states do."""


def text(name: str, source: str, whole: str, options: Options = Options()) -> Task:
    """The task of predicting each character from all before it.

    The first 90% of the text are for training, 5% each for validation and test, in the order of
    the text. Characters that training does not have are one symbol, whatever they are.

    Raises DataError where the text is too short to learn from.
    """
    if options.chunk < 1:
        raise DataError(f"text: chunk must be at least 1, got {options.chunk}.")
    least = 20 * (options.chunk + 1)
    if len(whole) < least:
        raise DataError(f"{len(whole):,} characters; a twentieth of them, for validation, has to "
                        f"hold a chunk of {options.chunk}. Give at least {least:,}, or a smaller "
                        "chunk: text(chunk=…).")  # fmt: skip
    points = np.frombuffer(whole.encode("utf-32-le", "surrogatepass"), "<u4")
    valid, test = (int(share * len(points)) for share in _SHARES)
    alphabet, codes, unseen = _numbered(points, valid)
    parts = codes[:valid], codes[valid:test], codes[test:]
    train, held_out, last = (Stream(part, options.chunk) for part in parts)
    counts = np.bincount(parts[0], minlength=len(alphabet))
    notes = [f"Characters that training has: {len(alphabet) - bool(unseen):,}."]
    if unseen:
        notes.append(f"{unseen:,} characters of validation and test are none of them: they count "
                     f"as one symbol, {_UNSEEN}, which training never shows.")  # fmt: skip
    return Task(
        kind="text",
        name=name,
        source=source,
        goal=f"predict the next character of {name}",
        meaning=(
            "The loss of a character is its negative log-likelihood given all characters before "
            "it, in bits. States go on from chunk to chunk, and gradients go back "
            f"{options.chunk} characters at the most. Validation and test begin with no memory of "
            "what came before."
        ),
        reads=Symbols(alphabet, _EMBEDDING if len(alphabet) > _ONE_HOT else None),
        target=NextCharacter(alphabet, (counts + 0.5) / (counts + 0.5).sum()),
        train=train,
        valid=held_out,
        test=last,
        baselines=_baselines(parts[0], parts[2], len(alphabet)),
        fingerprint=digest("text", {"chunk": options.chunk}, points, np.array([valid, test])),
        notes=tuple(notes),
    )


def _numbered(points: NDArray[np.uint32], train: int) -> tuple[tuple[str, ...], Codes, int]:
    """The characters of the first `train`, the numbers of all, and how many have none."""
    occurs = np.zeros(_POINTS, np.bool_)
    occurs[points[:train]] = True
    known = np.flatnonzero(occurs)
    table = np.full(_POINTS, len(known), np.min_scalar_type(len(known)))
    table[known] = np.arange(len(known))
    codes: Codes = table[points]
    unseen = int((codes[train:] == len(known)).sum())
    return (*map(chr, known), *[_UNSEEN] * bool(unseen)), codes, unseen


@dataclass(frozen=True, eq=False)
class Stream:
    """A split: one long sequence of symbols, of which stretches are read side by side."""

    codes: Codes = field(repr=False)
    chunk: int

    def batches(self, size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """See `task.Split`. Chunks are cut elsewhere in each pass."""
        size = max(1, min(size, (len(self.codes) - 1) // (2 * self.chunk)))
        start = int(rng.integers(min(self.chunk, len(self.codes) - size)))
        return self._stretches(self.codes[start:], size, self.chunk)

    def in_order(self) -> Iterator[Batch]:
        """See `task.Split`."""
        size = max(1, min(_JUDGED_TOGETHER, len(self.codes) // _JUDGED))
        return self._stretches(self.codes, size, max(self.chunk, 1000))

    def sizes(self) -> dict[str, int]:
        """See `task.Split`."""
        return {"characters": len(self.codes)}

    def _stretches(self, codes: Codes, size: int, chunk: int) -> Iterator[Batch]:
        """All of `codes`, but for fewer than `size` at the end, in `size` stretches."""
        import torch  # late: it takes a second, which nobody waits for to read data

        each = (len(codes) - 1) // size
        inputs = codes[: size * each].reshape(size, each)
        targets = codes[1 : size * each + 1].reshape(size, each)
        for at in range(0, each, chunk):
            steps = slice(at, at + chunk)
            yield Batch(
                torch.from_numpy(inputs[:, steps].T.astype(np.int64)),
                torch.from_numpy(targets[:, steps].T.astype(np.int64)),
                torch.full((size,), min(chunk, each - at)),
                goes_on=at > 0,
            )


@dataclass(frozen=True, eq=False)
class NextCharacter:
    """The logit of each character."""

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    """How often each occurs in training, above 0."""

    last: bool = False
    objective: Metric = _LOSS
    metrics: tuple[Metric, ...] = (_LOSS,)

    def start(self) -> Tensor:
        """See `task.Target`."""
        import torch

        return torch.from_numpy(np.log(self.shares)).float()

    def loss(self, outputs: Tensor, batch: Batch) -> Losses:
        """See `task.Target`."""
        from cellwright.study.losses import categorical

        return Losses(categorical(outputs, batch.targets).sum(0) / log(2), batch.lengths)

    def evidence(self, outputs: Tensor, batch: Batch) -> Evidence:
        """See `task.Target`."""
        return self.loss(outputs, batch)._asdict()

    def measure(self, evidence: Evidence) -> dict[str, float]:
        """See `task.Target`."""
        bits = evidence["sums"].double().sum() / evidence["counts"].sum()
        return {_LOSS.name: float(bits)}


# --- predictors that count ----------------------------------------------------------------------

_COUNTED: Final = 1 << 24
"""Characters that are counted, at the most: as many as memory has room for several times."""


def _baselines(train: Codes, test: Codes, symbols: int) -> tuple[Baseline, ...]:
    """A chance of each order leans on that of the order below, as on one more count."""
    train, test = train[:_COUNTED], test[:_COUNTED]
    chance = np.full(len(test) - 1, 1 / symbols)
    found = [Baseline("even", "expecting all characters alike", {_LOSS.name: log2(symbols)})]
    for order, (name, words) in enumerate(_ORDERS.items()):
        chance = _leaning(train, test, order, symbols, chance)
        found.append(Baseline(name, words, {_LOSS.name: float(-np.log2(chance).mean())}))
    return tuple(found)


_ORDERS: Final = {
    "unigram": "knowing only how often each character occurs",
    "bigram": "counting which character follows which",
    "trigram": "counting which character follows which two",
}


def _leaning(
    train: Codes, test: Codes, order: int, symbols: int, below: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The chance of each character of `test` but the first, `(N - 1,)`, after `order` others.

    The first few have fewer before them, and are left to the order below.
    """
    skipped = max(order - 1, 0)
    seen, asked = (_grams(codes, order + 1, symbols) for codes in (train, test))
    asked = asked[1 if order == 0 else 0 :]
    counts = _count(seen, asked), _count(seen // symbols, asked // symbols)
    chance = below.copy()
    chance[skipped:] = (counts[0] + below[skipped:]) / (counts[1] + 1)
    return chance


def _grams(codes: Codes, length: int, symbols: int) -> NDArray[np.int64]:
    """A number for each `length` characters in a row; divided by `symbols`, without the last."""
    found = np.zeros(len(codes) - length + 1, np.int64)
    for i in range(length):
        found = found * symbols + codes[i : i + len(found)]
    return found


def _count(seen: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each of `asked` is in `seen`."""
    known, counts = np.unique(seen, return_counts=True)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[at] == asked, counts[at], 0)


# --- files --------------------------------------------------------------------------------------


def _from_file(found: Found, options: Options) -> Task:
    return text(found.path.stem, str(found.path), read(found.path), options)


TEXT: Final = Kind(
    "text",
    lambda found: found.format in ("text", "table", "ts"),
    "a file in UTF-8",
    Options,
    _from_file,
)
