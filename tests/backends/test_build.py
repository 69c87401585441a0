"""How a cell becomes a library: in the cache, without a compiler, ahead of time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cellwright.backends.cpu import build, cache, targets
from cellwright.backends.cpu.cache import is_whole, seal
from cellwright.backends.registry import BackendError
from fresh import CELL, NOBODY, Trial, command, trial, trials
from tiny import write_music

RIGHT = 1e-5
MISSING = "/nonexistent/c++"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiler in less of a hurry at run time than at compile time; counts its calls."""
    try:
        command = " ".join(build.compiler())
    except build.BuildError as e:
        pytest.skip(str(e))
    return script(tmp_path_factory.mktemp("quick") / "c++", f'exec {command} "$@" -O0')


def script(file: Path, text: str) -> Path:
    """A program, which writes a line to a log when it is called."""
    file.write_text(f'#!/bin/sh\necho "$*" >> "{file}.log"\n{text}\n')
    file.chmod(0o755)
    return file


def calls(program: Path, about: str = "") -> int:
    """How often it was called, with some argument."""
    log = Path(f"{program}.log")
    return sum(about in line for line in log.read_text().splitlines()) if log.exists() else 0


# --- the cache ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raced(quick: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Trial], int]:
    """A cache that 16 processes found empty at once, what they found, how much they compiled."""
    cache, before = tmp_path_factory.mktemp("cache"), calls(quick, "-shared")
    found = trials(16, "cpu", {"CELLWRIGHT_CACHE": cache, "CXX": quick})
    return cache, found, calls(quick, "-shared") - before


def test_processes_that_race_for_an_empty_cache(raced: tuple[Path, list[Trial], int]) -> None:
    cache, found, compiled = raced
    assert compiled == 3  # one does, and the others wait: forward, backward, matrices
    assert [t.warnings for t in found] == [[]] * 16
    assert max(t.error for t in found) <= RIGHT
    libraries = list(cache.iterdir())
    assert len(libraries) == 3
    assert all(map(is_whole, libraries))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    return content[:5000] + bytes([content[5000] ^ 1]) + content[5001:]


