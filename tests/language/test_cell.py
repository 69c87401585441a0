"""What a text means: headers and captions, inference of sizes, spellings, and Cells as objects."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path

import pytest

from cellwright import Recurrent
from cellwright.language import (
    Cell,
    CellError,
    Equation,
    GivenError,
    Line,
    Option,
    aliases,
    cell,
    cell_names,
    parse,
    program,
)
from cellwright.language.options import ARGUMENTS
from cellwright.language.syntax import Statement
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


def test_the_arguments_of_a_layer_are_no_names_for_options() -> None:
    assert set(ARGUMENTS) == set(inspect.signature(Recurrent.__init__).parameters) - {"options"}


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


@pytest.mark.parametrize("line", ["vector g : H", "init g = 1"])
def test_a_matrix_on_what_is_said_to_be_learned(line: str) -> None:
    p = parse(f"{line}\nh' = tanh(W x + R (2 * g))").program
    assert [q.name for q in p.parameters] == ["W", "R", "g"]


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


# --- counts and repetition ----------------------------------------------------------------------

DEEP = """\
count L = 2                 # layers
const dt = 0.5              # a step
  init b[l] = 1 for l = 1..L
s[0] = h                    # the state
for l = 1..L                # each layer
\ts[l] = tanh(R[l] s[l-1] + b[l] + W[l] x / l)   # one of them

    # a comment
\tfor k = l..l
\t\tq[k] = dt * s[l] for m = 1…1
h' = q[L] * sum(q[k] for k = 1..L - 1)
"""


def test_lines_are_as_they_are_written_and_equations_spelled_out() -> None:
    c = parse(DEEP)
    assert c.text == DEEP
    assert c.lines == (
        Line("s[0] = h", "the state"),
        Line("for l = 1..L", "each layer"),
        Line("    s[l] = tanh(R[l] s[l-1] + b[l] + W[l] x / l)", "one of them"),
        Line("    for k = l..l", ""),
        Line("        q[k] = dt * s[l] for m = 1…1", ""),
        Line("h' = q[L] * sum(q[k] for k = 1..L - 1)", ""),
    )
    assert c.equations == (
        Equation("s_0", "s[0] = h", "the state", 4),
        Equation("s_1", "s[1] = tanh(R[1] s[0] + b[1] + W[1] x / 1)", "one of them", 6),
        Equation("q_1", "q[1] = dt * s[1]", "", 10),
        Equation("s_2", "s[2] = tanh(R[2] s[1] + b[2] + W[2] x / 2)", "one of them", 6),
        Equation("q_2", "q[2] = dt * s[2]", "", 10),
        Equation("h'", "h' = q[2] * sum(q[k] for k = 1..1)", "", 11),
    )
    learned = ("R_1", "b_1", "W_1", "R_2", "b_2", "W_2")
    assert tuple(q.name for q in c.program.parameters) == learned
    assert [q.init for q in c.program.parameters] == [None, 1.0, None] * 2


def test_options() -> None:
    c = parse(DEEP, "deep")
    assert c.options == (
        Option("L", "count", 2, 2, "layers"),
        Option("dt", "const", 0.5, 0.5, "a step"),
    )
    other = c.with_options(dt=0.25, L=3)
    assert (other.name, other.stem) == ("deep(L=3, dt=0.25)", "deep_L3_dt0.25")
    assert [k.default for k in other.program.constants] == [0.25]
    assert len(other.equations) == len(c.equations) + 2
    assert other.with_options(L=2) == c.with_options(dt=0.25) != c
    assert other.with_options(L=2, dt=0.5) == c


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"M": 1}, "no argument is called 'M', and the cell has the count L and the constant dt"),
        ({"l": 1}, "the count L and the constant dt. Did you mean L[?]$"),
        ({"L": 2.5}, "the count L must be a whole number of at least 0, got 2.5"),
        ({"L": True}, "the count L must be a whole number of at least 0, got True"),
        ({"L": -1}, "the count L must be a whole number of at least 0, got -1"),
        ({"L": "2"}, "the count L must be a whole number of at least 0, got '2'"),
        ({"dt": "2"}, "the constant dt must be a number, ±1e.38 at the most, got '2'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(GivenError, match=words):
        parse(DEEP).with_options(**options)


def test_what_only_more_layers_would_need_is_left_out() -> None:
    c = parse(
        """
count L = 3
scalar a[l] = 1 for l = 1..L
scalar only = 2
const also = 1
vector b[l] : H for l = 1..L
init b[l] = 1 for l = 1..L
u = V x
s[1] = a[1] * tanh(W x + R h)
g[1] = σ(U[1] s[1])
for l = 2..L
  s[l] = a[l] * tanh(R[l] (g[l-1] * s[l-1]) + only * u + also + b[l])
  g[l] = σ(U[l] s[l])
