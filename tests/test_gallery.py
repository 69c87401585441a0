"""The pages of the site that are made. What `make docs` builds of them checks its own links."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from cellwright.export.diagram import diagram
from cellwright.language import cell, cell_names
from cellwright.language.difference import difference
from gallery.cells import linked, shown
from gallery.charts import chart, series
from gallery.links import problems
from gallery.pictures import figure, inlined, style, thumbnail
from gallery.readme import families, relocated, section
from gallery.results import TABLE, Table, pages, said_of
from gallery.site import Site
from gallery.source import fence

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = pages(ROOT / "benchmarks" / "results")
FEW = ("rnn", "lstm", "peephole_lstm", "cornn", "unicornn", "lru")
"""Cells with those that they vary: a named layer and one without, constants, speeds and none."""


@cache
def made() -> dict[str, str]:
    return dict(Site(ROOT, FEW).files())


# --- what there is ------------------------------------------------------------------------------


def test_every_cell_is_in_one_family_and_has_a_page() -> None:
    found = families(README, cell_names())
    assert sorted(name for cells in found.values() for name in cells) == sorted(cell_names())
    with pytest.raises(ValueError, match="no table of the README has nobody"):
        families(README, ("lstm", "nobody"))
    assert {f"cells/{name}.{kind}" for name in FEW for kind in ("md", "svg")} <= {*made()}
    assert {page.address for page in RESULTS} <= {*made()}


def test_every_page_is_in_the_navigation() -> None:
    nav = Site(ROOT, FEW).nav()
    assert {*re.findall(r"'([\w/-]+\.md)'", str(nav))} == {
        address for address in made() if address.endswith(".md") and address != "index.md"
    }


# --- the page of a cell -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layer"), [("lstm", "LSTM("), ("unicornn", 'Recurrent("')])
def test_the_code_of_a_page_runs(name: str, layer: str) -> None:
    [code] = re.findall(r"```python\n(.*?)```", made()[f"cells/{name}.md"], re.DOTALL)
    assert f"layer = cellwright.{layer}" in code
    found: dict[str, object] = {}
    exec(code, found)
    assert found["output"].shape == (100, 16, 36)
    assert all(isinstance(found[s.name], torch.Tensor) for s in cell(name).program.states)


def test_a_page_has_the_equations_with_captions_and_what_differs() -> None:
    page, (this, like) = made()["cells/peephole_lstm.md"], map(cell, ("peephole_lstm", "lstm"))
    for equation in this.equations:
        assert page.count(f'<span class="caption">{equation.caption}</span>') == 1
    marks = [text.strip() for row in difference(like, this) for text, mark in row.right if mark]
    assert [unescape(mark) for mark in re.findall(r"<mark>(.*?)</mark>", page)] == marks
    assert "3 of 6 equations are the same" in page
    assert page.count("data-changed") == diagram(this, like).count("data-changed") > 0
    assert page.count("<figure") == 2
    assert made()["cells/rnn.md"].count("<figure") == 1


def test_pages_of_kin_are_linked() -> None:
    assert (
        "[`rnn`](rnn.md) → [`lstm`](lstm.md) → `peephole_lstm`" in made()["cells/peephole_lstm.md"]
    )
    assert "- [`peephole_lstm`](peephole_lstm.md), LSTM with" in made()["cells/lstm.md"]
    assert "Cells that vary it" not in made()["cells/unicornn.md"]


def test_speeds_are_those_that_were_measured() -> None:
    [page] = [p for p in RESULTS if (p.folder, p.label) == ("amd-epyc", "lstm")]
    found = next(f for f in said_of("lstm", RESULTS) if f.page == page)
    kinds = [kind for kind, _ in found.means]
    assert kinds == ["training", "training", "inference", "inference"]
    assert all(f"- {sentence}\n" in page.text for _, sentence in found.means)
    assert f"- training, {found.means[0][1]}" in made()["cells/lstm.md"]
    assert "AMD EPYC" in made()["cells/lstm.md"]
    assert not list(said_of("nobody", RESULTS))
    assert "## Speed" not in made()["cells/lru.md"]


@pytest.mark.parametrize("name", cell_names())
def test_what_is_said_of_every_cell(name: str) -> None:
    found = shown(cell(name), [])
    sizes = cell(name).sizes(88, 36)
    terms = re.sub(r"(\w) (?=\w)", r"\1*", found.count).replace("HI", "H*I").replace("²", "**2")
    assert eval(terms, dict(sizes)) == cell(name).program.count(sizes)
    for line in found.lines:
        left, right = (ElementTree.fromstring(side) for side in (line.left, line.right))
        assert "".join(right.itertext()).startswith("=")
        assert not re.search(r"[\\{}]", "".join([*left.itertext(), *right.itertext()]))
    counted = any(option.kind == "count" for option in cell(name).options)
    assert counted or all(e.text in found.statements for e in cell(name).equations)
    assert len(re.findall("arxiv.org/abs/", linked(cell(name).paper))) == len(
        re.findall("(?i)arxiv", cell(name).paper)
    )


def test_equations_are_typeset() -> None:
    gate = shown(cell("lstm"), []).lines[0]
    assert "".join(ElementTree.fromstring(gate.left).itertext()) == "it"
    assert "".join(ElementTree.fromstring(gate.right).itertext()) == "=σ(Wixt+Riht−1+bi)"
    assert linked("Zu (2020). doi 10.1049/gtd2.12056.") == (
        "Zu (2020). [doi 10.1049/gtd2.12056](https://doi.org/10.1049/gtd2.12056)."
    )


# --- pictures -----------------------------------------------------------------------------------


def test_diagrams_become_parts_of_a_page() -> None:
    docs = ROOT / "docs"
    page = '<p><img alt="" src="images/lstm.svg"></p><p><img alt="" src="images/report.png"></p>'
    assert inlined(page, docs) == figure(diagram(cell("lstm"))) + page[page.index("</p>") + 4 :]
    assert "<style>" not in figure(diagram(cell("lstm")))
    assert style().count('[data-md-color-scheme="slate"]') == 1


def test_a_fence_is_drawn() -> None:
    html = fence("title: <A>\nh' = tanh(W x + R h + b) # state\ninit b = 1\n")
    assert '<span class="k">title:</span> &lt;A&gt;' in html
    assert '<span class="c1"># state</span>\n<span class="k">init</span> b = 1' in html
    assert 'data-names="h\'"' in html


def test_a_thumbnail_ends_above_what_is_said_below() -> None:
    root = ElementTree.fromstring(thumbnail(diagram(cell("lstm"))))
    height = float(root.attrib["height"])
    assert root.attrib["viewBox"].endswith(f" {height:g}")
    places = [(e.attrib.get("class"), float(e.attrib["y"])) for e in root.iter() if "y" in e.attrib]
    assert {kind for kind, y in places if y > height} <= {"foot", "shape"}
    assert all(y > height for kind, y in places if kind == "foot")
    assert all(y < height for kind, y in places if kind == "label")


def test_a_chart_has_a_dot_for_each_number_at_its_place() -> None:
    table = Table.read(
        "| size | threads | ours | theirs |\n|---|---|---|---|\n"
        "| 8, 8 | 1 | 2.00 (1.9–2.1) | 4.00 (2.00x) |\n"
        "| 8, 8 | 2 | 1.00 (0.9–1.1) | 6.00 (6.00x) |\n"
        "| 9, 9 | 1 | 3.00 (2.9–3.1) | 1.50 (0.50x) |\n"
    )
    rows, drawn, unit = series(table)
    assert (rows, unit) == (["8, 8", "9, 9"], "x")
    assert {s.name: [*s.values] for s in drawn} == {
        "theirs, 1 thread": [2.0, 0.5],
        "theirs, 2 threads": [6.0, None],
    }
    root = ElementTree.fromstring(chart(table, "a & b"))
    dots = [c for c in root.iter("{http://www.w3.org/2000/svg}circle") if len(c)]
    said = {c[0].text: float(c.attrib["cx"]) for c in dots}
    assert sorted(said, key=said.__getitem__) == [
        "9, 9, theirs, 1 thread, 0.5x", "8, 8, theirs, 1 thread, 2x", "8, 8, theirs, 2 threads, 6x",
    ]  # fmt: skip


@pytest.mark.parametrize("page", RESULTS, ids=lambda p: p.address)
def test_every_page_of_results_has_pictures(page) -> None:
    tables = TABLE.findall(page.text)
    assert tables
    assert made()[page.address].count("<svg") == len(tables)
    for text in tables:
        rows, drawn, _ = series(Table.read(text))
        assert rows
        assert all(any(v is not None for v in s.values) for s in drawn)


# --- links --------------------------------------------------------------------------------------


def test_links_of_the_readme_lead_to_pages() -> None:
    text = relocated("[a](docs/language.md#x) [b](src/cellwright/catalogue/lstm.cell)", root="../")
    assert text == "[a](../language.md#x) [b](../cells/lstm.md)"
    assert relocated("[a](own.md) [b](../src/cellwright/catalogue)", above="../") == (
        "[a](own.md) [b](cells/index.md)"
    )
    with pytest.raises(ValueError, match="the site has no LICENSE"):
        relocated("[a](LICENSE)")
    with pytest.raises(ValueError, match="no section 'Prices'"):
        section(README, "Prices")
    text = "# Title\n\nFirst\n\n## A\n\n```\n# a\n```\n\n### B\n\n## C\n\nc\n"
    assert [section(text, t) for t in ("", "A", "C")] == ["First", "```\n# a\n```\n\n### B", "c"]


GOOD = '<article><svg role="img"></svg><h2 id="a">A</h2><a href="b.html#b">b</a></article>'


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (GOOD, []),
        (GOOD.replace("b.html", "c.html"), ["a.html: there is no c.html#b"]),
        (GOOD.replace("#b", "#c"), ["a.html: there is no such place as b.html#c"]),
        (GOOD.replace("b.html", ""), ["a.html: there is no such place as #b"]),
        (GOOD.replace("b.html#b", "https://b.org/#c"), []),
        (GOOD.replace("<article>", "<p>"), ["a.html: no picture"]),
        (GOOD + '<script src="https://b.org/b.js"></script>', ["a.html: loads https://b.org/b.js"]),
        (GOOD + '<link href="//b.org/b.css">', ["a.html: loads //b.org/b.css"]),
        (GOOD + "<style>@import 'https://b.org'</style>", ["a.html: loads https://b.org"]),
        (GOOD + '<p style="background: url(http://b.org)">', ["a.html: loads http://b.org"]),
        (GOOD + '<img src="b.png">', ["a.html: there is no b.png"]),
        (GOOD + '<img src="data:,">', []),
    ],
)
def test_what_is_wrong_with_a_site_is_found(tmp_path: Path, page: str, expected: list[str]) -> None:
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<article><img src="a.svg"><p id="b"></article>')
    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path / "a.css").write_text("p { background: url(a.svg) }")
    assert problems(tmp_path) == expected


def test_what_a_style_sheet_loads_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text('p { background: url("https://b.org/b.png") }')
    assert problems(tmp_path) == ["a.css: loads https://b.org/b.png"]
