"""A cell beside its peers: times, as ratios in one run; operations; memory; after a check that what
is timed is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import exp, log
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cellwright.bench.contestants import Loop, MissingPeerError, peer, step
from cellwright.bench.measure import Timing, extra_memory, gemm_peak, interleaved
from cellwright.errors import CellwrightError
from cellwright.language import Cell
from cellwright.layers.recurrent import Recurrent
from cellwright.program.program import Program

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
    size: Size
    threads: int
    training: bool
    own: Timing
    peers: dict[str, Timing]
    operations: float
    """Multiplications and additions of the matrix products in a run."""
    peak: float
    """Operations a second of a large product of torch's, in the same run."""
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
) -> Iterator[Measurement]:
    """Rows as they are measured.

    `modes`: whether a run is one of training. `input_gradient`: whether training wants the gradient
    of the input, as a layer on top of another does.

    Raises ParityError, before anything is timed, where a cell's results are not right, and
    MissingPeerError for a peer that there is none of; of torchrecurrent's layers those that it has
    are measured, and a row says what is absent.
    """
    before = torch.get_num_threads()
    try:
        for cell in cells:
            check_parity(cell)
        for count in threads:
            torch.set_num_threads(count)
            for size in sizes:
                for cell in cells:
                    yield from _rows(
                        cell, size, count, peers, seconds, modes, memory, input_gradient
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
) -> Iterator[Measurement]:
    torch.manual_seed(0)
    width = size.H if cell.program.inputs[0].shape == ("H",) else size.I
    x = torch.randn(size.T, size.B, width, requires_grad=input_gradient)
    layer = Recurrent(cell, width, size.H)
    beside, absent = {}, []
    for name in peers:
        try:
            beside[name] = peer(name, cell, width, size.H)
        except MissingPeerError as e:
            if name != "torchrecurrent":
                raise
            absent.append(str(e))
    gemm = 768
    for training in modes:
        runs = {name: step(module, x, training) for name, module in beside.items()}
        timings = interleaved(
            {"": step(layer, x, training), **runs, "gemm": gemm_peak(gemm)}, seconds
        )
        found = {}
        if memory and training:
            for name, module in {cell.name: layer, **beside}.items():
                if (grown := extra_memory(step(module, x, training=True))) is not None:
                    found[name] = grown
        whole = 2.0 * size.T * size.B * size.H * (width + size.H) * (3 if training else 1)
        yield Measurement(
            cell=cell.name,
            size=size,
            threads=threads,
            training=training,
            own=timings.pop(""),
            peak=2 * gemm**3 / (timings.pop("gemm").median / 1e3),
            peers=timings,
            operations=_operations(layer.program, size, width, training, input_gradient),
            operations_of={
                name: gates * whole for name, gates in _GATES.items() if name in timings
            },
            memory=found,
            absent=tuple(absent),
        )


_GATES = {"nn.RNN": 1, "nn.LSTM": 4, "nn.GRU": 3}


def _operations(p: Program, size: Size, width: int, training: bool, input_gradient: bool) -> float:
    sizes = {"I": width, "H": size.H}
    each = 2.0 * size.T * size.B
    by_input, recurrent = (
        sum(
            each * sizes[v.args[0].shape[0]] * sizes[v.args[0].shape[1]]
            for v in p.values
            if v.op == "apply" and (v in p.recurrent) == late
        )
        for late in (False, True)
    )
    forward = by_input + recurrent
    if not training:
        return forward
    return 2 * forward + recurrent + (by_input if input_gradient else 0)


# --- parity -------------------------------------------------------------------------------------


def check_parity(cell: Cell) -> None:
    """Compare outputs and gradients with the reference, in float64.

    Raises ParityError where float32's error is more than four times that of the reference's own.
    """
    torch.manual_seed(0)
    width = 9 if cell.program.inputs[0].shape == ("H",) else 7
    layer = Recurrent(cell, width, 9)
    x, weights = torch.randn(11, 3, width), torch.randn(11, 3, 9)
    double = Loop(deepcopy(layer).double())
    found, near, right = (
        _results(module, x, weights) for module in (layer, Loop(deepcopy(layer)), double)
    )
    for own, reference, exact in zip(found, near, right, strict=True):
        floor = 1e-6 * max(1.0, float(exact.abs().max()))
        allowed = 4 * max(float((reference - exact).abs().max()), floor)
        error = float((own - exact).abs().max())
        if not error <= allowed:
            raise ParityError(
                f"{cell.name}: results differ from the reference by {error:.1e}, where "
                f"{allowed:.1e} is allowed: nothing is timed. Please report it"
            )


def _results(module: nn.Module, x: Tensor, weights: Tensor) -> list[Tensor]:
    """The output and the gradients, in float64."""
    like = next(module.parameters())
    x = x.to(like.dtype).requires_grad_()
    output: Tensor = module(x)[0]
    weights = weights[..., : output.shape[-1]].to(like.dtype)
    grads = torch.autograd.grad((output * weights).sum(), [x, *module.parameters()])
    return [y.detach().double() for y in (output, *grads)]


def geometric_mean(ratios: Iterable[float]) -> float:
    """The mean of speed-ups."""
    logs = [log(r) for r in ratios]
    return exp(sum(logs) / len(logs))
