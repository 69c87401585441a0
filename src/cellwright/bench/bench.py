"""A cell beside its peers: times, as ratios in one run; operations; memory; after a check that what
is timed is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import ceil, exp, log
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cellwright.backends.registry import select
from cellwright.bench.contestants import Loop, MissingPeerError, peer, step
from cellwright.bench.measure import Timing, extra_memory, gemm_peak, interleaved
from cellwright.errors import CellwrightError
from cellwright.language import Cell
from cellwright.layers.passes import passes
from cellwright.layers.recurrent import Recurrent
from cellwright.schedule.facts import products

__all__ = ["PEERS", "SIZES", "Measurement", "ParityError", "Size", "bench", "geometric_mean"]

PEERS = ("nn.LSTM", "nn.GRU", "loop", "torchrecurrent")
"""What a cell is measured against where nothing is named."""


class Size(NamedTuple):
    """Steps, batch, input size, hidden size."""

    T: int
    B: int
    I: int  # noqa: E741 - as the letters are everywhere
    H: int

    def __str__(self) -> str:
        return f"{self.T}, {self.B}, {self.I}, {self.H}"


SIZES = (
    Size(100, 16, 32, 32),
    Size(100, 16, 64, 64),
    Size(100, 128, 100, 100),
    Size(100, 32, 128, 128),
    Size(100, 64, 256, 256),
    Size(100, 64, 512, 512),
    Size(200, 1, 64, 64),
    Size(200, 1, 256, 256),
)


class ParityError(CellwrightError):
    """What was to be timed gives other results than the reference."""


@dataclass(frozen=True)
class Measurement:
    """One cell, at one size, on some threads."""

    cell: str
    """Its name, and how it is varied."""
    backend: str
    """What ran it."""
    size: Size
    threads: int
    training: bool
    own: Timing
    peers: dict[str, Timing]
    operations: float
    """Multiplications and additions of the matrix products in a run."""
    peak: float
    """Operations a second of large products of torch's, on as many threads, at that time."""
    operations_of: dict[str, float] = field(default_factory=dict)
    """What torch.nn's own layers do in a run."""
    memory: dict[str, float] = field(default_factory=dict)
    """Peak extra MiB of a training step, where it was asked for."""
    absent: tuple[str, ...] = ()
    """Why peers that were asked for are not there."""

    def speedup(self, name: str) -> float:
        """How many times as long the peer takes."""
        return self.peers[name].median / self.own.median

    def speedup_by_operations(self, name: str) -> float:
        """The same for one operation."""
        return self.speedup(name) * self.operations / self.operations_of[name]

    @property
    def share_of_peak(self) -> float:
        """Of what a large product of matrices reaches."""
        return self.operations / (self.own.median / 1e3) / self.peak


def bench(
    cells: Sequence[Cell],
    sizes: Sequence[Size] = SIZES,
    threads: Sequence[int] = (1,),
    peers: Sequence[str] = PEERS,
    seconds: float = 2.0,
    modes: Sequence[bool] = (True, False),
    memory: bool = False,
    input_gradient: bool = False,
    variations: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Measurement]:
    """Rows as they are measured.

    `modes`: whether a run is one of training. `input_gradient`: whether training wants the gradient
    of the input, as a layer on top of another does. `variations`: more arguments of the cells'
    layers, as `zoneout`; peers have none of them.

    Raises ParityError, before a row is timed, where its results are not right, and MissingPeerError
    for a peer that there is none of; of torchrecurrent's layers those that it has are measured, and
    a row says what is absent.
    """
    before = torch.get_num_threads()
    try:
        for count in threads:
            torch.set_num_threads(count)
            for size in sizes:
                for cell in cells:
                    yield from _rows(
                        cell, size, count, peers, seconds, modes, memory, input_gradient, variations
                    )
    finally:
        torch.set_num_threads(before)


def _rows(
    cell: Cell,
    size: Size,
    threads: int,
    peers: Sequence[str],
    seconds: float,
    modes: Sequence[bool],
    memory: bool,
    input_gradient: bool,
    variations: Mapping[str, Any],
) -> Iterator[Measurement]:
    torch.manual_seed(0)
    width = size.H if cell.program.inputs[0].shape == ("H",) else size.I
    x = torch.randn(size.T, size.B, width, requires_grad=input_gradient)
    layer = Recurrent(cell, width, size.H, **variations)
    beside, absent = {}, []
    for name in peers:
        try:
            beside[name] = peer(name, cell, width, size.H)
        except MissingPeerError as e:
            if name != "torchrecurrent":
                raise
            absent.append(str(e))
    for training in modes:
        for module in (layer, *beside.values()):
            module.train(training)
        for own in (layer, *(m for m in beside.values() if isinstance(m, Recurrent))):
            check_parity(own, x, training)
        runs = {name: step(module, x, training) for name, module in beside.items()}
        peak = gemm_peak()
        timings = interleaved({"": step(layer, x, training), **runs}, seconds)
        peak = max(peak, gemm_peak())  # before and behind: the machine may have become quieter
        found = {}
        if memory and training:
            for name, module in {cell.name: layer, **beside}.items():
                if (grown := extra_memory(step(module, x, training=True))) is not None:
                    found[name] = grown
        yield Measurement(
            cell=", ".join((cell.name, *layer.variations.shown())),
            backend=_backend(layer, x, training),
            size=size,
            threads=threads,
            training=training,
            own=timings.pop(""),
            peak=peak,
            peers=timings,
            operations=_operations(layer, size, training, input_gradient),
            operations_of={
                name: _operations_of(name, size, width, training, input_gradient)
                for name in _GATES
                if name in timings
            },
            memory=found,
            absent=tuple(absent),
        )


