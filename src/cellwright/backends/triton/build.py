"""A kernel's source as a function that Triton launches."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch

from cellwright.backends.triton.interpreter import interpreting
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.tiles import HOPPER, Limits, Tiles, limits

__all__ = ["constants", "device_limits", "function", "load", "options"]

FUSION = True
"""Whether the compiler may contract to fused multiply-adds: said here, as Triton's own default
changes between versions."""

REGISTERS = 2**16
"""Of a multiprocessor; a thread has 255 of them at the most."""


@lru_cache(maxsize=8192)
def load(kernel: Kernel) -> Any:
    """The kernel, to be launched by Triton."""
    import triton

    return triton.jit(function(kernel))


def function(kernel: Kernel) -> Any:
    """The kernel as a plain function, whose source `inspect` finds: Triton reads it there."""
    text = kernel.source.replace("@triton.jit\n", "")
    name = f"<cellwright {kernel.name} {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "cellwright.backends.triton.generated"}
    exec(compile(text, name, "exec"), space)
    return space[kernel.name]


@lru_cache
def device_limits(device: torch.device) -> Limits:
    """What a program may have at the most; in the interpreter, as on a common device."""
    if device.type != "cuda":
        return HOPPER
    about = torch.cuda.get_device_properties(device)
    memory = about.shared_memory_per_block_optin  # type: ignore[attr-defined]
    return limits(memory, about.multi_processor_count)


@lru_cache(maxsize=4096)
def constants(
    tiles: Tiles, dtype: torch.dtype, reverse: bool, lengths: bool, resets: bool, tf32: bool
) -> Mapping[str, object]:
    """What a kernel is compiled for. Without `tf32` products in float32 are made of three."""
    import triton.language as tl

    acc = tl.float64 if dtype == torch.float64 else tl.float32
    own = getattr(tl, str(dtype).removeprefix("torch."))
    by_size = enumerate(zip(tiles.units, tiles.whole, strict=True))
    return {
        "REVERSE": reverse,
        "LENGTHS": lengths,
        "RESETS": resets,
        "ACC": acc,
        "DTYPE": own,
        "DOT": acc if interpreting() else own,  # where products of bfloat16 are not right
        "PRECISION": "tf32" if tf32 else "tf32x3",
        "PROGRAMS": tiles.grid[1],
        "ROWS": tiles.rows,
        "PARTS": tiles.parts,
        "SHORT": dtype.itemsize == 2 and not interpreting(),
        **{f"{name}{z}": n for z, both in by_size for name, n in zip("UA", both, strict=True)},
    }


def options(tiles: Tiles, itemsize: int) -> dict[str, object]:
    """How it is compiled and launched. A grid whose programs meet has to run all at once.

    Large programs are few, so in 16 bits each may have all registers: the compiler would leave half
    of them to a second one on the same multiprocessor, and spill for that. With float32 it takes
    as many as it needs, and would fill what it is given."""
    found: dict[str, object] = {
        "num_warps": tiles.warps,
        "num_stages": 1,  # loops read ahead themselves; past a barrier nobody may
        "enable_fp_fusion": FUSION,
    }
    if tiles.regime in ("fit", "shared") and itemsize == 2:
        found["maxnreg"] = min(255, REGISTERS // (32 * tiles.warps))
    if tiles.regime == "shared" and not interpreting():
        found["launch_cooperative_grid"] = True
    return found
