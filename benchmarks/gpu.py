"""The Triton backend on a GPU: whether it is right there, and how fast it is beside its peers.

    python benchmarks/gpu.py [PART ...] [--save]

Parts: correctness, loop, dense, heads, kin, elementwise; all without any.
Times are medians of CUDA events in one process, the sides in turns; a ratio is how many times as
long the peer takes. What is not installed, of flashrnn and haste_pytorch, is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from statistics import geometric_mean, median
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from cellwright.backends.triton import tiles
from cellwright.backends.triton.emit import emit
from cellwright.bench.contestants import Loop, step
from cellwright.language import cell, cell_names
from cellwright.layers.recurrent import Recurrent
from cellwright.program.derivative import derivative
from cellwright.program.transforms import with_outputs
from saved import carry_out

CUDA = torch.device("cuda")
ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
KIN = ("peephole_lstm", "coupled_lstm", "cifg", "janet", "nbrc")
ELEMENTWISE = ("ind_rnn", "sru", "min_gru", "min_lstm", "rg_lru", "hgrn")


# --- correctness --------------------------------------------------------------------------------


def correctness() -> Iterator[str]:
    """Outputs, final states and gradients of every cell against the reference in float64: the
    largest ‖found − right‖ / ‖right‖ of all these tensors, in 1e-7 for float32 and in 1e-3 for
    bfloat16. The loop as its size has it, with programs that meet, if any can, and by segments;
    beside bfloat16 the reference in bfloat16. To be at most 1e-5 and 1e-2."""
    runs = [(name, *what) for name in cell_names() for what in WAYS]
    found = zip(runs, _processes().map(_checked, runs), strict=True)
    yield "| cell | float32, as it is | programs meet | by segments | bfloat16 | the reference's |"
    yield "|---|---|---|---|---|---|"
    beyond = []
    for name in cell_names():
        row = [next(found) for _ in WAYS]
        for (_, regime, dtype), (error, of, _) in row:
            if not error <= ALLOWED[dtype]:
                beyond.append(f"- `{name}`, {regime}, {_short(dtype)}: {error:.1e}, {of}")
        numbers = [error / UNITS[dtype] for (_, _, dtype), (error, _, _) in row]
        other = row[-1][1][2] or 0.0
        entries = [*numbers, other / UNITS[torch.bfloat16]]
        yield f"| `{name}` | {' | '.join(f'{e:.1f}' for e in entries)} |"
    yield "\nBeyond what is allowed:\n"
    yield from beyond


UNITS = {torch.float32: 1e-7, torch.bfloat16: 1e-3}
REGIMES = tiles.REGIMES
WAYS = (
    ("as it is", torch.float32),
    ("shared", torch.float32),
    ("segments", torch.float32),
    ("as it is", torch.bfloat16),
)


@cache
def _processes() -> ProcessPoolExecutor:
    """Side by side, for what is mostly compiling."""
    return ProcessPoolExecutor(max(1, (os.cpu_count() or 2) - 2), mp_context=get_context("spawn"))


def _compile(steps: Iterable[tuple[str, int, int, int, torch.dtype, int]]) -> None:
    """Leave the kernels of training steps, and of inference, in Triton's cache: of a cell, with
    T, B, H, a type and heads."""
    list(_processes().map(_once, steps))


def _once(about: tuple[str, int, int, int, torch.dtype, int]) -> None:
    name, T, B, H, dtype, heads = about
    m, x = own(name, H, H, dtype, heads=heads), inputs(T, B, H, dtype)
    for training in (True, False):
        step(m, x, training)()
    torch.cuda.synchronize()


def _checked(run: tuple[str, str, torch.dtype]) -> tuple[float, str, float | None]:
    """The largest error of a training step, and of what; what goes wrong counts as infinite. In
    less than float32 also the reference's of the same."""
    try:
        return _error(*run)
    except Exception as e:
        return float("inf"), f"{type(e).__name__}: {str(e).splitlines()[0][:80]}", None


