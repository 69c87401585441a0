"""Whatever is read gives a Cell or a clear error, and what is read can be printed."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cellwright import cell
from cellwright.language import Cell, CellError, parse, print_program, program
from cellwright.language.repetition import CHAIN
from strategies import FUZZED, texts

many = settings(
    max_examples=FUZZED,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read(which: str | Path) -> Cell | None:
    """The cell, or None where there is a clear error."""
    try:
        return cell(which) if isinstance(which, Path) else parse(which)
    except CellError as e:
        clear(e)
        return None


def clear(e: CellError) -> None:
    """Place and message, the line with its carets, what to do; of a whole file, one line."""
    lines = str(e).split("\n")
    assert e.message
    assert e.remedy
    assert all(line.isprintable() for line in lines)
    if len(lines) == 1:
        assert lines[0].endswith(f": {e.message}. {e.remedy}")
        return
    first, shown, carets, remedy = lines
    assert first.endswith(f": {e.message}")
    assert set(carets) == {" ", "^"}
    assert max(len(shown), len(carets)) <= 125
    assert remedy == e.remedy


def same_when_printed(c: Cell) -> None:
    """As a program, and with its own equations, what is repeated written line by line.

    Its own equations may read size(I) where the program knows that I is H: they are left out.
    """
    p = c.program
    lines = print_program(p).splitlines()
    assert program("\n".join(lines)) == p
    own = [re.sub(r"\[(\d+)\]", r"_\1", e.text) for e in c.equations]
    declared = lines[: -len(own) - 1]
    own_text = "\n".join(own)
    sizes_agree = "I" not in re.findall(r"\w+", own_text) or ": I" in "\n".join(declared)
    if (
        sizes_agree
        and "[" not in own_text
        and "norm" not in c.text
        and len(own) == len(p.equations)
    ):
        assert program("\n".join((*declared, *own, lines[-1]))) == p


@many
@given(texts())
def test_texts(text: str) -> None:
    c = read(text)
    if c is not None:
        same_when_printed(c)


@many
@given(texts())
def test_texts_as_programs(text: str) -> None:
    """The language with its declarations, without what a layer asks for."""
    try:
        p = program(text)
    except CellError as e:
        clear(e)
    else:
        assert program(print_program(p)) == p


@many
@given(data=st.one_of(st.binary(max_size=200), texts().map(lambda t: t.encode("utf-8", "ignore"))))
def test_bytes(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "random.cell"
    path.write_bytes(data)
    c = read(path)
    if c is not None:
        same_when_printed(c)


NAMES = ("rhn", "np", "janet", "(", ")", "L", "=", ",", "beta", "3", "-1", "0.5", "1e99", " ", "./",
         "x.cell", "h' = ")  # fmt: skip


@given(st.lists(st.sampled_from(NAMES), max_size=8).map("".join))
@example("rhn(L=3)")
@example("janet(beta=0.5,)")
def test_names(name: str) -> None:
    try:
        c = cell(name)
    except CellError as e:
        clear(e)
    else:
        assert cell(c.name) == c
        assert eval(repr(c), {"parse": parse}) == c


@example(CHAIN + 1, 0, "W[l] s[l]")
@given(
    st.integers(0, 40), st.integers(0, 4), st.sampled_from(["s[l]", "s[l - 1]", "0.5", "W[l] s[l]"])
)
def test_what_is_repeated_is_what_would_be_written(count: int, first: int, last: str) -> None:
    """Of a block, a line and a sum, as Python would write them."""
    text = f"""
count L = {count}
s[{first}] = V x
for l = {first + 1}..L + {first}
  t[l] = tanh(R[l] s[l-1] + l * b[l])
  s[l] = t[l] * s[l-1]
y = sum({last} for l = {first + 1}..{first} + L)
past[0] = h
past[k]' = past[k-1] for k = 1..L
h' = s[L + {first}] + y * past[L]
"""
    layers = range(first + 1, first + count + 1)
    lines = [f"s_{first} = V x"]
    for n in layers:
        lines += [f"t_{n} = tanh(R_{n} s_{n - 1} + {n} * b_{n})", f"s_{n} = t_{n} * s_{n - 1}"]
    terms = [last.replace("l - 1", str(n - 1)).replace("l", str(n)) for n in layers]
    terms = [re.sub(r"\[(\d+)\]", r"_\1", term) for term in terms]
    lines += [f"y = {added(terms) or 0}"]
    lines += ["past_0 = h", *(f"past_{k}' = past_{k - 1}" for k in range(1, count + 1))]
    lines += [f"h' = s_{first + count} + y * past_{count}"]
    assert parse(text).program == parse("\n".join(lines)).program


def added(terms: list[str]) -> str:
    """A sum in a row, or the sum of its halves where that would be too long."""
    if len(terms) <= CHAIN:
        return " + ".join(terms)
    half = len(terms) // 2
    return f"({added(terms[:half])}) + ({added(terms[half:])})"
