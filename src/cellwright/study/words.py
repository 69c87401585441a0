"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console

__all__ = ["amount", "duration", "listed", "p_equals", "p_value", "plural", "say"]


def p_value(p: float | None) -> str:
    """`< 0.001`, `0.004`, `0.23`; as many digits as tell it from 0.05, which decides."""
    if p is None:
        return "–"
    if p < 0.001:
        return "< 0.001"
    digits = 3 if p < 0.1 else 2
    while p != round(p, digits) == 0.05:
        digits += 1
    return f"{p:.{digits}f}"


def p_equals(p: float) -> str:
    """`p < 0.001`, `p = 0.004`."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def amount(value: float, unit: str = "") -> str:
    """A size that people may compare with another: two or three digits, as more is noise."""
    if value >= 10:
        text = f"{value:,.{1 if value < 99.95 else 0}f}"
    else:
        text = f"{value:.2f}" if value >= 0.0095 else f"{value:.2g}"
    return f"{text} {unit}".rstrip()


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, more = divmod(minutes, 60)
    if hours:
        return f"{hours} h {more} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: Iterable[str]) -> str:
    """`gru, lstm and rnn`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def say(console: Console, line: str) -> None:
    """A line of text, with nothing in it taken for markup; wrapped on a terminal only."""
    console.print(line, markup=False, highlight=False, soft_wrap=not console.is_terminal)
