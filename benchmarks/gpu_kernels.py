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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from cellwright.backends import registry
from cellwright.backends.triton import call, tiles
from cellwright.backends.triton.build import load, options
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.tiles import Tiles
from cellwright.language import cell, cell_names
from cellwright.layers.recurrent import Recurrent
from saved import save

TYPES = {
    torch.float32: "fp32",
    torch.bfloat16: "bf16",
    torch.float16: "fp16",
    torch.int32: "i32",
    torch.uint8: "u8",
}
MEMORY = {80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""KiB of shared memory that a program may have, by compute capability."""


@dataclass(frozen=True)
class Launch:
    """A kernel, and what it was about to be given."""

    kernel: Kernel
    tiles: Tiles
    given: dict[str, object]
    fixed: Mapping[str, object]
    itemsize: int
    backward: bool


def launches(name: str, hidden: int, dtype: torch.dtype, target: int, B: int = 64) -> list[Launch]:
    """What a training step launches, for a GPU with as many multiprocessors as an A100: tensors are
    on the CPU, and no kernel runs."""
    found: list[Launch] = []

    def launch(self: call.Call, kernel: Kernel, to: Tiles, **more: Tensor) -> None:
        given, fixed = self.arguments(kernel, to, **more)
        named = dict(zip(load(kernel).arg_names, given, strict=False))
        if all(kernel is not made.kernel for made in found):
            found.append(Launch(kernel, to, named, fixed, self.like.itemsize, self.reverse))

    call.Call.launch = launch  # type: ignore[method-assign]
    most = tiles.limits(MEMORY[target] * 2**10, multiprocessors=108)
    call.device_limits = lambda _: most  # type: ignore[assignment]
    layer = Recurrent(cell(name), hidden, hidden, dtype=dtype, backend="triton")
    x = torch.zeros(2, B, hidden, dtype=dtype).requires_grad_()
    resets = torch.zeros(2, B, dtype=torch.bool)
    y, _ = layer(x, lengths=torch.full((B,), 2), resets=resets)
    y.backward(torch.zeros_like(y))
    return found


def compiled(about: Launch, target: int) -> dict[str, int]:
    """What a kernel takes. As where Triton launches it, it is compiled for tensors and numbers that
    are multiples of 16, where they are, and for what is 1 or missing."""
    types, fixed, even = {}, dict(about.fixed), {}
    for i, (name, x) in enumerate(about.given.items()):
        if x is None or (isinstance(x, int) and x == 1):
            fixed[name] = x
            continue
        types[name] = f"*{TYPES[x.dtype]}" if isinstance(x, Tensor) else "i32"
        if (x.data_ptr() if isinstance(x, Tensor) else x) % 16 == 0:
            even[(i,)] = [["tt.divisibility", 16]]
    types |= dict.fromkeys(fixed, "constexpr")
    source = ASTSource(load(about.kernel), types, fixed, even)
    gpu = GPUTarget("cuda", target, 32)
    found = triton.compile(source, target=gpu, options=options(about.tiles, about.itemsize))
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
    """A row for each kernel of a training step."""
    for target in about.target:
        for each in launches(name, about.hidden, getattr(torch, about.dtype), target):
            yield {
                "cell": name,
                "pass": "backward" if each.backward else "forward",
                "kernel": each.kernel.name,
                "regime": each.tiles.regime,
                "target": target,
                "warps": each.tiles.warps,
                **compiled(each, target),
            }


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cells", nargs="*")
    parser.add_argument("--target", type=int, action="append")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--regime", choices=tiles.REGIMES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--save", action="store_true")
    about = parser.parse_args(words)
    about.target = about.target or [90]
    if about.regime:
        tiles.REGIMES = (about.regime, "independent", "segments")
    torch.set_num_threads(1)
    [backend] = [b for b in registry.BACKENDS if b.name == "triton"]
    registry.BACKENDS = (replace(backend, obstacle=lambda *_: None),)
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
