"""What can be searched, and what a setting of it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import Any, Final, Literal, TypeAlias

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from cellwright.language import Cell
from cellwright.study.options import OptionError
from cellwright.study.regime import Optimizer, Regime
from cellwright.study.sizes import Ends, hidden_size_for

__all__ = [
    "TABLE",
    "Edge",
    "Hyperparameter",
    "Range",
    "Setting",
    "edges",
    "other_name",
    "parsed",
    "regime",
    "shown",
]

Setting: TypeAlias = dict[str, int | float]
"""Values of hyperparameters, by name."""
Edge: TypeAlias = Literal["lower", "upper"]


@dataclass(frozen=True)
class Hyperparameter:
    """One that can be searched."""

    name: str
    """A field of `Regime`, or what one follows from: see `regime`."""
    words: str
    least: float = 0
    most: float = inf
    log: bool = False
    """Whether it is searched by its logarithm, where it has to be more than 0."""
    integer: bool = False
    positive: bool = False
    """Whether it has to be more than 0 where it is fixed, too."""
    optimizer: Optimizer | None = None
    """The only one that it means something to; None where it does to all."""
    searched: bool = True
    """Whether trials may differ in it: who trains for longer is never worse, so a budget is the
    same for all."""


TABLE: Final[Mapping[str, Hyperparameter]] = {
    row.name: row
    for row in (
        Hyperparameter(
            "parameters", "learned values of a model, at the most; its hidden size follows",
            least=1, log=True, integer=True
        ),
        Hyperparameter("hidden_size", "units of a cell", least=1, log=True, integer=True),
        Hyperparameter("learning_rate", "of the optimizer", log=True, positive=True),
        Hyperparameter(
            "1 - momentum", "what momentum leaves, by Nesterov's", most=1, log=True, positive=True,
            optimizer="nesterov"
        ),
        Hyperparameter("weight_decay", "of the weights, by AdamW", log=True, optimizer="adamw"),
        Hyperparameter("dropout", "share of what the readout reads", most=0.99),
        Hyperparameter("input_noise", "standard deviation of what is added to the input"),
        Hyperparameter("batch_size", "sequences a step", least=1, log=True, integer=True),
        Hyperparameter(
            "clip_norm", "the norm of all gradients together, at the most", log=True, positive=True
        ),
        Hyperparameter(
            "patience", "epochs without a better validation that end a trial",
            least=1, integer=True, searched=False
        ),
        Hyperparameter(
            "epochs", "of a trial, at the most", least=1, integer=True, searched=False
        ),
    )
}  # fmt: skip
"""By name."""

_SAME_THING: Final = {"hidden_size": "parameters", "parameters": "hidden_size"}
"""Whoever sets one takes the other back."""


@dataclass(frozen=True)
class Range:
    """Where a hyperparameter is searched: evenly, by its logarithm where that is its scale."""

    name: str
    low: float
    high: float
    log: bool
    integer: bool

    @property
    def distribution(self) -> BaseDistribution:
        """As Optuna has it."""
        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def place(self, value: float) -> float:
        """Where a value lies, in that scale: from 0 at the lower end to 1 at the upper one."""
        low, high, at = map(log if self.log else float, (self.low, self.high, value))
        return (at - low) / (high - low)


def parsed(name: str, text: str) -> Range | int | float:
    """`LOW,HIGH` as a range, `VALUE` as a number.

    Raises OptionError where it is neither, or out of bounds, and where there is no such name.
    """
    if name not in TABLE:
        known = "".join(
            f"\n    {row.name}: {row.words}{'' if row.searched else '; one value'}"
            for row in TABLE.values()
        )
        raise OptionError(f"there is no hyperparameter {name!r}. There are:{known}")
    row = TABLE[name]
    try:
        numbers = [int(part) if row.integer else float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not row.searched and len(numbers) != 1:
        raise OptionError(
            f"{name} is a budget, the same for all trials, and not searched: give one whole "
            f"number, got {text!r}"
        )
    if len(numbers) not in (1, 2) or not all(map(isfinite, numbers)):
        kind = "whole numbers" if row.integer else "numbers"
        raise OptionError(
            f"{name} is searched in a range of {kind}, LOW,HIGH, or fixed at one of them, VALUE; "
            f"got {text!r}"
        )
    low, high = numbers[0], numbers[-1]
    _check(row, low, positive=row.positive or (row.log and len(numbers) == 2))
    _check(row, high, positive=row.positive)
    if len(numbers) == 1:
        return low
    if not low < high:
        raise OptionError(
            f"the range of {name} has to go up, got {text}; one number alone fixes it"
        )
    return Range(name, low, high, row.log, row.integer)


def _check(row: Hyperparameter, value: float, positive: bool) -> None:
    if row.least <= value <= row.most and (value > 0 or not positive):
        return
    least = "more than 0" if positive and not row.least else f"at least {row.least:g}"
    most = f" and at most {row.most:g}" if row.most < inf else ""
    raise OptionError(f"{row.name} must be {least}{most}, got {value:g}")


def shown(ranges: Sequence[Range]) -> list[str]:
    """The names of one hyperparameter at the most, for a column beside the hidden size."""
    names = [one.name for one in ranges if one.name not in _SAME_THING]
    return sorted(names, key=lambda name: name != "learning_rate")[:1]


# --- what a setting means -----------------------------------------------------------------------


def other_name(name: str) -> str | None:
    """What says the same thing as a hyperparameter in another way."""
    return _SAME_THING.get(name)


def regime(cell: Cell, ends: Ends, same: Mapping[str, Any], setting: Setting) -> Regime:
    """How a trial trains: what is the `same` in all trials, and what was drawn.

    The hidden size follows from `parameters`, momentum from what it leaves.

    Raises CellwrightError where a budget of parameters has no room for the cell.
    """
    found: dict[str, Any] = {**same, **setting}
    if "parameters" in found:
        found["hidden_size"] = hidden_size_for(cell, found.pop("parameters"), ends)
    if "1 - momentum" in found:
        found["momentum"] = 1 - found.pop("1 - momentum")
    return Regime(**found)


# --- edges --------------------------------------------------------------------------------------

END: Final = 0.05
"""The share of a range, in its scale, that counts as its end."""


def edges(setting: Setting, ranges: tuple[Range, ...]) -> dict[str, Edge]:
    """The hyperparameters that lie at an end of their range: the best may lie beyond it."""
    places = {one.name: one.place(setting[one.name]) for one in ranges}
    lower: dict[str, Edge] = {name: "lower" for name, at in places.items() if at <= END}
    upper: dict[str, Edge] = {name: "upper" for name, at in places.items() if at >= 1 - END}
    return lower | upper
