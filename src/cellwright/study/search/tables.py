"""report.md of a study: the answer and the ranking as text. trials.csv has the rest."""

from __future__ import annotations

from cellwright.study import markdown
from cellwright.study.search.findings import Findings
from cellwright.study.search.verdict import caveats, headline, verdicts
from cellwright.study.words import duration, p_value

__all__ = ["as_markdown"]


def as_markdown(found: Findings) -> str:
    """The answer, the ranking, and how it was run."""
    study, metric = found.study, found.metric
    baseline = study.settings.baseline
    shown = "mean of seeds" if found.by_seeds else "mean of the best tenth of trials"
    table = [["Cell", f"Test {metric.phrase}, {shown}", f"Against {baseline}", "95% interval", "p",
              "Best trial", "Hidden units", "Parameters", "Trials"]]  # fmt: skip
    for place in found.places:
        claim, run = place.claim, place.best.run if place.best else None
        apart, ends = (claim.difference, claim.interval) if claim else (None, None)
        table.append([
            place.cell,
            metric.text(place.mean),
            "baseline" if place.cell == baseline else metric.signed(apart),
            " to ".join(map(metric.signed, ends)) if ends else "–",
            p_value(claim.p if claim else None),
            metric.text(run.test if run else None),
            str(run.hidden_size) if run else "–",
            f"{run.parameters:,}" if run else "–",
            str(len(study.of(place.cell).trials)),
        ])  # fmt: skip
    test = (
        "of Welch's t-test of seeds of the best setting" if found.by_seeds else
        "of a permutation of all trials, the best chosen anew each time,"
    )  # fmt: skip
    note = (
        f"p is that {test} against {baseline}, after Holm. "
        f"All trainings together took {duration(study.seconds)}."
    )
    return markdown.as_markdown(
        headline(found), [*verdicts(found), *caveats(found)], table, note, study.dataset,
        study.environment,
    )  # fmt: skip
