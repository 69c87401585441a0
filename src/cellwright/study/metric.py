"""What a figure says of a model: its name, its unit, which way is better, and how it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Metric"]


@dataclass(frozen=True)
class Metric:
    """One figure that a task reports; every word and number about results asks it.

    A share has the unit `%`: its values are from 0 to 1, and are written in per cent.
    """

    name: str
    """Within a sentence: `loss`, `accuracy`, `MASE`."""
    unit: str = ""
    """`nats`, `bits`, `%`; empty where it has none."""
    per: str = ""
    """What it is a mean over, where the unit needs that: `frame`, `character`."""
    better: Literal["lower", "higher"] = "lower"
    decimals: int = 3
    """As many as seeds differ by."""

    @property
    def factor(self) -> float:
        """What values are multiplied by to be written, or drawn."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """What no value, and so no mean, can be beyond."""
        return (0.0, 1.0) if self.unit == "%" else (-inf, inf)

    @property
    def widest(self) -> float:
        """What no difference can be beyond, either way."""
        low, high = self.bounds
        return high - low

    @property
    def measured(self) -> str:
        """The whole unit: `nats a frame`."""
        return f"{self.unit} a {self.per}" if self.per else self.unit

    @property
    def phrase(self) -> str:
        """Name and unit: `loss in nats a frame`, `accuracy`."""
        return f"{self.name} in {self.measured}" if self._worded else self.name

    @property
    def axis(self) -> str:
        """Beside an axis: `loss, nats a frame`."""
        return f"{self.name}, {self.measured}" if self.unit else self.name

    @property
    def _worded(self) -> bool:
        return self.unit not in ("", "%")

    @property
    def sign(self) -> int:
        """What turns a value into a loss, of which less is better, and back."""
        return 1 if self.better == "lower" else -1

    def losses(self, values: Sequence[float]) -> NDArray[np.float64]:
        """The values as losses; infinite for one that is not finite, which is how runs diverge."""
        turned = self.sign * np.asarray(values, np.float64)
        return np.where(np.isfinite(turned), turned, np.inf)

    def order(self, value: float) -> float:
        """A key that sorts the best first."""
        return self.sign * value

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is better than `other`."""
        return self.order(value) < self.order(other)

    def text(self, value: float | None) -> str:
        """`8.455`, `97.30%`; a dash where there is none, `diverged` where it is not finite."""
        if value is None:
            return "–"
        if not isfinite(value):
            return "diverged"
        return f"{value * self.factor:,.{self.decimals}f}{'%' * (self.unit == '%')}"

    def full(self, value: float) -> str:
        """`8.455 nats a frame`, `97.30% accuracy`."""
        return f"{self.text(value)} {self.measured if self._worded else self.name}"

    def signed(self, value: float | None) -> str:
        """A difference, with its sign, of shares in percentage points; a dash where is none."""
        if value is None:
            return "–"
        number = f"{value * self.factor:+,.{self.decimals}f}".replace("-", "−")
        return f"{number} pp" if self.unit == "%" else number

    def amount(self, value: float) -> str:
        """The size of a difference, with its unit: `0.10 nats`, `1.2 points`.

        A digit less than a value has, but two where that leaves none: more is noise.
        """
        value, places = value * self.factor, max(self.decimals - 1, 0)
        text = f"{value:.{places}f}" if value >= 0.95 * 10.0**-places else f"{value:.2g}"
        unit = "points" if self.unit == "%" else self.unit or self.name
        return f"{text} {unit}"
