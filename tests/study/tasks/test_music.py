"""The shipped chorales, published sets, and every way in which a person's file can be unusable."""

from __future__ import annotations

import hashlib
import pickle
import warnings
import zipfile
from collections.abc import Hashable, Sequence
from importlib.resources import files
from math import log
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from cellwright import CellwrightError
from cellwright.study.readers import matlab, npz
from cellwright.study.tasks import DataError, Task, load
from cellwright.study.tasks.music import music
from shared import DATA, needs_data
from tiny import frames

PUBLISHED = DATA / "poly_music"
STUDY = files("cellwright.study")
SPLITS = ("train", "valid", "test")

# --- the shipped chorales -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def chorales() -> Task:
    return load()


def test_shipped_file_is_the_one_described() -> None:
    data, about = (STUDY / "chorales.npz").read_bytes(), (STUDY / "chorales.md").read_text("utf-8")
    assert hashlib.sha256(data).hexdigest() in about
    assert len(data) < 100_000


def test_shipped_split(chorales: Task) -> None:
    summary = chorales.summary()
    assert summary.sizes == {
        "sequences": (256, 73, 57), "predicted frames": (13788, 3853, 3303)
    }  # fmt: skip
    assert (chorales.ends.inputs, chorales.ends.outputs) == (88, 88)
    digest = "46a5456768ac1b2fc247486857967bd9743d959eb550f8fa6f69ab4c6fa877b8"
    assert summary.fingerprint == digest
    assert summary.trivial == pytest.approx({"static": 11.445, "copy-previous": 10.746}, abs=1e-3)


def test_shipped_chorales_are_four_part_music(chorales: Task) -> None:
    heard = np.concatenate([f for split in SPLITS for f in frames(chorales, split)])
    sounding = heard.sum(1)
    assert sounding.max() == 4
    assert (sounding >= 3).mean() > 0.97
    used = np.flatnonzero(heard.any(0)) + 21
    assert 36 <= used.min() < 48 < 76 < used.max() <= 81  # from a bass's C2 to a soprano's A5


def passages(split: Sequence[np.ndarray], length: int = 8) -> set[Hashable]:
    """What sounds in each window, as intervals from its lowest key."""
    found: set[Hashable] = set()
    for sequence in split:
        chords = [np.flatnonzero(frame) for frame in sequence]
        for i in range(len(chords) - length + 1):
            window = chords[i : i + length]
            lowest = min(chord[0] for chord in window if len(chord))
            found.add(tuple(tuple(chord - lowest) for chord in window))
    return found


def test_no_music_is_in_two_splits(chorales: Task) -> None:
    train, valid, test = (passages(frames(chorales, split)) for split in SPLITS)
    assert min(len(train), len(valid), len(test)) > 2000
    assert not test & (train | valid)
    assert not valid & train


# --- published sets -----------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize(
    ("name", "sequences", "static", "copy"),
    [
        ("JSB_Chorales", (229, 76, 77), 11.091, 10.491),
        ("Nottingham", (694, 173, 170), 10.261, 5.153),
    ],
)
def test_published(name: str, sequences: tuple[int, ...], static: float, copy: float) -> None:
    path = PUBLISHED / f"{name}.mat"
    task = load(path)
    assert (task.name, task.source, task.ends.outputs) == (name, str(path), 88)
    assert task.summary().sizes["sequences"] == sequences
    assert task.summary().trivial == pytest.approx(
        {"static": static, "copy-previous": copy}, abs=1e-3
    )
    theirs = scipy.io.loadmat(path)
    for split in SPLITS:
        cells = theirs[f"{split}data"].ravel(order="F")
        assert all(map(np.array_equal, frames(task, split), cells))


@needs_data
def test_chorales_are_like_the_published_ones(chorales: Task) -> None:
    ours, theirs = chorales.summary(), load(PUBLISHED / "JSB_Chorales.mat").summary()
    for name, loss in theirs.trivial.items():
        assert ours.trivial[name] == pytest.approx(loss, rel=0.05)
    count = "predicted frames"
    assert sum(ours.sizes[count]) == pytest.approx(sum(theirs.sizes[count]), rel=0.1)


# --- a person's own files -----------------------------------------------------------------------

RNG = np.random.default_rng(0)
GOOD: dict[str, list[np.ndarray]] = {
    split: [(RNG.random((length, 5)) < 0.4).astype(np.uint8) for length in lengths]
    for split, lengths in (("train", (9, 4, 2)), ("valid", (3, 6)), ("test", (5,)))
}


def as_mat(path: Path, data: dict[str, list[np.ndarray]], compressed: bool = True) -> Path:
    cells = {}
    for split, sequences in data.items():
        cells[f"{split}data"] = np.empty((1, len(sequences)), object)
        cells[f"{split}data"][0, :] = sequences
    scipy.io.savemat(path, cells, do_compression=compressed)
    return path


