"""Every cell against every other, with the tests that `versus` holds against one baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np

from cellwright.study.metric import Metric
from cellwright.study.statistics.dealing import dealt_anew
from cellwright.study.statistics.trials import BEST, Trial, best
from cellwright.study.statistics.welch import CONFIDENCE, contrast, holm

__all__ = ["Matrix", "Pair", "every_pair", "every_pair_of_searches"]


@dataclass(frozen=True)
class Pair:
    """One cell against another, which is the baseline of its column in a matrix."""

    difference: float
    """The cell minus the baseline, as the metric has it."""
    p: float
    """After Holm's correction for all cells of the column."""

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance explains."""
        return self.p < 1 - CONFIDENCE


Matrix: TypeAlias = dict[str, dict[str, Pair | None]]
"""By baseline, then by the cell against it."""


def every_pair(groups: Mapping[str, Sequence[float]], metric: Metric) -> Matrix:
    """Each group against each other one, as `compare` has the difference and p of its baseline."""
    kept = {}
    for name, values in groups.items():
        losses = metric.losses(values)
        kept[name] = (metric.sign * losses[np.isfinite(losses)]).tolist()

    def apart(one: str, other: str) -> tuple[float, float] | None:
        found = contrast(kept[one], kept[other])
        return (found.difference, found.p) if found else None

    return _matrix(list(groups), apart)


def every_pair_of_searches(
    searches: Mapping[str, Sequence[Trial]], metric: Metric, share: float = BEST
) -> Matrix:
    """Each search against each other one, as `compare_searches` has the difference and p.

    Two searches are dealt anew once, as the later one against the earlier one.
    """
    finite = {
        name: sum(np.isfinite(t.test) for t in best(trials, metric, share))
        for name, trials in searches.items()
    }

    def apart(one: str, other: str) -> tuple[float, float] | None:
        if min(finite[one], finite[other]) < 2:
            return None
        dealt = dealt_anew(searches[one], searches[other], metric, share)
        return dealt.difference, dealt.p()

    return _matrix(list(searches), apart)


def _matrix(
    names: Sequence[str], apart: Callable[[str, str], tuple[float, float] | None]
) -> Matrix:
    """Difference and p of all pairs of names, corrected for each baseline."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for other, one in combinations(names, 2):
        pair = apart(one, other)
        if pair is not None:
            found[one, other], found[other, one] = pair, (-pair[0], pair[1])

    def column(baseline: str) -> dict[str, Pair | None]:
        own = {one: found[one, baseline] for one in names if (one, baseline) in found}
        corrected = dict(zip(own, holm([p for _, p in own.values()]), strict=True))
        return {
            one: Pair(own[one][0], corrected[one]) if one in own else None
            for one in names
            if one != baseline
        }

    return {name: column(name) for name in names}
