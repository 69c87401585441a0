"""Pictures of cells: nothing overlaps, nothing is missing, and what differs is what is marked."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

import pytest

from cellwright.export.diagram import diagram
from cellwright.export.diagram.drawing import Picture, picture, written
from cellwright.export.diagram.graph import Kind, Node
from cellwright.export.diagram.measure import NAME, width
from cellwright.export.diagram.strokes import Place, Stroke, joints, strokes
from cellwright.language import Cell, cell, cell_names, parse
from cellwright.language.difference import difference
from cellwright.program.program import prime

SVG = "{http://www.w3.org/2000/svg}"
UNUSUAL = {
    "one_value": "h' = h + x",
    "many_in_one": "h' = a + b + c + d + e + f + g + x\n"
    + "".join(f"{name}' = σ(p_{name} * h + x)\n" for name in "abcdefg"),
    "everything": """
const dt = 0.1
scalar alpha = 0.5
s  = σ(k)
u  = W x
w_u = u
p  = -softplus(-(W_p x + R_p h + R_p^T h))
q  = max(0, min(1, 0.2 * (W_q x + R_q h + V_q c + U_q m + w * n) + 0.5))
r  = 1 + tanh(a * h)
y  = norm(u * w_u) / (p + q)
z  = (mean(u) - mean(q)) * V W_z x
m' = max(m + p, u) - sum(y)
n' = where(m', n, x)
c' = dt * (c - 3 * y + s * z) * alpha
g_very_long_name_of_a_value = exp(r) * c' - 1 / p
h' = (1 - r) * h + r * tanh(g_very_long_name_of_a_value + z * R_n (r * h)) + q
o' = x
output y
""",
}
CELLS = [*map(cell, cell_names()), *(parse(text, name) for name, text in UNUSUAL.items())]
every_cell = pytest.mark.parametrize("drawn", CELLS, ids=lambda c: c.name)


@cache
def _picture(drawn: Cell) -> Picture:
    """Against a cell whose marks are on some nodes of every other one."""
    return picture(drawn, cell("lstm"))


def _tree(drawn: Cell) -> ElementTree.Element:
    return ElementTree.fromstring(written(_picture(drawn)))


Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _apart(a: Rectangle, b: Rectangle) -> bool:
    return a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


def _rectangle(p: Picture, node: Node) -> Rectangle:
    (x, y), box = p.layout.centres[node], p.boxes[node]
    return x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2


def _strokes(p: Picture) -> Iterator[tuple[Node, Stroke]]:
    for net in p.nets:
        for stroke in strokes(net, p.layout, p.boxes):
            yield net.source, stroke


def _inside(
    text: ElementTree.Element, left: float, top: float, right: float, bottom: float
) -> bool:
    """Whether a text is within a rectangle, by the estimate of its width."""
    size, x, y = (float(text.attrib[key]) for key in ("font-size", "x", "y"))
    wide = width("".join(text.itertext()), size)
    starts = {"beside", "foot"} & {*text.attrib["class"].split()}
    first = x if starts else x - wide / 2
    return left <= first and first + wide <= right and top <= y - size * 0.8 and y + 4 <= bottom


# --- every cell ---------------------------------------------------------------------------------


@every_cell
def test_every_text_is_where_it_has_room(drawn: Cell) -> None:
    root = _tree(drawn)
    wide, high = map(float, root.attrib["viewBox"].split()[2:])
    texts = list(root.iter(f"{SVG}text"))
    assert len(texts) >= len(drawn.equations)
    assert all(_inside(text, 0, 0, wide, high) for text in texts)
    for group in root.iter(f"{SVG}g"):
        shape = group.find(f"{SVG}rect")
        for text in group.findall(f"{SVG}text"):
            if shape is not None and "beside" not in text.attrib["class"]:
                x, y, w, h = (float(shape.attrib[k]) for k in ("x", "y", "width", "height"))
                assert _inside(text, x, y, x + w, y + h), "".join(text.itertext())


@every_cell
def test_every_name_is_there(drawn: Cell) -> None:
    root = _tree(drawn)
    shown = " ".join(g.attrib.get("data-names", "") for g in root.iter(f"{SVG}g")).split()
    program = drawn.program
    assert {*shown} == {v.name for v in (*program.inputs, *program.states)} | {*program.named}
    written = "".join("".join(t.itertext()) for t in root.iter(f"{SVG}text")).replace("′", "'")
    also = {e.name for e in program.equations if e.value in (*program.inputs, *program.states)}
    also -= {prime(s.name) for s in program.states}  # another name for what comes in
    assert all(name.replace("_", "", 1) in written for name in {*shown} - also)


@every_cell
def test_every_equation_is_in_a_tooltip(drawn: Cell) -> None:
    root = _tree(drawn)
    tips = "\n".join(t.text or "" for t in root.iter(f"{SVG}title"))
    assert all(e.text in tips and e.caption in tips for e in drawn.equations)


@every_cell
def test_no_two_nodes_overlap(drawn: Cell) -> None:
    p = _picture(drawn)
    boxes = [_rectangle(p, node) for node in p.graph.nodes]
    assert all(_apart(a, b) for a, b in combinations(boxes, 2))


@every_cell
def test_nothing_stands_or_runs_where_a_name_is_beside_a_node(drawn: Cell) -> None:
    p = _picture(drawn)
    for node in p.graph.nodes:
        if node.kind is Kind.OPERATION and p.names[node]:
            (x, y), box = p.layout.centres[node], p.boxes[node]
            name = (
                x + box.width / 2,
                y - 20,
                x + box.width / 2 - 2 + width(p.names[node], NAME),
                y - 3,
            )
            others = [_rectangle(p, other) for other in p.graph.nodes if other is not node]
            others += [
                (min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1]))
                for _, stroke in _strokes(p)
                for a, b in pairwise(stroke.points)
            ]
            assert all(_apart(name, other) for other in others)


@every_cell
def test_no_line_passes_through_a_node(drawn: Cell) -> None:
    """A line touches the node it comes from and the one it goes to, and those from outside."""
    p = _picture(drawn)
    for _, stroke in _strokes(p):
        for a, b in pairwise(stroke.points):
            assert a[0] == b[0] or a[1] == b[1]
            left, right = sorted((a[0], b[0]))
            top, bottom = sorted((a[1], b[1]))
            for node in p.graph.nodes:
                x, y, x2, y2 = _rectangle(p, node)
                inner = 8 * (node.kind in (Kind.OPERATION, Kind.INPUT, Kind.OUTPUT, Kind.FUNCTION))
                apart = (
                    right <= x + inner
                    or x2 - inner <= left
                    or bottom <= y + inner
                    or y2 - inner <= top
                )
                assert apart, (node.label, node.names)


@every_cell
def test_two_values_share_no_stretch_and_no_corner(drawn: Cell) -> None:
    p = _picture(drawn)
    found = [(s, a, b) for s, stroke in _strokes(p) for a, b in pairwise(stroke.points)]
    corners = {(net.source, place) for net in p.nets for place in joints(net, p.layout)}
    corners |= {(s, place) for s, stroke in _strokes(p) for place in stroke.points[1:-1]}
    for (s, a, b), (t, c, d) in combinations(found, 2):
        if s is not t and _parallel(a, b) == _parallel(c, d):
            assert not _overlap(a, b, c, d)
    for source, (x, y) in corners:
        for t, c, d in found:
            if t is not source:
                assert not (min(c[0], d[0]) <= x <= max(c[0], d[0])
                            and min(c[1], d[1]) <= y <= max(c[1], d[1]))  # fmt: skip


def _parallel(a: Place, b: Place) -> bool:
    """Whether it runs from left to right, or back."""
    return a[1] == b[1]


def _overlap(a: Place, b: Place, c: Place, d: Place) -> bool:
    along = 0 if a[1] == b[1] else 1
    if a[1 - along] != c[1 - along]:
        return False
    return max(min(a[along], b[along]), min(c[along], d[along])) < min(
        max(a[along], b[along]), max(c[along], d[along])
    )


@every_cell
def test_every_line_leads_from_its_source_to_its_target(drawn: Cell) -> None:
    p = _picture(drawn)
    led = [(line.source, line.target) for net in p.nets for line in net.lines]
    assert sorted(map(repr, led)) == sorted(repr((e.source, e.target)) for e in p.graph.lines)
    for net in p.nets:
        x, y, x2, y2 = _rectangle(p, net.source)
        all_ends = [s for s in strokes(net, p.layout, p.boxes) if s.end]
        assert len(all_ends) == len(net.lines)
        for i, line in enumerate(net.lines):
            first, last = p.layout.at(net.way(i)[0]), p.layout.at(net.way(i)[-1])
            assert x <= first[0] <= max(x2, first[0])
            assert y <= first[1] <= y2
            x3, y3, x4, y4 = _rectangle(p, line.target)
            assert x3 - 10 <= last[0] <= x4 + 10
            assert y3 - 10 <= last[1] <= y4 + 10


@every_cell
def test_what_differs_is_what_is_marked(drawn: Cell) -> None:
    root = _tree(drawn)
    marked = {
        name
        for g in root.iter(f"{SVG}g")
        if "changed" in g.attrib.get("class", "").split()
        for name in g.attrib["data-changed"].split()
    }
    rows = difference(drawn, cell("lstm"))
    assert marked == {row.name for row in rows if row.left is not None and row.changed}
    said = "".join("".join(t.itertext()) for t in root.iter(f"{SVG}text"))
    for row in rows:
        assert ("Only there:" in said and row.name in said) or row.left is not None


# --- the four cells of the textbooks ------------------------------------------------------------


def _on_the_line(name: str) -> list[str]:
    """What the first state passes, with what acts on it there."""
    p = _picture(cell(name))
    top = p.chains[0]
    rows = [p.layout.centres[node][1] for node in top]
    assert len(set(rows)) == 1
    assert rows[0] == min(y for _, y in p.layout.centres.values())
    return [" ".join([node.label, *sorted(_made_of(p, node, top))]) for node in top]


def _made_of(p: Picture, node: Node, line: list[Node]) -> Iterator[str]:
    for e in p.graph.into(node):
        if e.source not in line:
            inside = [*(e.source.names or _made_of(p, e.source, line))]
            yield f"{e.source.label}({', '.join(inside)})"


def test_gates_are_valves_on_the_line_of_the_memory() -> None:
    expected = ["c", "× σ(f)", "+ ×(σ(i), tanh(z))", "c'"]
    assert _on_the_line("lstm") == expected
    assert _on_the_line("peephole_lstm") == expected
    assert _on_the_line("coupled_lstm") == ["c", "× σ(f)", "+ ×(1−(σ(f)), tanh(z))", "c'"]
    assert _on_the_line("gru") == ["h", "× σ(z)", "+ ×(1−(σ(z)), tanh(n))", "h'"]


def test_the_line_with_most_valves_is_on_top() -> None:
    drawn = parse("m' = relu(m) + x\nc' = σ(R m') * c + x * m'\nh' = c'")
    assert [node.label for node in picture(drawn).chains[0]] == ["c", "×", "+", "c'"]


def test_peepholes_are_dotted() -> None:
    p = _picture(cell("peephole_lstm"))
    dotted = [e for _, s in _strokes(p) if s.dotted for e in s.lines if s.end]
    assert sorted(e.target.names[0] for e in dotted) == ["f", "i", "o"]
    assert 'class="line dotted"' not in diagram(cell("lstm")).split("layer with weights")[0]


def test_only_what_is_new_in_a_variation_is_marked() -> None:
    root = ElementTree.fromstring(diagram(cell("coupled_lstm"), cell("lstm")))
    changed = [g for g in root.iter(f"{SVG}g") if "changed" in g.attrib.get("class", "").split()]
    labels = ["".join(t.text or "" for t in g.findall(f"{SVG}text")) for g in changed]
    assert [label for label in labels if label] == ["1−"]


# --- the file -----------------------------------------------------------------------------------


def test_a_picture_is_the_same_every_time() -> None:
    code = (
        "import cellwright; from cellwright.export.diagram import diagram;"
        "print(diagram(cellwright.cell('fgr'), cellwright.cell('gru')), end='')"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert runs == {diagram(cell("fgr"), cell("gru"))}


def test_what_an_author_writes_stays_text() -> None:
    drawn = parse("title: <b>&\nh' = tanh(W x + R h) # <script>\n", "<i>")
    root = ElementTree.fromstring(diagram(drawn))
    assert root.find(f"{SVG}title").text == "<i>: <b>&"
    assert {e.tag.removeprefix(SVG) for e in root.iter()} <= {
        "svg", "title", "desc", "style", "rect", "g", "path", "polygon", "circle", "text", "tspan",
    }  # fmt: skip
    assert not re.search(r"https?:(?!//www\.w3\.org/2000/svg)", diagram(drawn))


@pytest.mark.parametrize(
    ("name", "against"),
    [
        ("lstm", None),
        ("peephole_lstm", "lstm"),
        ("coupled_lstm", "lstm"),
        ("gru_reset_before", None),
    ],
)
def test_the_pictures_of_the_docs_are_up_to_date(name: str, against: str | None) -> None:
    """Made by: cellwright diagram NAME [--against OTHER] -o docs/images/NAME.svg."""
    file = Path(__file__).parents[2] / "docs" / "images" / f"{name}.svg"
    assert file.read_text("utf-8") == diagram(cell(name), cell(against) if against else None)


def test_equations_that_are_the_same_are_said_to_be() -> None:
    drawn = diagram(cell("lstm"), cell("np"))
    assert "The equations are those of lstm." in drawn
    assert "data-changed" not in drawn
