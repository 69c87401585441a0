"""Numbers as people read them."""

from __future__ import annotations

from math import isfinite

__all__ = ["duration", "loss"]


def loss(value: float | None) -> str:
    """Nats to three decimals, which is what seeds differ by; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.3f}" if isfinite(value) else "diverged"


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, more = divmod(minutes, 60)
    if hours:
        return f"{hours} h {more} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
