"""The report of a study, from studies that nobody trained: what it says is what statistics give."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest
from rich.console import Console

from cellwright.study.results import Baseline
from cellwright.study.search.again import between, tell
from cellwright.study.search.findings import find, trials_of
from cellwright.study.search.remarks import unequal
from cellwright.study.search.report import render
from cellwright.study.search.results import Study
from cellwright.study.search.tables import as_markdown
from cellwright.study.search.verdict import caveats
from cellwright.study.statistics import dealing, effects, importance, surface
from cellwright.study.statistics.importance import importances
from cellwright.study.statistics.sentences import search_against, seeds_against
from cellwright.study.statistics.trials import best
from cellwright.study.statistics.versus import compare, compare_searches
from cellwright.study.words import duration, p_value
from pages import HOSTILE, JSB, Page, check_page
from searched import searched
from trials import ACCURACY


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Fewer draws and trees than elsewhere, for the report and what it is held against."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (effects, dealing):
            patch.setattr(module, "RESAMPLES", 199)
        for module in (importance, surface):
            patch.setattr(module, "TREES", 20)
        yield


def _all_diverged() -> Study:
    whole = searched(("lstm", "gru"), 4)
    gone = {"valid": math.inf, "test": math.inf, "metrics": {}, "epochs": (), "best_epoch": -1}
    return replace(whole, cells=tuple(
        replace(one, trials=tuple(replace(t, run=replace(t.run, stopped="diverged", **gone))
                                  for t in one.trials))
        for one in whole.cells
    ), edges={name: {} for name in whole.settings.cells})  # fmt: skip


def _partial() -> Study:
    """The baseline whole, one cell begun, one not; a trial broke off."""
    whole = searched(trials=12, seeds=3)
    lstm, gru, rnn = whole.cells
    return replace(whole, complete=False, cells=(
        lstm,
        replace(gru, trials=gru.trials[:5], again=(), failed={"7": "RuntimeError: no memory"}),
        replace(rnn, trials=(), again=()),
    ), edges={**whole.edges, "rnn": {}})  # fmt: skip


STATES = {
    "by searches": searched(fingerprint=JSB),
    "by seeds": searched(trials=12, seeds=4, preset_name="modern"),
    "partial": _partial(),
    "one cell": searched(("gru",), trials=6),
    "two trials": searched(trials=2),
    "all diverged": _all_diverged(),
    "more is better": searched(
        seeds=3, metrics=(ACCURACY,), baselines=(Baseline("chance", "guessing", {"accuracy": 0.1}),)
    ),
    "hostile": searched(("lstm", HOSTILE), 12, name=HOSTILE, source=HOSTILE, goal=HOSTILE,
                        baselines=(Baseline(HOSTILE, HOSTILE, {"loss": 11.0}),)),
}  # fmt: skip


@cache
def _rendered(state: str) -> str:
    return render(find(STATES[state]), {"gru": 0.25, "lstm": 0.5})


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_a_page(state: str) -> None:
    check_page(_rendered(state))
    assert "<script" not in _rendered(state)


class _Rows(HTMLParser):
    """Rows of tables as lists of words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def _table(text: str, heading: str, cells: int) -> dict[str, list[str]]:
    """The rows of the first table behind a heading, by cell."""
    rows = _Rows(text[text.index(heading) :]).rows[1 : cells + 1]
    return {row[0].strip(): [" ".join(field.split()) for field in row[1:]] for row in rows}