def _backend(layer: Recurrent, x: Tensor, training: bool) -> str:
    """What runs a layer."""
    known = passes(layer.steps[training, False].text)
    trained = (known.derivative.forward, known.backward[x.requires_grad])
    programs = trained if training else (known.program,)
    names = (select(layer.backend, p, x.device, x.dtype).name for p in programs)
    return " and ".join(dict.fromkeys(names))


# --- operations ---------------------------------------------------------------------------------

_GATES = {"nn.RNN": 1, "nn.LSTM": 4, "nn.GRU": 3}


def _operations(layer: Recurrent, size: Size, training: bool, input_gradient: bool) -> float:
    sizes = layer.cell.sizes(layer.input_size, layer.hidden_size)
    made, each = products(layer.program, sizes), 2.0 * size.T * size.B
    return _in_a_run(each * made.ahead, each * made.recurrent, training, input_gradient)


def _operations_of(
    name: str, size: Size, width: int, training: bool, input_gradient: bool
) -> float:
    """What a layer of torch.nn's does. On the CPU nn.LSTM is oneDNN's, which makes the gradient of
    the input whoever wants it; the others are loops, and autograd makes what is wanted."""
    each = 2.0 * size.T * size.B * _GATES[name] * size.H
    wanted = input_gradient or name == "nn.LSTM"
    return _in_a_run(each * width, each * size.H, training, wanted)


def _in_a_run(by_input: float, recurrent: float, training: bool, input_gradient: bool) -> float:
    """Of what products with the input and with states take, once: the backward pass has two of
    each, for the gradients of the matrix and of the vector."""
    if not training:
        return by_input + recurrent
    return (2 + input_gradient) * by_input + 3 * recurrent


# --- parity -------------------------------------------------------------------------------------

ROWS = 1200
"""Steps of sequences that a thread checks, at the least: more than one chunk of the engine's."""
FLOOR = 16 * torch.finfo(torch.float32).eps
"""An error, relative to the largest number of a tensor, that is none: of right results, those with
more than four times the reference's error had up to 10 eps, over the whole catalogue at `SIZES`."""


def check_parity(layer: Recurrent, x: Tensor, training: bool) -> None:
    """Compare what a run gives for the first steps of x with the reference, in float64: the output
    and, in training, the gradients; and once more, for other numbers, where that fails. Next to
    where relu and its like bend, rounding may choose the other side, with another gradient. That is
    rare, and no mistake.

    Raises ParityError where float32's error is more than four times that of the reference's own.
    """
    T, B, width = x.shape
    threads = torch.get_num_threads()
    x = x[: max(8, ceil(ROWS / ceil(B / threads)))]
    again = torch.randn_like(x).requires_grad_(x.requires_grad)
    if not _excess(layer, x, training) or not (excess := _excess(layer, again, training)):
        return
    error, allowed = excess
    small = f' with memory="{layer.memory}"' * (layer.memory != "fast")
    raise ParityError(
        f"{layer.cell.name}{small}, {'training' if training else 'inference'} at "
        f"{Size(T, B, width, layer.hidden_size)}, {threads} thread{'s' * (threads > 1)}: "
        f"results differ from the reference by {error:.1e}, where {allowed:.1e} is "
        "allowed, so it is not timed. Please report it"
    )


def _excess(layer: Recurrent, x: Tensor, training: bool) -> tuple[float, float] | None:
    """An error of a run that is too large, and what it might have been."""
    threads = torch.get_num_threads()
    found = _results(layer, x, training)
    torch.set_num_threads(1)  # what follows is many small operations
    try:
        reference = _results(_reference(layer), x, training)
        right = _results(_reference(layer).double(), x, training)
    finally:
        torch.set_num_threads(threads)
    for own, near, exact in zip(found, reference, right, strict=True):
        floor = FLOOR * float(exact.abs().max())
        allowed = max(4 * float((near - exact).abs().max()), floor)
        error = float((own - exact).abs().max())
        if not error <= allowed:
            return error, allowed
    return None


def _reference(layer: Recurrent) -> nn.Module:
    """A copy that nothing compiled runs; a loop knows nothing of variations."""
    copied = deepcopy(layer)
    copied.backend = "reference"
    return copied if layer.variations.shown() else Loop(copied)


def _results(module: nn.Module, x: Tensor, training: bool) -> list[Tensor]:
    """The output and the gradients that are wanted, in float64; masks are those of one seed."""
    torch.manual_seed(0)
    parameters = list(module.parameters())
    x = x.to(parameters[0].dtype)
    with torch.set_grad_enabled(training):
        output: Tensor = module(x)[0]
    found = [output]
    if training:
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(0))
        wanted = [*parameters, *([x] if x.requires_grad else [])]
        found += torch.autograd.grad(output, wanted, weights.to(x.dtype))
    return [y.detach().double() for y in found]


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of speed-ups."""
    logs = [log(r) for r in ratios]
    return exp(sum(logs) / len(logs))
