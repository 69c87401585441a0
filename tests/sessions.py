"""Processes that a command has started, for tests that end them or wait for their end."""

from __future__ import annotations

from pathlib import Path

__all__ = ["session"]


def session(leader: int) -> list[int]:
    """The processes of a session that run, by number: the leader and what it has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)