def _error(name: str, regime: str, dtype: torch.dtype) -> tuple[float, str, float | None]:
    as_it_is = regime == "as it is"  # another run may have been in this process
    tiles.REGIMES = REGIMES if as_it_is else (regime, "independent", "fit", "segments")
    T, B, H = 33, 19, 200 if regime == "shared" else 40
    torch.manual_seed(0)
    own = Recurrent(cell(name), H, H, device=CUDA, dtype=dtype, backend="triton")
    plain = Recurrent(cell(name), H, H, device=CUDA, dtype=torch.float64, backend="reference")
    plain.load_state_dict({k: v.double() for k, v in own.state_dict().items()})
    x = torch.randn(T, B, H, device=CUDA, dtype=dtype)
    lengths = torch.randint(1, T + 1, (B,))
    resets = torch.rand(T, B, device=CUDA) < 0.1
    expected = _trained(plain, x.double(), lengths, resets)
    errors = _errors(_trained(own, x, lengths, resets), expected)
    of = max(errors, key=errors.__getitem__)
    if dtype == torch.float32:
        return errors[of], of, None
    short = Recurrent(cell(name), H, H, device=CUDA, dtype=dtype, backend="reference")
    short.load_state_dict(own.state_dict())
    return errors[of], of, _errors(_trained(short, x, lengths, resets), expected)[of]


def _errors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    errors = {}
    for key, right in expected.items():
        difference, scale = (float(d.norm()) for d in (found[key].double() - right, right))
        error = difference / (scale or 1.0)
        errors[key] = error if error == error else float("inf")
    return errors


def _trained(m: Recurrent, x: Tensor, lengths: Tensor, resets: Tensor) -> dict[str, Tensor]:
    x = x.detach().requires_grad_()
    y, state = m(x, lengths=lengths, resets=resets)
    states = [state] if isinstance(state, Tensor) else list(state)
    loss = (y * torch.linspace(-1, 1, y.shape[-1], device=y.device, dtype=y.dtype)).sum()
    names, parameters = zip(*m.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss + states[-1].sum(), (x, *parameters))
    named = zip(("x", *names), gradients, strict=True)
    return {"output": y, "final state": states[0]} | {f"gradient of {k}": g for k, g in named}


# --- time ---------------------------------------------------------------------------------------