def as_npz(path: Path, data: dict[str, list[np.ndarray]]) -> Path:
    arrays = {}
    for split, sequences in data.items():
        arrays[split] = np.concatenate([np.zeros((0, 5), np.uint8), *sequences])
        arrays[f"{split}_lengths"] = np.array([len(s) for s in sequences], int)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.float32, np.float64])
def test_one_music_in_any_form(tmp_path: Path, dtype: type) -> None:
    data = {split: [s.astype(dtype) for s in sequences] for split, sequences in GOOD.items()}
    paths = (
        as_mat(tmp_path / "packed.mat", data),
        as_mat(tmp_path / "plain.mat", data, compressed=False),
        as_npz(tmp_path / "own.npz", data),
    )
    found = [load(path) for path in paths]
    assert len({task.fingerprint for task in found}) == 1
    for task in found:
        for split in SPLITS:
            assert all(map(np.array_equal, frames(task, split), GOOD[split]))
            assert all(s.dtype == np.uint8 for s in frames(task, split))


def test_fingerprint_is_of_frames_lengths_and_split() -> None:
    def asked(**changes: list[np.ndarray]) -> Task:
        return music("any", "any", **(GOOD | changes))

    flipped = [s.copy() for s in GOOD["train"]]
    flipped[1][2, 3] ^= 1
    cut = [GOOD["train"][0][:5], GOOD["train"][0][5:], *GOOD["train"][1:]]
    others = [
        asked(train=flipped),
        asked(train=cut),
        asked(train=GOOD["train"][::-1]),
        asked(valid=GOOD["test"], test=GOOD["valid"]),
        asked(train=GOOD["train"][:2], valid=[GOOD["train"][2], *GOOD["valid"]]),
    ]
    assert len({m.fingerprint for m in [asked(), *others]}) == 1 + len(others)


def test_baselines_by_hand() -> None:
    # One key: on in 2 of 4 training frames; of two steps from off one comes on, the one from on
    # goes off. Two test frames are predicted: off to on, on to on.
    column = [np.array([[0], [1], [0], [1]], np.uint8)]
    test = [np.array([[0], [1], [1]], np.uint8)]
    task = music("any", "any", column, column, test)
    came_on, went_on = (2 + 0.5) / (2 + 1), (0 + 0.5) / (1 + 1)
    assert task.summary().trivial == pytest.approx(
        {"static": -log(0.5), "copy-previous": -(log(came_on) + log(went_on)) / 2}
    )


# --- bad input ----------------------------------------------------------------------------------