def test_searches_are_told_as_the_statistics_have_them() -> None:
    study, text = STATES["by searches"], _rendered("by searches")
    metric, trials = study.dataset.metric, trials_of(study)
    against = compare_searches(trials, "lstm", metric)
    rows = _table(text, '<h2 id="ranking">', 3)
    assert [*rows] == ["lstm", "gru", "rnn"]  # as they were made
    for name, row in rows.items():
        tests = [t.test for t in best(trials[name], metric)]
        assert row[0] == metric.text(sum(tests) / 2)
        if name == "lstm":
            assert row[1:3] == ["baseline", "–"]
            continue
        found = against[name]
        assert found is not None and found.shown
        assert row[1].startswith(metric.signed(found.difference))
        assert row[2:4] == [p_value(found.p), p_value(found.best.p)]
        for sentence in search_against(found, metric):
            assert sentence.replace("\u00a0", " ") in Page(text).text.replace("\u00a0", " ")
    assert "<h1>lstm is better than gru and rnn</h1>" in text

    forest = surface.surface(trials["gru"], study.settings.space, metric, worst=11.5)
    assert forest is not None
    shares = importances(forest).single
    row = _table(text, 'aria-label="Importance of hyperparameters"', 3)["gru"]
    assert row[:4] == [f"{100 * shares[one.name]:.0f}%" for one in study.settings.ranges]
    assert max(shares, key=lambda name: shares[name]) == "learning_rate"


def test_seeds_are_told_as_the_statistics_have_them() -> None:
    study, text = STATES["by seeds"], _rendered("by seeds")
    metric = study.dataset.metric
    found = compare({c.cell: [r.test for r in c.again] for c in study.cells}, "lstm", metric)["rnn"]
    assert found is not None
    row = _table(text, '<h2 id="ranking">', 3)["rnn"]
    assert row[1].startswith(metric.signed(found.contrast.difference))
    assert row[2] == p_value(found.p)
    assert seeds_against(found, metric)[0].replace("\u00a0", " ") in Page(text).text.replace(
        "\u00a0", " "
    )
    assert "A ring is one seed" in text
    said = as_markdown(find(study))
    assert f"| rnn | {row[0].split()[0]} |" in said
    assert said.startswith("# lstm is better than ")


def test_all_pairs_are_those_of_each_baseline() -> None:
    """A column of the matrix is the test against that cell; beside the diagonal signs turn."""
    seeds, searches = find(STATES["by seeds"]), find(STATES["by searches"])
    groups = {c.cell: [r.test for r in c.again] for c in STATES["by seeds"].cells}
    for name in groups:
        for other, found in compare(groups, name, seeds.metric).items():
            pair = seeds.matrix[name][other]
            assert found is not None and pair is not None
            assert (pair.p, pair.difference) == (found.p, found.contrast.difference)
    for name, one in searches.searches.items():
        pair, turned = searches.matrix["lstm"][name], searches.matrix[name]["lstm"]
        assert one is not None and pair is not None and turned is not None
        assert (pair.p, pair.difference) == (one.p, one.difference)
        assert turned.difference == -pair.difference


def test_the_published_best_stands_beside_the_best_by_validation() -> None:
    study = STATES["by searches"]
    chosen = study.of("lstm").best(study.dataset.metric)
    assert chosen is not None
    test = study.dataset.metric.text(chosen.run.test)
    text = Page(_rendered("by searches")).text
    assert (
        f"Its best of all cells is 8.38; the best here, by validation too, is lstm with {test}"
        in text
    )
    assert "published" not in _rendered("by seeds")


def test_a_partial_study_says_what_is_missing() -> None:
    text = Page(_rendered("partial")).text
    assert "19 of 36 trials and 6 of 9 seeds are not finished" in text
    assert "goes on where this stopped" in text
    assert "gru: 1 trial broke off, trial 7 with RuntimeError: no memory" in text
    assert "not finished" not in _rendered("by seeds")
    assert "No trial has finished yet</h1>" in _rendered("all diverged")


def test_data_too_small_to_tell_cells_apart_are_told_before_the_figures() -> None:
    text = Page(_rendered("by seeds")).text
    said = "validation has 5 and test has 7: fewer than 20 say little"
    assert text.index(said) < text.index("Ranking")
    enough = find(searched(sizes={"sequences": (60, 20, 20)}))
    assert not any("fewer than 20" in line for line in caveats(enough))


