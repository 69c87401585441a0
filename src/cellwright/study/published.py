"""What papers report on the same data, to set beside a comparison's own figures."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Published", "published"]


@dataclass(frozen=True)
class Published:
    """One paper's figures on one data set."""

    fingerprint: str
    """Of the data set: figures on other data, or another split of it, are not comparable."""
    paper: str
    setting: str
    """What the paper held fixed."""
    test: Mapping[str, float]
    """Test loss in nats a frame, by the catalogue's name for the cell."""
    best: float | None = None
    """The least of all cells of the paper, where it searched and says no more than that."""


@cache
def _table() -> tuple[Published, ...]:
    text = files("cellwright.study").joinpath("published.toml").read_text("utf-8")
    return tuple(Published(**entry) for entry in tomllib.loads(text)["figures"])


def published(fingerprint: str) -> tuple[Published, ...]:
    """The papers that used the data set with this fingerprint."""
    return tuple(entry for entry in _table() if entry.fingerprint == fingerprint)