def complaint(path: str | Path) -> str:
    """What a person is told; it never takes more than a line, nor a warning of NumPy's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            load(path)
    message = str(caught.value)
    assert issubclass(DataError, CellwrightError)
    assert caught.value.__suppress_context__
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert message[-1] in ".?"
    return message.removeprefix(f"{path}: ")


def changed(split: str, index: int, sequence: np.ndarray) -> dict[str, list[np.ndarray]]:
    return GOOD | {split: [*GOOD[split][:index], sequence, *GOOD[split][index + 1 :]]}


def with_value(value: float) -> np.ndarray:
    frames = GOOD["valid"][1].astype(np.float64)
    frames[4, 2] = value
    return frames


BAD_VALUES = [
    (changed("train", 1, np.zeros((0, 5))), "sequence 2 of 3 in train is empty. Leave it out"),
    (changed("valid", 0, np.ones((1, 5))), "sequence 1 of 2 in valid has one frame"),
    (changed("valid", 1, with_value(np.nan)), "in valid has nan in frame 5 of 6, key 3 of 5."),
    (changed("valid", 1, with_value(np.inf)), "sequence 2 of 2 in valid has inf in frame 5"),
    (changed("valid", 1, with_value(-1)), "has -1 in frame 5 of 6, key 3 of 5. Expected 1 where"),
    (changed("valid", 1, with_value(0.25)), "has 0.25 in frame 5"),
    (GOOD | {"valid": []}, "no sequences in valid. Move some there"),
    (GOOD | {"valid": [], "test": [], "train": GOOD["train"][:1]}, "only one sequence, which"),
]


@pytest.mark.parametrize(("data", "expected"), BAD_VALUES)
def test_bad_values(tmp_path: Path, data: dict[str, list[np.ndarray]], expected: str) -> None:
    assert expected in complaint(as_mat(tmp_path / "bad.mat", data))
    assert expected in complaint(as_npz(tmp_path / "bad.npz", data))


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        (np.ones((4, 6)), "sequence 2 of 3 in train has 6 keys, the first one in train has 5."),
        (np.ones((4, 0)), "sequence 2 of 3 in train is empty."),
        (np.ones((4, 5, 2)), "has 3 dimensions. Expected two: frames by keys."),
        (np.ones((4, 5)) * 1j, "is of type complex. Expected a full matrix"),
        (np.array(["do", "re"]), "is of type char."),
        (scipy.sparse.csc_array(np.eye(5)), "is of type sparse."),
        (np.array([[None]]), "is of type cell."),
    ],
)
def test_bad_cells(tmp_path: Path, sequence: np.ndarray, expected: str) -> None:
    if sequence.dtype == object:
        sequence = np.array([[np.ones((2, 5))]], object)
    assert expected in complaint(as_mat(tmp_path / "bad.mat", changed("train", 1, sequence)))


ARRAYS = {"train": np.eye(5), "train_lengths": np.array([3, 2])}
ARRAYS |= {f"{split}{s}": ARRAYS[f"train{s}"] for split in SPLITS for s in ("", "_lengths")}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": np.ones(5)}, "train has the shape (5,). Expected (frames, keys)"),
        ({"test_lengths": np.array([3.0, 2.0])}, "test_lengths is an array of float64"),
        ({"test_lengths": np.array([[3, 2]])}, "of the shape (1, 2). Expected integers"),
        ({"test_lengths": np.array([3, 3])}, "test_lengths has the sum 6, test has 5 frames."),
        ({"test_lengths": np.array([-1, 6])}, "test_lengths has the sum 5, test has 5 frames."),
        ({"test": np.array(["no"] * 10).reshape(5, 2)}, "in test is of type <U2."),
        ({"test": np.eye(5).astype(object)}, "test is an array of Python objects, which are not"),
        ({"valid_lengths": np.array([], int), "valid": np.ones((0, 5))}, "no sequences in valid."),
        ({"train": np.ones((5, 4))}, "sequence 1 of 2 in valid has 5 keys, the first one in train"),
    ],
)
def test_bad_arrays(tmp_path: Path, changes: dict[str, np.ndarray], expected: str) -> None:
    np.savez(tmp_path / "bad.npz", **ARRAYS | changes)
    assert expected in complaint(tmp_path / "bad.npz")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    opened = []

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return opened.append, ("opened",)

    (tmp_path / "data.pickle").write_bytes(pickle.dumps(GOOD))
    assert "a Python pickle, which is not opened" in complaint(tmp_path / "data.pickle")
    np.savez(tmp_path / "trap.npz", **ARRAYS | {"train": np.array([Trap()], object)})
    assert "which are not unpickled" in complaint(tmp_path / "trap.npz")
    assert not opened


def test_what_is_damaged_is_told_in_short(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **ARRAYS)
    with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive, pytest.warns(UserWarning):
        archive.writestr("train.npy", b"\x93NUMPY\x01\x00\xf6\x01" + b"a b " * 125 + b" \n")
    told = complaint(tmp_path / "x.npz")
    assert told.startswith("damaged (Cannot parse header: ")
    assert len(told) < 130


def test_wrong_names(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"traindata": np.eye(3), "b": 1, "c": 2})
    assert complaint(tmp_path / "a.mat").startswith(
        "no validdata, testdata in it; it has 'traindata', 'b', 'c'. Expected a MATLAB v5 file"
    )
    scipy.io.savemat(tmp_path / "b.mat", {f"{split}data": np.eye(3) for split in SPLITS})
    assert "traindata is one float64 array of 3 x 3. Expected a cell" in complaint(
        tmp_path / "b.mat"
    )
    np.savez(tmp_path / "c.npz", train=np.eye(3))
    assert complaint(tmp_path / "c.npz").startswith("no train_lengths, valid, valid_lengths, test")
    np.savez(tmp_path / "d.npz", rolls=np.eye(3))
    assert complaint(tmp_path / "d.npz").startswith("an .npz with 'rolls' in it. Expected a .mat")


# --- damaged files ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    paths = (
        as_mat(folder / "packed.mat", GOOD),
        as_mat(folder / "plain.mat", GOOD, compressed=False),
        as_npz(folder / "own.npz", GOOD),
    )
    return {path.name: path.read_bytes() for path in paths}


@given(data=st.data())
@pytest.mark.parametrize("name", ["packed.mat", "plain.mat", "own.npz"])
def test_damage_never_gives_more_than_a_complaint(
    name: str,
    whole: dict[str, bytes],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """SciPy's reader ends the process on some of these: see matlab.py."""
    content = bytearray(whole[name])
    place = st.integers(0, len(content) - 1)
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=4)):
        content[at] = value
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content[: data.draw(st.just(len(content)) | place)])
    try:
        task = load(path)
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert task.summary().trivial.keys() == {"static", "copy-previous"}


def test_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_mat(tmp_path / "large.mat", changed("train", 0, np.zeros((100_000, 5))))
    assert path.stat().st_size < 20_000
    assert frames(load(path), "train")[0].shape == (100_000, 5)
    monkeypatch.setattr(matlab, "MOST", 1_000_000)
    assert "damaged (larger than" in complaint(path)
    packed = tmp_path / "large.npz"
    np.savez_compressed(packed, **ARRAYS | {"test": np.zeros((100_000, 5))})
    assert packed.stat().st_size < 20_000
    monkeypatch.setattr(npz, "MOST", 1_000_000)
    assert complaint(packed).startswith("its arrays unpack to 0.0 GiB; at most 0 GiB are read.")
