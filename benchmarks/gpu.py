"""The Triton backend on a GPU: whether it is right there, and how fast it is beside its peers.

    python benchmarks/gpu.py [PART ...] [--minutes 10] [--save]

Parts: correctness, loop, dense, heads, kin, elementwise, directions, trials; all without any. What
does not come within the time is left out, and named at the end of its part.
Times are medians of CUDA events in one process, the sides in turns; a ratio is how many times as
long the peer takes. What is not installed, of flashrnn and haste_pytorch, is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, wraps
from importlib import import_module
from multiprocessing import get_context
from statistics import geometric_mean, median
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from cellwright.backends.triton import tiles, tune
from cellwright.backends.triton.emit import emit
from cellwright.bench.contestants import Loop, step
from cellwright.language import cell, cell_names
from cellwright.layers import streams
from cellwright.layers.recurrent import Recurrent
from cellwright.program.derivative import derivative
from cellwright.program.transforms import with_outputs
from cellwright.study.results import DEFAULT_CELLS
from saved import carry_out

CUDA = torch.device("cuda")
ALLOWED = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
CELLS = tuple(dict.fromkeys((*DEFAULT_CELLS, *cell_names())))
"""All, those of the article first."""
KIN = ("peephole_lstm", "coupled_lstm", "cifg", "janet", "nbrc")
ELEMENTWISE = ("ind_rnn", "sru", "min_gru", "min_lstm", "rg_lru", "hgrn")


# --- correctness --------------------------------------------------------------------------------


def correctness() -> Iterator[str]:
    """Outputs, final states and gradients of every cell against the reference in float64: the
    largest ‖found − right‖ / ‖right‖ of all these tensors, in 1e-7 for float32 and in 1e-3 for
    bfloat16. The loop as its size has it, with programs that meet, if any can, and by segments;
    beside bfloat16 the reference in bfloat16. To be at most 1e-5 and 1e-2."""
    runs = [(name, *what) for name in CELLS for what in WAYS]
    found = dict(_in_time(_checked, runs, until=1.0))
    yield "| cell | float32, as it is | programs meet | by segments | bfloat16 | the reference's |"
    yield "|---|---|---|---|---|---|"
    beyond = []
    for name in CELLS:
        entries, other = [], ""
        for regime, dtype in WAYS:
            if (name, regime, dtype) not in found:
                entries.append("")
                continue
            error, of, theirs = found[name, regime, dtype]
            if not error <= ALLOWED[dtype]:
                beyond.append(f"- `{name}`, {regime}, {_short(dtype)}: {error:.1e}, {of}")
            entries.append(f"{error / UNITS[dtype]:.1f}")
            other = "" if theirs is None else f"{theirs / UNITS[dtype]:.1f}"
        yield f"| `{name}` | {' | '.join([*entries, other])} |"
    yield "\nBeyond what is allowed:\n"
    yield from beyond
    yield from _left_out(runs, found)


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


T, R = TypeVar("T"), TypeVar("R")
Run = tuple[str, int, int, int, torch.dtype, int]
"""A cell, with T, B, H, a type and heads."""


def _compiled(runs: Sequence[Run], once: Callable[[Run], None] | None = None) -> Iterator[Run]:
    """Leaves the kernels of training steps and of inference, or of what else is done `once`, in
    Triton's cache, side by side, for two thirds of the time; then those runs for which they are
    there, while time lasts."""
    there = dict(_in_time(once or _once, runs, until=0.67))
    for run in runs:
        if run in there and clock.left() > 0:
            measured.add(run)
            yield run


measured: set[object] = set()
"""What a part had time for."""
failed: dict[object, str] = {}
"""What went wrong, and how."""


def _in_time(work: Callable[[T], R], given: Sequence[T], until: float) -> Iterator[tuple[T, R]]:
    """What comes of each within a share of the part's time, in processes."""
    futures: dict[Future[R], T] = {_processes().submit(work, x): x for x in given}
    done, late = wait(futures, timeout=clock.left(until))
    wait([f for f in late if not f.cancel()])  # those that run would disturb what is timed next
    for f, x in futures.items():
        if f in done and (error := f.exception()):
            failed[x] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
        elif f in done:
            yield x, f.result()


