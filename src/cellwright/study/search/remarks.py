"""What to be careful about in a study, in words: for a terminal and for its report."""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import Final

from cellwright.study.search.results import Searched, Study
from cellwright.study.words import duration, listed, plural

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


_OVER: Final = 1.25
"""How many times its share a cell may have searched for, as trials end when their epochs do."""


def unequal(study: Study) -> list[str]:
    """Cells that searched for longer than their share of the time, where not all did.

    A share becomes smaller where a cell is added, or a command has fewer minutes or workers.
    """
    minutes, cells = study.settings.minutes, study.cells
    if minutes is None:
        return []
    share = minutes * 60 * study.environment.workers / len(cells)
    longer = [one for one in cells if one.search_seconds > _OVER * share]
    if len(longer) in (0, len(cells)):
        return []
    had = listed([f"{one.cell} {duration(one.search_seconds)}" for one in longer])
    return [
        f"Cells searched for unequal times: each has {duration(share)} of this study, and {had} "
        "from commands before. A longer search has the better chance."
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
