"""How long a training takes that is not over: what it trains, not what it waits."""

from __future__ import annotations

from time import monotonic

__all__ = ["Clock"]


class Clock:
    """Of one training; it stands still until it is started, and while the training waits."""

    def __init__(self) -> None:
        self._trained = 0.0
        self._since: float | None = None

    def start(self) -> None:
        """The training begins, or goes on."""
        self._since = monotonic()

    def hear(self, seconds: float, waits: bool) -> None:
        """The training says how long it has taken, and whether it waits now."""
        self._trained, self._since = seconds, None if waits else monotonic()

    @property
    def seconds(self) -> float:
        """As of now."""
        return self._trained + (0.0 if self._since is None else monotonic() - self._since)