def timed(contestants: Mapping[str, Callable[[], object]], turns: int = 7) -> dict[str, float]:
    """Medians in milliseconds, each having run before its turn counts."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns):
        names = list(contestants)
        for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            contestants[name]()
            start.record()
            contestants[name]()
            end.record()
            end.synchronize()
            taken[name].append(start.elapsed_time(end))
    return {name: median(times) for name, times in taken.items()}


def own(name: str, I: int, H: int, dtype: torch.dtype, **options: Any) -> Recurrent:  # noqa: E741
    return Recurrent(cell(name), I, H, device=CUDA, dtype=dtype, backend="triton", **options)


def inputs(T: int, B: int, I: int, dtype: torch.dtype) -> Tensor:  # noqa: E741
    return torch.randn(T, B, I, device=CUDA, dtype=dtype)


def loop() -> Iterator[str]:
    """Training steps of every cell at T = 512, B = 16, I = H = 64 in bfloat16 beside the loop over
    steps in torch; and beside `torch.compile` of that loop at 16 steps, times 32, as compiling it
    for more takes minutes. To be at least 40x the eager loop."""
    T, B, H, dtype = 512, 16, 64, torch.bfloat16
    _compile((name, T, B, H, dtype, 1) for name in cell_names())
    yield "| cell | ms | eager loop | | compiled, times 32 | |"
    yield "|---|---|---|---|---|---|"
    ratios = []
    for name in cell_names():
        m, x = own(name, H, H, dtype), inputs(T, B, H, dtype)
        mine = timed({"": step(m, x, True)})[""]
        eager = timed({"": step(Loop(m), x, True)}, turns=1)[""]
        beside = " | "
        if name in ("lstm", "gru"):
            compiled = 32 * timed({"": step(torch.compile(Loop(m)), x[:16], True)})[""]
            beside = f"{compiled:.1f} | {compiled / mine:.1f}x"
        ratios.append(eager / mine)
        yield f"| `{name}` | {mine:.2f} | {eager:.1f} | {ratios[-1]:.1f}x | {beside} |"
    yield f"\nGeometric mean {geometric_mean(ratios):.1f}x, least {min(ratios):.1f}x."


def dense() -> Iterator[str]:
    """`lstm` and `gru` beside cuDNN, and haste where it is; training steps and inference. To be
    within 1.5x of cuDNN's time (a ratio of at least 0.67x). TF32 is off on both sides."""
    torch.backends.cudnn.allow_tf32 = False
    yield "| cell | T, B, H | type | training, ms | cuDNN | | inference, ms | cuDNN | |"
    yield "|---|---|---|---|---|---|---|---|---|"
    sizes = [(512, 16, 64), (512, 16, 256), (1024, 16, 512), (1024, 16, 768), (512, 16, 1024)]
    sizes += [(512, 128, 512)]
    types = {torch.float16: sizes, torch.float32: sizes, torch.bfloat16: sizes[:3]}
    modules = {"lstm": nn.LSTM, "gru": nn.GRU}
    runs = [(name, *size, dtype) for name in modules for dtype in types for size in types[dtype]]
    _compile((*run, 1) for run in runs)
    haste = _library("haste_pytorch")
    for name, T, B, H, dtype in runs:
        x, module = inputs(T, B, H, dtype), modules[name]
        layers = {"own": own(name, H, H, dtype), "cuDNN": module(H, H).to(CUDA, dtype)}
        if haste and dtype == torch.float32:
            layers["haste"] = getattr(haste, module.__name__)(H, H).to(CUDA)
        row = [
            _beside(timed({k: step(m, x, training) for k, m in layers.items()}), 1)
            for training in (True, False)
        ]
        yield f"| `{name}` | {T}, {B}, {H} | {_short(dtype)} | {' | '.join(row)} |"


HEADS = ((512, 16, 1), (1024, 16, 12), (1024, 128, 12))
"""T, B, heads."""


def heads() -> Iterator[str]:
    """`lstm` with one head of 64 units, and with 12 of them, beside flashrnn's cuda_fused, which
    has no gru; training steps. flashrnn is given its products with the input, ours are made. To be
    at least 1.0x."""
    flashrnn = _library("flashrnn")
    dtype = torch.bfloat16
    yield "| cell | T, B, heads | type | ms | flashrnn | |"
    yield "|---|---|---|---|---|---|"
    _compile((name, T, B, 64 * N, dtype, N) for name in ("lstm", "gru") for T, B, N in HEADS)
    for name in ("lstm", "gru"):
        for T, B, N in HEADS:
            m = own(name, 64 * N, 64 * N, dtype, heads=N)
            runs = {"own": step(m, inputs(T, B, 64 * N, dtype), True)}
            if flashrnn and name == "lstm":
                runs["flashrnn"] = _flashrnn(flashrnn, T, B, N, dtype)
            yield f"| `{name}` | {T}, {B}, {N} | {_short(dtype)} | {_beside(timed(runs), 1)} |"


def _flashrnn(library: Any, T: int, B: int, N: int, dtype: torch.dtype) -> Callable[[], None]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, device=CUDA, dtype=dtype).requires_grad_()

    wx, r, b = draw(B, T, 4, N, 64), draw(4, N, 64, 64), draw(4, N, 64)

    def run() -> None:
        states, _ = library.flashrnn(wx, r, b, function="lstm", backend="cuda_fused")
        states[0].backward(torch.ones_like(states[0]))

    return run


