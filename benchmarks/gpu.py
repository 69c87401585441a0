"""The Triton backend on a GPU: whether it is right there, and how fast it is beside its peers.

    python benchmarks/gpu.py [PART ...] [--save]

Parts: correctness, loop, dense, heads, kin, elementwise; all without any, which is meant to take
less than ten minutes: no GPU has run it yet. Times are medians of CUDA events in one process, the
sides in turns; a ratio is how many times as long the peer takes. What is not installed, of flashrnn
and haste_pytorch, is left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from cellwright.backends.triton import tiles
from cellwright.bench.bench import Size
from cellwright.bench.contestants import Loop, step
from cellwright.language import cell, cell_names
from cellwright.layers.recurrent import Recurrent
from every_cell import least_bytes
from saved import carry_out

CUDA = torch.device("cuda")
ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
SEVERAL = (
    "rnn",
    "lstm",
    "gru",
    "gru_reset_before",
    "mgu",
    "nbrc",
    "slstm",
    "ind_rnn",
    "sru",
    "lem",
)
ELEMENTWISE = ("ind_rnn", "sru", "min_gru", "min_lstm", "rg_lru", "hgrn")


# --- correctness --------------------------------------------------------------------------------


def correctness() -> Iterator[str]:
    """Outputs, final states and gradients of every cell against the reference in float64, relative
    to the largest value or 1: the loop as its size has it, and, where it has matrices, with
    programs that meet, and by segments. Processes side by side, as most of it is compiling."""
    runs = ((name, *what) for name in cell_names() for what in WAYS)
    workers = max(1, (os.cpu_count() or 2) - 2)
    worst: dict[tuple[str, str], float] = {}
    yield "| cell | regime | type | largest error | of | |"
    yield "|---|---|---|---|---|---|"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for (name, regime, dtype), (error, of) in zip(
            ((name, *what) for name in cell_names() for what in WAYS),
            pool.map(_checked, runs),
            strict=True,
        ):
            kind = str(dtype).removeprefix("torch.")
            verdict = "" if error <= ALLOWED[dtype] else "**beyond what is allowed**"
            yield f"| `{name}` | {regime} | {kind} | {error:.1e} | {of} | {verdict} |"
            worst[regime, kind] = max(worst.get((regime, kind), 0.0), error)
    yield ""
    for (regime, kind), error in worst.items():
        yield f"- {regime}, {kind}: at most {error:.1e}"


WAYS = (
    ("as it is", torch.float32),
    ("as it is", torch.bfloat16),
    ("shared", torch.float32),
    ("segments", torch.float32),
)


def _checked(run: tuple[str, str, torch.dtype]) -> tuple[float, str]:
    """The largest error of a training step, and of what; what goes wrong counts as infinite."""
    try:
        return _error(*run)
    except Exception as e:
        return float("inf"), f"{type(e).__name__}: {str(e).splitlines()[0][:80]}"


def _error(name: str, regime: str, dtype: torch.dtype) -> tuple[float, str]:
    if regime != "as it is":
        tiles.REGIMES = (regime, "independent", "fit", "segments")
    T, B, H = 33, 19, 200 if regime == "shared" else 40
    torch.manual_seed(0)
    own = Recurrent(cell(name), H, H, device=CUDA, dtype=dtype, backend="triton")
    plain = Recurrent(cell(name), H, H, device=CUDA, dtype=torch.float64, backend="reference")
    plain.load_state_dict({k: v.double() for k, v in own.state_dict().items()})
    x = torch.randn(T, B, H, device=CUDA, dtype=dtype)
    lengths = torch.randint(1, T + 1, (B,))
    resets = torch.rand(T, B, device=CUDA) < 0.1
    found, expected = (
        _trained(m, x.to(next(m.parameters()).dtype), lengths, resets) for m in (own, plain)
    )
    errors = {}
    for key, right in expected.items():
        difference, scale = (float(d.abs().max()) for d in (found[key].double() - right, right))
        error = difference / max(1.0, scale)
        errors[key] = error if error == error else float("inf")
    of = max(errors, key=errors.__getitem__)
    return errors[of], of


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
    for run in contestants.values():
        for _ in range(3):
            run()
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
    """Training steps of several cells at T = 512, B = 16, I = H = 64 in bfloat16 beside the loop
    over steps in torch; and beside `torch.compile` of that loop at 16 steps, times 32, as compiling
    it for more takes minutes. To be at least 40x the eager loop."""
    T, B, H, dtype = 512, 16, 64, torch.bfloat16
    yield "| cell | ms | eager loop | | compiled, times 32 | |"
    yield "|---|---|---|---|---|---|"
    for name in SEVERAL:
        m = own(name, H, H, dtype)
        eager = Loop(m)
        short = torch.compile(Loop(m))
        x = inputs(T, B, H, dtype)
        times = timed(
            {
                "own": step(m, x, True),
                "eager": step(eager, x, True),
                "short": step(short, x[:16], True) if name in ("lstm", "gru") else lambda: None,
            },
            turns=3,
        )
        compiled = 32 * times["short"] if name in ("lstm", "gru") else None
        beside = f"{compiled:.1f} | {compiled / times['own']:.1f}x" if compiled else " | "
        yield (
            f"| `{name}` | {times['own']:.2f} | {times['eager']:.1f} | "
            f"{times['eager'] / times['own']:.1f}x | {beside} |"
        )


def dense() -> Iterator[str]:
    """`lstm` and `gru` beside cuDNN, and haste where it is; training steps. To be within 1.5x of
    cuDNN's time (a ratio of at least 0.67x)."""
    yield "| cell | T, B, H | type | ms | cuDNN | | haste | |"
    yield "|---|---|---|---|---|---|---|---|"
    sizes = [(512, 16, 64), (512, 16, 256), (1024, 16, 512), (512, 128, 512), (512, 16, 1024)]
    for name, module in (("lstm", nn.LSTM), ("gru", nn.GRU)):
        for dtype in (torch.bfloat16, torch.float32):
            for T, B, H in sizes:
                x = inputs(T, B, H, dtype)
                runs = {
                    "own": step(own(name, H, H, dtype), x, True),
                    "cuDNN": step(module(H, H, device=CUDA, dtype=dtype), x, True),
                }
                haste = _library("haste_pytorch")
                if haste and dtype == torch.float32:
                    peer = getattr(haste, module.__name__)(H, H).to(CUDA)
                    runs["haste"] = step(peer, x, True)
                yield f"| `{name}` | {T}, {B}, {H} | {_short(dtype)} | {_beside(timed(runs), 2)} |"


