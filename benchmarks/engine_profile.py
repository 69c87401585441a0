"""Where the time of a training step of the LSTM goes on the CPU engine.

    python benchmarks/engine_profile.py [--save]

The engine's products of matrices and its packing are wrapped in a clock; what else it does is
elementwise work and copies. Beside the engine is Python: torch's autograd and what surrounds a
call. One thread; means over many steps, least disturbed half of them.
"""

from __future__ import annotations

import ctypes
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

import cellwright
from cellwright.backends.cpu import build
from cellwright.backends.cpu.build import FLAGS, HERE, Engine, compiler
from cellwright.backends.cpu.plan import Plan
from cellwright.bench.bench import Size
from cellwright.bench.contestants import step
from cellwright.bench.measure import gemm_peak
from cellwright.bench.table import machine
from saved import save

SIZES = (Size(100, 16, 64, 64), Size(100, 32, 128, 128), Size(100, 64, 512, 512))
CLOCK = """
#include "matrix.hpp"

namespace {
const Kernels* real;
Kernels timed;
long spent[3];  // multiplying forward, with transposed matrices and for sums, packing

template <int Where, typename Run>
void clock(Run run) {
    const long start = __builtin_ia32_rdtsc();
    run();
    spent[Where] += __builtin_ia32_rdtsc() - start;
}

void multiply(Result to, long n, const Term* terms, int count, bool add) {
    clock<0>([&] { real->multiply(to, n, terms, count, add); });
}
void transposed(Result to, long n, const Term* terms, int count, bool add) {
    clock<1>([&] { real->multiply_transposed(to, n, terms, count, add); });
}
void pack(REAL* to, const REAL* m, long by_row, long by_column, long n, long k, long block) {
    clock<2>([&] { real->pack(to, m, by_row, by_column, n, k, block); });
}
}  // namespace

extern "C" const void* wrapped(const Kernels* kernels) {
    real = kernels;
    timed = *kernels;
    timed.multiply = multiply;
    timed.multiply_transposed = transposed;
    timed.pack = pack;
    return &timed;
}
extern "C" long* ticks() { return spent; }
extern "C" long now() { return __builtin_ia32_rdtsc(); }
"""


class Clock:
    """Engines whose kernels are timed, and how long they run."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as work:
            text, made = Path(work, "clock.cpp"), Path(work, "clock.so")
            text.write_text(CLOCK)
            command = [*compiler(), *FLAGS, "-march=native", f"-I{HERE}", str(text)]
            subprocess.run([*command, "-o", str(made)], check=True)
            self.library = ctypes.CDLL(str(made))
        self.library.wrapped.restype = ctypes.c_void_p
        self.library.wrapped.argtypes = [ctypes.c_void_p]
        self.library.ticks.restype = ctypes.POINTER(ctypes.c_long)
        self.library.now.restype = ctypes.c_long
        self.engine_ticks = 0
        shared = ctypes.c_long.in_dll(build.load_kernels(double=False), "kernels")
        self.kernels = self.library.wrapped(ctypes.addressof(shared))

    def wrap(self, engine: Engine) -> Engine:
        """An engine with timed kernels."""
        assert isinstance(engine.run, partial)
        run = partial(engine.run.func, self.kernels)

        def timed(call: int) -> int:
            start = self.library.now()
            found: int = run(call)
            self.engine_ticks += self.library.now() - start
            return found

        return Engine(timed, engine.block)

    def read(self) -> list[int]:
        """Ticks since it was last read: two kinds of products, packing, the engine in all."""
        ticks = self.library.ticks()
        found = [*ticks[0:3], self.engine_ticks]
        ticks[0] = ticks[1] = ticks[2] = self.engine_ticks = 0
        return found


def row(size: Size, clock: Clock, seconds: float = 4.0) -> list[str]:
    """What a training step of this size spends, in words of a table."""
    x = torch.randn(size.T, size.B, size.I)
    layer = cellwright.LSTM(size.I, size.H)
    run = step(layer, x, training=True)
    for _ in range(3):
        run()
    steps: list[list[float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(steps) < 8:
        clock.read()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start, ticks = time.perf_counter(), clock.library.now()
        run()
        ms, ticks = 1e3 * (time.perf_counter() - start), clock.library.now() - ticks
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        steps.append([ms, faults, *(t / ticks for t in clock.read())])
    quiet = sorted(steps)[: len(steps) // 2]
    ms, faults, forward, transposed, packing, engine = (
        statistics.fmean(column) for column in zip(*quiet, strict=True)
    )
    peak = gemm_peak() / 1e3
    operations = 2 * size.T * size.B * 4 * size.H * (2 * size.I + 3 * size.H)
    shares = (forward + transposed, engine - forward - transposed - packing, packing, 1 - engine)
    return [
        str(size),
        f"{ms:.2f}",
        *(f"{share:.1%}" for share in shares),
        f"{operations / ms / peak:.0%}",
        f"{operations / (ms * (forward + transposed)) / peak:.0%}",
        f"{faults:.0f}",
    ]


def main() -> None:
    torch.set_num_threads(1)
    clock = Clock()
    engine = Plan.engine
    Plan.engine = lambda self, double: clock.wrap(engine(self, double))  # type: ignore[method-assign]
    columns = ("T, B, I, H", "ms", "products of matrices", "elementwise, copies", "packing",
               "Python", "of GEMM peak", "products, of GEMM peak", "page faults")  # fmt: skip
    lines = [
        "# Where the time of a training step of `lstm` goes\n",
        f"{machine()}; one thread. The GEMM peak is that of `torch.mm`, large and square.\n",
        "| " + " | ".join(columns) + " |",
        "|---" * len(columns) + "|",
        *("| " + " | ".join(row(size, clock)) + " |" for size in SIZES),
    ]
    print("\n".join(lines))
    if "--save" in sys.argv:
        save("engine_profile", lines)


if __name__ == "__main__":
    main()
