"""What a file is, whatever its name; and what a person is told where it cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cellwright.study.readers import files
from cellwright.study.readers.errors import DataError
from cellwright.study.readers.files import recognise


def complaint(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        recognise(Path(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PAR1" + bytes(20), "parquet"),
        ("Wär ich ein Vöglein,\nflög ich zu dir.\n".encode() * 5000, "text"),  # cut within ö
        (b"date;load\n2020-01-01;3,5\n2020-01-02;4,1\n", "table"),
        (b"t,a\n1,2\n2,\n3,4\n", "table"),
        (b"a poem, of sorts\nwith commas, many\nand no number, any\n", "text"),
        (b"#about\n@problemName x\n@data\n1,2:a\n", "ts"),
        (b"one line", "text"),
    ],
)
def test_content_decides(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "whatever"
    path.write_bytes(content)
    assert recognise(path).format == kind


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty, 0 bytes long."),
        (bytes(512) + b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 or MATLAB 7.3 file; save it"),
        (b"MATLAB 7.3 MAT-file" + bytes(10), "an HDF5 or MATLAB 7.3 file; save it"),
        (b"\x93NUMPY\x01\x00", "one bare array; the split and"),
        (b"PK\x03\x04", "damaged (File is not a zip file). Write or fetch it again."),
        (b"MThd\0\0\0\6", "a single MIDI file; name the folder"),
        (b"\x1f\x8b\x08\0", "a compressed file; unpack it first."),
        (b"na\xefve", "neither a data file nor text in UTF-8: byte 3 is 0xef."),
        (bytes(600), "not a data file. Expected a .mat file of piano rolls"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "x").write_bytes(content)
    assert complaint(tmp_path / "x").startswith(expected)


def test_no_such_file(tmp_path: Path) -> None:
    for name in ("JSB_Chorales.mat", "notes.md"):
        (tmp_path / name).touch()
    near = complaint(tmp_path / "jsb_chorale.mat")
    assert near == f"no such file. Did you mean {tmp_path / 'JSB_Chorales.mat'}?"
    assert complaint(tmp_path / "zzz").startswith("no such file. Expected a .mat file")
    assert complaint(tmp_path / "no" / "x") == f"no such file, nor the folder {tmp_path / 'no'}."
    assert complaint(tmp_path).endswith("Name a file in it: JSB_Chorales.mat.")
    (tmp_path / "JSB_Chorales.mat").unlink()
    assert complaint(tmp_path).startswith("a folder, without MIDI files in it. Expected a .mat")
    assert complaint("/dev/null").startswith("not a regular file")


def test_what_is_larger_than_memory_should_hold_is_not_read(tmp_path: Path) -> None:
    """10 GiB that take no room on the disk, and would on reading."""
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.write(b"all work and no play\n" * 4000)
        os.truncate(file.fileno(), 10 * 2**30)
    said = complaint(path)
    assert said.startswith("10.0 GiB; at most 0.125 GiB are read, as every process holds it all.")
    assert said.endswith("Cut a part out, as with head -c 200M.")
    assert files._MOST["table"] > files._MOST["text"]
