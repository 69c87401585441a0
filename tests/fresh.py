"""Processes that have just begun: torch is imported, and nothing read, built or warned of yet."""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from cellwright import Recurrent, parse
from cellwright.backends.cpu import build, targets
from cellwright.cli import main
from cellwright.layers.passes import MEMORY

__all__ = ["CELL", "Trial", "command", "trial", "trials"]

T = TypeVar("T")
CELL = "h' = tanh(W x + R h)\n"


@dataclass(frozen=True)
class Trial:
    """What one process found."""

    error: float
    """The largest difference from what the reference backend gives."""
    warnings: list[str]


def trial(backend: str, environment: Mapping[str, object], **options: object) -> Trial:
    """A training step of a small cell; see `_trial` for the options."""
    (found,) = trials(1, backend, environment, **options)
    return found


def trials(
    count: int, backend: str, environment: Mapping[str, object], **options: object
) -> list[Trial]:
    """As many at once."""
    return _run(count, environment, partial(_trial, backend, **options))


def command(*words: object, **environment: object) -> tuple[int, str]:
    """The exit code of a `cellwright` command, and all that it prints."""
    (found,) = _run(1, environment, partial(_command, [*map(str, words)]))
    return found


# --- processes ----------------------------------------------------------------------------------

# They are forked from one that imports this.
_FRESH = multiprocessing.get_context("forkserver")
_FRESH.set_forkserver_preload(["cellwright.layers.recurrent", "cellwright.cli"])
_together: Barrier


def _run(count: int, environment: Mapping[str, object], job: Callable[[], T]) -> list[T]:
    values = {name: str(value) for name, value in environment.items()}
    with ProcessPoolExecutor(
        count, _FRESH, initializer=_begin, initargs=(values, Path.cwd(), _FRESH.Barrier(count))
    ) as pool:
        tasks = [pool.submit(_do, job) for _ in range(count)]
        return [task.result() for task in tasks]


def _begin(environment: Mapping[str, str], folder: Path, together: Barrier) -> None:
    global _together
    _together = together
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)


def _do(job: Callable[[], T]) -> T:
    _together.wait(60)
    return job()


# --- jobs ---------------------------------------------------------------------------------------


def _command(words: list[str]) -> tuple[int, str]:
    sys.argv = ["cellwright", *words]
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main()
        except SystemExit as e:
            return int(e.code or 0), said.getvalue()


def _trial(
    backend: str,
    *,
    all_passes: bool = False,
    flags: str | None = None,
    package: Path | None = None,
) -> Trial:
    """A training step, or all that a layer can do; of a processor with these flags only; with
    another folder for that of the CPU backend."""
    if flags is not None:
        targets.processor = lambda: f"flags : {flags}"
    if package is not None:
        build.HERE = package
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        error = max(_error(backend, memory, all_passes) for memory in MEMORY[: 1 + all_passes])
    return Trial(error, [str(w.message) for w in warned])


def _error(backend: str, memory: str, all_passes: bool) -> float:
    layer = Recurrent(parse(CELL), 3, 5, backend=backend, memory=memory)
    plain = Recurrent(layer.cell, 3, 5, backend="reference")
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 2, 3)
    pairs = zip(_results(layer, x, all_passes), _results(plain, x, all_passes), strict=True)
    return max(float((found - expected).abs().max()) for found, expected in pairs)


def _results(layer: Recurrent, x: Tensor, all_passes: bool) -> list[Tensor]:
    """Of training; and of inference, and of a layer on top of another one."""
    y, _ = layer(x)
    found = [y.detach(), *torch.autograd.grad(y.square().sum(), [*layer.parameters()])]
    if all_passes:
        with torch.no_grad():
            found.append(layer(x)[0])
        above = x.clone().requires_grad_()
        found += torch.autograd.grad(layer(above)[0].square().sum(), above)
    return found
