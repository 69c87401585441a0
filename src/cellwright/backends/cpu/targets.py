"""The kinds of processor that cells are compiled for ahead of time."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["TARGETS", "Target", "processor", "usable"]


@dataclass(frozen=True)
class Target:
    """A kind of processor."""

    name: str
    flag: str
    """What the compiler is told."""
    needs: frozenset[str]
    """What the processor has to have, in the words of `/proc/cpuinfo`."""


_V3 = frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_X86 = (
    Target("avx512", "-march=x86-64-v4", _V4),
    Target("avx2", "-march=x86-64-v3", _V3),
    Target("baseline", "-march=x86-64", frozenset()),
)
_ARM = (Target("baseline", "-march=armv8-a", frozenset()),)
TARGETS = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}.get(
    platform.machine(), ()
)
"""Of this machine's family, the fastest first."""


@lru_cache
def usable() -> tuple[Target, ...]:
    """Those that this machine's processor is, the fastest first."""
    words = set(processor().replace(":", " ").split())
    return tuple(t for t in TARGETS if t.needs <= words)


@lru_cache
def processor() -> str:
    """What is known of the processor: what `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.platform()}"
    told = ("flags", "Features", "model name", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(told)}))
