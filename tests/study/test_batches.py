"""Batches: every frame once, in the right place, with little padding."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from cellwright.study.batches import in_order, padded, shuffled
from cellwright.study.tasks import load
from cellwright.study.tasks.music import Rolls
from cellwright.study.tasks.task import Batch
from tiny import frames

RNG = np.random.default_rng(0)
LENGTHS = (5, 2, 9, 3, 3, 7, 12, 4, 2, 6, 8)
ROLLS = Rolls(tuple((RNG.random((length, 3)) < 0.5).astype(np.uint8) for length in LENGTHS))


def sequences_in(batch: Batch) -> list[np.ndarray]:
    """The sequences that a batch was made of."""
    return [
        torch.cat([batch.inputs[:length, b], batch.targets[length - 1 : length, b]]).numpy()
        for b, length in enumerate(batch.lengths.tolist())
    ]


def all_in(found: list[Batch]) -> list[np.ndarray]:
    return [sequence for batch in found for sequence in sequences_in(batch)]


def test_in_order_is_the_shortest_first() -> None:
    wanted = sorted(ROLLS.sequences, key=len)
    assert all(map(np.array_equal, all_in(list(ROLLS.in_order())), wanted))
    parts = list(in_order(range(130, 0, -1)))
    assert [len(part) for part in parts] == [64, 64, 2]
    assert np.array_equal(np.concatenate(parts), range(129, -1, -1))


@pytest.mark.parametrize("size", [1, 3, 4, 11, 100])
def test_shapes_and_padding(size: int) -> None:
    for inputs, targets, lengths, goes_on in ROLLS.batches(size, np.random.default_rng(1)):
        longest = int(lengths.max())
        assert inputs.shape == targets.shape == (longest, len(lengths), 3)
        assert (inputs.dtype, targets.dtype, lengths.dtype) == (
            torch.float32, torch.float32, torch.int64)  # fmt: skip
        assert not goes_on
        for b, length in enumerate(lengths.tolist()):
            assert not inputs[length:, b].any()
            assert not targets[length:, b].any()
            assert torch.equal(inputs[1:length, b], targets[: length - 1, b])


@pytest.mark.parametrize("size", [1, 3, 11])
def test_each_sequence_once(size: int) -> None:
    found = all_in(list(ROLLS.batches(size, np.random.default_rng(2))))
    assert sorted(s.astype(np.uint8).tobytes() for s in found) == sorted(
        s.tobytes() for s in ROLLS.sequences)  # fmt: skip


def test_equal_generators_give_equal_batches() -> None:
    first, again, other = (
        all_in(list(ROLLS.batches(2, np.random.default_rng(seed)))) for seed in (3, 3, 4)
    )
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))


def test_chorales_are_mixed_and_hardly_padded() -> None:
    task, rng = load(), np.random.default_rng(0)
    train = frames(task, "train")
    names = {sequence.tobytes(): i for i, sequence in enumerate(train)}
    count = padding = 0
    together: list[set[tuple[int, int]]] = []
    for _ in range(3):
        pairs, longest = set(), []
        for batch in task.train.batches(16, rng):
            count += int(batch.lengths.sum())
            padding += batch.inputs.shape[0] * batch.inputs.shape[1]
            here = [names[s.astype(np.uint8).tobytes()] for s in sequences_in(batch)]
            longest.append(len(batch.inputs))
            pairs |= {(a, b) for a in here for b in here if a < b}
        together.append(pairs)
        assert longest != sorted(longest)
    assert count == 3 * sum(len(sequence) - 1 for sequence in train)
    assert 1 - count / padding < 0.15
    assert len(together[0] & together[1]) < 0.4 * len(together[0])


def test_symbols_are_padded_too() -> None:
    found = padded([np.array([3, 4], np.uint8), np.array([5], np.uint8)], np.int64)
    assert found.tolist() == [[3, 5], [4, 0]]
    assert found.dtype == torch.int64


def test_nothing_is_no_batch() -> None:
    assert not list(in_order([]))
    assert not list(shuffled([], 4, np.random.default_rng(0)))


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = ("import sys, cellwright.study.tasks as tasks; tasks.load();"
            "sys.exit('torch' in sys.modules)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
