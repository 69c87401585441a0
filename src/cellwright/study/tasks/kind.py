"""A kind of task that is made from files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cellwright.study.readers.files import Found
from cellwright.study.tasks.task import Task

__all__ = ["Kind"]


@dataclass(frozen=True)
class Kind:
    """What `--task NAME` means."""

    name: str
    reads: Callable[[Found], bool]
    """Whether such a file can be one."""
    expected: str
    """The files that can."""
    options: type
    """The parameters in brackets: a dataclass with defaults."""
    build: Callable[[Found, Any], Task]
    """Raises DataError, without the path, and OSError."""