def heads() -> Iterator[str]:
    """`lstm` and `gru` with one head of 64 units, and with 12 of them, beside flashrnn's
    cuda_fused; training steps, what both have to do besides the recurrence left out as far as it
    can be: flashrnn is given its products with the input. To be at least 1.0x."""
    flashrnn = _library("flashrnn")
    yield "| cell | T, B, heads | type | ms | flashrnn | |"
    yield "|---|---|---|---|---|---|"
    dtype = torch.bfloat16
    for name, gates in (("lstm", 4), ("gru", 4)):
        for T, B, N in ((512, 16, 1), (1024, 16, 12), (1024, 128, 12)):
            m = own(name, 64 * N, 64 * N, dtype, heads=N)
            runs = {"own": step(m, inputs(T, B, 64 * N, dtype), True)}
            if flashrnn:
                runs["flashrnn"] = _flashrnn(flashrnn, name, gates, T, B, N, dtype)
            yield f"| `{name}` | {T}, {B}, {N} | {_short(dtype)} | {_beside(timed(runs), 1)} |"


def _flashrnn(
    library: Any, name: str, gates: int, T: int, B: int, N: int, dtype: torch.dtype
) -> Callable[[], None]:
    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, device=CUDA, dtype=dtype).requires_grad_()

    wx, r, b = draw(B, T, gates, N, 64), draw(gates, N, 64, 64), draw(gates, N, 64)

    def run() -> None:
        states, _ = library.flashrnn(wx, r, b, function=name, backend="cuda_fused")
        states[0].backward(torch.ones_like(states[0]))

    return run


def kin() -> Iterator[str]:
    """Kin of `lstm` beside it; training steps. To take at most 1.15 times as long for one more
    term or one gate less, so a ratio of at least 0.87x."""
    T, B, H, dtype = 512, 16, 64, torch.bfloat16
    yield "| cell | ms | `lstm` | |"
    yield "|---|---|---|---|"
    x = inputs(T, B, H, dtype)
    for name in ("peephole_lstm", "coupled_lstm", "cifg", "janet", "nbrc"):
        runs = {other: step(own(other, H, H, dtype), x, True) for other in (name, "lstm")}
        yield f"| `{name}` | {_beside(timed(runs), 1)} |"


def elementwise() -> Iterator[str]:
    """Cells whose units are independent: the bytes that a training step has to move at the least,
    and their share of what a copy of a large array moves in that time. To be at least 70%."""
    T, B, H = 512, 128, 1024
    a = torch.ones(2**28, device=CUDA, dtype=torch.uint8)
    b = torch.zeros_like(a)
    rate = 2 * a.numel() / timed({"": lambda: b.copy_(a)})[""]
    yield "| cell | MiB | ms | of a copy's |"
    yield "|---|---|---|---|"
    for name in ELEMENTWISE:
        run = step(own(name, H, H, torch.float32), inputs(T, B, H, torch.float32), True)
        moved = least_bytes(cell(name).program, Size(T, B, H, H))
        took = timed({"": run})[""]
        yield f"| `{name}` | {moved / 2**20:.0f} | {took:.2f} | {moved / rate / took:.0%} |"


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
