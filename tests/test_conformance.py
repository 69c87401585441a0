"""Every cell on every backend: outputs, final states, all gradients."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import seed as with_seed

from cellwright.backends import reference
from cellwright.backends.cpu.team import Team
from cellwright.backends.registry import BACKENDS
from cellwright.language import Cell, cell, cell_names
from cellwright.program.program import Program
from conformance import Arguments, arguments, errors, excess, in_team, relative_error
from strategies import programs

BY_NAME = {b.name: b for b in BACKENDS if b.device != "cuda"}
CELLS = (*cell_names(), "rhn(L=3)", "scrn(K=3)")
COMPILED = [name for name, b in BY_NAME.items() if b.run is not reference.run]
SMALL = [(1, 1, 1, 1), (5, 3, 2, 4), (4, 2, 7, 5)]  # T, B, I, H
ODD = [(1, 67, 3, 1), (2, 1, 1, 67), (3, 13, 67, 33), (4, 7, 17, 31), (2, 31, 8, 16)]
LONG = (300, 3, 5, 9)  # two segments, and many chunks of the engine's
TEAMS = (Team(1, 1), Team(2, 1), Team(1, 2), Team(3, 2))


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


def arguments_of(
    c: Cell, size: tuple[int, int, int, int], dtype: torch.dtype, seed: int = 0
) -> Arguments:
    T, B, n_in, hidden = size
    p = c.program
    sizes = c.sizes(n_in if p.inputs[0].shape == ("I",) else hidden, hidden)
    return arguments(p, sizes, T, B, dtype, seed)


@pytest.fixture(scope="module", autouse=True)
def nan_in_new_memory() -> Iterator[None]:
    """Whoever reads what nobody wrote reads NaN: in torch's new tensors; conftest does the same for
    the engine's own memory."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("backend", BY_NAME)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_in_float64(name: str, backend: str) -> None:
    c = cell(name)
    for size in SMALL:
        given_ = arguments_of(c, size, torch.float64)
        for options in variations(*size[:2]):
            check(errors(c.program, given_, backend, **options), 1e-10, size, options)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_at_odd_sizes(name: str, backend: str) -> None:
    c = cell(name)
    for i, size in enumerate((*ODD, LONG)):
        given_ = arguments_of(c, size, torch.float64)
        for options in variations(*size[:2])[i % 4 :: 4]:
            for memory in ("fast", "small") if size is LONG else ("fast",):
                with in_team(TEAMS[i % len(TEAMS)]):
                    found = errors(c.program, given_, backend, memory=memory, **options)
                check(found, 1e-10, size, options)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_in_float32_is_as_near_as_torch(name: str, backend: str) -> None:
    c = cell(name)
    for i, size in enumerate(ODD):
        draws = [arguments_of(c, size, torch.float32, seed) for seed in range(16)]
        for options in variations(*size[:2])[i::8]:
            with in_team(TEAMS[i % len(TEAMS)]):
                found = excess(c.program, draws, backend, **options)
            check(found, 4.0, size, options)


@pytest.mark.parametrize("part", range(4))  # each may run in a process of its own
@pytest.mark.parametrize("backend", BY_NAME)
def test_random_programs_in_float64(backend: str, part: int) -> None:
    @with_seed(part)
    @settings(max_examples=25 if os.environ.get("CI") else 6)
    @given(programs(smooth=True, sums=False))
    def run(p: Program) -> None:
        for size, first in (((3, 2, 5, 4), 0), ((19, 3, 17, 19), 1)):
            T, B, n_in, hidden = size
            given_ = arguments(p, {"I": n_in, "H": hidden, "K": n_in + 2}, T, B, torch.float64)
            for team, options in zip(TEAMS, variations(T, B)[first::3], strict=False):
                with in_team(team):
                    found = errors(p, given_, backend, memory=("fast", "small")[first], **options)
                check(found, 1e-9, size, options)

    run()


@pytest.mark.parametrize("backend", COMPILED)
@settings(max_examples=25 if os.environ.get("CI") else 10)
@given(p=programs(smooth=True))
def test_random_programs_with_sums(p: Program, backend: str) -> None:
    given_ = arguments(p, {"I": 5, "H": 19, "K": 17}, 4, 3, torch.float64)
    tensors = [[x.detach() for x in xs] for xs in (given_.inputs, given_.states, given_.parameters)]
    for options in variations(4, 3)[::3]:
        found, expected = (b.run(p, *tensors, **options) for b in (BY_NAME[backend], reference))
        for some, wanted in zip(found[:3], expected[:3], strict=True):
            for a, b in zip(some, wanted, strict=True):
                assert relative_error(a, b) <= 1e-9


def check(
    found: dict[str, float],
    allowed: float,
    size: tuple[int, int, int, int],
    options: dict[str, object],
) -> None:
    worst = max(found, key=found.__getitem__)
    assert found[worst] <= allowed, f"{worst}: {found[worst]:.1e} at {size} with {options}"
