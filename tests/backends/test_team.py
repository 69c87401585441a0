"""How many threads work on a call: the rule, as numbers."""

from __future__ import annotations

import pytest

from cellwright.backends.cpu.layout import layout
from cellwright.backends.cpu.team import Team, team
from cellwright.language import cell, parse


def chosen(name: str, T: int, B: int, n: int, threads: int) -> Team:
    return team(layout(cell(name).program), T, B, {"I": n, "H": n}, 16, threads)


@pytest.mark.parametrize(
    ("T", "B", "n", "threads", "expected"),
    [
        (100, 16, 64, 1, Team(1, 1)),
        (5, 2, 4, 64, Team(1, 1)),  # nothing worth a second thread
        (0, 2, 64, 2, Team(1, 1)),
        (100, 0, 64, 2, Team(1, 1)),
        (200, 1, 64, 2, Team(1, 1)),  # nor a stage worth a barrier
        (200, 1, 64, 64, Team(1, 1)),
        (200, 1, 256, 2, Team(1, 2)),
        (200, 1, 256, 64, Team(1, 5)),
        (100, 2, 256, 2, Team(1, 2)),
        (100, 16, 64, 2, Team(2, 1)),
        (100, 64, 512, 8, Team(8, 1)),
        (100, 64, 512, 128, Team(10, 12)),
        (20, 4, 16, 8, Team(1, 1)),
        (100, 3, 32, 8, Team(3, 1)),
    ],
)
def test_a_team(T: int, B: int, n: int, threads: int, expected: Team) -> None:
    assert chosen("lstm", T, B, n, threads) == expected


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 48, 128])
@pytest.mark.parametrize("B", [1, 2, 7, 64])
@pytest.mark.parametrize("n", [1, 16, 100, 1024])
def test_no_thread_is_without_work(n: int, B: int, threads: int) -> None:
    groups, sharing = chosen("gru_reset_before", 50, B, n, threads)
    assert groups * sharing <= threads
    assert groups <= B
    assert sharing <= -(-n // 16)


def test_numbers_of_a_row_are_made_by_one_thread() -> None:
    p = parse("h' = tanh(W x + norm(R h))").program
    assert team(layout(p), 100, 1, {"I": 512, "H": 512}, 16, 8) == Team(1, 1)
