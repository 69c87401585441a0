"""Which backend runs a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import torch

from cellwright.backends import reference
from cellwright.backends.cpu import run as cpu
from cellwright.backends.triton import run as triton
from cellwright.errors import CellwrightError
from cellwright.program.program import Program

__all__ = ["BACKENDS", "Backend", "BackendError", "select", "tell"]


class BackendError(CellwrightError, ValueError):
    """The backend asked for does not exist or cannot run this."""


@dataclass(frozen=True)
class Backend:
    """A way to run Programs; all have the signature and the results of `reference.run`."""

    name: str
    what: str
    run: Callable[..., reference.Result]
    obstacle: Callable[[Program | None, torch.device, torch.dtype], str | None]
    """Why it cannot run a program (None: any program) on a device in a dtype, and what to do about
    it; None where it can."""
    device: str | None = None
    """The type of the device it is made for; None: any."""


def _reference_obstacle(p: Program | None, device: torch.device, dtype: torch.dtype) -> str | None:
    return None if dtype.is_floating_point else f"{dtype} is no floating-point type: use float32"


BACKENDS: tuple[Backend, ...] = (
    Backend(
        "cpu",
        "C++ compiled for this machine: float32 and float64 on the CPU",
        cpu.run,
        cpu.obstacle,
        device="cpu",
    ),
    Backend(
        "triton",
        "kernels that Triton compiles: float32, bfloat16 and float16 on CUDA",
        triton.run,
        triton.obstacle,
        device="cuda",
    ),
    Backend(
        "reference",
        "plain torch operations, step by step: any device, any float type",
        reference.run,
        _reference_obstacle,
    ),
)
"""Fastest first."""


@lru_cache(maxsize=4096)
def select(name: str, program: Program | None, device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend of that name; for `"auto"` the fastest that can run the program.

    Without a program, one that can run some program: nothing is compiled for that. Where `"auto"`
    cannot take the fastest backend for the device, a warning says so once, with the reason.

    Raises BackendError where there is none, with the reason.
    """
    known = [b.name for b in BACKENDS]
    if name != "auto" and name not in known:
        raise BackendError(f"unknown backend {name!r}: choose auto, {', '.join(known)}")
    reasons: list[str] = []
    for backend in BACKENDS:
        if name == backend.name or (name == "auto" and backend.device in (None, device.type)):
            reason = backend.obstacle(program, device, dtype)
            if reason is None:
                if reasons:
                    tell(f"cellwright runs slowly, on {backend.name}. {'; '.join(reasons)}")
                return backend
            reasons.append(f"{backend.name}: {reason}")
    raise BackendError(f"no backend can run this on {device} in {dtype}: {'; '.join(reasons)}")


_told: set[str] = set()
_ONE_BY_ONE = Lock()


def tell(message: str) -> None:
    """Warn, once a process."""
    with _ONE_BY_ONE:
        if message in _told:
            return
        _told.add(message)
    warnings.warn(message, stacklevel=3)
