"""Files that mend themselves: each ends with the hash of the rest of it, and appears whole.

A damaged file is known and made again. Files appear by renaming, so any number of processes may
make the same one at once.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from functools import lru_cache, partial
from pathlib import Path

__all__ = ["folder", "is_whole", "seal"]

DIGEST = hashlib.sha256().digest_size


@lru_cache
def folder() -> Path:
    """`$CELLWRIGHT_CACHE`, or `cellwright` in the user's cache folder; one of this process's own
    where that cannot be written."""
    given = os.environ.get("CELLWRIGHT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        found = (Path(given) if given else Path(base, "cellwright")).expanduser().absolute()
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=found):
            return found
    except (OSError, RuntimeError):
        own = Path(tempfile.mkdtemp(prefix="cellwright-"))
        atexit.register(partial(shutil.rmtree, own, ignore_errors=True))
        return own


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
