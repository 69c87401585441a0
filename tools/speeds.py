"""The README's table of speeds, from what `benchmarks/cpu_engine.py` saved.

    python tools/speeds.py

Prints the table as it has to be; `tests/test_docs.py` says whether it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
COLUMNS = {  # the part of the benchmark, the cell, what it is held against
    "lstm": ("lstm", "`nn.LSTM`"),
    "gru": ("gru", "`nn.GRU`"),
    "peephole": ("peephole_lstm", "torchrecurrent"),
}
SIZES = ("100, 16, 64, 64", "100, 32, 128, 128", "100, 64, 512, 512", "200, 1, 64, 64")
MEANS = {
    "mean of eight sizes": ("amd-epyc", "1 thread"),
    "two threads": ("amd-epyc", "2 threads"),
    "a Xeon with AVX-512": ("intel-xeon", "1 thread"),
    "the Xeon, two threads": ("intel-xeon", "2 threads"),
}


def table() -> str:
    """In Markdown."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield _row("T, B, I, H", *(f"`{name}` / {peer}" for name, peer in COLUMNS.values()))
    yield "|---" * (1 + len(COLUMNS)) + "|"
    for size in SIZES:
        yield _row(size, *(_time(part, size) for part in COLUMNS))
    for what, (machine, threads) in MEANS.items():
        yield _row(what, *(_mean(part, machine, threads) for part in COLUMNS))


def _row(*entries: str) -> str:
    return f"| {' | '.join(entries)} |"


def _time(part: str, size: str) -> str:
    """Both medians, and how many times as long the peer takes."""
    measured = _measured(part, "amd-epyc")
    found = re.search(
        rf"^\| {size} \| 1 \| ([\d.]+) .* \| ([\d.]+) \(([\d.]+x)\) \|$", measured, re.M
    )
    assert found, (part, size)
    return "{} / {} ms ({})".format(*found.groups())


def _mean(part: str, machine: str, threads: str) -> str:
    measured = _measured(part, machine)
    found = re.search(
        rf"^- {threads}, beside .*: geometric mean (\S+), least ([\d.]+x)", measured, re.M
    )
    assert found, (part, machine)
    return "{}, least {}".format(*found.groups())


def _measured(part: str, machine: str) -> str:
    """The table of training of a part's first cell."""
    page = (RESULTS / machine / f"cpu_engine_{part}.md").read_text()
    name, _ = COLUMNS[part]
    return page.split(f"### `{name}` on cpu, training\n")[1].split("###")[0]


if __name__ == "__main__":
    print(table())
