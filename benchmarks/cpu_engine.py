"""The CPU engine beside torch.nn and torchrecurrent, and what it takes besides time.

    python benchmarks/cpu_engine.py [PART ...] [--save]

Parts: lstm, gru, peephole, torchrecurrent, operations, memory, start, threads, compare; all without
any. Every comparison is made in one process, its sides in turns; what gives other results than the
reference is not timed. About an hour on two cores for all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import torch

from cellwright.backends.cpu.plan import Extent, Plan
from cellwright.backends.cpu.team import Team
from cellwright.bench.bench import SIZES, Measurement, Size, bench, geometric_mean
from cellwright.bench.contestants import step
from cellwright.bench.measure import interleaved
from cellwright.bench.table import header, line, machine, means
from cellwright.language import cell
from cellwright.layers.recurrent import Recurrent
from cellwright.study import training
from cellwright.study.model import Model
from cellwright.study.regime import regime_of
from cellwright.study.results import DEFAULT_CELLS, Run, Settings
from cellwright.study.search.presets import preset
from cellwright.study.tasks import load
from every_cell import operations, torchrecurrent
from saved import carry_out

THREADS = (1, 2)


def tables(rows: Iterable[Measurement]) -> Iterator[str]:
    """A table for each cell and kind of run."""
    found = list(rows)
    for name, trains in dict.fromkeys((row.cell, row.training) for row in found):
        group = [row for row in found if (row.cell, row.training) == (name, trains)]
        columns = header(group)
        yield f"### `{name}` on {group[0].backend}, {'training' if trains else 'inference'}\n"
        yield "| " + " | ".join(columns) + " |"
        yield "|---" * len(columns) + "|"
        yield from ("| " + " | ".join(line(row, columns)) + " |" for row in group)
        yield ""
        yield from means(group)
        yield ""


def lstm() -> Iterator[str]:
    """`lstm` beside `nn.LSTM`."""
    yield from tables(bench([cell("lstm")], SIZES, THREADS, ["nn.LSTM"], 1.0))


def gru() -> Iterator[str]:
    """`gru` beside `nn.GRU`."""
    yield from tables(bench([cell("gru")], SIZES, THREADS, ["nn.GRU"], 1.0))


def peephole() -> Iterator[str]:
    """`peephole_lstm` and `coupled_lstm` beside torchrecurrent's PeepholeLSTM."""
    cells = [cell("peephole_lstm"), cell("coupled_lstm")]
    peers = ["torchrecurrent.PeepholeLSTM"]
    yield from tables(bench(cells, SIZES, THREADS, peers, 1.0, modes=[True]))


def memory() -> Iterator[str]:
    """What a training step of `lstm` needs, and how long it takes with `memory="small"`."""
    yield "| size | threads | nn.LSTM, MiB | fast | small | nn.LSTM, ms | fast | small |"
    yield "|---|---|---|---|---|---|---|---|"
    shares: dict[str, list[float]] = {"fast": [], "small": [], "time": [], "time by fast": []}
    peers = ["nn.LSTM", "small"]
    for row in bench([cell("lstm")], SIZES, THREADS, peers, 1.0, modes=[True], memory=True):
        beside, small = row.peers["nn.LSTM"], row.peers["small"]
        of = row.memory["nn.LSTM"]
        found = {
            "fast": row.memory["lstm"] / of,
            "small": row.memory["small"] / of,
            "time": small.median / beside.median,
            "time by fast": small.median / row.own.median,
        }
        for name, share in found.items():
            shares[name].append(share)
        yield (
            f"| {row.size} | {row.threads} | {of:.1f} | {found['fast']:.2f}x | "
            f"{found['small']:.2f}x | {beside.median:.2f} | "
            f"{row.own.median / beside.median:.2f}x | {found['time']:.2f}x |"
        )
    yield ""
    words = {
        "fast": "memory, fast, beside nn.LSTM",
        "small": "memory, small, beside nn.LSTM",
        "time": "time, small, beside nn.LSTM",
        "time by fast": "time, small, beside fast",
    }
    for name, what in words.items():
        found_ = shares[name]
        yield f"- {what}: geometric mean {geometric_mean(found_):.2f}x, most {max(found_):.2f}x"


NEW = r"f = σ(W_f x + R_f h + b_f + p * h)\nz = tanh(W_z x + f * h + b_z)\nh' = f * h + (1 - f) * z"
STARTED = f"""
import time, torch, cellwright
from cellwright.backends.cpu import plan
load, spent = plan.load, []
def timed(*args):
    start = time.perf_counter()
    try: return load(*args)
    finally: spent.append(time.perf_counter() - start)
plan.load = timed
def step(layer):
    start = time.perf_counter()
    layer(torch.randn(3, 2, 5))[0].sum().backward()
    return time.perf_counter() - start
step(cellwright.LSTM(5, 7))
spent.clear()
layer = cellwright.Recurrent(cellwright.parse("{NEW}", name="new"), 5, 7)
first = step(layer)
print(first - step(layer), max(spent))
"""


