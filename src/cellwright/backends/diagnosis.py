"""Which backends work on this machine: asked, then tried."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version

import torch

from cellwright.backends.registry import BACKENDS, Backend
from cellwright.language import program

__all__ = ["Check", "Diagnosis", "diagnose"]


@dataclass(frozen=True)
class Check:
    """One backend on one device."""

    backend: str
    device: str
    what: str
    obstacle: str | None
    """Why it does not work, and what to do; None where it does."""


@dataclass(frozen=True)
class Diagnosis:
    """What there is, and what works."""

    versions: dict[str, str]
    checks: tuple[Check, ...]


_TRIAL = "h' = tanh(W x + R h + b)\noutput h'\n"


def diagnose() -> Diagnosis:
    """Ask every backend whether it can run on the device it is made for, or on each here, and have
    those that can run."""
    devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
    versions = {
        "cellwright": version("cellwright"),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
        "machine": f"{platform.machine()}, {torch.get_num_threads()} torch threads",
        "CUDA": torch.cuda.get_device_name() if torch.cuda.is_available() else "no device",
    }
    asked = [(b, d) for b in BACKENDS for d in ([b.device] if b.device else devices)]
    return Diagnosis(versions, tuple(_check(b, d) for b, d in asked))


def _check(backend: Backend, device: str) -> Check:
    p = program(_TRIAL)
    obstacle = backend.obstacle(p, torch.device(device), torch.float32)
    if obstacle is None:
        obstacle = _trial(backend, device)
    return Check(backend.name, device, backend.what, obstacle)


def _trial(backend: Backend, device: str) -> str | None:
    """Run a cell whose result is known: with zero weights and bias b it is tanh(b)."""
    p = program(_TRIAL)
    sizes = {"I": 3, "H": 2}
    given = [torch.zeros([sizes[s] for s in q.shape], device=device) for q in p.parameters]
    given[-1].fill_(0.5)
    x = torch.ones(4, 1, 3, device=device)
    try:
        found = backend.run(p, [x], [torch.zeros(1, 2, device=device)], given)
    except Exception as e:
        return f"a trial run failed: {type(e).__name__}: {e}"
    expected = torch.tanh(torch.full((4, 1, 2), 0.5, device=device))
    if not torch.allclose(found.outputs[0], expected, atol=1e-6):
        return "a trial run gave a wrong result: please report it"
    return None
