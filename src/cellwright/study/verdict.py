"""What a comparison shows, as a ranking and in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from cellwright.study.metric import Metric
from cellwright.study.results import Comparison
from cellwright.study.statistics.sentences import Claim, answer, brief, unlearned
from cellwright.study.statistics.welch import Contrast, contrast, holm, interval

__all__ = ["Standing", "headline", "rank", "sentences"]


@dataclass(frozen=True)
class Standing:
    """One cell's place in a ranking by the mean of the metric that decides, on the test set."""

    cell: str
    losses: tuple[float, ...]
    """Finite values, by seed."""
    diverged: int
    """Runs without a finite value: left out of every figure."""
    missing: int
    """Runs that are not finished."""
    mean: float | None
    interval: tuple[float, float] | None
    """95% interval of the mean; None for fewer than two values."""
    difference: float | None
    """Mean minus the baseline's. None for the baseline itself."""
    difference_interval: tuple[float, float] | None
    """95% interval of the difference, for all cells tested at once."""
    p: float | None
    """Of Welch's test against the baseline, after Holm's correction for all cells tested."""

    @property
    def claim(self) -> Claim | None:
        """What the test says; None where there is none."""
        if self.p is None or self.difference is None:
            return None
        return Claim(self.cell, self.difference, self.difference_interval, self.p)

    @property
    def shown(self) -> bool:
        """Whether the difference from the baseline is more than chance explains."""
        return self.claim is not None and self.claim.shown


def rank(comparison: Comparison) -> tuple[Standing, ...]:
    """Every cell of the settings, best first; cells without a finite loss last."""
    settings = comparison.settings
    metric = comparison.dataset.metric
    losses = {name: _losses(comparison, name) for name in settings.cells}
    base = losses[settings.baseline]
    contrasts: dict[str, Contrast] = {}
    tested = sum(len(own) > 1 for name, own in losses.items() if name != settings.baseline)
    for name in settings.cells:
        if name == settings.baseline:
            continue
        found = contrast(losses[name], base, tested, metric.widest)
        if found is not None:
            contrasts[name] = found
    corrected = dict(zip(contrasts, holm([c.p for c in contrasts.values()]), strict=True))

    def standing(name: str) -> Standing:
        own, runs, c = losses[name], len(comparison.of(name)), contrasts.get(name)
        comparable = bool(own and base) and name != settings.baseline
        return Standing(
            cell=name,
            losses=own,
            diverged=runs - len(own),
            missing=settings.seeds - runs,
            mean=float(np.mean(own)) if own else None,
            interval=interval(own, metric.bounds),
            difference=float(np.mean(own) - np.mean(base)) if comparable else None,
            difference_interval=(c.low, c.high) if c else None,
            p=corrected.get(name),
        )

    return tuple(
        sorted(
            (standing(name) for name in settings.cells),
            key=lambda s: (s.mean is None, metric.order(s.mean or 0.0)),
        )
    )


def _losses(comparison: Comparison, name: str) -> tuple[float, ...]:
    return tuple(run.test for run in comparison.of(name) if isfinite(run.test))


def headline(comparison: Comparison) -> str:
    """The answer in a line."""
    standings, metric = rank(comparison), comparison.dataset.metric
    best, others = standings[0], len(standings) - 1
    if best.mean is None:
        return "No run has finished yet"
    if not others:
        return f"{best.cell} reaches {metric.full(best.mean)}"
    claims = [s.claim for s in standings if s.claim]
    return answer(comparison.settings.baseline, claims, others, best.cell, metric, "these seeds")


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """What the ranking means: a sentence a cell, best first, then what to be careful about."""
    standings = rank(comparison)
    baseline = next(s for s in standings if s.cell == comparison.settings.baseline)
    metric = comparison.dataset.metric
    verdicts = [_verdict(s, baseline, metric) for s in standings if s is not baseline]
    return (*verdicts, *_caveats(comparison, standings))


def _verdict(s: Standing, baseline: Standing, metric: Metric) -> str:
    for one in (baseline, s):
        if one.mean is None:
            why = "diverged in every run" if one.diverged else "has no finished run"
            return f"{s.cell} cannot be compared with {baseline.cell}: {one.cell} {why}."
    assert s.difference is not None
    if s.claim is None:
        way = "better" if metric.order(s.difference) < 0 else "worse"
        size = metric.amount(abs(s.difference))
        few = min((s, baseline), key=lambda one: len(one.losses))
        out = f"{size} {way} than" if s.difference else "equal to"
        return (
            f"{s.cell} came out {out} {baseline.cell}, but one seed cannot tell: "
            f"{few.cell} has only one run with a loss."
        )
    return brief(s.claim, baseline.cell, _seeds(len(s.losses), len(baseline.losses)), metric)


def _caveats(comparison: Comparison, standings: Sequence[Standing]) -> list[str]:
    found = []
    missing = sum(s.missing for s in standings)
    if missing:
        total = len(comparison.settings.cells) * comparison.settings.seeds
        found.append(f"This is a partial result: {missing} of {total} runs are not finished.")
    if comparison.settings.seeds == 1:
        found.append("One seed cannot tell cells apart; --seeds 5 can.")
    if comparison.dataset.warning:
        found.append(comparison.dataset.warning)
    trivial, metric = comparison.dataset.trivial, comparison.dataset.metric
    for s in standings:
        found += unlearned(s.cell, s.mean, trivial, metric)
    found += [
        f"Of {s.cell} {_runs(s.diverged)} diverged: left out of every figure, which flatters it."
        for s in standings
        if s.diverged and s.losses
    ]
    found += [
        f"Of {name} {_runs(n)} diverged after a while: what counts is the best epoch before that."
        for name, n in _stopped(comparison, standings, "diverged")
    ]
    cut = [run for run in comparison.runs if run.stopped == "time"]
    if cut:
        found.append(
            f"{_runs(len(cut))} ended because time was up, not because learning was done: "
            "more --minutes may change the order."
        )
    found += [
        f"Of {name} {_runs(n)} reached the limit of {comparison.settings.epochs} epochs: longer "
        "training may change the order."
        for name, n in _stopped(comparison, standings, "epochs")
    ]
    return found


def _stopped(
    comparison: Comparison, standings: Sequence[Standing], how: str
) -> Iterator[tuple[str, int]]:
    """Cells and how many of their runs with a loss ended so, where any did."""
    for s in standings:
        n = sum(run.stopped == how and isfinite(run.test) for run in comparison.of(s.cell))
        if n:
            yield s.cell, n


def _runs(n: int) -> str:
    return f"{n} run{'s' * (n != 1)}"


def _seeds(a: int, b: int) -> str:
    return f"{a} seeds" if a == b else f"{a} against {b} seeds"
