"""Folders of MIDI files: what mido writes and reads is what is heard."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellwright.study.readers.midi import rolls
from cellwright.study.tasks import DataError, load
from tiny import frames

Note = tuple[int, int, int, int]
"""Channel, pitch, onset, duration: in ticks."""


def write(path: Path, notes: list[Note], quarter: int = 24, tracks: int = 1) -> Path:
    """Notes of one pitch and channel do not overlap; a note that ends comes before one that
    begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = mido.MidiFile(ticks_per_beat=quarter)
    for t in range(tracks):
        events = [
            event
            for i, (channel, pitch, onset, held) in enumerate(notes)
            if i % tracks == t
            for event in ((onset, 1, channel, pitch), (onset + held, 0, channel, pitch))
        ]
        track, now = mido.MidiTrack(), 0
        for at, on, channel, pitch in sorted(events):
            kind = "note_on" if on else "note_off"
            track.append(mido.Message(kind, note=pitch, channel=channel, time=at - now))
            now = at
        file.tracks.append(track)
    file.save(path)
    return path


def heard(path: Path, step: Fraction) -> np.ndarray:
    """By mido, message by message: key by key, which steps begin while it sounds."""
    file, cells = mido.MidiFile(path), set()
    for track in file.tracks:
        now, on = 0, {}
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off") or message.channel == 9:
                continue
            if message.type == "note_on":
                on[message.channel, message.note] = now
                continue
            begin = on.pop((message.channel, message.note))
            at = ceil(begin / (step * file.ticks_per_beat))
            while at * step * file.ticks_per_beat < now:
                cells.add((at, message.note))
                at += 1
    cells = {(t, p) for t, p in cells if 21 <= p <= 108}
    if not cells:
        return np.zeros((0, 88), np.uint8)
    first = min(t for t, _ in cells)
    found = np.zeros((max(t for t, _ in cells) - first + 1, 88), np.uint8)
    for t, p in cells:
        found[t - first, p - 21] = 1
    return found


@st.composite
def scores(draw: st.DrawFn) -> list[Note]:
    found = []
    for channel in draw(st.sets(st.sampled_from([0, 3, 9]), min_size=1)):
        for pitch in draw(st.sets(st.integers(15, 115), min_size=1, max_size=4)):
            at = 0
            for wait, held in draw(
                st.lists(st.tuples(st.integers(0, 60), st.integers(1, 90)), min_size=1, max_size=3)
            ):
                found.append((channel, pitch, at + wait, held))
                at += wait + held
    return found


@given(
    notes=scores(), step=st.sampled_from([Fraction(1), Fraction(1, 4), Fraction(3, 2)]),
    tracks=st.integers(1, 3),
)  # fmt: skip
def test_what_mido_hears(
    notes: list[Note], step: Fraction, tracks: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    path = write(folder / "train" / "a.mid", notes, tracks=tracks)
    for other in ("valid", "test"):
        write(folder / other / "b.mid", [(0, 60, 0, 96)])
    found, _ = rolls(folder, float(step), 0.1, 0.1)
    expected = heard(path, step)
    if len(expected) < 2:
        assert found["train"] == []
    else:
        np.testing.assert_array_equal(found["train"][0], expected)


SCALE = [(0, 60 + i, 24 * i, 24) for i in range(8)]


def test_folders_are_the_split(tmp_path: Path) -> None:
    for i, name in enumerate(["Train/x/a", "validation/b", "test/c", "d"]):
        write(tmp_path / f"{name}.mid", [(0, 60 + i, 0, 96)])
    task = load(tmp_path)
    assert task.kind == "music"
    assert [frames(task, s)[0].argmax() for s in ("train", "valid", "test")] == [39, 40, 41]
    assert "d.mid is in none of the folders" in " ".join(task.notes)
    assert "the split is by folders" in task.notes[0]


def test_names_are_the_split_where_there_are_no_folders(tmp_path: Path) -> None:
    for i in range(60):
        write(tmp_path / f"{i}.midi", [(0, 30 + i, 0, 96)])
    task = load(tmp_path, "music(valid=0.2,test=0.2)")
    sizes = task.summary().sizes["sequences"]
    assert sum(sizes) == 60
    assert 5 < sizes[1] < 20 and 5 < sizes[2] < 20
    before = {f.tobytes() for f in frames(task, "test")}
    for i in range(20):
        write(tmp_path / f"more{i}.mid", SCALE)
    again = load(tmp_path, "music(valid=0.2,test=0.2)")
    assert before <= {f.tobytes() for f in frames(again, "test")}
    assert load(tmp_path, "music(valid=0.2,test=0.2,step=0.5)").fingerprint != again.fingerprint


def test_mistakes_name_the_file(tmp_path: Path) -> None:
    for name in ("train/a", "valid/b", "test/c"):
        write(tmp_path / f"{name}.mid", SCALE)
    for options, expected in (
        ("step=0", "step must be above 0, got 0"),
        ("valid=0.5,test=0.5", "above 0, and below 1 together"),
        ("step=99", "no piece of two steps or more in train"),
    ):
        with pytest.raises(DataError, match=expected):
            load(tmp_path, f"music({options})")
    path = tmp_path / "valid" / "b.mid"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    with pytest.raises(DataError, match=r": valid/b\.mid is damaged \(.*\)\. Leave it out"):
        load(tmp_path)
    for division, expected in (
        (b"\xe7\x28", r"is damaged \(.*not ticks per quarter"),  # 25 frames a second
        (b"\0\0", "has quarters of 0 ticks"),
    ):
        path.write_bytes(whole[:12] + division + whole[14:])
        with pytest.raises(DataError, match=rf"valid/b\.mid {expected}"):
            load(tmp_path)
    write(path, [(0, 60, 0, 24), (0, 60, 2**27, 24)])
    with pytest.raises(DataError, match=r"valid/b\.mid has 5,592,407 steps; a piece has at most"):
        load(tmp_path)


@given(data=st.data())
def test_damage_never_gives_more_than_a_complaint(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    for name in ("train/a", "valid/b", "test/c"):
        write(folder / f"{name}.mid", SCALE)
    path = folder / "train" / "a.mid"
    content = bytearray(path.read_bytes())
    place = st.integers(0, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        content[at] = value
    path.write_bytes(content[: data.draw(st.just(len(content)) | place)])
    try:
        task = load(folder)
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert frames(task, "train")[0].max() == 1
