"""Every cell of the catalogue at one size: two parts of `cpu_engine.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from cellwright.bench.bench import Measurement, Size, bench, geometric_mean
from cellwright.bench.measure import interleaved
from cellwright.language import Cell, cell, cell_names, print_program
from cellwright.layers.passes import passes
from cellwright.program.ops import Value
from cellwright.program.transforms import spelled_out
from cellwright.schedule.stages import schedule
from peers import PEERS

__all__ = ["operations", "torchrecurrent"]

THREADS = (1, 2)
WORDS = {1: "one stage", 2: "two stages", 3: "three stages"}


def operations(names: Iterable[str] = cell_names()) -> Iterator[str]:
    """Every cell in training at 100, 32, 128, 128. Where there are products of matrices in the
    recurrence: how many one after another in a step, and time for one operation beside that of
    `nn.LSTM`; both compute the gradient of the input, which `nn.LSTM` does in any case. Where
    there are none: the bytes that a step has to move at the least, which are its streams in and
    out and what forward keeps for backward, and their share of what a copy of a large array
    moves in that time; and the share that the products with the input, at the speed of a large
    product, and those bytes, at the speed of a copy, have of the time when added up."""
    cells = [cell(name) for name in names]
    recurrent = [c for c in cells if _stages(c)]
    yield from _by_operations(recurrent)
    yield ""
    yield from _by_bytes([c for c in cells if c not in recurrent])


def _by_operations(cells: Iterable[Cell]) -> Iterator[str]:
    found: dict[tuple[int, int], dict[str, float]] = {}
    yield "| cell | stages a step | " + " | ".join(map(_on, THREADS)) + " |"
    yield "|---|---|" + "---|" * len(THREADS)
    for c in cells:
        entries = []
        for row in _rows(c, ["nn.LSTM"]):
            ratio = row.speedup_by_operations("nn.LSTM")
            found.setdefault((_stages(c), row.threads), {})[c.name] = ratio
            entries.append(f"{row.own.median:.2f} ms ({ratio:.2f}x)")
        yield f"| `{c.name}` | {_stages(c)} | {' | '.join(entries)} |"
    yield ""
    for (stages, threads), ratios in sorted(found.items()):
        least = min(ratios, key=ratios.__getitem__)
        yield (
            f"- {WORDS.get(stages, f'{stages} stages')}, {_on(threads)}: geometric mean "
            f"{geometric_mean(ratios.values()):.2f}x over {len(ratios)} cells, least "
            f"{ratios[least]:.2f}x (`{least}`)"
        )


def _by_bytes(cells: Iterable[Cell]) -> Iterator[str]:
    shares: dict[int, list[tuple[float, float]]] = {}
    columns = (f"{_on(n)}, ms | of a copy's | of products' and a copy's" for n in THREADS)
    yield "| cell | MiB at the least | " + " | ".join(columns) + " |"
    yield "|---|---|" + "---|---|---|" * len(THREADS)
    for c in cells:
        entries = []
        for row in _rows(c, []):
            moved, seconds = least_bytes(c, row.size), row.own.median / 1e3
            copying = moved / copy_peak()
            share, of_both = copying / seconds, copying / seconds + row.share_of_peak
            shares.setdefault(row.threads, []).append((share, of_both))
            entries.append(f"{row.own.median:.2f} | {share:.0%} | {of_both:.0%}")
        yield f"| `{c.name}` | {moved / 2**20:.1f} | {' | '.join(entries)} |"
    yield ""
    for threads, both in shares.items():
        share, of_both = map(geometric_mean, zip(*both, strict=True))
        yield (
            f"- {_on(threads)}: geometric mean {share:.0%} of a copy's, {of_both:.0%} of products' "
            f"and a copy's over {len(both)} cells"
        )


def _rows(c: Cell, peers: list[str]) -> Iterator[Measurement]:
    size, beside = Size(100, 32, 128, 128), bool(peers)
    return bench([c], [size], THREADS, peers, 0.3, modes=[True], input_gradient=beside)


def _on(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _stages(c: Cell) -> int:
    """How often a step waits for a product with what it has just computed, or for the last step."""
    loop = schedule(c.program).loop
    return sum(any(v.op == "products" for v in stage.values) for stage in loop)


def least_bytes(c: Cell, size: Size) -> int:
    """What training on a batch reads and writes, however it is done: each stream once in each pass
    that it is in. A state that goes out and is kept, as it is before a step and behind it, is one
    stream."""
    known = passes(print_program(spelled_out(c.program)))
    forward, of = known.derivative.forward, c.sizes(size.I, size.H)

    def streams(names: Iterable[str]) -> set[Value]:
        values = {forward.named[name] for name in names}
        return {forward.next(v) if v in forward.states else v for v in values}

    again = [v for v in forward.inputs if v.name in known.derivative.saved_inputs]
    moved = [*forward.inputs, *streams(forward.outputs)]
    moved += [
        *streams(c.program.outputs),
        *again,
        *streams(known.saved),
    ]  # backward, gradients first
    numbers = sum(of[v.shape[0]] if v.shape else 1 for v in moved)
    return 4 * size.T * size.B * numbers


def copy_peak() -> float:
    """Bytes a second, now, that torch reads and writes where it copies an array that no cache
    holds, on the threads that it has."""
    source = torch.ones(2**25)
    to = torch.zeros_like(source)
    took = interleaved({"": lambda: to.copy_(source)}, 0.3)[""].median / 1e3
    return 2 * 4 * source.numel() / took


def torchrecurrent(layers: Iterable[str] = tuple(PEERS)) -> Iterator[str]:
    """Every layer of torchrecurrent's beside the cell that has its equations, in training at
    100, 16, 64, 64 on one thread; and what theirs computes otherwise."""
    yield "| cell | torchrecurrent's | ms | theirs | | what theirs computes otherwise |"
    yield "|---|---|---|---|---|---|"
    ratios = {}
    for name in layers:
        peer, theirs = PEERS[name], f"torchrecurrent.{name}"
        size = Size(100, 16, 64, 64)
        ours = cell(peer.cell).with_options(**dict.fromkeys(peer.sizes, size.H))
        [row] = bench([ours], [size], (1,), [theirs], 1.0, modes=[True])
        ratios[name] = row.speedup(theirs)
        words = "; ".join(filter(None, (peer.differs, peer.adds and f"adds {peer.adds}")))
        yield (
            f"| `{peer.cell}` | `{name}` | {row.own.median:.2f} | "
            f"{row.peers[theirs].median:.2f} | {ratios[name]:.2f}x | {words} |"
        )
    least = min(ratios, key=ratios.__getitem__)
    yield ""
    yield (
        f"- {len(ratios)} layers: geometric mean {geometric_mean(ratios.values()):.2f}x, least "
        f"{ratios[least]:.2f}x (`{least}`)"
    )