def _left_out(wanted: Iterable[Sequence[object]], there: Iterable[object]) -> Iterator[str]:
    """Says what there was no time for, and what went wrong."""
    there = set(there)
    names = {x: ", ".join(str(part).removeprefix("torch.") for part in x) for x in wanted}
    late = [name for x, name in names.items() if x not in there and x not in failed]
    if late:
        yield f"\nNot within the time, {len(late)}: {'; '.join(late)}."
    yield from (f"\n{name} went wrong: {failed[x]}." for x, name in names.items() if x in failed)


class Clock:
    """How long a part may take."""

    def __init__(self) -> None:
        self.start, self.end = time.monotonic(), float("inf")

    def begin(self, seconds: float) -> None:
        self.start = time.monotonic()
        self.end = self.start + seconds
        measured.clear()
        failed.clear()

    def left(self, share: float = 1.0) -> float:
        """Seconds until a share of the time has passed."""
        return max(0.0, self.start + share * (self.end - self.start) - time.monotonic())


clock = Clock()


def _once(about: Run) -> None:
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
    runs = [(name, 512, 16, 64, torch.bfloat16, 1) for name in CELLS]
    yield "| cell | ms | eager loop | | compiled, times 32 | |"
    yield "|---|---|---|---|---|---|"
    ratios = []
    for name, T, B, H, dtype, _ in _compiled(runs):
        m, x = own(name, H, H, dtype), inputs(T, B, H, dtype)
        mine = timed({"": step(m, x, True)})[""]
        eager = timed({"": step(Loop(m), x, True)}, turns=1)[""]
        beside = " | "
        if name in ("lstm", "gru"):
            compiled = 32 * timed({"": step(torch.compile(Loop(m)), x[:16], True)})[""]
            beside = f"{compiled:.1f} | {compiled / mine:.1f}x"
        ratios.append(eager / mine)
        yield f"| `{name}` | {mine:.2f} | {eager:.1f} | {ratios[-1]:.1f}x | {beside} |"
    if ratios:
        yield f"\nGeometric mean {geometric_mean(ratios):.1f}x, least {min(ratios):.1f}x."
    yield from _left_out(runs, measured)


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
    runs = [(name, *size, dtype, 1) for dtype in types for size in types[dtype] for name in modules]
    haste = _library("haste_pytorch")
    for name, T, B, H, dtype, _ in _compiled(runs):
        x, module = inputs(T, B, H, dtype), modules[name]
        layers = {"own": own(name, H, H, dtype), "cuDNN": module(H, H).to(CUDA, dtype)}
        if haste and dtype == torch.float32:
            layers["haste"] = getattr(haste, module.__name__)(H, H).to(CUDA)
        row = [
            _beside(timed({k: step(m, x, training) for k, m in layers.items()}), 1)
            for training in (True, False)
        ]
        yield f"| `{name}` | {T}, {B}, {H} | {_short(dtype)} | {' | '.join(row)} |"
    yield from _left_out(runs, measured)


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
    runs = [(name, T, B, 64 * N, dtype, N) for name in ("lstm", "gru") for T, B, N in HEADS]
    for name, T, B, H, _, N in _compiled(runs):
        sides = {"own": step(own(name, H, H, dtype, heads=N), inputs(T, B, H, dtype), True)}
        if flashrnn and name == "lstm":
            sides["flashrnn"] = _flashrnn(flashrnn, T, B, N, dtype)
        yield f"| `{name}` | {T}, {B}, {N} | {_short(dtype)} | {_beside(timed(sides), 1)} |"
    yield from _left_out(runs, measured)


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
    runs = [(name, *size, dtype, 1) for size in sizes for name in ("lstm", *KIN)]
    yield "| cell | T, B, H | ms | `lstm` | |"
    yield "|---|---|---|---|---|"
    for name, T, B, H, _, _ in _compiled(runs):
        if name != "lstm":
            x = inputs(T, B, H, dtype)
            sides = {k: step(own(k, H, H, dtype), x, True) for k in (name, "lstm")}
            yield f"| `{name}` | {T}, {B}, {H} | {_beside(timed(sides), 1)} |"
    yield from _left_out(runs, measured)