def kin() -> Iterator[str]:
    """Kin of `lstm` beside it; training steps. To take at most 1.15 times as long for one more
    term or one gate less, so a ratio of at least 0.87x."""
    sizes, dtype = ((1024, 16, 64), (1024, 128, 64), (1024, 16, 512)), torch.bfloat16
    _compile((name, *size, dtype, 1) for name in ("lstm", *KIN) for size in sizes)
    yield "| cell | T, B, H | ms | `lstm` | |"
    yield "|---|---|---|---|---|"
    for T, B, H in sizes:
        x = inputs(T, B, H, dtype)
        for name in KIN:
            runs = {k: step(own(k, H, H, dtype), x, True) for k in (name, "lstm")}
            yield f"| `{name}` | {T}, {B}, {H} | {_beside(timed(runs), 1)} |"


def elementwise() -> Iterator[str]:
    """Cells whose units are independent, at T = 512, B = 128, I = H = 1024: what the loop's kernels
    of a training step read and write, and its share of what a copy of a large array moves in that
    time. To be at least 70%. Their products with the input are cuBLAS's, and not in it."""
    T, B, H = 512, 128, 1024
    types = (torch.float32, torch.bfloat16)
    _compile((name, T, B, H, dtype, 1) for name in ELEMENTWISE for dtype in types)
    a = torch.ones(2**30, device=CUDA, dtype=torch.uint8)
    b = torch.zeros_like(a)
    rate = 2 * a.numel() / timed({"": lambda: b.copy_(a)})[""]
    yield f"A copy moves {rate / 1e9:.2f} TB/s.\n"
    yield "| cell | type | loops, MiB | ms | of a copy's rate | the whole step, ms |"
    yield "|---|---|---|---|---|---|"
    for name in ELEMENTWISE:
        for dtype in types:
            run = step(own(name, H, H, dtype), inputs(T, B, H, dtype), True)
            moved = T * B * dtype.itemsize * _streamed(name, H)
            whole, loops = timed({"": run})[""], _in_loops(run)
            yield (
                f"| `{name}` | {_short(dtype)} | {moved / 2**20:.0f} | {loops:.2f} | "
                f"{moved / rate / loops:.0%} | {whole:.2f} |"
            )


def _streamed(name: str, H: int) -> int:
    """How many numbers a step of a sequence has that the loops of both passes read and write."""
    both = derivative(cell(name).program)
    arguments = [
        a for p in (both.forward, with_outputs(both.backward, ())) for a in emit(p).fused.arguments
    ]
    return sum(H if a.value.shape else 1 for a in arguments if a.kind in ("in", "out"))


def _in_loops(run: Callable[[], object], times: int = 5) -> float:
    """Milliseconds in the kernels of the loop."""
    with profile(activities=[ProfilerActivity.CUDA]) as about:
        for _ in range(times):
            run()
        torch.cuda.synchronize()
    loops = (float(e.device_time_total) for e in about.events() if e.name == "loop")
    return sum(loops) / times / 1000


# --- tables -------------------------------------------------------------------------------------


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _beside(times: Mapping[str, float], peers: int) -> str:
    """The own time, and each peer's with how many times as long it is; blanks for the missing."""
    first, *others = times.values()
    cells = [f"{first:.2f}"]
    for t in others:
        cells += [f"{t:.2f}", f"{t / first:.2f}x"]
    return " | ".join([*cells, *[" "] * (1 + 2 * peers - len(cells))])


def about() -> str:
    """What was measured on."""
    import triton

    return (
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}, "
        f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}."
    )


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    part.__name__: part for part in (correctness, loop, dense, heads, kin, elementwise)
}


def main(words: list[str]) -> int:
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing was checked, and nothing was measured.")
        return 1
    carry_out(PARTS, words, "gpu", about(), torch.cuda.get_device_name())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
