"""What the statistics say, in plain words; the metric and its unit are whatever was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Literal

from cellwright.study.metric import Metric
from cellwright.study.statistics.budget import Curve
from cellwright.study.statistics.edges import Edge
from cellwright.study.statistics.effects import Interval
from cellwright.study.statistics.importance import Importances
from cellwright.study.statistics.power import LIMIT
from cellwright.study.statistics.versus import Searched, Versus
from cellwright.study.statistics.welch import CONFIDENCE
from cellwright.study.words import amount, duration, listed, p_equals

__all__ = [
    "Claim",
    "answer",
    "brief",
    "edge_found",
    "expected",
    "search_against",
    "seeds_against",
    "unlearned",
    "what_matters",
]

KNOWN = 0.25
"""R² below which a forest knows too little of trials for its shares to be told."""
SMALL = 0.01
"""Shares below this are not told."""


@dataclass(frozen=True)
class Claim:
    """What a test says of a variant against the baseline."""

    variant: str
    difference: float
    """Variant minus baseline, as the metric has it."""
    interval: Interval | None
    """Of that, where there is one."""
    p: float
    """Corrected for all variants."""

    @property
    def shown(self) -> bool:
        """Whether the difference is more than chance explains."""
        return self.p < 1 - CONFIDENCE


def answer(
    baseline: str, claims: Sequence[Claim], others: int, best: str, metric: Metric, tested: str
) -> str:
    """The answer in a line: no more than tests of the `others`, against the baseline, bear out.

    `best` is the cell that came out best; `tested` is what can, or cannot, show differences.
    """
    better = [c.variant for c in claims if c.shown and metric.order(c.difference) < 0]
    worse = [c.variant for c in claims if c.shown and c.variant not in better]
    if better:
        most = better if len(better) < 4 else [f"{len(better)} of {others} cells"]
        return f"{listed(most)} {'is' if len(better) == 1 else 'are'} better than {baseline}"
    if claims and len(worse) == others:
        return f"{baseline} is better than {listed(worse) if len(worse) < 4 else 'all others'}"
    if claims:
        return f"No cell is better than {baseline}, as far as {tested} can show"
    return f"{best} came out best, but too few runs have finished to tell"


def brief(claim: Claim, baseline: str, tested: str, metric: Metric) -> str:
    """A claim in a line; `seeds_against` and `search_against` say all of it."""
    if claim.shown:
        way = "better" if metric.order(claim.difference) < 0 else "worse"
        by = metric.amount(abs(claim.difference))
        return f"{claim.variant} is {way} than {baseline} by {by}, {p_equals(claim.p)}."
    most = ""
    if claim.interval is not None:
        ends = [*map(abs, claim.interval)]
        most = f"; at most about {metric.amount(max(ends))} either way"
        if min(ends) == metric.widest:
            most = "; nor do they rule any difference out"
    return f"{_nothing(claim.variant, baseline, tested)} ({p_equals(claim.p)}{most})."


def _nothing(variant: str, baseline: str, tested: str) -> str:
    return f"{variant} and {baseline}: no difference that {tested} can show"


def unlearned(
    cell: str, value: float | None, trivial: Mapping[str, float], metric: Metric
) -> list[str]:
    """That what learns nothing is better than a cell, where it is."""
    beaten_by = [
        name for name, other in trivial.items()
        if value is not None and metric.is_better(other, value)
    ]  # fmt: skip
    if not beaten_by:
        return []
    best = min(beaten_by, key=lambda name: metric.order(trivial[name]))
    return [
        f"{cell} is worse than {best}, which needs no learning ({metric.full(trivial[best])}): "
        "what it shows here says little of the cell."
    ]


def seeds_against(found: Versus, metric: Metric) -> tuple[str, ...]:
    """A variant's seeds against the baseline's: the difference, its size, the odds, cautions."""
    return (_difference(found, metric), *_size(found), _odds(found), *_diverged(found))


def _difference(found: Versus, metric: Metric) -> str:
    p, seen = p_equals(found.p), ""
    if found.power.smallest > metric.widest:
        seen = "ith these seeds no difference would have been seen four times in five"
    elif found.power.smallest:
        smallest = amount(metric.factor * found.power.smallest)
        seen = f"ith these seeds a difference of {smallest} would have been seen four times in five"
    ends = (found.contrast.low, found.contrast.high)
    if found.shown:
        claim = _better(found, found.contrast.difference, ends, metric)
        return f"{claim}, {p}{seen and '; w' + seen}."
    a, b = found.values
    seeds = f"{a} seeds" if a == b else f"{a} against {b} seeds"
    return (
        f"{_nothing(found.variant, found.baseline, seeds)} "
        f"({_either_way(found.contrast.difference, ends, metric)}; {p})."
        f"{seen and ' W' + seen + _settling(found, metric) + '.'}"
    )


def _settling(found: Versus, metric: Metric) -> str:
    """How many seeds would show what was found, if it is so."""
    able = found.power
    if not able.difference or able.more == 0:
        return ""
    difference = amount(metric.factor * able.difference)
    start = f"; to show the {difference} found here, if it is real, takes"
    if able.seeds is None:
        return f"{start} more than {LIMIT:,} seeds a cell"
    return f"{start} {able.seeds:,} seeds a cell, {able.more:,} more"


def _size(found: Versus) -> tuple[str, ...]:
    if found.g is None:
        return ()
    sides = ""
    if found.g_interval is not None:
        low, high = found.g_interval
        sides = f"; 95% interval {_signed(low)} to {_signed(high)}"
    return (
        f"That is {abs(found.g):.1f} standard deviations (Hedges' g {_signed(found.g)}{sides}).",
    )


def _odds(found: Versus) -> str:
    low, high = found.better_interval
    return (
        f"Of one seed each, that of {found.variant} is better than that of {found.baseline} "
        f"{100 * found.better:.0f} times in 100 (95% interval {100 * low:.0f} to "
        f"{100 * high:.0f})."
    )


def _diverged(found: Versus) -> list[str]:
    said = []
    for name, n, kept in zip(
        (found.variant, found.baseline), found.diverged, found.values, strict=True
    ):
        if n:
            said.append(
                f"Of {name} {n} of {n + kept} seeds diverged: left out of means, which flatters "
                "it, and the worst of all where seeds are put in order."
            )
    return said


def search_against(found: Searched, metric: Metric) -> tuple[str, ...]:
    """The best trials of a variant's search against the baseline's, and a caution."""
    names, trials = (found.best.variant, found.best.baseline), found.trials
    chosen = [sum(pair) for pair in zip(found.best.values, found.best.diverged, strict=True)]
    best = [f"the best {k} of {n} trials" for k, n in zip(chosen, trials, strict=True)]
    of = f"{best[0]} each" if best[0] == best[1] else f"{best[0]} against {best[1]}"
    ends = found.interval or (found.difference, found.difference)
    claim = (
        _better(found.best, found.difference, ends, metric)
        if found.shown
        else f"{names[0]} and {names[1]} show no difference "
        f"({_either_way(found.difference, ends, metric)})"
    )
    said = [
        f"By test of {of}, chosen by validation, {claim}, {p_equals(found.p)} with the choice "
        f"counted in; Welch's test, which leaves it out, has {p_equals(found.best.p)}."
    ]
    if trials[0] != trials[1]:
        said.append(f"The search of {names[trials[0] < trials[1]]} was the larger, which helps it.")
    return tuple(said)


def expected(
    cell: str, curve: Curve, place: int, metric: Metric, over: Literal["trials", "seconds"]
) -> str:
    """What a search of a size is expected to find: at a `place` on a curve over trials or time."""
    size = curve.at[place]
    interval = "95% interval" if size <= curve.whole / 4 else "95% interval at least"
    if over == "trials":
        search = f"The best of {size:,.0f} trials" if size > 1 else "One trial"
    else:
        search = f"After {duration(size)} of training, the best trial"
    valid, test = (
        _alike(*(metric.factor * curve[place] for curve in (band.mean, band.low, band.high)))
        for band in (curve.valid, curve.test)
    )
    found = f"{valid[0]}%" if metric.unit == "%" else _with(valid[0], metric)
    return (
        f"{search} of {cell} is expected to have a {metric.name} of {found} in "
        f"validation ({interval} {valid[1]} to {valid[2]}), and of {test[0]} in test ({interval} "
        f"{test[1]} to {test[2]})."
    )


def what_matters(cell: str, found: Importances) -> str:
    """Which hyperparameters tell the trials of a cell apart."""
    known = f"{found.explained:.2f}".replace("-", "−")
    if found.explained < KNOWN:
        return (
            f"What matters to {cell} cannot be told from these trials: their hyperparameters do "
            f"not predict them (R² {known} for trials not seen)."
        )
    first, *others = found.single.items()
    single = [f"{_plain(name)} {_percent(share)}" for name, share in others if share >= SMALL]
    pairs = [
        f"{_plain(a)} and {_plain(b)} together {_percent(share)} more"
        for (a, b), share in found.pairs.items()
        if share >= SMALL
    ]
    return (
        f"Of how trials of {cell} differ, {_plain(first[0])} explains "
        f"{', '.join([_percent(first[1]), *single, *pairs])} (R² {known} for trials not seen)."
    )


def edge_found(cell: str, found: Edge) -> str:
    """That a range was too narrow, perhaps."""
    return (
        f"Of the {found.best} best trials of {cell} {found.inside} have a {_plain(found.name)} at "
        f"the {found.end} end of its range, {found.limit:g}, where {found.expected:.1f} would be "
        "by chance: a wider range may have better ones."
    )


def _better(found: Versus, difference: float, ends: Interval, metric: Metric) -> str:
    """`gru is better than lstm by 0.12 nats (95% interval 0.05 to 0.19)`."""
    apart, low, high = _losses(difference, ends, metric)
    way = "worse"
    if apart < 0:
        way, apart, low, high = "better", -apart, -high, -low
    by, least, most = _alike(apart, low, high)
    return (
        f"{found.variant} is {way} than {found.baseline} by {_with(by, metric)} (95% interval "
        f"{least} to {most})"
    )


def _either_way(difference: float, ends: Interval, metric: Metric) -> str:
    """`0.01 nats better, 95% interval 0.04 better to 0.02 worse`."""
    found = _losses(difference, ends, metric)
    by, low, high = (text.removeprefix("−") for text in _alike(*found))
    ways = ["better" if value < 0 else "worse" for value in found]
    return f"{_with(by, metric)} {ways[0]}, 95% interval {low} {ways[1]} to {high} {ways[2]}"


def _losses(difference: float, ends: Interval, metric: Metric) -> tuple[float, float, float]:
    """A difference and its interval, where more is worse."""
    turned = metric.sign * metric.factor
    low, high = sorted(turned * end for end in ends)
    return turned * difference, low, high


def _alike(value: float, low: float, high: float) -> list[str]:
    """A value and its interval in the same decimals: two digits of what the interval is wide.

    One more where nothing would be left of the value.
    """
    wide = high - low
    decimals = max(0, 1 - floor(log10(wide))) if wide > 0 else 3
    decimals += bool(value) and not round(value, decimals)
    return [f"{number:,.{decimals}f}".replace("-", "−") for number in (value, low, high)]


def _with(number: str, metric: Metric) -> str:
    return f"{number} {'points' if metric.unit == '%' else metric.unit}".rstrip()


def _signed(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
