"""What to be careful about in a study, in words: for a terminal and for its report."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite

from cellwright.study.search.results import Searched, Study
from cellwright.study.words import duration, plural

__all__ = ["broken_off", "diverged", "edges_of_best", "missing", "unequal"]


def missing(study: Study) -> list[str]:
    """What is not finished."""
    if study.complete:
        return []
    settings, cells = study.settings, len(study.cells)
    if settings.trials is None:
        return ["This is a partial result: the time that cells were to have is not used up."]
    wanted, done = cells * settings.trials, sum(len(one.trials) for one in study.cells)
    parts = [f"{wanted - done} of {wanted} trials"] if done < wanted else []
    if settings.seeds:
        wanted, done = cells * settings.seeds, sum(len(one.again) for one in study.cells)
        parts += [f"{wanted - done} of {wanted} seeds"] if done < wanted else []
    if not parts:
        return []
    return [f"This is a partial result: {' and '.join(parts)} are not finished."]


def unequal(study: Study) -> list[str]:
    """Where cells share time, and one had much more, from a command before."""
    if study.settings.minutes is None or not study.complete:
        return []
    ordered = sorted(study.cells, key=lambda one: one.seconds)
    least, most = ordered[0], ordered[-1]
    if most.seconds < 1.25 * least.seconds:
        return []
    return [
        f"Cells had unequal time: {most.cell} {duration(most.seconds)}, {least.cell} "
        f"{duration(least.seconds)}. A study that is given another cell, or other --minutes, "
        "shares anew; who searched for longer has the better chance."
    ]


def edges_of_best(study: Study, cell: str, told: Collection[str] = ()) -> list[str]:
    """Where the best trial lies at an end of a range, but for hyperparameters that were `told`."""
    best = study.of(cell).best(study.dataset.metric)
    found = []
    for name, end in study.edges[cell].items():
        searched = next(r for r in study.settings.ranges if r.name == name)
        limit = searched.low if end == "lower" else searched.high
        assert best is not None
        if name in told:
            continue
        found.append(
            f"{cell}: the best {name.replace('_', ' ')}, {best.hyperparameters[name]:.3g}, is "
            f"at the {end} end of its range, {limit:g}: better ones may lie beyond it."
        )
    return found


def diverged(one: Searched) -> list[str]:
    """How many trials did."""
    number = sum(not isfinite(trial.run.test) for trial in one.trials)
    return [f"{one.cell}: {number} of {len(one.trials)} trials diverged."] if number else []


def broken_off(one: Searched) -> list[str]:
    """Trials that raised an error."""
    if not one.failed:
        return []
    number, error = next(iter(one.failed.items()))
    return [
        f"{one.cell}: {plural(len(one.failed), 'trial')} broke off, trial {number} with {error}. "
        "The same command tries them again."
    ]
