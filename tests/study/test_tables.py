"""report.csv and report.md say what the comparison has, read by others' parsers."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from html import unescape
from re import sub

import markdown

from cellwright.study.tables import as_csv, as_markdown
from cellwright.study.verdict import headline, rank, sentences
from tiny import comparison

FOUND = comparison({"lstm": [8.5, 8.6, 8.55], "gru_a|b": [8.1, 8.2, math.inf]}, seeds=3)


def test_every_run_is_a_row() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(FOUND))))
    assert [(row["cell"], int(row["seed"])) for row in rows] == [
        (r.cell, r.seed) for r in FOUND.runs
    ]
    assert [row["test loss"] and float(row["test loss"]) for row in rows] == [
        run.test if math.isfinite(run.test) else "" for run in FOUND.runs
    ]
    assert rows[-1]["stopped by"] == "diverged" and rows[-1]["validation loss"] == ""


def test_the_text_has_the_answer_and_the_ranking() -> None:
    html = markdown.markdown(as_markdown(FOUND), extensions=["tables"])
    assert f"<h1>{headline(FOUND)}</h1>" in html
    cells = [unescape(sub("<[^>]*>", "", row)) for row in html.split("<tr>")[2:]]
    for standing, row in zip(rank(FOUND), cells, strict=True):
        assert row.split()[0] == standing.cell
        assert FOUND.dataset.metric.text(standing.mean) in row
    text = unescape(sub("<[^>]*>", "", html))
    assert all(sentence in text for sentence in sentences(FOUND))
    assert "<code>cellwright compare" in html


def test_hostile_names_stay_text() -> None:
    bad = "<script>x</script> | [a](javascript:b)\n# c"
    named = replace(FOUND, dataset=replace(FOUND.dataset, name=bad, source=bad))
    html = markdown.markdown(as_markdown(named), extensions=["tables"])
    assert "<script" not in html and "<a " not in html and html.count("<h1>") == 1