h' = s[L] + sum(only * m[l] for l = 2..L)
"""
    )
    assert [e.name for e in c.program.equations] == ["u", "s_1", "g_1", "s_2", "g_2", "s_3", "h'"]
    one = c.with_options(L=1).program
    assert [e.name for e in one.equations] == ["s_1", "h'"]
    assert {q.name for q in one.parameters} == {"a_1", "W", "R"}
    assert one.constants == ()


def test_each_norm_of_a_range_has_a_gain_of_its_own() -> None:
    p = parse(
        "gain_s_1 = W x\ns[0] = norm(gain_s_1)\ns[l] = norm(R[l] s[l-1]) for l = 1..2\n"
        "h' = s[2] + sum(norm(V h) for k = 1..2)"
    ).program
    gains = [q.name for q in p.parameters if q.init == 1]
    assert gains == ["gain_s_0_1", "gain_s_1_1", "gain_s_2_1", "gain_h_1", "gain_h_2"]


def test_counts_are_numbers_wherever_a_value_can_stand() -> None:
    p = parse("count L = 3\ncount d = 2\nh' = W x * L - sum(h / (k + L) for k = 1..d)").program
    assert p == parse("h' = W x * 3 - (h / (1 + 3) + h / (2 + 3))").program


def test_words_of_repetition_can_be_names() -> None:
    p = parse("count = W x\nfor = count * sum_\nh' = for").program
    assert [e.name for e in p.equations] == ["count", "for", "h'"]


def test_an_index_is_part_of_a_name_in_every_declaration() -> None:
    text = (
        "input u[1] : I\nstate h[1] : H\nscalar a[2] = 1\nconst c[1] = 2\nvector b[0], b[1] : H\n"
        "init b[1] = 1\nmatrix W[1], R : (H, I)\ny[3] = W[1] u[1] + R u[1] + a[2] * b[0]\n"
        "h[1]' = y[3] + c[1] * b[1] * h[1]\nsum t[1] = h[1]'\noutput h[1]', y[3]"
    )
    assert program(text) == program(re.sub(r"\[(\d)\]", r"_\1", text))


# --- cells as objects ---------------------------------------------------------------------------


def test_the_representation_is_no_longer_than_the_text() -> None:
    lines = ["a_0 = W x"] + [f"a_{i + 1} = a_{i} * a_{i}" for i in range(20)] + ["h' = a_20 + h"]
    c = parse("\n".join(lines), "squares")
    assert eval(repr(c), {"parse": parse}) == c
    assert len(repr(c)) < 1000


def test_pickle_and_copy() -> None:
    options = (cell("rhn(L=3)"), parse(DEEP).with_options(dt=0.1))
    for c in (cell("peephole_lstm"), parse(TEXT, "mine"), *options):
        assert eval(repr(c), {"parse": parse}) == c
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


def test_thousands_of_counts_are_not_compared_with_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Statement, "__eq__", lambda *_: pytest.fail("two lines are compared"))
    counts = "".join(f"count k_{i} = 1\nh[{i}]' = k_{i} * W x\n" for i in range(3))
    assert len(parse(counts).options) == 3


def test_options_in_brackets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cell("rhn(L=3)") is cell("rhn( L = 3 )") == cell("rhn").with_options(L=3)
    assert cell("rhn(L=2)") == cell("rhn()") == cell("rhn")
    assert cell("np()") is cell("lstm")
    assert (cell("rhn(L=3)").name, cell("rhn(L=3)").origin) == ("rhn(L=3)", "rhn")
    assert cell("janet(beta=-2e0)").name == "janet(beta=-2)"
    assert cell("rhn(L=5)").name == "rhn(L=5)"
    with pytest.raises(CellError, match=r"whole number of at least 0, got 5\.0"):
        cell("rhn(L=5.0)")
    monkeypatch.chdir(tmp_path)
    Path("mine.cell").write_text(DEEP, "utf-8")
    for name in (
        "mine.cell(L=3,dt=1e-1)",
        "./mine.cell(dt=.1, L=3)",
        f"{tmp_path}/mine.cell(dt=0.1,L=3)",
    ):
        assert cell(name) == parse(DEEP, "mine").with_options(L=3, dt=0.1)
    Path("odd.cell(L=3)").write_text(DEEP, "utf-8")
    assert cell("./odd.cell(L=3)").options == parse(DEEP).options
    assert cell(Path("odd.cell(L=3)")).options == parse(DEEP).options


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
    assert all(line.caption for line in (*c.lines, *c.options))
    assert c.like is None or c.like in cell_names()
    assert max(len(e.text) for e in c.equations) <= 80
