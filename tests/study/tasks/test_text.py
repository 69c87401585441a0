"""Text: the right characters are asked for, states go on, and what counts without learning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import log, log2
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cellwright import cell
from cellwright.study import training
from cellwright.study.gradients import Judged
from cellwright.study.model import Model
from cellwright.study.regime import regime_of
from cellwright.study.tasks import DataError, Task, load
from cellwright.study.tasks.task import Batch
from cellwright.study.tasks.text import Options, Stream, text
from shared import DATA, needs_data
from tiny import SETTINGS

POEM = "the rain in spain stays mainly in the plain\n" * 30


def small(whole: str = POEM, chunk: int = 7) -> Task:
    return text("poem", "a test", whole, Options(chunk))


def codes(task: Task, split: str) -> np.ndarray:
    stream = getattr(task, split)
    assert isinstance(stream, Stream)
    return stream.codes


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=40, max_size=200))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, whole: str) -> None:
    """From a file, newlines and all; characters that training lacks apart."""
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(whole.encode())
    task = load(path, "text(chunk=1)") if "\0" not in whole else small(whole, 1)
    whole = whole.removeprefix("\ufeff") if "\0" not in whole else whole
    names = task.target.names
    parts = ["".join(names[c] for c in codes(task, s)) for s in ("train", "valid", "test")]
    assert parts[0] == whole[: len(parts[0])]
    known = {*parts[0]}
    assert "".join(parts) == "".join(
        c if i < len(parts[0]) or c in known else "�" for i, c in enumerate(whole)
    )
    assert [len(part) / len(whole) for part in parts] == pytest.approx([0.9, 0.05, 0.05], abs=0.05)


def test_each_character_is_asked_for_once() -> None:
    task = small()
    for split in ("valid", "test"):
        (first, *rest) = getattr(task, split).in_order()
        assert [b.goes_on for b in (first, *rest)] == [False] + [True] * len(rest)
        seen = torch.cat([b.targets[:, 0] for b in (first, *rest)])
        assert seen.tolist() == codes(task, split)[1:].tolist()
    own = codes(task, "train")
    for seed in range(5):
        batches = list(task.train.batches(4, np.random.default_rng(seed)))
        assert {len(b.inputs) for b in batches[:-1]} == {7}
        assert all(torch.equal(b.inputs[1:], b.targets[:-1]) for b in batches)
        assert all(b.lengths.tolist() == [len(b.inputs)] * 4 for b in batches)
        joined = torch.cat([b.targets for b in batches]).T.flatten().numpy()
        start = next(i for i in range(9) if np.array_equal(own[i:][: len(joined)], joined))
        assert start <= 7
        assert len(own) - start - len(joined) < 4


def test_states_go_on_from_chunk_to_chunk() -> None:
    """What is measured in chunks is what one long run gives."""
    torch.manual_seed(0)
    task = small(POEM * 30)  # two chunks of a thousand
    model = Model(cell("lstm"), task.form, 5).eval()
    found = training._evaluate(model, task, task.valid)
    whole = torch.from_numpy(codes(task, "valid").astype(np.int64))
    with torch.no_grad():
        read, _ = model(whole[:-1, None], torch.tensor([len(whole) - 1]))
    assert len(list(task.valid.in_order())) == 2
    bits = torch.nn.functional.cross_entropy(read[:, 0], whole[1:]) / log(2)
    assert found == pytest.approx({"loss": float(bits)}, rel=1e-5)


def test_training_goes_back_no_further_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The states of the chunk before are values: no gradient leads through them."""
    task = small()
    gru = cell("gru")
    learner = training._Learner(gru, task, regime_of(SETTINGS, gru, task.ends), 0)
    given = []
    of = learner.gradients.of

    def watched(batch: Batch, states: Sequence[torch.Tensor] | None, summed: bool) -> Judged:
        given.append(None if states is None else [(s.requires_grad, s.clone()) for s in states])
        return of(batch, states, summed)

    monkeypatch.setattr(learner.gradients, "of", watched)
    assert learner.epoch() > 0
    assert given[0] is None
    assert len(given) > 3
    assert all(s and not s[0][0] and s[0][1].abs().sum() > 0 for s in given[1:])


def test_training_learns_more_than_counting() -> None:
    settings = replace(SETTINGS, parameters=2000, epochs=20, patience=20, dropout=0.0)
    task = small(chunk=20)
    run = training.train(cell("gru"), 0, task, regime_of(settings, cell("gru"), task.ends))
    assert run.test < 0.7 * task.summary().trivial["bigram"]


def test_characters_that_training_lacks_are_one_symbol() -> None:
    task = small("ab" * 200 + "äöü")
    assert task.target.names == ("a", "b", "�")
    assert codes(task, "test")[-3:].tolist() == [2, 2, 2]
    assert "3 characters of validation and test are none of them" in task.notes[1]
    assert "�" not in small("ab" * 200).target.names


def test_many_characters_have_an_embedding() -> None:
    task = small("".join(map(chr, range(0x4E00, 0x4E00 + 257))) * 3)
    assert (task.ends.inputs, task.ends.learned) == (64, 257 * 64)
    assert small().reads.embedding is None  # type: ignore[union-attr]


def test_counting_by_hand() -> None:
    """Each order in plain loops."""
    task = small("abracadabra, " * 40)
    names = task.target.names
    train, test = ("".join(names[c] for c in codes(task, s)) for s in ("train", "test"))

    def chance(order: int, context: str, char: str) -> float:
        if order < 0:
            return 1 / len(names)
        if len(context) < order:
            return chance(order - 1, context, char)
        context = context[len(context) - order :]
        grams = Counter(train[i : i + order + 1] for i in range(len(train) - order))
        before = sum(n for gram, n in grams.items() if gram[:order] == context)
        return (grams[context + char] + chance(order - 1, context, char)) / (before + 1)

    for order, name in enumerate(("even", "unigram", "bigram", "trigram"), -1):
        bits = [-log2(chance(order, test[:i], test[i])) for i in range(1, len(test))]
        assert task.summary().trivial[name] == pytest.approx(sum(bits) / len(bits))


def test_fingerprint_is_of_text_and_chunk() -> None:
    tasks = [small(), small(chunk=8), small(POEM[:-1]), small(POEM.upper())]
    assert len({task.fingerprint for task in tasks}) == 4
    assert small().fingerprint == tasks[0].fingerprint


def test_what_cannot_be_learned_from(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(b"line one\nline two\n" * 5000 + b"caf\xe9\n")
    with pytest.raises(DataError, match=r"x\.txt: line 10001 is not UTF-8: byte 90004 .* 0xe9"):
        load(path)
    path.write_text("too short")
    with pytest.raises(DataError, match=r"9 characters; .* Give at least 2,020, or a smaller"):
        load(path)
    with pytest.raises(DataError, match="chunk must be at least 1, got 0"):
        load(path, "text(chunk=0)")


@needs_data
def test_tinyshakespeare() -> None:
    summary = load(DATA / "text" / "tinyshakespeare.txt").summary()
    assert summary.sizes == {"characters": (1003854, 55770, 55770)}
    assert summary.inputs == "one of 65 symbols a step, one-hot"
    assert summary.trivial == pytest.approx(
        {"even": log2(65), "unigram": 4.850, "bigram": 3.619, "trigram": 3.089}, abs=1e-3
    )
