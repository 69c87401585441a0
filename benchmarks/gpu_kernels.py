"""The kernels of cells, compiled for GPUs without one: registers, shared memory, spills.

    python benchmarks/gpu_kernels.py [CELL ...] [--target 90] [--hidden 64] [--dtype bfloat16]
                                     [--regime fit] [--json] [--save]

Every cell without any; `--target` may be repeated. A regime that is named is tried first. The
interpreter has to be off.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from cellwright.backends.triton import tiles
from cellwright.backends.triton.build import constants, load, options
from cellwright.backends.triton.emit import emit
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import layout
from cellwright.backends.triton.tiles import Tiles
from cellwright.language import cell, cell_names
from cellwright.program.derivative import derivative
from cellwright.program.program import Program
from saved import save

WIDE = ("total", "state", "buffer", "summed")
"""What kernels are given in float32 whatever the layer's type."""
TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


MEMORY = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""KiB of shared memory that a program may have, by compute capability."""


def kernels(
    p: Program, hidden: int, B: int, dtype: torch.dtype, target: int
) -> Iterator[tuple[Kernel, Tiles]]:
    """The kernels of a program at a size, for a GPU with as many multiprocessors as an A100."""
    of, made = layout(p), emit(p)
    sizes = dict.fromkeys(of.sizes, hidden)
    most = tiles.limits(MEMORY[target] * 2**10, multiprocessors=108)
    loop = tiles.loop_tiles(of, sizes, B, dtype.itemsize, most)
    by_segments = [*made.ahead, *made.behind, *(made.step if loop is None else ())]
    for kernel in by_segments:
        if kernel:
            yield kernel, tiles.segment_tiles(of, kernel, sizes, B)
    if loop:
        yield (made.meeting if loop.regime == "shared" else made.fused), loop


def compiled(
    kernel: Kernel, to: Tiles, dtype: torch.dtype, target: int, reverse: bool
) -> dict[str, int]:
    """What a kernel takes, addresses and strides being multiples of 16."""
    function = load(kernel)
    types = dict.fromkeys(function.arg_names, "i32")
    for a in kernel.arguments:
        types[a.name] = f"*{'fp32' if a.kind in WIDE else TYPES[dtype]}"
    types |= {"lengths": "*i32", "resets": "*u8", "counter": "*i32", "arrived": "*i32"}
    fixed = constants(to, dtype, reverse, lengths=True, resets=True, tf32=False)
    types |= dict.fromkeys(fixed, "constexpr")
    even = {
        (i,): [["tt.divisibility", 16]]
        for i, name in enumerate(function.arg_names)
        if types[name] != "constexpr" and name not in ("T", "B")
    }
    source = ASTSource(function, types, fixed, even)
    found = triton.compile(source, target=GPUTarget("cuda", target, 32), options=options(to))
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(found.asm["cubin"])
        file.flush()
        asked = [str(tool), "--dump-resource-usage", file.name]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    usage = {key: int(number) for key, number in re.findall(r"(REG|STACK):(\d+)", said)}
    return {
        "registers": usage["REG"],
        "stack": usage["STACK"],
        "shared": found.metadata.shared,
    }


def rows(name: str, about: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each kernel of a cell's two passes."""
    both = derivative(cell(name).program)
    dtype = getattr(torch, about.dtype)
    for which, p in (("forward", both.forward), ("backward", both.backward)):
        for target in about.target:
            for kernel, to in kernels(p, about.hidden, 64, dtype, target):
                took = compiled(kernel, to, dtype, target, reverse=which == "backward")
                yield {
                    "cell": name,
                    "pass": which,
                    "kernel": kernel.name,
                    "regime": to.regime,
                    "target": target,
                    "warps": to.warps,
                    **took,
                }


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*")
    parser.add_argument("--target", type=int, action="append")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--dtype", choices=[str(t)[6:] for t in TYPES], default="bfloat16")
    parser.add_argument("--regime", choices=tiles.REGIMES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    about = parser.parse_args(words)
    about.target = about.target or [90]
    if about.regime:
        tiles.REGIMES = (about.regime, "independent", "segments")
    found = []
    lines = [
        f"# The kernels of every cell, compiled for {' '.join(f'sm_{t}' for t in about.target)}\n",
        f"Both passes at H = {about.hidden} in {about.dtype}, by triton {version('triton')}. Stack "
        "is what does not fit registers, in bytes.\n",
        "| cell | pass | kernel | regime | target | warps | registers | stack | shared |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    if not about.json:
        print("\n".join(lines))
    for name in about.cells or cell_names():
        for row in rows(name, about):
            found.append(row)
            lines.append("| " + " | ".join(map(str, row.values())) + " |")
            if not about.json:
                print(lines[-1], flush=True)
    if about.json:
        print(json.dumps(found))
    if about.save:
        save("gpu_kernels", lines)


if __name__ == "__main__":
    main(sys.argv[1:])