def elementwise() -> Iterator[str]:
    """Cells whose units are independent, at T = 512, B = 128, I = H = 1024: what the loop's kernels
    of a training step read and write, and its share of what a copy of a large array moves in that
    time. To be at least 70%. Their products with the input are cuBLAS's, and not in it."""
    types = (torch.float32, torch.bfloat16)
    runs = [(name, 512, 128, 1024, dtype, 1) for name in ELEMENTWISE for dtype in types]
    a = torch.ones(2**30, device=CUDA, dtype=torch.uint8)
    b = torch.zeros_like(a)
    rate = 2 * a.numel() / timed({"": lambda: b.copy_(a)})[""]
    yield f"A copy moves {rate / 1e9:.2f} TB/s.\n"
    yield "| cell | type | loops, MiB | ms | of a copy's rate | the whole step, ms |"
    yield "|---|---|---|---|---|---|"
    for name, T, B, H, dtype, _ in _compiled(runs):
        run = step(own(name, H, H, dtype), inputs(T, B, H, dtype), True)
        moved = T * B * dtype.itemsize * _streamed(name, H)
        whole, loops = timed({"": run})[""], _in_loops(run)
        yield (
            f"| `{name}` | {_short(dtype)} | {moved / 2**20:.0f} | {loops:.2f} | "
            f"{moved / rate / loops:.0%} | {whole:.2f} |"
        )
    yield from _left_out(runs, measured)


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


def directions() -> Iterator[str]:
    """A layer of two directions, which run on two streams, beside the same on one, and `nn.LSTM`
    and `nn.GRU`; training steps, and the largest difference of the outputs and gradients of both
    ways, which is to be 0."""
    sizes, dtype = ((512, 16, 64), (512, 128, 64), (512, 16, 512)), torch.float16
    runs = [(name, *size, dtype, 1) for name in ("lstm", "gru") for size in sizes]
    modules = {"lstm": nn.LSTM, "gru": nn.GRU}
    yield "| cell | T, B, H | difference | two streams, ms | one | | cuDNN | |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, T, B, H, _, _ in _compiled(runs, _both_ways):
        m, x = own(name, H, H, dtype, bidirectional=True), inputs(T, B, H, dtype)
        off = _apart(m, x)
        peer = modules[name](H, H, bidirectional=True).to(CUDA, dtype)
        both = step(m, x, True)

        def in_turn(run: Callable[[], object] = both) -> None:
            with _one_stream():
                run()

        times = timed({"own": both, "one": in_turn, "cuDNN": step(peer, x, True)})
        yield f"| `{name}` | {T}, {B}, {H} | {off:.1g} | {_beside(times, 2)} |"
    yield from _left_out(runs, measured)


def _both_ways(about: Run) -> None:
    name, T, B, H, dtype, _ = about
    m, x = own(name, H, H, dtype, bidirectional=True), inputs(T, B, H, dtype)
    _apart(m, x)
    step(m, x, True)()
    torch.cuda.synchronize()


def _apart(m: Recurrent, x: Tensor) -> float:
    """The largest difference between a training step on two streams, a few times over with others
    in between that use memory again, and on one."""
    T, B = x.shape[:2]
    lengths, resets = torch.randint(1, T + 1, (B,)), torch.rand(T, B, device=CUDA) < 0.1
    with _one_stream():
        right = _trained(m, x, lengths, resets)
    worst = 0.0
    for _ in range(3):
        found = _trained(m, x.clone(), lengths, resets)
        _trained(m, torch.randn_like(x), lengths, resets)
        for k, v in right.items():
            off = float((found[k] - v).detach().abs().max())
            worst = max(worst, off if off == off else float("inf"))
    return worst


