"""Whatever is read gives a Cell or a clear error, and what is read can be printed."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellwright import cell
from cellwright.language import Cell, CellError, parse, print_program, program
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
    assert program(print_program(c.program)) == c.program


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
