"""Source to a loaded library.

Libraries that were compiled ahead of time, for a kind of processor, are taken from the package or
from the cache. Others are compiled for this machine, once, and kept in the cache. A file's name is
the hash of all that went into it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock

from cellwright.backends.cpu.cache import alone, folder, is_whole, seal, writable
from cellwright.backends.cpu.targets import Target, processor, usable
from cellwright.errors import CellwrightError

__all__ = ["BuildError", "Engine", "build_ahead", "compiler", "load", "load_kernels"]

HERE = Path(__file__).parent
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fno-math-errno",  # sqrt and its like in vector registers
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fno-exceptions",
    "-fno-rtti",
    "-fopenmp",
    "-shared",
    "-fPIC",
    "-Wl,--as-needed",
    "-Wno-psabi",
)
"""Not -ffast-math: it breaks the rounding in `reduced`, and NaN."""


class BuildError(CellwrightError):
    """A cell's C++ could not be compiled."""


@dataclass(frozen=True)
class Engine:
    """A program, compiled."""

    run: Callable[[int], int]
    """Given the address of a call: 0 where all went well, 1 where there was no memory, 2 where the
    kernels are others than it was compiled for."""
    block: int
    """How many units lie together in its memory."""


def load(source: str, double: bool) -> Engine:
    """The engine of a source, in float64 or float32.

    Raises BuildError where it cannot be compiled; the message says why and what to do.
    """
    unusable: list[str] = []
    for target in usable():
        try:
            return _engine(_built(source, double, target), load_kernels(double, target))
        except _NotBuiltError:
            pass
        except BuildError as e:
            unusable.append(str(e))
    try:
        with ThreadPoolExecutor(1) as beside:
            kernels = beside.submit(load_kernels, double)
            return _engine(_native(source, double), kernels.result())
    except BuildError as e:
        raise BuildError("; ".join((str(e), *unusable[:1]))) from None


def _engine(library: ctypes.CDLL, kernels: ctypes.CDLL) -> Engine:
    """Of libraries for the same kind of processor: they have to agree on the size of a block."""
    run = library.run
    run.argtypes, run.restype = [ctypes.c_void_p, ctypes.c_void_p], ctypes.c_int
    shared = ctypes.c_long.in_dll(kernels, "kernels")
    return Engine(partial(run, ctypes.addressof(shared)), shared.value)


_ONE_BY_ONE = Lock()


def load_kernels(double: bool, target: Target | None = None) -> ctypes.CDLL:
    """What all programs share: products of matrices and memory. As it was compiled ahead of time
    for a kind of processor, or for this machine.

    Raises BuildError where there is none.
    """
    with _ONE_BY_ONE:
        return _kernels_of(double, target)


@lru_cache
def _kernels_of(double: bool, target: Target | None) -> ctypes.CDLL:
    source = _kernel_source()
    return _built(source, double, target) if target else _native(source, double)


class _NotBuiltError(BuildError):
    """Nothing was compiled ahead of time."""


def _built(source: str, double: bool, target: Target) -> ctypes.CDLL:
    """What was compiled ahead of time: the first that can be loaded."""
    cache = folder()
    name = f"{_key(source, _flags(double, target))}.so"
    error: BuildError = _NotBuiltError()
    for place in (HERE, *([cache] if cache else [])):
        if is_whole(file := place / "built" / target.name / name):
            try:
                return _opened(file)
            except BuildError as e:
                error = e
    raise error


def _native(source: str, double: bool) -> ctypes.CDLL:
    """What is compiled for this machine, now where it was not before."""
    command = compiler()
    flags = [*command[1:], *_flags(double)]
    name = f"{_key(source, flags, _identity(command[0]), processor())}.so"
    cache = folder()
    if cache and is_whole(cache / name):
        return _opened(cache / name)
    try:
        file = writable() / name
    except OSError as e:
        raise BuildError(
            f"there is no folder to keep the compiled cell in ({e.strerror or e}): set "
            "CELLWRIGHT_CACHE to one that can be written"
        ) from None
    with alone(file):
        if not is_whole(file):
            _compile(source, [command[0], *flags], file)
    return _opened(file)