def test_who_searched_for_longer_than_its_share_is_told() -> None:
    """As where a cell was added to a study by minutes."""
    study = STATES["by searches"]
    ran, seconds = study.environment, study.of("lstm").search_seconds
    shares = len(study.cells) * seconds / 60 / ran.workers

    def told(*least: float, minutes: float | None = shares) -> list[str]:
        """Of cells that searched for as many times as long as the LSTM did."""
        cells = tuple(
            replace(one, trials=(replace(one.trials[0], run=replace(run, seconds=k * seconds)),))
            for one, k in zip(study.cells, least, strict=True)
            for run in [one.trials[0].run]
        )
        settings = replace(study.settings, trials=None, minutes=minutes)
        return unequal(replace(study, settings=settings, cells=cells))

    assert told(1.0, 1.2, 0.3) == []
    (said,) = told(1.0, 1.3, 1.0)
    assert said.startswith(f"Cells searched for unequal times: each has {duration(seconds)} of")
    assert f"and gru {duration(1.3 * seconds)} from commands before" in said
    assert told(1.3, 1.3, 1.3) == []
    assert told(1.0, 1.3, 1.0, minutes=None) == []


def test_an_optimum_at_the_edge_is_told_before_the_figures() -> None:
    """Trials are best at 1e-2, where the range ends."""
    found = find(STATES["by searches"])
    assert {edge.name for edge in found.edges["lstm"]} == {"learning_rate"}
    (said,) = [line for line in caveats(found) if "learning rate" in line]
    assert "lstm" in said and "at an end of the range" in said
    text = Page(_rendered("by searches")).text
    assert "of trials that are equal there, the one with the smallest number" in text
    assert text.index(said) < text.index("Ranking")
    assert "have a learning rate at the upper end of its range, 0.01" in text


def test_where_more_is_better_the_order_turns() -> None:
    text = _rendered("more is better")
    assert [*_table(text, '<h2 id="ranking">', 3)] == ["rnn", "gru", "lstm"]
    assert "cut off where no share can be" in text
    assert "where no share can be" not in _rendered("by seeds")
    assert "<h1>gru and rnn are better than lstm</h1>" in text.replace("rnn and gru", "gru and rnn")


def test_hostile_text_stays_text() -> None:
    text = _rendered("hostile")
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [k for _, attrs in page.tags for k in attrs if k.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 6 and "{{ 7 }}" in page.text


def test_one_study_beside_another() -> None:
    """The same cells, searched by two seeds: alike, but for the one that is worse by 0.5 in one."""
    one, other = (
        searched(("lstm", "gru"), 20, step=0.0),
        searched(("gru", "lstm"), 20, seed=1, step=0.5),
    )
    rows = {row.cell: row for row in between(one, other)}
    sides = {"a": trials_of(one)["lstm"], "b": trials_of(other)["lstm"]}
    alone = compare_searches(sides, "a", one.dataset.metric)["b"]
    lstm, gru = rows["lstm"].claim, rows["gru"].claim
    assert alone is not None and lstm is not None and gru is not None
    assert (lstm.difference, lstm.interval) == (alone.difference, alone.interval)
    assert lstm.p == min(1, 2 * alone.p) and lstm.shown and not gru.shown
    assert rows["lstm"].tested == "20 trials"

    console = Console(record=True, width=120)
    tell(one, other, ("one", "other"), console)
    assert re.search(
        r"lstm in other is worse than lstm in one by 0\.\d+ nats", console.export_text()
    )

    with pytest.raises(Exception, match="of other data, melodies and melodies"):
        between(one, searched(("lstm",), 3, fingerprint="another"))
    changed = replace(other, cells=tuple(replace(c, text=f"{c.text}\n") for c in other.cells))
    with pytest.raises(Exception, match="gru, lstm: the equations are not the same"):
        between(one, changed)


def test_equal_studies_give_equal_text() -> None:
    study = STATES["one cell"]
    assert render(find(study)) == render(find(study))
