from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellwright.study.naming import Named, NamingError, fill, parse


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("adding", "adding", {}),
        ("adding()", "adding", {}),
        (" adding ( T = 200 , noise=0.5 ) ", "adding", {"T": 200, "noise": 0.5}),
        ("f(a=true,b=False,c=1e-3,d=-2)", "f", {"a": True, "b": False, "c": 1e-3, "d": -2}),
        ("f(target='a, (b)=c', season=day)", "f", {"target": "a, (b)=c", "season": "day"}),
        ('f(target="it\'s 12")', "f", {"target": "it's 12"}),
        ("f(target='12')", "f", {"target": "12"}),
    ],
)
def test_what_stands_there(text: str, name: str, options: dict[str, object]) -> None:
    assert parse(text) == Named(name, options)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | (
    st.text(st.characters(exclude_characters="\"'", exclude_categories=["Cs"])))  # fmt: skip


@given(NAMES, st.dictionaries(NAMES, VALUES, max_size=3))
def test_what_is_written_reads_back(name: str, options: dict[str, object]) -> None:
    named = Named(name, options)
    assert parse(str(named)) == named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no name with parameters"),
        ("adding(T=200", "the shell wants quotes around brackets"),
        ("adding(200)", "cannot read '200'. Expected key=value"),
        ("adding(T=1 U=2)", "cannot read"),
        ("adding(T=1,T=2)", "gives T twice"),
        ("f(a=b=c)", "put quotes around a value"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(NamingError, match=message.replace("(", r"\(")):
        parse(text)


@dataclass(frozen=True)
class Options:
    T: int = 100
    noise: float = 0.0
    target: str | None = None
    loud: bool = False


def test_options_fill_a_dataclass() -> None:
    assert fill(Options, parse("f")) == Options()
    assert fill(Options, parse("f(T=3,noise=1,target=2020,loud=true)")) == Options(
        3, 1.0, "2020", True
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f(t=3)", "f has no parameter t. Did you mean T?"),
        ("f(zzz=3)", "f has no parameter zzz. It has T, noise, target, loud"),
        ("f(T=1.5)", "f: T must be a whole number, got 1.5"),
        ("f(T=true)", "f: T must be a whole number, got True"),
        ("f(loud=1)", "f: loud must be true or false, got 1"),
        ("f(noise=nan)", "f: noise must be finite"),
    ],
)
def test_options_that_do_not_fit(text: str, message: str) -> None:
    with pytest.raises(NamingError, match=message.replace("?", r"\?")):
        fill(Options, parse(text))
