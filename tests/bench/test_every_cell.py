"""The parts of the benchmark that run every cell: how their figures come about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

import every_cell
from cellwright.bench.bench import Measurement, Size
from cellwright.bench.measure import Timing
from cellwright.language import Cell, cell


@pytest.fixture(autouse=True)
def _pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each cell takes 10 ms on a thread, 5 on two, and is a tenth of what a product reaches; peers
    take 30 ms, for twice the operations. A copy moves 10 GB/s."""

    def pretend(
        cells: Sequence[Cell],
        sizes: Sequence[Size],
        threads: Sequence[int],
        peers: Sequence[str],
        seconds: float,
        modes: Sequence[bool],
        input_gradient: bool = False,
    ) -> Iterator[Measurement]:
        [c], [size] = cells, sizes
        for n in threads:
            own = Timing(10 / n, 9 / n, 11 / n, 7)
            yield Measurement(
                c.name, "cpu", size, n, modes[0], own, {p: Timing(30, 29, 31, 7) for p in peers},
                operations=1e9, peak=1e12 * n, operations_of=dict.fromkeys(peers, 2e9),
            )  # fmt: skip

    monkeypatch.setattr(every_cell, "bench", pretend)
    monkeypatch.setattr(every_cell, "copy_peak", lambda: 1e10)


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        ("ind_rnn", 3 + 4),  # x, h, what relu depends on; the gradient of h and all of these
        ("damped_ema", 2 + 3),
        ("lstm", 8 + 9),  # x, i, f, z, o, c and its tanh, h
        ("scrn(K=2)", 4 + 4),  # y is no part of its own gradient
    ],
)
def test_the_least_that_a_step_moves(name: str, streams: int) -> None:
    size = Size(5, 3, 2, 2)
    assert every_cell.least_bytes(cell(name), size) == 4 * 5 * 3 * 2 * streams


def test_the_input_has_its_own_size() -> None:
    assert every_cell.least_bytes(cell("ind_rnn"), Size(1, 1, 10, 1)) == 4 * (2 * 10 + 5)


def test_operations_are_beside_those_of_the_peer_and_bytes_beside_a_copy() -> None:
    moved = 4 * 100 * 32 * 128 * 5
    share, twice = moved / 1e10 / 0.01, moved / 1e10 / 0.005
    assert list(every_cell.operations(["mgu", "damped_ema", "mgu3", "rnn"])) == [
        "| cell | stages a step | 1 thread | 2 threads |",
        "|---|---|---|---|",
        "| `mgu` | 2 | 10.00 ms (1.50x) | 5.00 ms (3.00x) |",
        "| `mgu3` | 1 | 10.00 ms (1.50x) | 5.00 ms (3.00x) |",
        "| `rnn` | 1 | 10.00 ms (1.50x) | 5.00 ms (3.00x) |",
        "",
        "- one stage, 1 thread: geometric mean 1.50x over 2 cells, least 1.50x (`mgu3`)",
        "- one stage, 2 threads: geometric mean 3.00x over 2 cells, least 3.00x (`mgu3`)",
        "- two stages, 1 thread: geometric mean 1.50x over 1 cells, least 1.50x (`mgu`)",
        "- two stages, 2 threads: geometric mean 3.00x over 1 cells, least 3.00x (`mgu`)",
        "",
        "| cell | MiB at the least | 1 thread, ms | of a copy's | of products' and a copy's "
        "| 2 threads, ms | of a copy's | of products' and a copy's |",
        "|---|---|---|---|---|---|---|---|",
        f"| `damped_ema` | 7.8 | 10.00 | {share:.0%} | {share + 0.1:.0%} | "
        f"5.00 | {twice:.0%} | {twice + 0.1:.0%} |",
        "",
        f"- 1 thread: geometric mean {share:.0%} of a copy's, {share + 0.1:.0%} of products' and a "
        "copy's over 1 cells",
        f"- 2 threads: geometric mean {twice:.0%} of a copy's, {twice + 0.1:.0%} of products' and "
        "a copy's over 1 cells",
    ]


def test_layers_are_beside_the_cells_that_they_have() -> None:
    assert list(every_cell.torchrecurrent(["LEM", "BR", "STAR"]))[2:] == [
        "| `lem` | `LEM` | 10.00 | 30.00 | 3.00x | the output reads the old memory, for the new "
        "one |",
        "| `brc` | `BR` | 10.00 | 30.00 | 3.00x | adds biases in both gates and in the candidate |",
        "| `star` | `STAR` | 10.00 | 30.00 | 3.00x |  |",
        "",
        "- 3 layers: geometric mean 3.00x, least 3.00x (`LEM`)",
    ]
