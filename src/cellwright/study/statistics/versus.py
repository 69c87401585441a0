"""Every variant against a baseline: from seeds, or from whole searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cellwright.study.metric import Metric
from cellwright.study.statistics.dealing import dealt_anew
from cellwright.study.statistics.effects import (
    Interval,
    bootstrap,
    difference,
    hedges_g,
    superiority,
    superiority_interval,
)
from cellwright.study.statistics.power import Power, power
from cellwright.study.statistics.trials import BEST, Trial, best
from cellwright.study.statistics.welch import CONFIDENCE, Contrast, contrast, holm

__all__ = ["Searched", "Versus", "compare", "compare_searches"]


@dataclass(frozen=True)
class Versus:
    """A variant's values against the baseline's.

    Means are of finite values only, which flatters what diverged; `better` counts all of them, and
    those that diverged as worst. Pairs of numbers are of the variant and of the baseline.
    """

    variant: str
    baseline: str
    values: tuple[int, int]
    """Finite ones."""
    diverged: tuple[int, int]
    contrast: Contrast
    """Variant minus baseline, as the metric has it. Its interval is Student's and holds for all
    variants at once."""
    p: float
    """Of Welch's test, after Holm's correction for all variants."""
    bootstrap: Interval | None
    """Of the same difference, for this variant alone, supposing no distribution."""
    g: float | None
    """Hedges' g, with the sign of the difference; None where nothing varies."""
    g_interval: Interval | None
    better: float
    """The probability that the variant is the better one of a value of each; a tie is half."""
    better_interval: Interval
    power: Power
    """At the level that Holm's correction begins with; for the difference that was found."""

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance explains."""
        return self.p < 1 - CONFIDENCE


@dataclass(frozen=True)
class Searched:
    """A variant's search against the baseline's."""

    best: Versus
    """The best trials of both, taken for independent values, as Greff et al. do."""
    trials: tuple[int, int]
    """All of them, of the variant and of the baseline."""
    difference: float
    """Of the mean test metric of the best trials; one that diverged counts as the worst of both."""
    interval: Interval | None
    """Of that, with what the choice of the best adds; for this variant alone."""
    p: float
    """Of a permutation of all trials, after Holm's correction for all variants."""

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance explains, that of the choice included."""
        return self.p < 1 - CONFIDENCE


def compare(
    groups: Mapping[str, Sequence[float]], baseline: str, metric: Metric, of: int = 0
) -> dict[str, Versus | None]:
    """Each group's values against those of `baseline`, such as the test metric of seeds.

    `of` is how many contrasts there are in all, where these are not all of a set.

    None where either has fewer than two finite values. Welch's test assumes independent values and
    means that are about normal, not equal variances. Of nine groups that are alike but for their
    deviations, which differ by up to a factor of four, with 5 to 20 values each, even one false
    alarm came in 4 of 100 cases where values are normal, in 5 where their skewness is 1, in 6 where
    they are exponential. It does not hold where values are very skewed and the baseline varies much
    less than the variants: beside exponential ones that vary ten times as much, in up to 31.

    Raises ValueError for a baseline that is not among the groups.
    """
    if baseline not in groups:
        raise ValueError(f"the baseline {baseline} is not among {', '.join(groups)}")
    losses = {name: metric.losses(values) for name, values in groups.items()}
    kept = {name: (metric.sign * own[np.isfinite(own)]).tolist() for name, own in losses.items()}
    base = kept[baseline]
    variants = [name for name in groups if name != baseline]
    tested = max(of, sum(len(kept[name]) > 1 for name in variants))
    contrasts = {name: contrast(kept[name], base, tested, metric.widest) for name in variants}
    corrected = _holm({name: c.p for name, c in contrasts.items() if c})

    def versus(name: str) -> Versus | None:
        own, welch, able = kept[name], contrasts[name], power(kept[name], base, tested)
        if welch is None or able is None:
            return None
        sizes = (len(groups[name]), len(groups[baseline]))
        better = superiority(losses[name], losses[baseline])
        g = float(hedges_g(np.array(own), np.array(base)))
        return Versus(
            variant=name,
            baseline=baseline,
            values=(len(own), len(base)),
            diverged=(sizes[0] - len(own), sizes[1] - len(base)),
            contrast=welch,
            p=corrected[name],
            bootstrap=bootstrap(difference, own, base),
            g=g if np.isfinite(g) else None,
            g_interval=bootstrap(hedges_g, own, base),
            better=better,
            better_interval=superiority_interval(better, *sizes),
            power=able,
        )

    return {name: versus(name) for name in variants}


def compare_searches(
    searches: Mapping[str, Sequence[Trial]], baseline: str, metric: Metric, share: float = BEST
) -> dict[str, Searched | None]:
    """The best trials of each search, by validation, against those of `baseline`, in test.

    `best` is the test of Greff et al. (2017, LSTM: a search space odyssey. IEEE Transactions on
    Neural Networks and Learning Systems 28): Welch's, of the best tenth. It is here to be compared
    with theirs, and says too much: the best trials are no independent values, as all of them
    depend on where in its search the best tenth begins, which is chance as well, and its test does
    not see. Of two searches of 200 trials that are alike it finds a difference at 0.05 in 19 of 100
    where test follows validation, in 5 only where the one says nothing of the other. Besides, it
    compares the trials of searches as large as these; the best of a larger search are better.

    `p` has no such fault. Trials are dealt to the two searches anew, the best chosen anew, and p is
    how often the difference is as large as the one that was found, either way. If the cells are
    alike in all trials, not in the best ones alone, that is exact for any distribution. It assumes
    that trials are independent, as in random search. `interval` is the bootstrap's (BCa), of whole
    searches, also with the best chosen anew; of 200 trials it holds the true difference 92 times in
    100, of 40 only 85, so it is not what decides. Choosing by validation makes the validation of
    what was chosen too good; test is not touched by that, as long as nothing was chosen by test.

    None where the best of either are fewer than two with a finite test.

    Raises ValueError for a baseline that is not among the searches.
    """
    chosen = {name: best(trials, metric, share) for name, trials in searches.items()}
    tests = {name: [t.test for t in trials] for name, trials in chosen.items()}
    compared = {name: v for name, v in compare(tests, baseline, metric).items() if v}
    found = {n: dealt_anew(searches[n], searches[baseline], metric, share) for n in compared}
    corrected = _holm({name: dealt.p() for name, dealt in found.items()})

    def searched(name: str) -> Searched | None:
        if name not in compared:
            return None
        dealt = found[name]
        sizes = (len(searches[name]), len(searches[baseline]))
        return Searched(compared[name], sizes, dealt.difference, dealt.interval(), corrected[name])

    return {name: searched(name) for name in searches if name != baseline}


def _holm(p: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(p, holm(list(p.values())), strict=True))
