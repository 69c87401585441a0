from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellwright.language import Cell, cell, cell_names, parse
from cellwright.language.difference import Row, difference

LSTM = """
i  = σ(W_i x + R_i h + b_i)       # what to write
f  = σ(W_f x + R_f h + b_f)       # what to keep
z  = tanh(W_z x + R_z h + b_z)
c' = f * c + i * z
o  = σ(W_o x + R_o h + b_o)
h' = o * tanh(c')
"""


def marked(spans: tuple[tuple[str, bool], ...] | None) -> str | None:
    return None if spans is None else "".join(f"[{t}]" if mark else t for t, mark in spans)


def changes(a: str | Cell, b: str | Cell) -> dict[str, tuple[str | None, str | None]]:
    """What `difference` shows in the rows that differ, with brackets round the marks."""
    rows = difference(*(parse(c) if isinstance(c, str) else c for c in (a, b)))
    return {row.name: (marked(row.left), marked(row.right)) for row in rows if row.changed}


def test_a_cell_does_not_differ_from_itself() -> None:
    assert changes(LSTM, LSTM) == {}


def test_what_is_new_is_marked_and_nothing_else() -> None:
    assert changes(LSTM, LSTM.replace("R_i h +", "R_i h + p_i * c +")) == {
        "i": ("i  = σ(W_i x + R_i h + b_i)", "i  = σ(W_i x + R_i h + [p_i * c +] b_i)")
    }


def test_what_takes_a_place_is_marked_on_both_sides() -> None:
    b = LSTM.replace("i * z", "tanh(i) * z")
    assert changes(LSTM, b) == {"c'": ("c' = f * c + [i] * z", "c' = f * c + [tanh(i)] * z")}


def test_an_equation_that_one_cell_lacks_stands_alone_in_its_place() -> None:
    a = parse(LSTM)
    without = parse("".join(f"{line}\n" for line in LSTM.replace("i * z", "z").splitlines()
                            if not line.startswith("i")))  # fmt: skip
    assert changes(a, without)["i"] == ("[i  = σ(W_i x + R_i h + b_i)]", None)
    assert changes(without, a)["i"] == (None, "[i  = σ(W_i x + R_i h + b_i)]")
    assert [row.name for row in difference(without, a)] == ["i", "f", "z", "c'", "o", "h'"]


def test_rows_follow_the_first_cell() -> None:
    moved = "\n".join(sorted(LSTM.strip().splitlines(), key=lambda line: line[0] != "f"))
    rows = difference(parse(moved), parse(LSTM))
    assert [row.name for row in rows] == ["f", "i", "z", "c'", "o", "h'"]
    assert changes(moved, LSTM) == {}


def test_what_only_the_second_has_follows_what_it_follows_there() -> None:
    a, b = "c' = W x * c\nh' = c'", "c' = W x * c\nr = V h\ns = W r\nh' = s * c'"
    assert [row.name for row in difference(parse(a), parse(b))] == ["c'", "r", "s", "h'"]


def test_captions_come_along() -> None:
    (row, *_) = difference(parse(LSTM), parse(LSTM.replace("# what to write", "# other")))
    assert row.caption == "what to write"
    assert not row.changed


def test_spellings_are_no_difference() -> None:
    b = LSTM.replace("σ", "sigmoid").replace("*", "⊙").replace("'", "′").replace(" +", "+")
    assert changes(LSTM, b) == {}
    assert changes("h' = 1 - W x + 0.5 * h", "h' = 1.0 − W x + .5 * h") == {}


def test_renamed_parameters_and_gates_are_no_difference() -> None:
    b = LSTM.replace("R_", "U_").replace("b_", "beta_").replace("z", "g")
    assert changes(LSTM, b) == {}
    assert len(difference(parse(LSTM), parse(b))) == len(parse(LSTM).equations)


