"""Source to a loaded library: compiled once a machine, kept in a cache that mends itself.

The cache is `$CELLWRIGHT_CACHE`, or `cellwright` in the user's cache folder. A file's name is the
hash of all that went into it; its last 32 bytes are the hash of the rest of it, so a damaged one is
known and built again. Files appear by renaming, so any number of processes may build at once.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from cellwright.errors import CellwrightError

__all__ = ["BuildError", "Engine", "compiler", "load"]

HERE = Path(__file__).parent
FLAGS = [
    "-std=c++17",
    "-O2",
    "-march=native",
    "-fno-math-errno",  # sqrt and its like in vector registers
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fopenmp",
    "-shared",
    "-fPIC",
    "-Wno-psabi",
]
"""Not -ffast-math: it breaks the rounding in `reduced`, and NaN."""
DIGEST = hashlib.sha256().digest_size


class BuildError(CellwrightError):
    """A cell's C++ could not be compiled."""


def compiler() -> list[str]:
    """The command of the C++ compiler: `$CXX`, or the first there is of c++, g++, clang++.

    Raises BuildError where there is none.
    """
    named = os.environ.get("CXX")
    for command in [shlex.split(named)] if named else [["c++"], ["g++"], ["clang++"]]:
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


@dataclass(frozen=True)
class Engine:
    """A program, compiled."""

    run: Callable[[int], int]
    """Given the address of a call; 0 where all went well."""
    block: int
    """How many units lie together in its memory."""


def load(source: str, double: bool) -> Engine:
    """The engine of a source, in float64 or float32.

    Raises BuildError where it cannot be compiled; the message says why and what to do.
    """
    kernels = ctypes.c_long.in_dll(_kernels(double), "kernels")
    run = _library(source, double).run
    run.argtypes, run.restype = [ctypes.c_void_p, ctypes.c_void_p], ctypes.c_int
    return Engine(partial(run, ctypes.addressof(kernels)), kernels.value)


@lru_cache
def _kernels(double: bool) -> ctypes.CDLL:
    return _library((HERE / "matrix.cpp").read_text(), double)


def _library(source: str, double: bool) -> ctypes.CDLL:
    command = compiler()
    flags = [*FLAGS, *(["-DDOUBLE"] if double else [])]
    file = _cache() / f"{_key(source, command, flags)}.so"
    if not _is_whole(file):
        _compile(source, [*command, *flags], file)
    try:
        return ctypes.CDLL(str(file))
    except OSError:  # somebody else's damage between the look and the opening
        _compile(source, [*command, *flags], file)
        return ctypes.CDLL(str(file))


def _key(source: str, command: list[str], flags: list[str]) -> str:
    parts = [source, _engine(), *command[1:], *flags, _identity(command[0]), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


@lru_cache
def _engine() -> str:
    """What sources include."""
    return "".join(file.read_text() for file in sorted(HERE.glob("*.hpp")))


@lru_cache
def _identity(path: str) -> str:
    """Which compiler a path stands for now: asking it for its version takes longer."""
    real = Path(path).resolve()
    about = real.stat()
    return f"{real} {about.st_size} {about.st_mtime_ns}"


@lru_cache
def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.platform()}"
    told = ("flags", "Features", "model name", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(told)}))


@lru_cache
def _cache() -> Path:
    """The folder of the cache; one of this process's own where that cannot be written."""
    given = os.environ.get("CELLWRIGHT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(given) if given else Path(base, "cellwright")
    try:
        folder = folder.expanduser()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):
        own = Path(tempfile.mkdtemp(prefix="cellwright-"))
        atexit.register(partial(shutil.rmtree, own, ignore_errors=True))
        return own


def _is_whole(file: Path) -> bool:
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]


def _compile(source: str, command: list[str], file: Path) -> None:
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="building-") as work:
        text, made = Path(work, "cell.cpp"), Path(work, "cell.so")
        text.write_text(source)
        full = [*command, f"-I{HERE}", str(text), "-o", str(made)]
        try:
            done = subprocess.run(full, capture_output=True, text=True, timeout=600, check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise BuildError(
                f"the C++ compiler {command[0]} does not run ({e}): {_REMEDY}"
            ) from None
        if done.returncode or not made.is_file():
            told = "\n".join(done.stderr.strip().splitlines()[:5]) or f"exit code {done.returncode}"
            raise BuildError(f"the C++ compiler {command[0]} fails: {_REMEDY}. It said:\n{told}")
        content = made.read_bytes()
        made.write_bytes(content + hashlib.sha256(content).digest())
        made.replace(file)
