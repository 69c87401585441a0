"""What README and docs show works as shown."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from cellwright import CellError, Recurrent, cell, parse
from cellwright.language import cell_names
from cellwright.language.names import FORMS, FUNCTIONS
from cellwright.language.syntax import HEADERS
from cellwright.program.ops import EPSILON

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LANGUAGE = (ROOT / "docs" / "language.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(text: str, kind: str) -> list[str]:
    fenced = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [block[2] for block in fenced if block[1] == kind]


def tool(name: str) -> dict[str, Any]:
    """What a tool defines."""
    return runpy.run_path(str(ROOT / "tools" / f"{name}.py"))


def test_the_code_of_the_readme_runs() -> None:
    shared: dict[str, object] = {}
    code = blocks(README, "python")
    assert len(code) == 3
    for block in code:
        exec(block, shared)
    assert shared["seen"]["z"].shape == (100, 16, 36)


def test_the_first_block_of_the_readme_is_the_peephole_lstm() -> None:
    [text] = blocks(README, "cell")
    assert parse(text).program == cell("peephole_lstm").program
    assert [(e.text, e.caption) for e in parse(text).equations] == [
        (e.text, e.caption) for e in cell("peephole_lstm").equations
    ]


def test_the_mistake_of_the_readme_reads_so() -> None:
    [shown] = [b for b in blocks(README, "") if b.startswith("$ cellwright check")]
    i, f, z, c, o, h = (e.text for e in cell("peephole_lstm").equations)
    with pytest.raises(CellError) as caught:
        parse("\n".join((i, f, z, o, c, h)), "my")
    assert shown == f"$ cellwright check my.cell\n{caught.value}\n"


def test_the_readme_names_every_cell() -> None:
    for name in cell_names():
        assert f"`{name}`" in README


def test_the_introduction_shows_cells_as_they_are() -> None:
    lines = {e.text for name in cell_names() for e in cell(name).equations}
    text = (ROOT / "docs" / "introduction.md").read_text()
    shown = [
        line.split("#")[0].strip() for block in blocks(text, "") for line in block.splitlines()
    ]
    assert len(shown) == 18
    assert set(shown) <= lines


@pytest.mark.parametrize("page", ["own-cell", "left-out"])
def test_the_cells_of_the_docs_run(page: str) -> None:
    """None is in the catalogue, which is what both pages are about."""
    [text] = blocks((ROOT / "docs" / f"{page}.md").read_text(), "cell")
    assert parse(text).program not in [cell(name).program for name in cell_names()]
    assert Recurrent(parse(text), 3, 4)(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)


def test_the_example_of_the_language_runs() -> None:
    text, repeated = blocks(LANGUAGE, "cell")
    assert parse(repeated).with_options(L=3).program == cell("rhn(L=3)").program
    layer = Recurrent(parse(text), 3, 4, floor=0.1)
    assert layer(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)


def test_the_language_page_has_every_word() -> None:
    assert tool("functions")["tables"]() in LANGUAGE
    for name in (*FUNCTIONS, *FORMS):
        assert f"`{name}(" in LANGUAGE, name
    for header in HEADERS:
        assert f"`{header}:" in LANGUAGE
    assert f"variance + {EPSILON:.0e}".replace("e-05", "e-5") in LANGUAGE


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_figures_of_the_readme_are_those_that_were_measured() -> None:
    published = (ROOT / "benchmarks" / "results" / "published.md").read_text()
    rows = re.findall(r"\| (\w+) \| \d+ \| ([\d.]+) \| ([\d.]+)", published)
    assert [name for name, *_ in rows] == ["lstm", "gru", "rnn"]
    for name, ours, theirs in rows:
        assert f"| `{name}` | {ours} | {theirs} |" in README


def test_speeds_of_the_readme_are_those_that_were_measured() -> None:
    assert tool("speeds")["table"]() in README
