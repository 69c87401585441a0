"""Tables: what Python's own csv module and PyArrow write comes back, and damage is told."""

from __future__ import annotations

import csv
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellwright.study.readers import parquet, table
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.table import read
from cellwright.study.readers.times import times

NUMBERS = st.floats(allow_infinity=False, allow_nan=False) | st.none()
ROWS = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=1, max_size=8)
)
NAMES = st.lists(
    st.text(st.characters(categories=["L", "P"], exclude_characters="\0"), min_size=1, max_size=8),
    min_size=3, max_size=3, unique_by=str.strip,
).filter(lambda names: all(n == n.strip() and n for n in names))  # fmt: skip


@given(
    rows=ROWS,
    names=NAMES,
    delimiter=st.sampled_from(",;\t|"),
    missing=st.sampled_from(["", "NA", "nan", "?"]),
    end=st.sampled_from(["\n", "\r\n"]),
    tail=st.sampled_from(["", "\n\n"]),
)
def test_what_csv_writes_comes_back(
    rows: list[list[float | None]],
    names: list[str],
    delimiter: str,
    missing: str,
    end: str,
    tail: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    names = [f"when {delimiter}", *(f"{n}{i}" for i, n in enumerate(names[: len(rows[0])]))]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
        writer.writerow([n.replace(delimiter, "") for n in names])
        for i, row in enumerate(rows):
            writer.writerow([i, *(missing if v is None else repr(v) for v in row)])
        file.write(tail)
    columns = read(path, "table")
    assert list(columns) == [n.replace(delimiter, "").strip() for n in names]
    for column, values in zip(list(columns.values())[1:], zip(*rows, strict=True), strict=True):
        wanted = np.array([np.nan if v is None else v for v in values])
        found = column.numbers()
        assert found is not None
        np.testing.assert_array_equal(found, wanted)


def test_parquet_and_csv_are_one_table(tmp_path: Path) -> None:
    moments = [datetime(2024, 1, 1) + i * timedelta(hours=6) for i in range(17)]
    held = pa.table({
        "when": pa.array(moments, pa.timestamp("ns")),
        "load": [None, *np.linspace(-3, 1e6, 16)],
        "count": range(17),
        "on": [True, False] * 8 + [True],
        "word": ["a"] * 17,
    })  # fmt: skip
    pq.write_table(held, tmp_path / "a.parquet")
    rows = zip(*(column.to_pylist() for column in held.columns), strict=True)
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerow(held.column_names)
        csv.writer(file).writerows((w, x, n, int(on), word) for w, x, n, on, word in rows)
    both = read(tmp_path / "a.parquet", "parquet"), read(tmp_path / "a.csv", "table")
    for wanted in ("load", "count", "on"):
        np.testing.assert_array_equal(both[0][wanted].numbers(), both[1][wanted].numbers())
    assert [columns["word"].numbers() for columns in both] == [None, None]
    found = [times(columns, None) for columns in both]
    assert [(t.name, t.step, t.first, t.last) for t in found] == [
        ("when", "6 hours", "2024-01-01 00:00:00", "2024-01-05 00:00:00")
    ] * 2


def test_commas_in_numbers_where_they_part_no_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t;x\n1;3,5\n2;-0,25\n")
    assert read(tmp_path / "a.csv", "table")["x"].numbers().tolist() == [3.5, -0.25]


# --- times --------------------------------------------------------------------------------------

START = datetime(2023, 11, 28, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "step", "words"),
    [
        ("%Y-%m-%d", timedelta(days=1), "1 day"),
        ("%d.%m.%Y %H:%M:%S", timedelta(minutes=10), "10 minutes"),
        ("%d/%m/%Y", timedelta(days=1), "1 day"),
        ("%m/%d/%Y", timedelta(days=7), "7 days"),
        ("%m/%d/%Y %H:%M", timedelta(hours=1), "1 hour"),
        ("%Y-%m-%dT%H:%M:%SZ", timedelta(seconds=30), "30 seconds"),
        ("%Y-%m-%d %H:%M:%S.%f", timedelta(milliseconds=500), "0.5 seconds"),
        ("%Y-%m-%d %H:%M:%S%z", timedelta(hours=3), "3 hours"),
        ("%Y%m%d", timedelta(days=2), "2 days"),
        ("%b-%d-%Y", timedelta(days=1), "1 day"),
    ],
)
def test_dates_as_people_write_them(tmp_path: Path, form: str, step: timedelta, words: str) -> None:
    """Written by Python; days and months are told apart by what makes even steps."""
    lines = [f"{START + i * step:{form}},{i}" for i in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["d,x", *lines]))
    found = times(read(tmp_path / "a.csv", "table"), None)
    assert (found.name, found.step, found.seconds) == ("d", words, step.total_seconds())
    assert (found.first, len(found.gaps)) == (lines[0].partition(",")[0], 0)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([f"{2000 + i // 4}Q{1 + i % 4}" for i in range(20)], "1 quarter"),
        ([f"{2000 + i // 12}-{1 + i % 12:02}" for i in range(40)], "1 month"),
        ([f"{datetime(2000 + i // 12, 1 + i % 12, 1):%b %Y}" for i in range(40)], "1 month"),
        ([f"{2000 + i}-01-01" for i in range(9)], "1 year"),
        ([f"{1 + i % 12:02}/01/{2000 + i // 12}" for i in range(40)], "1 month"),
        ([f"01.{1 + i % 12:02}.{2000 + i // 12}" for i in range(40)], "1 month"),
    ],
)
def test_months_are_as_even_as_they_get(tmp_path: Path, cells: list[str], words: str) -> None:
    (tmp_path / "a.csv").write_text("\n".join(["d,x", *(f"{cell},1" for cell in cells)]))
    assert times(read(tmp_path / "a.csv", "table"), None).step == words


