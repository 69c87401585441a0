"""A space of hyperparameters that was searched, in the scale that it was searched in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from cellwright.study.statistics.trials import Floats, Trial, Value

__all__ = ["Axis", "axes", "places"]


@dataclass(frozen=True)
class Axis:
    """One hyperparameter, laid out so that equal lengths were searched alike.

    What was drawn from a logarithmic range lies by its logarithm. A value of a range with steps,
    as of integers, has half a step on either side, so that the first and the last have as much
    room as the others. Choices lie in their order, a length of 1 each.
    """

    name: str
    low: float
    """The lowest value; of choices, the place of the first, and so on."""
    high: float
    step: float = 0.0
    """From one value to the next; 0 where all between are possible."""
    log: bool = False
    choices: tuple[Value, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        """Where it begins and ends, in scale."""
        return self._scaled(self.low - self.step / 2), self._scaled(self.high + self.step / 2)

    def place(self, value: Value) -> float:
        """Where a value lies, in scale.

        Raises ValueError for one that is out of range, or no choice.
        """
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{self.name} is {value!r}, not one of {self.choices}")
            return float(self.choices.index(value))
        if value is None or isinstance(value, str) or not self.low <= value <= self.high:
            raise ValueError(f"{self.name} is {value!r}, not from {self.low:g} to {self.high:g}")
        return self._scaled(value)

    def value(self, place: float) -> Value:
        """The value at a place, or the nearest there is."""
        found = self._nearest(place)
        if self.choices:
            return self.choices[round(found)]
        return round(found) if self.step and self.step.is_integer() else found

    def grid(self, points: int) -> Floats:
        """Places over the whole of it: of each choice, of each value up to `points`, or evenly."""
        low, high = map(self._scaled, (self.low, self.high))
        if self.choices:
            return np.arange(len(self.choices), dtype=np.float64)
        even = np.linspace(low, high, points)
        return np.unique([self.place(self.value(p)) for p in even]) if self.step else even

    def ends(self, share: float) -> tuple[float, float]:
        """The places up to which, and from which on, a share of it lies, rounded up to values."""
        begin, end = self.bounds
        inside = share * (end - begin)
        if not self.step:
            return begin + inside, end - inside
        low, high = self._nearest(begin + inside), self._nearest(end - inside)
        return self._scaled(low + self.step / 2), self._scaled(high - self.step / 2)

    def _nearest(self, place: float) -> float:
        found = exp(place) if self.log else place
        if self.step:
            found = self.low + round((found - self.low) / self.step) * self.step
        return min(max(found, self.low), self.high)

    def _scaled(self, value: float) -> float:
        return log(value) if self.log else float(value)


def axes(space: Mapping[str, BaseDistribution]) -> tuple[Axis, ...]:
    """What Optuna's distributions span, by name; without those that have one value only."""
    return tuple(_axis(name, space[name]) for name in sorted(space) if not space[name].single())


def _axis(name: str, of: BaseDistribution) -> Axis:
    if isinstance(of, CategoricalDistribution):
        choices = tuple(of.choices)
        return Axis(name, 0, len(choices) - 1, step=1.0, choices=choices)
    if not isinstance(of, FloatDistribution | IntDistribution):
        raise TypeError(f"{name} has the distribution {of!r}, not one of Optuna's three")
    return Axis(name, float(of.low), float(of.high), step=float(of.step or 0), log=of.log)


def places(trials: Sequence[Trial], along: Sequence[Axis]) -> Floats:
    """Where trials lie, in scale: `(trials, axes)`.

    Raises ValueError for a trial without one of the hyperparameters, or with one out of range.
    """
    for axis in along:
        missing = [t for t in trials if axis.name not in t.hyperparameters]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(trials)} trials have no {axis.name}: every trial needs "
                "every hyperparameter of the space; leave out of it those that only some have"
            )
    found = [[axis.place(t.hyperparameters[axis.name]) for axis in along] for t in trials]
    return np.array(found, np.float64).reshape(len(trials), len(along))
