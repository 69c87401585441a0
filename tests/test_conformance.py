"""Every cell on every backend: outputs, final states, all gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from cellwright.backends.registry import BACKENDS
from cellwright.language import cell, cell_names
from conformance import arguments, compare
from strategies import programs

SIZES = [(1, 1, 1, 1), (5, 3, 2, 4), (4, 2, 7, 5)]  # T, B, I, H


def variations(T: int, B: int) -> list[dict[str, object]]:
    rng = torch.Generator().manual_seed(T * 10 + B)
    lengths = torch.randint(1, T + 1, (B,), generator=rng)
    resets = torch.rand(T, B, generator=rng) < 0.4
    return [
        {"reverse": reverse, "lengths": ends, "resets": starts}
        for reverse in (False, True)
        for ends in (None, lengths)
        for starts in (None, resets)
    ]


@pytest.mark.parametrize("backend", [b.name for b in BACKENDS])
@pytest.mark.parametrize("name", cell_names())
def test_every_cell_in_float64(name: str, backend: str) -> None:
    p = cell(name).program
    for T, B, n_in, hidden in SIZES:
        sizes = {"I": n_in if p.inputs[0].shape == ("I",) else hidden, "H": hidden}
        given_ = arguments(p, sizes, T, B, torch.float64)
        for options in variations(T, B):
            errors = compare(p, given_, backend=backend, **options)
            worst = max(errors, key=errors.__getitem__)
            assert errors[worst] <= 1e-10, f"{worst}: {errors[worst]:.1e} with {options}"


@pytest.mark.parametrize("backend", [b.name for b in BACKENDS])
@given(p=programs(smooth=True, sums=False))
def test_random_programs_in_float64(p, backend: str) -> None:
    given_ = arguments(p, {"I": 5, "H": 4}, 3, 2, torch.float64)
    for options in variations(3, 2)[3::4]:
        errors = compare(p, given_, backend=backend, **options)
        worst = max(errors, key=errors.__getitem__)
        assert errors[worst] <= 1e-10, f"{worst}: {errors[worst]:.1e} with {options}"
