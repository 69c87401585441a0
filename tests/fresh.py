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

__all__ = ["CELL", "NOBODY", "Trial", "command", "trial", "trials"]

T = TypeVar("T")
CELL = "a = W x + R h + b\nh' = tanh(a)\n"
NOBODY = 65534


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
    count: int,
    backend: str,
    environment: Mapping[str, object],
    *,
    user: int | None = None,
    **options: object,
) -> list[Trial]:
    """As many at once; as another user, where this one is root."""
    return _run(count, environment, partial(_trial, backend, **options), user)


def command(*words: object, **environment: object) -> tuple[int, str]:
    """The exit code of a `cellwright` command, and all that it prints."""
    (found,) = _run(1, environment, partial(_command, [*map(str, words)]))
    return found


# --- processes ----------------------------------------------------------------------------------

# They are forked from one that imports this.
_FRESH = multiprocessing.get_context("forkserver")
_FRESH.set_forkserver_preload(["cellwright.layers.recurrent", "cellwright.cli"])
_together: Barrier


def _run(
    count: int, environment: Mapping[str, object], job: Callable[[], T], user: int | None = None
) -> list[T]:
    values = {name: str(value) for name, value in environment.items()}
    about = values, Path.cwd(), _FRESH.Barrier(count), user
    with ProcessPoolExecutor(count, _FRESH, initializer=_begin, initargs=about) as pool:
        tasks = [pool.submit(_do, job) for _ in range(count)]
        return [task.result() for task in tasks]


def _begin(
    environment: Mapping[str, str], folder: Path, together: Barrier, user: int | None
) -> None:
    global _together
    _together = together
    os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(1)
    if user is not None and os.getuid() == 0:
        # All that is imported late: it may lie in a folder of root's.
        _results(Recurrent(parse(CELL), 3, 5, backend="reference"), torch.zeros(1, 1, 3), True)
        os.setuid(user)


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
    text: str = CELL,
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
        error = max(
            _error(
                Recurrent(parse(text), 3, 40, bias=bias, backend=backend, memory=memory), all_passes
            )
            for memory in MEMORY[: 1 + all_passes]
            for bias in (True, False)[: 1 + all_passes]
        )
    return Trial(error, [str(w.message) for w in warned])


def _error(layer: Recurrent, all_passes: bool) -> float:
    plain = Recurrent(layer.cell, 3, 40, bias=layer.bias, backend="reference")
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(4, 2, 3)
    pairs = zip(_results(layer, x, all_passes), _results(plain, x, all_passes), strict=True)
    return max(float((found - expected).abs().max()) for found, expected in pairs)


def _results(layer: Recurrent, x: Tensor, all_passes: bool) -> list[Tensor]:
    """Of training; and of inference, of a layer on top of another one, and of looking inside."""
    y, _ = layer(x)
    found = [y.detach(), *torch.autograd.grad(y.square().sum(), [*layer.parameters()])]
    if all_passes:
        with torch.no_grad():
            found.append(layer(x)[0])
        above = x.clone().requires_grad_()
        found += torch.autograd.grad(layer(above)[0].square().sum(), above)
        found += [seen.detach() for seen in layer.trace(x).values()]
    return found