def _opened(file: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(file))
    except OSError as e:
        raise BuildError(
            f"the compiled cell cannot be loaded ({e}): where programs may not be run from "
            f"{file.parent}, set CELLWRIGHT_CACHE to a folder from which they may"
        ) from None


# --- ahead of time ------------------------------------------------------------------------------


def build_ahead(
    sources: Iterable[str], targets: Iterable[Target], place: Path | None = None
) -> Iterator[tuple[int, int]]:
    """Compile sources for kinds of processor, float32 and float64, and keep them where `load`
    looks, or in another place; gives how many are done, of how many, as they are.

    Raises BuildError where one cannot be compiled.
    """
    command = compiler()
    place = place or _cache() / "built"
    jobs = [
        (source, [*command, *_flags(double, target), "-s"], file)
        for source in (_kernel_source(), *dict.fromkeys(sources))
        for target in targets
        for double in (False, True)
        if not is_whole(file := place / target.name / f"{_key(source, _flags(double, target))}.so")
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [pool.submit(_compile, *job) for job in jobs]
        try:
            for i, task in enumerate(as_completed(tasks)):
                task.result()
                yield i + 1, len(jobs)
        finally:  # of Ctrl-C too
            pool.shutdown(cancel_futures=True)


def _cache() -> Path:
    """Where what is compiled ahead of time lasts."""
    if found := folder():
        return found
    raise BuildError("there is no cache folder to use: set CELLWRIGHT_CACHE to one of your own")


# --- compiling ----------------------------------------------------------------------------------


def compiler() -> list[str]:
    """The command of the C++ compiler: `$CXX`, or the first there is of c++, g++, clang++.

    Raises BuildError where there is none.
    """
    named = os.environ.get("CXX")
    try:
        given = [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]
    except ValueError:  # a quotation without its end
        given = []
    for command in given:
        if command and (path := shutil.which(command[0])):
            return [path, *command[1:]]
    if named:
        raise BuildError(
            f"CXX is set to {named!r}, and there is no such program: correct or unset it"
        )
    raise BuildError(f"there is no C++ compiler: {_REMEDY}")


_REMEDY = (
    "install g++ or clang++ (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; "
    "conda: conda install gxx), or set CXX to one"
)


def _flags(double: bool, target: Target | None = None) -> list[str]:
    march = target.flag if target else "-march=native"
    return [*FLAGS, march, *(["-DDOUBLE"] if double else [])]


def _key(source: str, flags: Iterable[str], *about: str) -> str:
    parts = [source, _headers(), *flags, *about]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


@lru_cache
def _headers() -> str:
    """What sources include."""
    return "".join(file.read_text(encoding="utf-8") for file in sorted(HERE.glob("*.hpp")))


@lru_cache
def _kernel_source() -> str:
    return (HERE / "matrix.cpp").read_text(encoding="utf-8")


@lru_cache
def _identity(path: str) -> str:
    """Which compiler a path stands for now: asking it for its version takes longer."""
    real = Path(path).resolve()
    about = real.stat()
    return f"{real} {about.st_size} {about.st_mtime_ns}"


def _compile(source: str, command: list[str], file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix="building-") as work:
            text, made = Path(work, "cell.cpp"), Path(work, "cell.so")
            text.write_text(source, encoding="utf-8")
            _run([*command, f"-I{HERE}", str(text), "-o", str(made)], made)
            seal(made, file)
    except OSError as e:
        raise BuildError(
            f"the compiled cell cannot be kept in {file.parent} ({e.strerror or e}): make room "
            "there, or set CELLWRIGHT_CACHE to another folder"
        ) from None


def _run(command: list[str], made: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise BuildError(f"the C++ compiler {command[0]} does not run ({e}): {_REMEDY}") from None
    if done.returncode or not made.is_file():
        # The same for every cell, so that a person is told once.
        said = done.stderr.decode(errors="replace").replace(f"{made.parent}/", "")
        told = "\n".join(said.strip().splitlines()[:5]) or f"exit code {done.returncode}"
        raise BuildError(f"the C++ compiler {command[0]} fails: {_REMEDY}. It said:\n{told}")