@pytest.mark.parametrize("damage", [cut, flipped, lambda content: b""], ids=["cut", "bit", "empty"])
def test_damaged_files_are_made_again(
    damage: Callable[[bytes], bytes],
    raced: tuple[Path, list[Trial], int],
    quick: Path,
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(raced[0], cache)
    whole, *broken = sorted(cache.iterdir())
    for file in broken:
        file.write_bytes(damage(file.read_bytes()))
    before = calls(quick), whole.stat().st_mtime_ns
    assert trial("cpu", {"CELLWRIGHT_CACHE": cache, "CXX": quick}).error <= RIGHT
    assert (calls(quick) - len(broken), whole.stat().st_mtime_ns) == before
    assert sorted(cache.iterdir()) == [whole, *broken]
    assert all(map(is_whole, broken))


def test_a_cache_that_cannot_be_written(quick: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    environment = {"CELLWRIGHT_CACHE": file / "sub", "TMPDIR": tmp_path, "CXX": quick}
    found = trial("cpu", environment)
    assert found.error <= RIGHT
    assert found.warnings == []


def python(program: str, *words: str, **environment: object) -> str:
    """What a program prints, in a process that has imported nothing."""
    done = subprocess.run(
        [sys.executable, *words, "-c", program],
        env=os.environ | {name: str(value) for name, value in environment.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_folder_instead_of_the_cache_goes_with_its_process(tmp_path: Path) -> None:
    """And not with a fork of it."""
    program = """
import os, sys
from cellwright.backends.cpu.cache import writable
found = writable()
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(found, found.exists())
"""
    said = python(program, CELLWRIGHT_CACHE=f"{__file__}/sub", TMPDIR=tmp_path).split()
    assert (Path(said[0]).parent, said[1]) == (tmp_path, "True")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_to_write_to() -> None:
    program = """
import tempfile
from cellwright.backends.cpu import build
tempfile.tempdir = "/nonexistent"
try:
    build.load("", False)
except build.BuildError as e:
    print(e)
"""
    said = python(program, CELLWRIGHT_CACHE=f"{__file__}/sub", CXX=shutil.which("true"))
    assert said.startswith("there is no folder to keep the compiled cell in")
    assert "set CELLWRIGHT_CACHE" in said


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        for place in (folder, *folder.rglob("*/")):
            place.chmod(0o755)


def test_a_cache_that_others_may_write_to(
    raced: tuple[Path, list[Trial], int], quick: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(raced[0], cache)
    cache.chmod(0o777)
    before = sorted(cache.iterdir()), calls(quick)
    environment = {"CELLWRIGHT_CACHE": cache, "CXX": quick, "TMPDIR": tmp_path}
    found = trial("cpu", environment)
    assert found.error <= RIGHT
    (warning,) = found.warnings
    assert f"does not use the cache folder {cache}, which others own or may write to" in warning
    assert (sorted(cache.iterdir()), calls(quick) - 3) == before
    code, said = command("build", "lstm", **environment)
    assert (code, "set CELLWRIGHT_CACHE to one of your own" in said) == (1, True)


@pytest.mark.parametrize(
    ("mode", "owner", "others"),
    [
        (0o700, "self", False),
        (0o775, "self", False),  # as on systems where each user has a group
        (0o1777, "self", True),
        (0o755, "nobody", True),
        (0o755, "root", False),
        (0o775, "root", True),
    ],
)
def test_who_may_write_to_the_cache(
    mode: int, owner: str, others: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if owner != "self" and os.getuid():
        pytest.skip("only root gives folders away")
    tmp_path.chmod(mode)
    if owner == "nobody":
        os.chown(tmp_path, NOBODY, -1)
    if owner == "root":
        monkeypatch.setattr(os, "getuid", lambda: NOBODY)
    assert cache._is_open_to_others(tmp_path) == others


def test_these_tests_leave_the_users_own_cache_alone() -> None:
    assert cache.folder() == Path(os.environ["CELLWRIGHT_CACHE"]).absolute()


def test_names_in_every_script(quick: Path, tmp_path: Path) -> None:
    """Where files are in ASCII, unless one says otherwise."""
    program = r"""
import torch, cellwright
cell = cellwright.parse("h' = tanh(W x + R h + \u03bb_2)")
cellwright.Recurrent(cell, 3, 4, backend="cpu")(torch.zeros(2, 1, 3))
"""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": 0, "PYTHONCOERCECLOCALE": 0}
    python(program, CELLWRIGHT_CACHE=tmp_path / "cache", CXX=quick, **ascii_only)


def test_a_cache_in_the_folder_one_is_in(
    quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert trial("cpu", {"CELLWRIGHT_CACHE": ".", "CXX": quick}).error <= RIGHT
    assert len(list(tmp_path.glob("*.so"))) == 3


# --- compilers that do not compile --------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiler", "remedy"),
    [
        (MISSING, "there is no such program: correct or unset it"),
        ("g++ '", "correct or unset it"),
        ("false", "install g++"),
        ("true", "install g++"),
        ("printf '\\351 is no UTF-8' >&2; exit 1", "is no UTF-8"),
        ('exec c++ -nostdinc "$@"', "fatal error: "),
    ],
    ids=["missing", "no command", "fails", "makes nothing", "speaks Latin 1", "has no headers"],
)
def test_without_a_compiler(compiler: str, remedy: str, tmp_path: Path) -> None:
    """Slower, and told once; or an error, where the backend is insisted on."""
    if ";" in compiler or "exec" in compiler:
        compiler = str(script(tmp_path / "c++", compiler))
    environment = {"CELLWRIGHT_CACHE": tmp_path / "cache", "CXX": compiler}
    found = trial("auto", environment, all_passes=True)
    assert found.error <= RIGHT
    (warning,) = found.warnings
    assert warning.startswith("cellwright runs slowly, on reference. cpu: ")
    assert remedy in warning
    with pytest.raises(BackendError) as refused:
        trial("cpu", environment)
    assert remedy in str(refused.value)
    assert list((tmp_path / "cache").glob("*")) == []


def test_commands_without_a_compiler(tmp_path: Path) -> None:
    environment = {"CELLWRIGHT_CACHE": tmp_path / "cache", "CXX": "false"}
    cell, music = tmp_path / "own.cell", write_music(tmp_path / "melodies.npz")
    cell.write_text(CELL)
    words = ("--size", "3,2,4,4", "--against", "", "--seconds", "0")
    code, said = command("bench", cell, *words, **environment)
    assert (code, said.count("cellwright runs slowly")) == (0, 1)
    words = ("--parameters", "200", "--seeds", "1", "--minutes", "0.01", "--out", tmp_path / "out")
    code, said = command("compare", music, "--cells", cell, *words, **environment)
    assert (code, said.count("cellwright runs slowly")) == (0, 1), said
    code, said = command("build", cell, **environment)
    assert (code, said.count("fails: install g++")) == (1, 1)


def test_building_ends_with_the_first_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = script(tmp_path / "c++", "sleep 0.2; exit 1")
    monkeypatch.setenv("CXX", str(fails))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    sources = [f"// {i}" for i in range(20)]
    with pytest.raises(build.BuildError, match="exit code 1"):
        list(build.build_ahead(sources, targets.TARGETS, tmp_path))
    assert calls(fails) <= 4


# --- ahead of time ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ahead(quick: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a cell is compiled ahead of time, in `cache`."""
    folder = tmp_path_factory.mktemp("ahead")
    cell = folder / "own.cell"
    cell.write_text(CELL)
    code, said = command("build", cell, CXX=quick, CELLWRIGHT_CACHE=folder / "cache")
    assert code == 0, said
    assert "libraries compiled" in said
    return folder


def test_built_ahead_no_compiler_is_needed(ahead: Path) -> None:
    environment = {"CELLWRIGHT_CACHE": ahead / "cache", "CXX": MISSING}
    assert trial("cpu", environment, all_passes=True).error <= RIGHT


def test_built_into_an_image(ahead: Path, public: Path) -> None:
    """By root, in a folder that the one who runs it may but read."""
    for file in (*build.HERE.glob("*.hpp"), build.HERE / "matrix.cpp"):
        shutil.copy(file, public)
    shutil.copytree(ahead / "cache", public / "cache")
    for place in (public / "cache", *public.rglob("cache/**/")):
        place.chmod(0o555)
    environment = {"CELLWRIGHT_CACHE": public / "cache", "CXX": MISSING}
    found = trial("cpu", environment, package=public, user=NOBODY)
    assert found.error <= RIGHT
    assert found.warnings == []


def test_what_one_user_compiled_another_may_read(public: Path) -> None:
    compiler = script(public / "c++", f'exec {" ".join(build.compiler())} "$@" -O0')
    (public / "c++.log").touch()
    (public / "c++.log").chmod(0o666)
    environment = {"CELLWRIGHT_CACHE": public / "cache", "CXX": compiler}
    trial("cpu", environment)
    (public / "cache").chmod(0o555)
    assert calls(compiler) == 3
    assert trial("cpu", environment, user=NOBODY).error <= RIGHT
    assert calls(compiler) == 3


def test_a_cell_and_the_kernels_are_for_one_kind_of_processor(quick: Path, tmp_path: Path) -> None:
    """Kernels of another kind count in other blocks, and write past the ends of memory."""
    cell, cache = tmp_path / "own.cell", tmp_path / "cache"
    cell.write_text(CELL)
    environment = {"CELLWRIGHT_CACHE": cache, "CXX": quick}
    assert command("build", cell, "--target", "baseline", **environment)[0] == 0
    before = calls(quick)
    assert trial("cpu", environment, text="h' = sigmoid(W x + R h)\n").error <= RIGHT
    assert calls(quick) - before == 3  # forward, backward, matrices
    for file in cache.rglob("built/*/*.so"):
        if b"\0kernels\0" in file.read_bytes():
            file.unlink()
    assert trial("cpu", environment).error <= RIGHT
    assert calls(quick) - before == 5


def test_libraries_that_cannot_be_loaded(ahead: Path, quick: Path, tmp_path: Path) -> None:
    """As of a newer libc: there may be others, or a compiler."""
    for file in (*build.HERE.glob("*.hpp"), build.HERE / "matrix.cpp"):
        (tmp_path / file.name).symlink_to(file)
    shutil.copytree(ahead / "cache" / "built", tmp_path / "built")
    for file in tmp_path.rglob("built/*/*.so"):
        made = tmp_path / "made"
        made.write_bytes(b"no library")
        seal(made, file)
    environment = {"CELLWRIGHT_CACHE": ahead / "cache", "CXX": MISSING}
    assert trial("cpu", environment, package=tmp_path).error <= RIGHT
    environment["CELLWRIGHT_CACHE"] = tmp_path
    with pytest.raises(
        BackendError, match=r"(?s)no such program.*cannot be loaded.*file too short"
    ):
        trial("cpu", environment, package=tmp_path)
    environment["CXX"] = str(quick)
    assert trial("cpu", environment, package=tmp_path).error <= RIGHT


def test_what_a_processor_lacks_is_never_chosen(ahead: Path) -> None:
    if targets.usable()[0].name == "baseline":
        pytest.skip("this processor has nothing to lack")
    environment = {"CELLWRIGHT_CACHE": ahead / "cache", "CXX": MISSING}
    with pytest.raises(BackendError, match="there is no such program"):
        trial("cpu", environment, flags="fpu sse2")


@pytest.mark.skipif(len(targets.TARGETS) != 3, reason="not of the x86 family")
def test_kinds_of_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    avx2 = "avx2 fma bmi1 bmi2 f16c movbe abm"
    avx512 = f"{avx2} avx512f avx512bw avx512cd avx512dq avx512vl"
    for words, names in (
        ("fpu sse2", ["baseline"]),
        ("avx avx512f avx512bw", ["baseline"]),
        (avx2, ["avx2", "baseline"]),
        (avx512, ["avx512", "avx2", "baseline"]),
        (avx512.replace("avx512vl", ""), ["avx2", "baseline"]),
        (avx512.replace("abm", ""), ["baseline"]),
    ):
        monkeypatch.setattr(targets, "processor", lambda words=words: f"flags : {words}")
        assert [t.name for t in targets.usable.__wrapped__()] == names


def test_built_into_the_package(quick: Path, ahead: Path, tmp_path: Path) -> None:
    """As in a wheel: the folder `built` beside the sources."""
    for file in (*build.HERE.glob("*.hpp"), build.HERE / "matrix.cpp"):
        (tmp_path / file.name).symlink_to(file)
    words = ("build", ahead / "own.cell", "--target", "baseline", "--out", tmp_path / "built")
    environment = {"CELLWRIGHT_CACHE": tmp_path / "cache", "CXX": quick}
    assert command(*words, **environment)[0] == 0
    assert [place.name for place in (tmp_path / "built").iterdir()] == ["baseline"]
    assert not (tmp_path / "cache").exists()
    environment["CXX"] = MISSING
    options = {"package": tmp_path, "flags": "fpu sse2", "all_passes": True}
    assert trial("cpu", environment, **options).error <= RIGHT


def test_what_is_built_is_left_as_it_is(ahead: Path) -> None:
    words = ("build", ahead / "own.cell", "--out", ahead / "cache" / "built")
    code, said = command(*words, CXX="false")
    assert (code, said.strip()) == (0, "Everything is compiled already")


def test_a_kind_of_processor_that_there_is_not() -> None:
    code, said = command("build", "lstm", "--target", "pdp11")
    names = ", ".join(t.name for t in targets.TARGETS)
    assert code == 1
    assert said == f"no kind of processor here is called 'pdp11': choose {names}\n"


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("failing", ["cellwright", "pip"])
def test_a_wheel_that_fails_leaves_nothing_in_the_package(failing: str, tmp_path: Path) -> None:
    """Of what would be loaded in place of what is compiled for this machine."""
    package = tmp_path / "src" / "cellwright" / "backends" / "cpu"
    package.mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, job in (
        ("cellwright", 'for out; do :; done; mkdir -p "$out/avx2"'),
        ("pip", "test -d src/cellwright/backends/cpu/built/avx2 && echo packed"),
    ):
        script(tools / name, f"{job}\nexit {int(name == failing)}")
    (tmp_path / ".venv" / ".installed").touch()
    makefile = Path(__file__).parents[2] / "Makefile"
    done = subprocess.run(
        ["make", "-f", makefile, "wheel"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert ("packed" in done.stdout.splitlines()) == (failing == "pip")
    assert list(package.iterdir()) == []