def test_gaps_are_found(tmp_path: Path) -> None:
    days = [*range(30), *range(33, 60), *range(61, 90)]
    lines = [f"{START + timedelta(days=d):%Y-%m-%d},{d}" for d in days]
    (tmp_path / "a.csv").write_text("\n".join(["d,x", *lines]))
    found = times(read(tmp_path / "a.csv", "table"), None)
    assert found.gaps.tolist() == [30, 57]
    assert found.gap == "column d, line 32"


# --- mistakes -----------------------------------------------------------------------------------


def complaint(tmp_path: Path, text: str | bytes, time: str | None = None) -> str:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DataError) as caught:
        columns = read(path, "table")
        when = times(columns, time)
        for name, column in columns.items():
            if name != when.name:
                column.numbers()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t,x\n", "no rows below the names"),
        ("x\n1\n", "line 1 has fewer than two columns"),
        ("1,2\n3,4\n", "line 1 has numbers (1, 2). Write a line above it"),
        ("t,x,x\n1,2,3\n", "two columns are called x"),
        ("t,x\n1,2\n3\n", "line 3 has 1 cells, and there are 2 names"),
        ("t,x\n1,2\n\n3,4\n", "line 3 is empty. Delete it."),
        ("t,x\n1,2\n3,4,5\n", "line 3 has 3 cells"),
        ('t,x\n1,2\n3,"4\n', "line 3 is no line of a table (unexpected end of data)"),
        (b"t,x\n1,\xff\n", "not UTF-8: 0xff."),
        ("t,x\n1,2\n2,3\n3,4\n4,oops\n", "column x, line 5 is 'oops'. Expected a finite number"),
        ("t,x\n1,2\n2,inf\n3,4\n", "column x, line 3 is 'inf'."),
        ("t,x\n1,2\n3,4\n2,5\n", "no column of times: none has dates"),
        ("d,x\n2020-01-01,2\n2020-01-03,4\n2020-01-02,5\n", "column d, line 4 goes back, from "),
        ("d,x\n2020-01-01,2\n2020-01-02,4\n2020-01-02,5\n", "column d, line 4 is the time of the"),
        ("d,x\n" + "".join(f"2020-01-{i:02},1\n" for i in range(1, 30)) + "soon,2\n",
         "column d, line 31 is no time: 'soon'."),
        ("d,x\n2020-01-01,1\n2020-01-02,1\n2020-02-15,1\n2020-05-01,1\n2020-05-07,1\n",
         "its times are not evenly spaced: 3 of 4 steps are not as long"),
        ("d,x\n2020-01-01,1\n", "only one row"),
        ("d,x\n01/02/2020,1\n02/02/2020,1\n03/02/2020,1\n",
         "column d may be read with the day first or with the month first, as '01/02/2020'."),
    ],
)  # fmt: skip
def test_mistakes_name_the_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert expected in complaint(tmp_path, text)


def test_a_column_of_times_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,n\n5,1\n4,2\n3,4\n7,5\n")
    columns = read(tmp_path / "a.csv", "table")
    assert times(columns, "none").name == ""
    assert "no column y; it has x, n." in complaint(tmp_path, "x,n\n5,1\n4,2\n", "y")
    assert "column x, line 3 goes back, from 5 to 4" in complaint(tmp_path, "x,n\n5,1\n4,2\n", "x")
    with pytest.raises(DataError, match="not evenly spaced"):
        times(columns, "n")


def test_a_line_with_newlines_in_it_is_a_row(tmp_path: Path) -> None:
    said = complaint(tmp_path, 't,x\n1,2\n2,"\n3"\n3,4\n4,oops\n')
    assert "column x, line 6 is 'oops'" in said


def test_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST", 5)
    said = complaint(tmp_path, "t,x\n1,2\n2,3\n3,4\n")
    assert said.startswith("more than 5 cells in 2 columns.")
    monkeypatch.setattr(parquet, "MOST", 5)
    pq.write_table(pa.table({"a": range(6)}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="6 rows of 1 columns"):
        read(tmp_path / "a.parquet", "parquet")


@pytest.mark.parametrize("kind", ["table", "parquet"])
@given(data=st.data())
def test_damage_never_gives_more_than_a_complaint(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind}"
    rows = [(i, i / 20, "" if i % 2 else 1.5) for i in range(20)]
    path.write_text("\n".join(["t,x,y", *(f"{t},{x},{y}" for t, x, y in rows)]))
    if kind == "parquet":
        held = {"t": range(20), "x": np.linspace(0, 1, 20), "y": [1.5, None] * 10}
        pq.write_table(pa.table(held), path)
    content = bytearray(path.read_bytes())
    place = st.integers(0, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        content[at] = value
    path.write_bytes(content[: data.draw(st.just(len(content)) | place)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            columns = read(path, "table" if kind == "table" else "parquet")
            times(columns, None)
            found = [column.numbers() for column in columns.values()]
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert len({len(values) for values in found if values is not None}) <= 1