def test_sharing_a_matrix_is_a_difference() -> None:
    shared = LSTM.replace("W_i", "W").replace("W_f", "W")
    own, one = "{0}  = σ([W_{0}] x + R_{0} h + b_{0})", "{0}  = σ([W] x + R_{0} h + b_{0})"
    assert changes(LSTM, shared) == {g: (own.format(g), one.format(g)) for g in "if"}
    assert changes(shared, LSTM) == {g: (one.format(g), own.format(g)) for g in "if"}


def test_a_gate_of_another_meaning_is_not_a_renamed_one() -> None:
    a = "z = σ(W_z x + R_z h)\nh' = (1 - z) * h + z * tanh(W x)"
    b = "f = W_f x + R_f h * p\nh' = (1 - f) * h + f * tanh(W x)"
    assert changes(a, b)["h'"] == (
        "h' = (1 - [z]) * h + [z] * tanh(W x)",
        "h' = (1 - [f]) * h + [f] * tanh(W x)",
    )


def test_a_gate_that_became_a_state_keeps_its_row() -> None:
    assert changes("i = σ(W x + R h)\nh' = i * h", "i' = σ(W x + R h + Q i)\nh' = i' * h") == {
        "i": ("[i] = σ(W x + R h)", "[i'] = σ(W x + R h [+ Q i])"),
        "h'": ("h' = [i] * h", "h' = [i'] * h"),
    }


def test_where_next_to_nothing_is_shared_all_is_marked() -> None:
    b = "z = σ(W_z x + R_z h + b_z)\nh' = (1 - z) * tanh(W x) + z * h"
    assert changes(LSTM, b)["h'"] == (
        "h' = [o * tanh(c')]",
        "h' = [(1 - z) * tanh(W x) + z * h]",
    )

    assert changes(LSTM, "h' = tanh(W x + R h + b)")["h'"] == (
        "h' = [o * tanh(c')]",
        "h' = [tanh(W x + R h + b)]",
    )


def test_marks_are_not_scattered() -> None:
    a = "r = σ(W_r x)\nh' = tanh(W x + b + r * (R h + d))"
    b = "r = σ(W_r x)\nh' = tanh(W x + R (r * h) + b)"
    assert changes(a, b) == {
        "h'": ("h' = tanh(W x + [b + r * (R h + d))]", "h' = tanh(W x + [R (r * h) + b)]")
    }


@pytest.mark.parametrize("name", cell_names())
def test_every_pair_of_the_catalogue(name: str) -> None:
    a = cell(name)
    for b in map(cell, cell_names()):
        rows = difference(a, b)
        complete(rows, a, b)
        assert any(row.changed for row in rows) == (a is not b)
        if b.name == a.like:
            back = difference(b, a)
            assert sum(row.changed for row in back) == sum(row.changed for row in rows)


WORDS = st.sampled_from([*"WxRhbcp*+-1()", "tanh(", "W_i", "b_i", "c'"])


@given(st.lists(st.lists(WORDS, max_size=12), min_size=1, max_size=4), st.data())
def test_any_two_texts_are_shown_complete(sides: list[list[str]], data: st.DataObject) -> None:
    """Of texts that are no cells too: the marks never lose or add a character."""
    other = data.draw(st.permutations(sides))
    a, b = (stand_in([f"v{i} = {' '.join(words)}" for i, words in enumerate(texts)])
            for texts in (sides, other))  # fmt: skip
    complete(difference(a, b), a, b)


def stand_in(texts: list[str]) -> Cell:
    """A cell with these equations; its Program is another's, which `difference` never reads."""
    model = parse("h' = W x")
    equation = type(model.equations[0])
    made = (equation(text.partition(" ")[0], text, "", i) for i, text in enumerate(texts))
    return replace(model, equations=tuple(made))


def complete(rows: tuple[Row, ...], a: Cell, b: Cell) -> None:
    left = ["".join(t for t, _ in row.left) for row in rows if row.left is not None]
    right = ["".join(t for t, _ in row.right) for row in rows if row.right is not None]
    assert left == [e.text for e in a.equations]
    assert sorted(right) == sorted(e.text for e in b.equations)
