"""What a study found, in plain words: the answer, a line a cell, all of it, and what to doubt."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from cellwright.study.search import remarks
from cellwright.study.search.findings import Findings, Place
from cellwright.study.search.results import Study
from cellwright.study.statistics.sentences import (
    answer,
    brief,
    edge_found,
    expected,
    search_against,
    seeds_against,
    unlearned,
    what_matters,
)
from cellwright.study.words import listed, plural

__all__ = ["at_length", "caveats", "headline", "of_searches", "verdicts", "what_matters_to"]


def headline(found: Findings) -> str:
    """The answer in a line."""
    metric, first = found.metric, found.places[0]
    if first.mean is None:
        return "No trial has finished yet"
    if len(found.order) == 1:
        return f"{first.cell} reaches {metric.full(first.mean)}"
    claims = [place.claim for place in found.places if place.claim]
    tested = "these seeds" if found.by_seeds else "these searches"
    others = len(found.order) - 1
    said = answer(found.order[0], claims, others, first.cell, metric, tested)
    if not claims or len(claims) == others:
        return said
    return f"{said}; {plural(others - len(claims), 'cell')} could not be tested yet"


def verdicts(found: Findings) -> list[str]:
    """A line for each cell that was tested against the baseline, the best first."""
    return [
        brief(place.claim, found.order[0], _tested(found, place), found.metric)
        for place in found.places
        if place.claim
    ]


def _tested(found: Findings, place: Place) -> str:
    """What could have shown a difference: `5 seeds`, `40 against 30 trials`."""
    seeds, search = found.seeds.get(place.cell), found.searches.get(place.cell)
    a, b = seeds.values if found.by_seeds and seeds else search.trials if search else (0, 0)
    what = "seed" if found.by_seeds else "trial"
    return plural(a, what) if a == b else f"{a} against {plural(b, what)}"


def at_length(found: Findings) -> dict[str, list[str]]:
    """All that tests say of each cell against the baseline: of seeds, then of searches."""
    said = {}
    for name in (place.cell for place in found.places):
        seeds, search = found.seeds.get(name), found.searches.get(name)
        lines = [*(seeds_against(seeds, found.metric) if seeds else ())]
        lines += search_against(search, found.metric) if search else ()
        if lines:
            said[name] = lines
    return said


def of_searches(found: Findings) -> list[str]:
    """What a quarter of a search, as far as its bands are right, is expected to find."""
    lines = []
    for name in (place.cell for place in found.places):
        curve = found.over_trials.get(name)
        if curve:
            at = max(0, int(curve.whole / 4) - 1)
            lines.append(expected(name, curve, at, found.metric, "trials"))
    return lines


def what_matters_to(found: Findings) -> list[str]:
    """Which hyperparameters tell the trials of each cell apart, and ranges that are too narrow."""
    lines = [what_matters(name, one) for name, one in found.importances.items()]
    return [*lines, *_edges(found)]


def _edges(found: Findings) -> list[str]:
    lines = []
    for name in found.order:
        own = found.edges[name]
        lines += [edge_found(name, edge) for edge in own]
        lines += remarks.edges_of_best(found.study, name, {edge.name for edge in own})
    return lines


# --- what to doubt ------------------------------------------------------------------------------


def caveats(found: Findings) -> list[str]:
    """What to be careful about, the most important first."""
    study, metric = found.study, found.metric
    said = remarks.missing(study)
    if study.dataset.warning:
        said.append(study.dataset.warning)
    said += remarks.unequal(study)
    for place in found.places:
        said += unlearned(place.cell, place.mean, study.dataset.trivial, metric)
    for one in map(study.of, found.order):
        said += remarks.broken_off(one)
    said += _settings_only(found)
    said += _rates_at_edges(found)
    said += _diverged(study, found.order)
    said += _cut(study, found.order)
    if study.settings.sampler != "random" and len(found.order) > 1:
        said.append(
            f"Trials were drawn by {study.settings.sampler.upper()}, which learns from those "
            "before, so they are not independent, as tests of searches and the expected best "
            "suppose."
        )
    elif study.settings.pruning and len(found.order) > 1:
        said.append(
            "Trials were given up where earlier ones were better, so they are not quite "
            "independent: tests of searches find differences more rarely than they say."
        )
    return said


def _settings_only(found: Findings) -> list[str]:
    """Differences that seeds of two settings show, and the searches that found these do not."""
    cells = [
        place.cell
        for place in found.places
        if found.by_seeds
        and place.claim
        and place.claim.shown
        and not ((search := found.searches.get(place.cell)) and search.shown)
    ]
    if not cells:
        return []
    return [
        f"What seeds tell apart is the settings that were found, those of {listed(cells)} from "
        f"that of {found.order[0]}: that other searches would find the same difference, searches "
        "of this size do not show."
    ]


def _rates_at_edges(found: Findings) -> list[str]:
    """Learning rates whose best lies at an end: what matters most, so it is said first."""
    rate = "learning_rate"
    cells = [
        name
        for name in found.order
        if rate in found.study.edges[name] or rate in {edge.name for edge in found.edges[name]}
    ]
    if not cells:
        return []
    return [
        f"The best learning {'rate' if len(cells) == 1 else 'rates'} of {listed(cells)} lie"
        f"{'s' * (len(cells) == 1)} at an end of the range that was searched: better ones may lie "
        "beyond it."
    ]


def _diverged(study: Study, order: Sequence[str]) -> list[str]:
    many = {name: sum(not isfinite(t.run.test) for t in study.of(name).trials) for name in order}
    parts = [f"{n} of {len(study.of(name).trials)} of {name}" for name, n in many.items() if n]
    if not parts:
        return []
    return [f"Trials that diverged, and count as the worst: {listed(parts)}."]


def _cut(study: Study, order: Sequence[str]) -> list[str]:
    """Best trials that had not learned all they could."""
    late, short = _ended(study, order, "epochs"), _ended(study, order, "time")
    said = []
    if late:
        said.append(
            f"The best {'trial' if len(late) == 1 else 'trials'} of {listed(late)} reached the "
            "limit of epochs: longer training may change the order."
        )
    if short:
        said.append(
            f"The best {'trial' if len(short) == 1 else 'trials'} of {listed(short)} ended because "
            "time was up, not because learning was done: more --minutes may change the order."
        )
    return said


def _ended(study: Study, order: Sequence[str], how: str) -> list[str]:
    """Cells whose best trial did so."""
    best = {name: study.of(name).best(study.dataset.metric) for name in order}
    return [name for name, trial in best.items() if trial and trial.run.stopped == how]
