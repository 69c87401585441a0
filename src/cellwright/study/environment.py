"""Where and when a comparison ran."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic

from cellwright.study.results import Environment

__all__ = ["Stopwatch", "cores", "processor"]


class Stopwatch:
    """Started with a comparison; knows at its end where and how long it ran."""

    def __init__(self) -> None:
        self._started = datetime.now(UTC)
        self._began = monotonic()

    def environment(self, workers: int, command: str) -> Environment:
        """As of now."""
        return Environment(
            cellwright=version("cellwright"),
            torch=version("torch"),
            python=platform.python_version(),
            platform=platform.platform(),
            processor=processor(),
            workers=workers,
            command=command,
            started=self._started.isoformat(timespec="seconds"),
            seconds=monotonic() - self._began,
        )


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Its name as its maker calls it, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
