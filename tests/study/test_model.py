from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cellwright import CellwrightError, cell, cell_names, parse
from cellwright.study.losses import bernoulli
from cellwright.study.model import Model
from cellwright.study.sizes import Ends, hidden_size_for, learned_values
from cellwright.study.tasks.music import NextFrame
from cellwright.study.tasks.task import Features, Symbols, Task
from tiny import KEYS, MUSIC

PIANO = Ends(88, 88)


def task(reads: Features | Symbols, outputs: int, last: bool = False) -> Task:
    """One that asks for such a model."""
    target = NextFrame(tuple(map(str, range(outputs))), np.full(outputs, 0.5), last)
    return replace(MUSIC, reads=reads, target=target)


def numbers(count: int) -> Features:
    return Features(tuple(map(str, range(count))))


# The others' input has the hidden size.
ANY_SIZE = [n for n in cell_names() if cell(n).program.inputs[0].shape == ("I",)]


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("budget", [600, 20_000])
def test_hidden_size_is_the_largest_within_the_budget(name: str, budget: int) -> None:
    asked = task(numbers(6), 9) if budget == 600 else task(Symbols(tuple("abcdefghij"), 4), 10)
    size = hidden_size_for(cell(name), budget, asked.ends)
    counts = [
        sum(p.numel() for p in Model(cell(name), asked.form, h).parameters())
        for h in (size, size + 1)
    ]
    assert counts[0] <= budget < counts[1]
    assert learned_values(cell(name), asked.ends, size) == counts[0]


def test_sizes_of_a_known_case() -> None:
    # 4 gates of (88 + H + 1) H, and a readout of 88 (H + 1): at H = 34, 16,728 and 3,080.
    assert hidden_size_for(cell("lstm"), 20_000, PIANO) == 34
    assert learned_values(cell("lstm"), PIANO, 34) == 19_808


def test_a_budget_below_one_unit_names_the_smallest_that_works() -> None:
    smallest = learned_values(cell("lstm"), PIANO, 1)
    with pytest.raises(CellwrightError, match=f"--parameters {smallest} or more"):
        hidden_size_for(cell("lstm"), smallest - 1, PIANO)
    assert hidden_size_for(cell("lstm"), smallest, PIANO) == 1


def test_an_output_of_the_inputs_size_is_read_out() -> None:
    read = parse("g = σ(V h)\nh' = tanh(W x + R h)\noutput g")
    model = Model(read, MUSIC.form, 4)
    assert model.readout.in_features == 4
    x_sized = parse("h' = tanh(W x + R h)\ny = x * σ(V h')\noutput y")
    model = Model(x_sized, MUSIC.form, 4)
    assert model.readout.in_features == KEYS
    assert sum(p.numel() for p in model.parameters()) == learned_values(x_sized, MUSIC.ends, 4)
    assert model(torch.zeros(3, 2, KEYS), torch.tensor([3, 2]))[0].shape == (3, 2, KEYS)


def test_a_cell_that_ties_its_size_to_the_input_is_refused() -> None:
    with pytest.raises(CellwrightError, match="leave it out of --cells"):
        hidden_size_for(parse("h' = tanh(x + R h)", "tied"), 1000, MUSIC.ends)


def test_nats_are_summed_over_keys_and_frames_and_not_over_padding() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 2, 3), torch.randint(2, (4, 2, 3)).float()
    logits[2:, 1] = float("nan")  # past the end: whatever stands there
    p = torch.sigmoid(logits)
    each = -torch.log(torch.where(targets == 1, p, 1 - p)).sum(2)
    expected = [each[:, 0].sum(), each[:2, 1].sum()]
    found = bernoulli(logits, targets, torch.tensor([4, 2]))
    torch.testing.assert_close(found, torch.stack(expected))


def test_padding_decides_nothing() -> None:
    torch.manual_seed(0)
    model = Model(cell("gru"), MUSIC.form, 4).eval()
    x, y = torch.rand(5, 2, KEYS), torch.randint(2, (5, 2, KEYS)).float()
    lengths = torch.tensor([5, 3])
    together = bernoulli(model(x, lengths)[0], y, lengths)
    alone = bernoulli(model(x[:3, 1:], lengths[1:])[0], y[:3, 1:], lengths[1:])
    torch.testing.assert_close(together[1:], alone)


def test_the_last_step_is_read_out_at_each_sequences_end() -> None:
    torch.manual_seed(0)
    each, last = (
        Model(cell("lstm"), task(numbers(KEYS), 3, last).form, 4) for last in (False, True)
    )
    last.load_state_dict(each.state_dict())
    x, lengths = torch.rand(5, 2, KEYS), torch.tensor([5, 3])
    steps, state = each(x, lengths)
    torch.testing.assert_close(last(x, lengths)[0], torch.stack([steps[4, 0], steps[2, 1]]))
    # Once more from there on: as if it were one sequence.
    whole, _ = each(torch.cat([x[:, :1], x[:, :1]]), torch.tensor([10]))
    again, _ = each(x[:, :1], lengths[:1], tuple(s[:, :1] for s in state))
    torch.testing.assert_close(again, whole[5:])


@pytest.mark.parametrize("embedding", [None, 3])
def test_symbols_are_one_hot_or_embedded(embedding: int | None) -> None:
    torch.manual_seed(0)
    model = Model(cell("gru"), task(Symbols(tuple("abcde"), embedding), 2).form, 4)
    table = model.read.weight if embedding else torch.eye(5)
    plain = Model(cell("gru"), task(numbers(embedding or 5), 2).form, 4)
    plain.load_state_dict(model.state_dict(), strict=False)
    symbols, lengths = torch.tensor([[0, 4], [3, 3], [1, 2]]), torch.tensor([3, 3])
    torch.testing.assert_close(model(symbols, lengths)[0], plain(table[symbols], lengths)[0])


def test_a_model_starts_from_frequencies() -> None:
    frequencies = np.linspace(0.05, 0.9, KEYS)
    target = NextFrame(MUSIC.target.names, frequencies)
    model = Model(cell("lstm"), MUSIC.form, 3, start=target.start())
    torch.testing.assert_close(
        torch.sigmoid(model.readout.bias.detach()), torch.from_numpy(frequencies).float()
    )


def test_a_cell_that_learns_nothing_of_its_size_cannot_be_fitted() -> None:
    fixed = parse("scalar a\nh' = a * h + mean(x)\ny = mean(h') * x\noutput y", "fixed")
    with pytest.raises(CellwrightError, match=r"fixed learns .* whatever its hidden size"):
        hidden_size_for(fixed, 20_000, PIANO)
