from __future__ import annotations

import pytest
import torch

from cellwright import CellwrightError, cell, cell_names, parse
from cellwright.study.model import NextFrame, nats
from cellwright.study.sizes import hidden_size_for, learned_values
from tiny import KEYS

# The others' input has the hidden size.
ANY_SIZE = [n for n in cell_names() if cell(n).program.inputs[0].shape == ("I",)]


@pytest.mark.parametrize("name", ANY_SIZE)
@pytest.mark.parametrize("budget", [600, 20_000])
def test_hidden_size_is_the_largest_within_the_budget(name: str, budget: int) -> None:
    keys = 6 if budget == 600 else 88
    size = hidden_size_for(cell(name), budget, keys)
    counts = [
        sum(p.numel() for p in NextFrame(cell(name), keys, h).parameters())
        for h in (size, size + 1)
    ]
    assert counts[0] <= budget < counts[1]
    assert learned_values(cell(name), keys, size) == counts[0]


def test_sizes_of_a_known_case() -> None:
    # 4 gates of (88 + H + 1) H, and a readout of 88 (H + 1): at H = 34, 16,728 and 3,080.
    assert hidden_size_for(cell("lstm"), 20_000, 88) == 34
    assert learned_values(cell("lstm"), 88, 34) == 19_808


def test_a_budget_below_one_unit_names_the_smallest_that_works() -> None:
    smallest = learned_values(cell("lstm"), 88, 1)
    with pytest.raises(CellwrightError, match=f"--parameters {smallest} or more"):
        hidden_size_for(cell("lstm"), smallest - 1, 88)
    assert hidden_size_for(cell("lstm"), smallest, 88) == 1


def test_an_output_of_the_inputs_size_is_read_out() -> None:
    read = parse("g = σ(V h)\nh' = tanh(W x + R h)\noutput g")
    model = NextFrame(read, KEYS, 4)
    assert model.readout.in_features == 4
    x_sized = parse("h' = tanh(W x + R h)\ny = x * σ(V h')\noutput y")
    model = NextFrame(x_sized, KEYS, 4)
    assert model.readout.in_features == KEYS
    assert sum(p.numel() for p in model.parameters()) == learned_values(x_sized, KEYS, 4)
    assert model(torch.zeros(3, 2, KEYS), torch.tensor([3, 2])).shape == (3, 2, KEYS)


def test_a_cell_that_ties_its_size_to_the_input_is_refused() -> None:
    with pytest.raises(CellwrightError, match="leave it out of --cells"):
        hidden_size_for(parse("h' = tanh(x + R h)", "tied"), 1000, KEYS)


def test_nats_are_summed_over_keys_and_frames_and_not_over_padding() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 2, 3), torch.randint(2, (4, 2, 3)).float()
    logits[2:, 1] = float("nan")  # past the end: whatever stands there
    p = torch.sigmoid(logits)
    each = -torch.log(torch.where(targets == 1, p, 1 - p)).sum(2)
    expected = [each[:, 0].sum(), each[:2, 1].sum()]
    found = nats(logits, targets, torch.tensor([4, 2]))
    torch.testing.assert_close(found, torch.stack(expected))


def test_padding_decides_nothing() -> None:
    torch.manual_seed(0)
    model = NextFrame(cell("gru"), KEYS, 4).eval()
    x, y = torch.rand(5, 2, KEYS), torch.randint(2, (5, 2, KEYS)).float()
    lengths = torch.tensor([5, 3])
    together = nats(model(x, lengths), y, lengths)
    alone = nats(model(x[:3, 1:], lengths[1:]), y[:3, 1:], lengths[1:])
    torch.testing.assert_close(together[1:], alone)


def test_a_model_starts_from_frequencies() -> None:
    model = NextFrame(cell("lstm"), KEYS, 3)
    frequencies = torch.linspace(0.05, 0.9, KEYS)
    model.start_from(frequencies)
    torch.testing.assert_close(torch.sigmoid(model.readout.bias.detach()), frequencies)


def test_a_cell_that_learns_nothing_of_its_size_cannot_be_fitted() -> None:
    fixed = parse("scalar a\nh' = a * h + mean(x)\ny = mean(h') * x\noutput y", "fixed")
    with pytest.raises(CellwrightError, match=r"fixed learns .* whatever its hidden size"):
        hidden_size_for(fixed, 20_000, 88)