@contextmanager
def _one_stream() -> Iterator[None]:
    """Directions one after the other."""
    kept, streams.at_hand = streams.at_hand, lambda _: False
    try:
        yield
    finally:
        streams.at_hand = kept


TRIED = (
    ("lstm", 512, 16, 64, torch.bfloat16, 1),
    ("gru", 512, 128, 64, torch.bfloat16, 1),
    ("lstm", 512, 16, 128, torch.bfloat16, 1),
    ("lstm", 512, 16, 512, torch.bfloat16, 1),
    ("lstm", 1024, 16, 768, torch.bfloat16, 12),
    ("sru", 512, 128, 1024, torch.bfloat16, 1),
    ("min_gru", 512, 128, 1024, torch.float32, 1),
)


def trials() -> Iterator[str]:
    """What `torch.backends.cudnn.benchmark` gains: training steps with the tiles that trials find,
    beside those of the rule."""
    yield "| cell | T, B, H, heads | type | tiles found, ms | the rule's | | found |"
    yield "|---|---|---|---|---|---|---|"
    for run in _compiled(TRIED, _tried):
        name, T, B, H, dtype, N = run
        m, x = own(name, H, H, dtype, heads=N), inputs(T, B, H, dtype)
        plain = step(m, x, True)
        before = set(tune.FOUND)

        def tried(run: Callable[[], object] = plain) -> None:
            with torch.backends.cudnn.flags(benchmark=True):
                run()

        times = timed({"tried": tried, "rule": plain})
        both = (tune.FOUND[key] for key in tune.FOUND if key not in before)
        said = ", ".join(f"{t.regime} {t.rows} by {t.warps} warps" for t in both)
        sizes = f"{T}, {B}, {H}, {N}"
        yield f"| `{name}` | {sizes} | {_short(dtype)} | {_beside(times, 1)} | {said} |"
    yield from _left_out(TRIED, measured)


def _tried(about: Run) -> None:
    name, T, B, H, dtype, heads = about
    m, x = own(name, H, H, dtype, heads=heads), inputs(T, B, H, dtype)
    step(m, x, True)()
    with torch.backends.cudnn.flags(benchmark=True):
        step(m, x, True)()
    torch.cuda.synchronize()


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


SHARES: dict[Callable[[], Iterator[str]], int] = {
    correctness: 10,
    loop: 5,
    dense: 4,
    heads: 2,
    kin: 2,
    elementwise: 2,
    directions: 2,
    trials: 4,
}
"""The parts, and how the time is shared among those that are wanted."""


def in_time(parts: Sequence[Callable[[], Iterator[str]]], seconds: float) -> dict[str, Any]:
    """The parts by name, each with its share of what is left when it begins."""
    end = time.monotonic() + seconds

    def limited(k: int, part: Callable[[], Iterator[str]]) -> Callable[[], Iterator[str]]:
        @wraps(part)
        def run() -> Iterator[str]:
            share = SHARES[part] / sum(SHARES[other] for other in parts[k:])
            clock.begin(share * max(0.0, end - time.monotonic()))
            yield from part()

        return run

    return {part.__name__: limited(k, part) for k, part in enumerate(parts)}


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=", ".join(p.__name__ for p in SHARES)
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args(words)
    named = {part.__name__: part for part in SHARES}
    if unknown := [name for name in asked.parts if name not in named]:
        parser.error(f"unknown: {', '.join(unknown)}; parts are {', '.join(named)}")
    if not torch.cuda.is_available():
        print("There is no CUDA device here: nothing was checked, and nothing was measured.")
        return 1
    parts = [named[name] for name in asked.parts] or list(SHARES)
    seconds = 60 * asked.minutes - STARTING
    flags = ["--save"] * asked.save
    carry_out(in_time(parts, seconds), flags, "gpu", about(), torch.cuda.get_device_name())
    return 0


STARTING = 40
"""Seconds of the time for importing torch, and for work that is not given up half done."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
