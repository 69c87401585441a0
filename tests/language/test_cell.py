"""What a text means: headers and captions, inference of sizes, spellings, and Cells as objects."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path

import pytest

from cellwright import Recurrent
from cellwright.language import Cell, Equation, aliases, cell, cell_names, parse
from cellwright.language.cell import ARGUMENTS
from cellwright.program.ops import Shape

TEXT = """\
# A full-line comment, with a colon: no header.
title: A cell
paper: Somebody (2026). Somewhere
like: lstm
note: One line,
note: and another # not a caption

  f  = σ(W_f x + R_f h)   # how much to keep: all of it # or not

init b = -0.5
h' = f * h + b
"""


def shapes(text: str) -> dict[str, Shape]:
    """The shapes of everything that the text names."""
    p = parse(text).program
    leaves = (*p.inputs, *p.states, *(q.value for q in p.parameters))
    return {v.name: v.shape for v in leaves} | {e.name: e.value.shape for e in p.equations}


# --- what stands in a text ----------------------------------------------------------------------


def test_headers() -> None:
    c = parse(TEXT, "mine")
    assert (c.name, c.title, c.paper, c.like) == (
        "mine",
        "A cell",
        "Somebody (2026). Somewhere",
        "lstm",
    )
    assert c.note == "One line, and another # not a caption"
    assert c.text == TEXT
    bare = parse("h' = W x")
    assert (bare.title, bare.paper, bare.like, bare.note) == ("", "", None, "")


def test_equations_and_captions() -> None:
    c = parse(TEXT)
    assert c.equations == (
        Equation("f", "f  = σ(W_f x + R_f h)", "how much to keep: all of it # or not", 8),
        Equation("h'", "h' = f * h + b", "", 11),
    )


def test_the_arguments_of_a_layer_are_no_names_for_constants() -> None:
    assert set(ARGUMENTS) == set(inspect.signature(Recurrent.__init__).parameters) - {"constants"}


def test_a_header_word_can_be_a_name() -> None:
    assert "title" in shapes("title = W x\nnote = title * 2\nh' = note")


def test_a_declaration_word_can_be_a_name() -> None:
    words = ("init", "scalar", "const", "output", "input", "state", "vector", "matrix")
    lines = [f"{w} = σ(W_{w} x)" for w in words] + [f"h' = {' + '.join(words)}", "output output"]
    p = parse("\n".join(lines)).program
    assert p.outputs == ("output",)
    assert [e.name for e in p.equations] == [*words, "h'"]


def test_a_byte_order_mark_is_no_text() -> None:
    assert parse("\ufeffh' = W x").program == parse("h' = W x").program


# --- names --------------------------------------------------------------------------------------


def test_a_small_letter_that_no_equation_sets_is_a_learned_vector() -> None:
    p = parse("h' = W x + p * h + alpha").program
    assert [(q.name, q.shape, q.init) for q in p.parameters] == [
        ("W", ("H", "I"), None),
        ("p", ("H",), None),
        ("alpha", ("H",), None),
    ]


def test_a_greek_capital_is_a_matrix() -> None:
    """Σ as well, though σ is a function."""
    assert shapes("h' = tanh(Σ h + W x)")["Σ"] == ("H", "H")


def test_init_scalar_and_const() -> None:
    p = parse(
        "init b = 1\nscalar a = -0.5\nscalar c_1\nconst dt = 1e-2\nh' = a*c_1*W x + dt*b"
    ).program
    inits = {q.name: (q.shape, q.init) for q in p.parameters}
    assert inits["b"] == (("H",), 1.0)
    assert inits["a"] == ((), -0.5)
    assert inits["c_1"] == ((), None)
    assert [(c.name, c.default) for c in p.constants] == [("dt", 0.01)]


def test_parameters_stand_in_the_order_of_their_first_appearance() -> None:
    p = parse("vector b : H\nscalar a\nf = R h + b\nh' = a * f + W x").program
    assert [q.name for q in p.parameters] == ["R", "b", "a", "W"]


def test_h_is_the_first_state() -> None:
    p = parse("c' = W x + s\ns' = c\nh' = c'").program
    assert [s.name for s in p.states] == ["h", "c", "s"]


def test_declared_states_come_first() -> None:
    p = parse("state s : H\nh' = W x + s\ns' = h").program
    assert [s.name for s in p.states] == ["s", "h"]


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("c' = W x + s\ns' = c\nh' = c'", "h'"),
        ("state s : H\nh' = W x + s\ns' = h", "h'"),
        ("state x_old : I\nc' = W x + R x_old + c\nx_old' = x", "c'"),
        ("state x_old : I\nstate c : H\nc' = W x + R x_old + c\nx_old' = x", "c'"),
    ],
)
def test_without_a_line_for_it_the_output_is_h_or_the_state_that_is_set_first(
    text: str, output: str
) -> None:
    """Wherever states are declared."""
    assert parse(text).program.outputs == (output,)


def test_output() -> None:
    assert parse("y = W x\nh' = y + h\noutput y").program.outputs == ("y",)
    assert parse("c' = W x\nh' = c'\noutput c'").program.outputs == ("c'",)


def test_norm_learns_a_gain_named_after_its_equation() -> None:
    p = parse("a = norm(W x) + norm(R h)\nh' = norm(a)").program
    gains = {q.name: (q.shape, q.init) for q in p.parameters if q.name.startswith("gain")}
    assert gains == dict.fromkeys(("gain_a_1", "gain_a_2", "gain_h_1"), (("H",), 1.0))


def test_a_gain_does_not_take_a_name_that_is_taken() -> None:
    p = parse("gain_h_1 = W x\nh' = norm(gain_h_1) * gain_h_2").program
    assert [q.name for q in p.parameters] == ["W", "gain_h_3", "gain_h_2"]


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h' = tanh(W x + R h + b)", {"x": ("I",), "W": ("H", "I"), "R": ("H", "H"), "b": ("H",)}),
        ("h' = x + h", {"x": ("H",), "h": ("H",)}),
        ("h' = R (x * h)", {"x": ("H",), "R": ("H", "H")}),
        ("u = x * b\nh' = W u", {"x": ("I",), "b": ("I",), "u": ("I",), "W": ("H", "I")}),
        ("h' = W (V x)", {"V": ("H", "I"), "W": ("H", "H")}),
        ("h' = W x + R^T h", {"W": ("H", "I"), "R": ("H", "H")}),
        ("z = V^T h\nh' = W (x + z)", {"V": ("H", "I"), "z": ("I",), "x": ("I",)}),
        ("h' = W x + mean(x) * h", {"x": ("I",)}),
        ("h' = W x + max(0, p)", {"p": ("H",)}),
        ("a = 1 + sum(x)\nh' = a * h", {"a": (), "h'": ("H",)}),
        ("h' = sum(x)", {"x": ("I",), "h": ("H",), "h'": ("H",)}),
        ("c' = x\nstate c : I\nh' = W c", {"c": ("I",), "W": ("H", "I")}),
        ("vector b : I\nh' = W (x + b)", {"b": ("I",)}),
        ("matrix U : (I, H)\nh' = W (x + U h)", {"U": ("I", "H"), "W": ("H", "I")}),
        ("matrix U : (I, H)\nh' = U^T x", {"U": ("I", "H")}),
        ("input x : H\nh' = W x", {"x": ("H",), "W": ("H", "H")}),
        ("h' = W x + spread(mean(x), H) + size(I)", {"x": ("I",)}),
    ],
)  # fmt: skip
def test_inference(text: str, expected: dict[str, Shape]) -> None:
    found = shapes(text)
    assert {name: found.get(name) for name in expected} == expected


def test_a_size_of_i_is_one_of_h_where_the_two_are_one() -> None:
    p = parse("h' = x + h / size(I) + spread(1, I)").program
    assert {s for v in p.values for s in v.shape} == {"H"}
    assert {v.attr for v in p.values if v.op == "size"} == {"H"}


def test_count() -> None:
    p = parse("scalar a\nh' = a * tanh(W x + R h + b)").program
    assert p.count({"I": 3, "H": 5}) == 1 + 15 + 25 + 5


# --- spellings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("h' = sigmoid(W x)", "h' = σ(W x)"),
        ("h' = W x * h", "h' = W x ⊙ h"),
        ("h' = W x * \u03bc + \u03a9 x", "h' = W x * \u00b5 + \u2126 x"),  # micro and ohm
        ("h' = W x + R^T h", "h' = W x + Rᵀ h"),
        ("h' = W x", "h′ = W x"),
        ("c' = x\nh' = c'", "c′ = x\nh' = c′"),
        ("h' = W x - -h", "h' = W x − −h"),
        ("init b = -1\nh' = W x + b", "init b = −1\nh' = W x + b"),
        ("h' = W x + 0.5", "h' = W x + .5"),
        ("h' = W x + 2", "h' = W x + 2.0e0"),
        ("h' = W(x)", "\th'\t=  W  x  # caption"),
        ("h' = W x + R h + b", "h' = ((W x) + (R h)) + b"),
        ("h' = -W x * h", "h' = (-(W x)) * h"),
        ("h' = W x - h - b", "h' = (W x - h) - b"),
        ("h' = W R x", "h' = W (R x)"),
    ],
)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    assert parse(one).program == parse(other).program


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("h' = W x - (h - b)", "h' = W x - h - b"),
        ("h' = W x / (h * b)", "h' = W x / h * b"),
        ("h' = W (x * b)", "h' = W x * b"),
        ("h' = -(W x + h)", "h' = -W x + h"),
        ("h' = W x + R h", "h' = W x + R^T h"),
    ],
)
def test_brackets_mean_something(one: str, other: str) -> None:
    assert parse(one).program != parse(other).program


# --- cells as objects ---------------------------------------------------------------------------


def test_the_representation_is_no_longer_than_the_text() -> None:
    lines = ["a_0 = W x"] + [f"a_{i + 1} = a_{i} * a_{i}" for i in range(20)] + ["h' = a_20 + h"]
    c = parse("\n".join(lines), "squares")
    assert eval(repr(c), {"parse": parse}) == c
    assert len(repr(c)) < 1000


def test_pickle_and_copy() -> None:
    for c in (cell("peephole_lstm"), parse(TEXT, "mine")):
        for again in (pickle.loads(pickle.dumps(c)), copy.deepcopy(c), copy.copy(c)):
            assert again == c
            assert again.program.values == c.program.values
            assert hash(again) == hash(c)


def test_from_the_catalogue_and_from_a_file(tmp_path: Path) -> None:
    lstm = cell("lstm")
    assert cell("lstm") is lstm
    assert cell(lstm) is lstm
    path = tmp_path / "mine.cell"
    path.write_text(lstm.text, "utf-8")
    for which in (path, str(path)):
        mine = cell(which)
        assert isinstance(mine, Cell)
        assert (mine.name, mine.program) == ("mine", lstm.program)


def test_a_file_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lstm.cell").write_text("h' = W x", "utf-8")
    assert cell("lstm.cell").program == parse("h' = W x").program
    assert cell("lstm") is cell("np")
    assert len(cell("lstm").equations) > 1


def test_aliases_lead_to_cells_and_are_none() -> None:
    assert aliases()
    for alias, name in aliases().items():
        assert cell(alias) is cell(name)
        assert alias not in cell_names()


@pytest.mark.parametrize("name", cell_names())
def test_every_cell_of_the_catalogue_says_what_it_is(name: str) -> None:
    c = cell(name)
    assert c.title
    assert c.paper
    assert c.note
    assert all(e.caption for e in c.equations)
    assert c.like is None or c.like in cell_names()
    assert max(len(e.text) for e in c.equations) <= 80
