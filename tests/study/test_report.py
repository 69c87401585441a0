"""The report, from comparisons that were never run."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from cellwright.language import cell, cell_names, parse
from cellwright.study.gates import example, gates
from cellwright.study.gates_view import Section
from cellwright.study.model import Model
from cellwright.study.published import published
from cellwright.study.report import ReportError, render, write
from cellwright.study.results import (
    Baseline,
    Comparison,
    Environment,
    Epoch,
    Run,
    Settings,
)
from pages import HOSTILE, JSB, Page, check_page
from tiny import MUSIC


def fake_run(cell: str, seed: int, level: float, epochs: int = 40) -> Run:
    """Learning as it looks: a steep fall, a slow one, then overfitting."""
    rng = random.Random(f"{cell!a}{seed}")
    own = level + rng.gauss(0, 0.03)

    def loss(n: int, floor: float, overfit: float) -> float:
        fall = 30 * math.exp(-n / 1.5) + 3 * math.exp(-n / 8)
        return floor + fall + overfit * max(0, n - 25) ** 1.5 + rng.gauss(0, 0.01)

    count = epochs - rng.randrange(8)
    curve = tuple(
        Epoch(loss(n, own - 0.9, -0.001), (valid := loss(n, own, 0.004)), valid, 0.4 * n)
        for n in range(1, count)
    )
    best = min(range(len(curve)), key=lambda n: curve[n].valid)
    return Run(cell, seed, hidden_size=36 + len(cell), parameters=19_900 + 7 * len(cell),
               epochs=curve, best_epoch=best, valid=curve[best].valid, test=own + 0.1,
               metrics={"loss": own + 0.1, "loss by sequence": own + 0.07},
               seconds=0.4 * count, stopped="patience")  # fmt: skip


def fake(
    cells: Sequence[str] = ("lstm", "peephole_lstm", "coupled_lstm", "gru"),
    seeds: int = 5,
    runs: Sequence[Run] | None = None,
    name: str = "Bach chorales",
    source: str = "Four-part chorales by J. S. Bach (public domain), from the music21 corpus.",
    fingerprint: str = "c0ffee" * 10 + "beef",
) -> Comparison:
    levels = {cell: 8.4 + 0.06 * i for i, cell in enumerate(sorted(cells, reverse=True))}
    if runs is None:
        runs = [fake_run(cell, seed, levels[cell]) for cell in cells for seed in range(seeds)]
    return Comparison(
        Settings(tuple(cells), cells[0], 20_000, seeds, 200, 15, None, 16, 0.003, 1.0, 0.1, 0.99),
        replace(MUSIC.summary(), name=name, source=source, fingerprint=fingerprint,
                baselines=(Baseline("static", "counting", {"loss": 11.06}),
                           Baseline("copy-previous", "copying", {"loss": 10.49}))),
        Environment("0.1.0", "2.13.0", "3.11.2", "Linux 6.1 x86_64", "AMD EPYC 7B13", 2,
                    f"cellwright compare --cells {','.join(cells)} --parameters 20000 --seeds 5",
                    "2026-11-23T17:00:00Z", 214.2),
        tuple(runs),
    )  # fmt: skip


def partial() -> Comparison:
    """Interrupted: one cell short of seeds, one without any, one run diverged, others cut off."""
    whole = fake(("lstm", "gru", "janet", "rnn"))
    runs = [run for run in whole.runs if run.cell != "rnn" and (run.cell, run.seed) != ("janet", 4)]
    diverged = {"test": math.inf, "metrics": {}, "valid": math.inf}
    i = next(i for i, run in enumerate(runs) if run.cell == "gru")
    runs[i] = replace(runs[i], stopped="diverged", **diverged,
                      epochs=(Epoch(math.inf, math.nan, math.nan, 1.0),), best_epoch=0)  # fmt: skip
    runs[0] = replace(runs[0], stopped="time")
    return replace(whole, runs=tuple(runs))


STATES = {
    "whole": fake(),
    "whole catalogue": fake(("lstm", *(name for name in cell_names() if name != "lstm"))),
    "partial": partial(),
    "one seed": fake(seeds=1),
    "two seeds": fake(seeds=2),
    "one cell": fake(("gru",)),
    "nothing yet": fake(runs=()),
    "one run": fake(runs=[fake_run("lstm", 0, 8.4)]),
    "no baseline": fake(runs=[fake_run("gru", seed, 8.4) for seed in range(3)]),
    "one epoch": fake(runs=[fake_run("lstm", 0, 8.4, 10), replace(
        fake_run("gru", 0, 8.4), epochs=(Epoch(9.0, 9.0, 9.0, 1.0),), best_epoch=0)]),
    "all alike": fake(runs=[replace(fake_run("lstm", 0, 8.4), cell=cell, seed=seed)
                            for cell in ("lstm", "gru") for seed in range(2)]),
    "all diverged": fake(("lstm",), 1, [replace(
        fake_run("lstm", 0, 8.4), test=math.nan, metrics={}, valid=math.inf,
        epochs=(), best_epoch=-1, stopped="diverged")]),
}  # fmt: skip


@cache
def rendered(state: str) -> str:
    return render(STATES[state])


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_a_page(state: str) -> None:
    text = rendered(state)
    assert len(text.encode()) < (2_000_000 if state == "whole catalogue" else 400_000)
    check_page(text)
    assert not {tag for tag, _ in Page(text).tags} & {"script"}


def test_the_gates_are_drawn_by_the_only_script() -> None:
    model = Model(cell("gru"), MUSIC.form, 3)
    shown = example(MUSIC)
    section = Section(shown, {"gru": gates(model, shown)}, {"gru": "3 hidden units"})
    page = Page(render(fake(("lstm", "gru")), gates=section))
    assert [attrs for tag, attrs in page.tags if tag == "script"] == [{}]
    assert len([tag for tag, _ in page.tags if tag == "canvas"]) == 1 + len(
        section.cells["gru"].planes
    )
    assert page.attributes("src") == [] and "1 cells" not in page.text
    assert "The gates at work" in page.text and "The gates at work" not in rendered("whole")


def test_diagrams_mark_what_the_baseline_does_not_have() -> None:
    drawn = re.findall(r'<svg [^>]*class="cell-diagram".*?</svg>', rendered("whole"), re.DOTALL)
    assert len(drawn) == 4 and rendered("whole").count(".cell-diagram .paper") == 1
    assert ["changed" in one for one in drawn] == [False, True, True, True]
    assert "cell-diagram" not in rendered("whole catalogue")


def test_equal_comparisons_give_equal_text(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write(fake(), tmp_path / f"{name}.html")
    for ending in (".html", ".md", ".csv"):
        one, other = (
            (tmp_path / f"{name}{ending}").read_text("utf-8") for name in ("one", "other")
        )
        assert one == other


def test_the_answer_stands_first() -> None:
    page = Page(render(fake()))
    text = page.text
    assert text.index("peephole_lstm is better than lstm") < text.index("Ranking")
    better = fake(runs=[fake_run("lstm", s, 9.0) for s in range(5)]
                  + [fake_run("gru", s, 8.0) for s in range(5)])  # fmt: skip
    assert "<h1>gru is better than lstm</h1>" in render(better)
    worse = fake(("lstm", "gru"), runs=[replace(run, cell="lstm" if run.cell == "gru" else "gru")
                                        for run in better.runs])  # fmt: skip
    assert "<h1>lstm is better than gru</h1>" in render(worse)
    assert "<h1>No cell is better than lstm" in rendered("all alike")
    assert "too few runs have finished to tell</h1>" in rendered("one seed")
    assert "<h1>No run has finished yet</h1>" in rendered("nothing yet")


def test_figures_show_every_finite_run_and_nothing_else() -> None:
    comparison, text = STATES["partial"], rendered("partial")
    wide = text[text.index('<svg class="wide"') : text.index('<svg class="narrow"')]
    rings = re.findall(r"<use [^>]*fill-opacity: 0|<use [^>]*fill: none", wide)
    finite = [run for run in comparison.runs if math.isfinite(run.test)]
    assert len(rings) == len(finite) == 13
    assert "#ab00" not in text  # a stand-in colour that no variable replaced


def test_a_diverged_run_is_in_no_curve() -> None:
    comparison = partial()
    elsewhere = tuple(Epoch(7.0, 7.0, 7.0, 1.0) for _ in range(30))
    runs = [replace(run, epochs=elsewhere) if run.stopped == "diverged" else run
            for run in comparison.runs]  # fmt: skip
    svgs = [
        re.findall(r'<svg class="(?:wide|narrow)".*?</svg>', text, re.DOTALL)
        for text in (rendered("partial"), render(replace(comparison, runs=tuple(runs))))
    ]
    assert len(svgs[0]) == 4 and svgs[0] == svgs[1]


def test_an_interrupted_comparison_says_so() -> None:
    text = Page(rendered("partial")).text
    assert "6 of 20 runs are not finished" in text
    assert "goes on where this stopped" in text
    assert "Of gru 1 run diverged" in text
    assert "4 of 5" in text and "0 of 5" in text
    assert "diverged – –" not in text
    assert "not finished" not in Page(rendered("whole")).text


def test_hostile_text_stays_text() -> None:
    cell = parse(f"title: {HOSTILE}\npaper: {HOSTILE} https://a.example/x'y arXiv 1412.3555\n"
                 f"note: {HOSTILE}\nh' = tanh(W x + R h)  # {HOSTILE}", "stranger")  # fmt: skip
    names = ("lstm", HOSTILE)
    comparison = fake(names, name=HOSTILE, source=HOSTILE, fingerprint=HOSTILE)
    comparison = replace(
        comparison,
        dataset=replace(
            comparison.dataset,
            baselines=(Baseline(HOSTILE, HOSTILE, {"loss": 11.0}),),
            goal=HOSTILE,
            meaning=HOSTILE,
            notes=(HOSTILE,),
        ),
        environment=replace(comparison.environment, command=HOSTILE, processor=HOSTILE),
    )
    text = render(comparison, {HOSTILE: cell})
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    assert not [k for _, attrs in page.tags for k in attrs if k.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 10
    assert "{{ 7 }}" in page.text
    links = {ref for ref in page.attributes("href") if not ref.startswith("#")}
    assert links == {"https://arxiv.org/abs/1412.3555", "https://a.example/x"}


@pytest.mark.parametrize(
    "name", ["a\udcff.cell", "日本.cell", "😀", "$\\frac$", "\x01", "x" * 300, ""]
)
@pytest.mark.filterwarnings("error")
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    write(fake(("lstm", name)), tmp_path / "report.html")
    assert "lstm" in Page((tmp_path / "report.html").read_text("utf-8")).text


def test_what_differs_from_the_baseline_is_marked() -> None:
    text = render(fake(("lstm", "peephole_lstm", "coupled_lstm")))
    assert "<mark>p_i * c +</mark>" in text
    assert "<del>i  = σ(W_i x + R_i h + b_i)</del>" in text
    assert "<mark>(1 - f)</mark>" in text and "<del>i</del> * z" in text
    assert "<mark>" not in render(fake(("lstm",)))


def test_a_cell_whose_file_is_gone_is_said_to_be() -> None:
    text = render(fake(("gone/away.cell", "gru")))
    assert "not to be found any more" in text
    assert "n  = tanh(W_n x" in text and "<mark>" not in text[text.index("</h1>") :]


def test_published_figures_stand_beside_the_same_data_only() -> None:
    paper, searched = published(JSB)
    assert searched.best == 8.38
    assert paper.test == {"lstm": 8.67, "gru": 8.54, "rnn": 9.10}
    text = Page(render(fake(("lstm", "gru", "mgu"), fingerprint=JSB))).text
    beside = text[text.index("Beside published") : text.index("Learning curves")]
    assert "8.67" in beside and "8.54" in beside
    assert "9.10" not in beside and "mgu" not in beside
    assert "Beside published" not in render(fake())
    assert "Beside published" not in render(fake(("mgu",), fingerprint=JSB))
    own = {"lstm": parse("h' = tanh(W x + R h)", "lstm")}
    assert "Beside published" not in render(fake(("lstm",), fingerprint=JSB), own)


def test_a_folder_that_cannot_be_written_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"cannot be written: No such file.*--out") as e:
        write(fake(), tmp_path / "nowhere" / "report.html")
    assert "\n" not in str(e.value)
