"""Which backend runs a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from cellwright.backends import reference
from cellwright.errors import CellwrightError
from cellwright.program.program import Program

__all__ = ["BACKENDS", "Backend", "BackendError", "select"]


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


def _reference_obstacle(p: Program | None, device: torch.device, dtype: torch.dtype) -> str | None:
    return None if dtype.is_floating_point else f"{dtype} is no floating-point type: use float32"


BACKENDS: tuple[Backend, ...] = (
    Backend(
        "reference",
        "plain torch operations, step by step: any device, any float type",
        reference.run,
        _reference_obstacle,
    ),
)
"""Fastest first."""


def select(name: str, program: Program, device: torch.device, dtype: torch.dtype) -> Backend:
    """The backend of that name; for `"auto"` the fastest that can run the program.

    Raises BackendError where there is none, with the reason.
    """
    known = [b.name for b in BACKENDS]
    if name != "auto" and name not in known:
        raise BackendError(f"unknown backend {name!r}: choose auto, {', '.join(known)}")
    reasons = []
    for backend in BACKENDS:
        if name in ("auto", backend.name):
            reason = backend.obstacle(program, device, dtype)
            if reason is None:
                return backend
            reasons.append(f"{backend.name}: {reason}")
    raise BackendError(f"no backend can run this on {device} in {dtype}: {'; '.join(reasons)}")
