"""The .ts form: what is written by somebody else's rules comes back, and damage is told."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellwright.study.readers.errors import DataError
from cellwright.study.readers.ts import other_half, read
from shared import DATA, needs_data

HEADER = "# made by a test\n@problemName made\n@timeStamps false\n@classLabel true a b\n@data\n"
NUMBERS = st.floats(allow_infinity=False, allow_nan=False) | st.just(np.nan)
SERIES = st.integers(1, 3).flatmap(
    lambda channels: st.lists(
        st.integers(1, 6).flatmap(lambda steps: arrays(np.float64, (steps, channels),
                                                       elements=NUMBERS)),
        min_size=1, max_size=5,
    )
)  # fmt: skip


def written(series: list[np.ndarray], labels: list[str], missing: str = "?") -> str:
    """As the archive's own description of the form says."""
    lines = [
        ":".join(
            ",".join(missing if v != v else repr(float(v)) for v in channel) for channel in s.T
        )
        + f":{label}"
        for s, label in zip(series, labels, strict=True)
    ]
    return HEADER + "\n".join(lines) + "\n"


@given(series=SERIES, missing=st.sampled_from(["?", "NaN", "nan"]), data=st.data())
def test_what_is_written_comes_back(
    series: list[np.ndarray],
    missing: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    labels = [data.draw(st.sampled_from("ab")) for _ in series]
    path = tmp_path_factory.getbasetemp() / "made.ts"
    path.write_text(written(series, labels, missing))
    found = read(path)
    assert found.labels == labels
    assert found.places == [f"line {n}" for n in range(6, 6 + len(series))]
    for ours, theirs in zip(found.series, series, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(data=st.data())
def test_damage_never_gives_more_than_a_complaint(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And what is read in spite of it has a finite number or NaN everywhere."""
    good = written([np.arange(8.0).reshape(4, 2), np.ones((2, 2))], ["a", "b"])
    content = bytearray(good.encode())
    place = st.integers(0, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        content[at] = value
    path = tmp_path_factory.getbasetemp() / "damaged.ts"
    path.write_bytes(content[: data.draw(st.just(len(content)) | place)])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read(path)
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert not any(np.isinf(s).any() for s in found.series)
        assert len({s.shape[1] for s in found.series}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2:a\n@data\n", "line 1 comes before @data and is neither"),
        ("@problemName x\n", "no line @data"),
        (HEADER, "no series behind @data"),
        (HEADER + "1,2:a\n\n1,2\n", "line 8 has no : before its label"),
        (HEADER + "1,2:3,4:a\n1,2:b\n", "line 7 has 1 channels where 2 were expected"),
        (HEADER + "1,2:c\n", "line 6 has the label 'c', which is not one of @classLabel: a, b"),
        (HEADER + "1,x:a\n", "line 6, channel 1: value 2 of 2 is 'x'. Expected a finite number"),
        (HEADER + "1,2:3,inf:a\n", "line 6, channel 2: value 2 of 2 is 'inf'"),
        (HEADER + "1,,2:a\n", "line 6, channel 1: value 2 of 3 is ''"),
        (HEADER + "1,2:3:a\n", "line 6 has 2 values in channel 1 and 1 in channel 2"),
        ("@timeStamps true\n@data\n(0,1):a\n", "values with times of their own are not read"),
        ("@targetLabel true\n@data\n1:2\n", "Numbers as labels are not read"),
        ("@classLabel false\n@data\n1,2\n", "its series have no classes"),
        ("@univariate true\n@data\n1:2:a\n", "line 3 has 2 channels where 1 were expected"),
        ("@dimensions 3\n@data\n1:2:a\n", "line 3 has 2 channels where 3 were expected"),
    ],
)
def test_mistakes_name_the_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x.ts"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(expected) or expected in str(caught.value)


def test_halves_are_found_from_either_name(tmp_path: Path) -> None:
    train, test, alone = (tmp_path / f"{n}.ts" for n in ("Set_TRAIN", "Set_TEST", "Set"))
    train.touch()
    with pytest.raises(DataError, match=r"its other half, Set_TEST\.ts, is not beside it"):
        other_half(train)
    test.touch()
    assert other_half(train) == other_half(test) == (train, test)
    assert other_half(alone) is None


@needs_data
@pytest.mark.parametrize("name", ["JapaneseVowels", "ItalyPowerDemand"])
@pytest.mark.parametrize("half", ["TRAIN", "TEST"])
def test_published_files(name: str, half: str) -> None:
    """Read again by NumPy alone."""
    path = DATA / "uea" / name / f"{name}_{half}.ts"
    found = read(path)
    lines = path.read_text().split("@data\n")[1].splitlines()
    assert len(found.series) == len(lines)
    for one, label, line in zip(found.series, found.labels, lines, strict=True):
        *channels, last = line.split(":")
        np.testing.assert_array_equal(one.T, [np.fromstring(c, sep=",") for c in channels])
        assert label == last
