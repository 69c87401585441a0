"""Files that mend themselves: each ends with the hash of the rest of it, and appears whole.

A damaged file is known and made again. Files appear by renaming, so any number of processes may
make the same one at once.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: processes do not wait for each other
    fcntl = None  # type: ignore[assignment, unused-ignore]

__all__ = ["alone", "folder", "is_whole", "seal", "writable"]

DIGEST = hashlib.sha256().digest_size


# --- folders ------------------------------------------------------------------------------------


def folder() -> Path | None:
    """The cache: `$CELLWRIGHT_CACHE`, or `cellwright` in the user's cache folder, whether it is
    there and can be written or not. None where there is no saying which, and where others might
    have put there what is to be run, of which a warning tells once."""
    try:
        found = _named()
    except (OSError, RuntimeError):  # no home
        return None
    if _is_open_to_others(found):
        _tell(
            f"cellwright does not use the cache folder {found}, which others own or may write to: "
            "make it yours (chown, chmod go-w), or set CELLWRIGHT_CACHE to a folder of your own"
        )
        return None
    return found


@lru_cache
def writable() -> Path:
    """The cache, or a folder of this process's own where that cannot be written.

    Raises OSError where there is neither.
    """
    try:
        _named().mkdir(mode=0o700, parents=True, exist_ok=True)
        if found := folder():
            with tempfile.TemporaryFile(dir=found):
                return found
    except (OSError, RuntimeError):
        pass
    own = Path(tempfile.mkdtemp(prefix="cellwright-"))
    atexit.register(_remove, own, os.getpid())
    return own


@lru_cache
def _named() -> Path:
    """The same one, wherever the process goes."""
    given = os.environ.get("CELLWRIGHT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (Path(given) if given else Path(base, "cellwright")).expanduser().absolute()


def _is_open_to_others(place: Path) -> bool:
    """Whether others than this user and root may write to a folder. The group may where the folder
    is this user's: some systems make all folders so, for groups of one user."""
    if not hasattr(os, "getuid"):
        return False
    try:
        about = place.stat()
    except OSError:  # nothing to be read there either
        return False
    others = stat.S_IWOTH if about.st_uid == os.getuid() else stat.S_IWOTH | stat.S_IWGRP
    return about.st_uid not in (0, os.getuid()) or bool(about.st_mode & others)


@lru_cache
def _tell(message: str) -> None:
    """Warn, once a process."""
    warnings.warn(message, stacklevel=3)


def _remove(own: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a fork of it
        shutil.rmtree(own, ignore_errors=True)


# --- files --------------------------------------------------------------------------------------


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Other processes that are about to make the same file wait, to find it made; where a file
    system has no locks, they do not."""
    lock = file.with_suffix(".lock")
    with ExitStack() as stack:
        try:
            held = stack.enter_context(lock.open("w"))
            stack.callback(lock.unlink, missing_ok=True)  # who waits for it has it open
            if fcntl:
                fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            pass
        yield


def is_whole(file: Path) -> bool:
    """Whether a file is there, and as it was made."""
    try:
        content = file.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-DIGEST]).digest() == content[-DIGEST:]


def seal(made: Path, file: Path) -> None:
    """Put what was made in the place of `file`, in the same file system, with its hash."""
    content = made.read_bytes()
    made.write_bytes(content + hashlib.sha256(content).digest())
    made.replace(file)