def start() -> Iterator[str]:
    """A cell that nobody has run here: what its first training step takes beyond the next one, and
    of that the compiling, of both passes side by side; the same in later processes, which load
    what was compiled."""

    def seconds(cache: str) -> tuple[float, float]:
        environment = {**os.environ, "CELLWRIGHT_CACHE": cache}
        done = subprocess.run(
            [sys.executable, "-c", STARTED], env=environment, capture_output=True, check=True
        )
        step, load = map(float, done.stdout.split())
        return step, load

    compiled, loaded = [], []
    for _ in range(5):
        with tempfile.TemporaryDirectory() as cache:
            compiled.append(seconds(cache))
            loaded += [seconds(cache) for _ in range(2)]
    yield "| | first step, ms: median (most) | of that compiling or loading |"
    yield "|---|---|---|"
    for what, runs in (("first process", compiled), ("later processes", loaded)):
        columns = [[1e3 * x for x in column] for column in zip(*runs, strict=True)]
        yield f"| {what} | " + " | ".join(f"{median(c):.1f} ({max(c):.1f})" for c in columns) + " |"


def threads() -> Iterator[str]:
    """`lstm` on two threads, training and inference: one of them alone, sequences split between
    them, units split between them, and what the engine chooses, for the forward pass and for the
    backward pass where that differs."""
    torch.set_num_threads(2)
    few = [(10, 1, 16, 16), (10, 4, 16, 16), (20, 2, 32, 32), (200, 1, 32, 32), (100, 3, 128, 128)]
    sizes = [*SIZES, *(Size(*size) for size in few), Size(100, 2, 256, 256), Size(50, 1, 512, 512)]
    teams = {"alone": Team(1, 1), "sequences": Team(2, 1), "units": Team(1, 2)}
    names = {team: name for name, team in teams.items()}
    extent, forced = Plan.extent, None
    used: list[str] = []

    def with_team(self: Plan, *args: Any) -> Extent:
        found = extent(self, *args)
        used.append(names[found.team])
        return replace(found, team=forced) if forced else found

    def on(team: Team, run: Callable[[], None]) -> Callable[[], None]:
        def forcing() -> None:
            nonlocal forced
            forced = team
            run()
            forced = None

        return forcing

    Plan.extent = with_team  # type: ignore[method-assign,assignment]
    yield "| size | run | alone, ms | sequences | units | as chosen | chosen | times the best |"
    yield "|---|---|---|---|---|---|---|---|"
    for size in sorted(sizes, key=lambda s: s.T * s.B * s.H * (s.I + s.H)):
        x, layer = torch.randn(*size[:3]), Recurrent(cell("lstm"), size.I, size.H)
        for trains in (True, False):
            run = step(layer, x, trains)
            used.clear()
            run()
            chosen = " / ".join(dict.fromkeys(used))
            able = {name: t for name, t in teams.items() if t.groups <= size.B}
            times = interleaved({"": run, **{name: on(t, run) for name, t in able.items()}}, 0.7)
            best = min(times[name].median for name in able)
            shown = [f"{times[name].median:.2f}" if name in able else "" for name in teams]
            yield (
                f"| {size} | {'training' if trains else 'inference'} | {' | '.join(shown)} | "
                f"{times[''].median:.2f} | {chosen} | {times[''].median / best:.2f}x |"
            )
    Plan.extent = extent  # type: ignore[method-assign]


def compare() -> Iterator[str]:
    """A run of each cell of `make compare`, and of each variant of Greff et al. (2017), on the
    engine, and on the reference, which is a loop in Python over torch's operations."""

    class OnReference(Model):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.recurrent.backend = "reference"

    def run(name: str, model: type[Model], epochs: int = 60) -> Run:
        training.Model = model  # type: ignore[misc]
        task = load()
        regime = regime_of(replace(settings, epochs=epochs), cell(name), task.ends)
        return training.train(cell(name), 0, task, regime)

    settings = Settings(
        cells=DEFAULT_CELLS,
        baseline=DEFAULT_CELLS[0],
        parameters=20_000,
        seeds=5,
        minutes=None,
        **asdict(load().recipe),
    )
    torch.set_num_threads(1)
    yield "| cell | engine, s a run (test loss) | reference, s a run (test loss) | |"
    yield "|---|---|---|---|"
    both = [0.0, 0.0]
    for name in dict.fromkeys((*DEFAULT_CELLS, *preset("odyssey").cells)):
        run(name, Model, epochs=1)  # compiled, if it was not
        runs = [run(name, model) for model in (Model, OnReference)]
        both = [a + r.seconds for a, r in zip(both, runs, strict=True)]
        cells = " | ".join(f"{r.seconds:.2f} ({r.test:.3f})" for r in runs)
        yield f"| `{name}` | {cells} | {runs[1].seconds / runs[0].seconds:.1f}x |"
    yield f"| all | {both[0]:.2f} | {both[1]:.2f} | {both[1] / both[0]:.1f}x |"


def main(words: list[str]) -> None:
    warnings.filterwarnings("error", "cellwright runs slowly")  # on another backend
    carry_out(PARTS, words, "cpu_engine", f"{machine()}.")


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    part.__name__: part
    for part in (
        lstm,
        gru,
        peephole,
        torchrecurrent,
        operations,
        memory,
        start,
        threads,
        compare,
    )
}

if __name__ == "__main__":
    main(sys.argv[1:])
