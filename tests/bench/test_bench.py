"""Measuring: nothing wrong is timed, the figures add up, and what is absent is said."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cellwright import cli
from cellwright.backends import registry
from cellwright.backends.cpu.build import BuildError, load_kernels
from cellwright.backends.reference import Result
from cellwright.bench import bench as benches
from cellwright.bench import measure
from cellwright.bench.bench import Measurement, ParityError, Size, bench, geometric_mean
from cellwright.bench.contestants import Loop, MissingPeerError, peer, step
from cellwright.bench.measure import Timing, extra_memory, interleaved
from cellwright.bench.table import markdown, means
from cellwright.language import cell
from cellwright.layers.recurrent import Recurrent

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

SMALL = ("--size", "5,2,3,4", "--seconds", "0.01")


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., SimpleNamespace]:
    """Runs `cellwright bench`, in this process: exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["cellwright", "bench", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return SimpleNamespace(code=ended.value.code, **capsys.readouterr()._asdict())

    return run


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who is timed, and with what result: 2 ms, peers 3, 4, 5 …; a peak of 1e12."""
    found: list[str] = []

    def pretend(contestants: dict[str, object], seconds: float) -> dict[str, Timing]:
        found.extend(contestants)
        medians = {name: 2.0 + i for i, name in enumerate(contestants)}
        return {name: Timing(t, t - 0.5, t + 0.5, 7) for name, t in medians.items()}

    monkeypatch.setattr(benches, "interleaved", pretend)
    monkeypatch.setattr(benches, "gemm_peak", lambda: 1e12)
    return found


# --- parity -------------------------------------------------------------------------------------


def wrong_output(p: object, found: Result) -> None:
    for y in found.outputs[:1]:
        y[-1, -1, -1] *= 1.001


def wrong_gradient(p: Any, found: Result) -> None:
    if p.sums:
        found.sums[0][..., -1] *= 1.001


def no_number(p: object, found: Result) -> None:
    for y in found.outputs[:1]:
        y[0, 0, 0] = float("nan")


def wrong_past_two_blocks(p: object, found: Result) -> None:
    for y in found.outputs[:1]:
        y[..., 32:] *= 1.001


def wrong_late(p: object, found: Result) -> None:
    for y in found.outputs[:1]:
        y[50:] *= 1.001


def wrong_on_two_threads(p: object, found: Result) -> None:
    if torch.get_num_threads() == 2:
        wrong_output(p, found)


def wrong_without_training(p: Any, found: Result) -> None:
    if not p.sums and found.kept is None:
        wrong_output(p, found)


def wrong_without_the_gradient_of_the_input(p: Any, found: Result) -> None:
    if not found.outputs:
        wrong_gradient(p, found)


def wrong_by_little(p: object, found: Result) -> None:
    for y in found.outputs[:1]:
        y *= 1 + 5e-6


Fastest = Callable[..., None]


@pytest.fixture
def fastest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fastest]:
    """Changes the fastest backend."""

    def change(**changes: object) -> None:
        changed = replace(registry.BACKENDS[0], **changes)
        monkeypatch.setattr(registry, "BACKENDS", (changed, *registry.BACKENDS[1:]))
        registry.select.cache_clear()

    yield change
    monkeypatch.undo()
    registry.select.cache_clear()


@pytest.fixture(params=[wrong_output, wrong_gradient, no_number])
def mistaken(request: pytest.FixtureRequest, fastest: Fastest) -> None:
    """The fastest backend makes a mistake in float32, with cells that have two states."""
    right = registry.BACKENDS[0]

    def run(p: object, inputs: list[torch.Tensor], *rest: object, **options: object) -> Result:
        found = right.run(p, inputs, *rest, **options)
        if inputs[0].dtype == torch.float32 and len(found.states) == 2:
            request.param(p, found)
        return found

    fastest(run=run)


@pytest.mark.usefixtures("mistaken")
def test_nothing_is_timed_where_a_result_is_wrong(
    command: Callable[..., SimpleNamespace], timed: list[str], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    done = command("lstm", *SMALL, "--out", page)
    assert done.code == 1
    assert re.fullmatch(
        r"lstm, training at 5, 2, 3, 4, 1 thread: results differ from the reference by \S+, where "
        r"\S+ is allowed, so it is not timed\. Please report it\n",
        done.err,
    )
    assert re.fullmatch(r"torch .* Medians of one process, in turns\.\n", done.out)
    assert not timed
    assert not page.read_text()


@pytest.mark.usefixtures("mistaken")
def test_one_wrong_cell_ends_all(timed: list[str]) -> None:
    cells = [cell("gru_reset_before"), cell("lstm")]
    rows = bench(cells, [Size(5, 2, 3, 4)], peers=(), modes=[True])
    assert next(rows).cell == "gru_reset_before"
    with pytest.raises(ParityError, match="lstm"):
        next(rows)
    assert timed == [""]


@pytest.mark.usefixtures("mistaken")
@pytest.mark.parametrize(
    ("mistaken", "before"),
    [
        (wrong_past_two_blocks, 0),
        (wrong_late, 0),
        (wrong_on_two_threads, 2),
        (wrong_without_training, 1),
        (wrong_without_the_gradient_of_the_input, 0),
        (wrong_by_little, 0),
    ],
    indirect=["mistaken"],
)
def test_what_is_timed_is_checked(timed: list[str], before: int) -> None:
    rows = bench([cell("lstm")], [Size(60, 8, 20, 40)], threads=(1, 2), peers=())
    for _ in range(before):
        next(rows)
    with pytest.raises(ParityError, match="lstm"):
        next(rows)
    assert timed == [""] * before


def test_small_is_checked_too(fastest: Fastest, timed: list[str]) -> None:
    right = registry.BACKENDS[0]

    def run(p: Any, inputs: object, states: list[torch.Tensor], *rest: Any, **options: Any) -> Any:
        found = right.run(p, inputs, states, *rest, **options)
        if not p.sums and states[0].any():  # a segment, but the first
            wrong_output(p, found)
        return found

    fastest(run=run)
    assert len(measured(peers=(), modes=[True], sizes=[Size(70, 16, 20, 40)])) == 1
    timed.clear()
    with pytest.raises(ParityError, match='lstm with memory="small", training at 70, 16, 20, 40'):
        measured(peers=("small",), sizes=[Size(70, 16, 20, 40)])
    assert not timed


@pytest.mark.parametrize("times", [1, 2])
def test_what_fails_for_other_numbers_too_is_wrong(
    fastest: Fastest, timed: list[str], times: int
) -> None:
    right, ran = registry.BACKENDS[0], 0

    def run(p: object, *rest: Any, **options: Any) -> Result:
        nonlocal ran
        found = right.run(p, *rest, **options)
        if ran < times:
            wrong_output(p, found)
        ran += 1
        return found

    fastest(run=run)
    rows = bench([cell("lstm")], [Size(5, 2, 3, 4)], peers=(), modes=[False])
    if times == 1:
        assert len(list(rows)) == 1
    else:
        with pytest.raises(ParityError, match="lstm"):
            next(rows)
        assert not timed


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "peephole_lstm"])
def test_right_results_are_no_parity_error(name: str, input_gradient: bool) -> None:
    sizes = [Size(70, 19, 23, 37), Size(5, 2, 3, 4)]
    for threads in (1, 2):
        options = {"peers": ("small",), "input_gradient": input_gradient}
        assert len(measured(name, sizes=sizes, threads=(threads,), **options)) == 4


@pytest.mark.usefixtures("timed")
@pytest.mark.filterwarnings("ignore:cellwright runs slowly")
def test_what_runs_is_said(
    fastest: Fastest, command: Callable[..., SimpleNamespace], tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    for backend in ("cpu", "reference"):
        done = command("lstm", *SMALL, "--inference", "--out", page)
        for mode in ("training", "inference"):
            assert f"\nlstm on {backend}, {mode} 5, 2, 3, 4, 1 thread: " in done.out
            assert f"\n## `lstm` on {backend}, {mode}" in page.read_text()
        fastest(obstacle=lambda *about: "there is no C++ compiler")


# --- figures ------------------------------------------------------------------------------------


def measured(*words: str, **options: object) -> list[Measurement]:
    cells = [cell(name) for name in words or ("lstm",)]
    return list(bench(cells, **{"sizes": [Size(5, 2, 3, 4)], "peers": ("nn.LSTM",)} | options))


@pytest.mark.usefixtures("timed")
def test_figures_follow_from_medians() -> None:
    row, inferred = measured(peers=("nn.LSTM", "nn.GRU", "loop"))
    assert (row.training, inferred.training) == (True, False)
    assert [row.speedup(name) for name in row.peers] == [3 / 2, 4 / 2, 5 / 2]
    T, B, inputs, H = row.size
    gates = 2 * T * B * 4 * H
    assert inferred.operations == gates * (inputs + H)
    assert row.operations == gates * (2 * (inputs + H) + H)
    assert inferred.share_of_peak == pytest.approx(inferred.operations / 2e-3 / 1e12)
    assert inferred.speedup_by_operations("nn.LSTM") == pytest.approx(3 / 2)
    assert inferred.speedup_by_operations("nn.GRU") == pytest.approx(4 / 2 * 4 / 3)


def test_a_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4)
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1)


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(
    ("name", "on_state"), [("lstm", 4), ("gru", 3), ("gru_reset_before", 2), ("rnn", 1)]
)
def test_operations_are_those_that_torch_counts(
    name: str, on_state: int, input_gradient: bool, training: bool
) -> None:
    (row,) = measured(name, modes=(training,), input_gradient=input_gradient)
    loop = Loop(Recurrent(name, row.size.I, row.size.H))
    assert row.operations == operations(loop, row, on_state, input_gradient)


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("input_gradient", [True, False])
def test_operations_of_torch_are_those_that_it_counts(input_gradient: bool, training: bool) -> None:
    (row,) = measured(
        peers=("nn.GRU", "nn.RNN", "nn.LSTM"), modes=(training,), input_gradient=input_gradient
    )
    for name, on_state in (("nn.GRU", 3), ("nn.RNN", 1)):
        module = peer(name, cell("lstm"), row.size.I, row.size.H)
        assert row.operations_of[name] == operations(module, row, on_state, input_gradient)
    # Torch cannot look into oneDNN, which makes all gradients.
    T, B, inputs, H = row.size
    assert row.operations_of["nn.LSTM"] == 2 * T * B * 4 * H * (inputs + H) * (3 if training else 1)


def operations(
    module: torch.nn.Module, row: Measurement, on_state: int, input_gradient: bool
) -> int:
    """What torch counts, and what the gradient of the initial state takes: nobody wants it."""
    T, B, inputs, H = row.size
    x = torch.randn(T, B, inputs, requires_grad=input_gradient)
    with FlopCounterMode(display=False) as counter:
        step(module, x, row.training)()
    spared = 2 * B * H * H * on_state * row.training
    return int(counter.get_total_flops()) + spared


def test_the_peak_is_that_of_the_best_size(monkeypatch: pytest.MonkeyPatch) -> None:
    medians = {
        1: {"512": 0.6, "768": 1.0, "1024": 3.0, "1536": 9.0},
        2: {"512": 0.6, "768": 1.0, "1024": 2.0, "1536": 6.0},
    }
    asked = []

    def pretend(contestants: dict[str, object], *rest: object, least: int) -> dict[str, Timing]:
        asked.append(len(contestants))
        of = medians[torch.get_num_threads()]
        return {name: Timing(of[name], 0, 0, least) for name in contestants}

    monkeypatch.setattr(measure, "interleaved", pretend)
    monkeypatch.setattr(measure, "_best_side", lru_cache(measure._best_side.__wrapped__))
    before = torch.get_num_threads()
    try:
        for threads, best in ((1, 768**3 / 1e-3), (2, 1536**3 / 6e-3), (1, 768**3 / 1e-3)):
            torch.set_num_threads(threads)
            assert measure.gemm_peak() == pytest.approx(2 * best)
    finally:
        torch.set_num_threads(before)
    assert asked == [4, 1, 4, 1, 1]  # which one is best is found once


def test_everyone_runs_equally_often_and_in_turns() -> None:
    ran: list[str] = []
    contestants = {name: lambda name=name: ran.append(name) for name in "abc"}
    timings = interleaved(contestants, seconds=0, least=6)
    assert {timing.runs for timing in timings.values()} == {6}
    turns = ["aabbcc", "bbccaa", "ccaabb"]
    assert "".join(ran) == "abc" + "".join(turns) * 2
    more = interleaved(contestants, seconds=0.01, least=1)
    assert len({timing.runs for timing in more.values()}) == 1
    assert more["a"].runs > 1


def test_quartiles_surround_the_median() -> None:
    for timing in interleaved({"a": lambda: sum(range(1000))}, seconds=0, least=9).values():
        assert 0 < timing.low <= timing.median <= timing.high


# --- pages --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("timed")
def test_a_page_has_a_table_for_each_kind_of_run() -> None:
    rows = measured(peers=("nn.LSTM", "nn.GRU"), threads=(1, 2), sizes=[Size(5, 2, 3, 4)])
    rows[2] = replace(rows[2], memory={"lstm": 1.25, "small": 0.5})
    page = markdown(rows, "cellwright bench lstm")
    assert page.startswith("# `lstm`\n\ntorch ")
    assert "`cellwright bench lstm`" in page
    training, inference = page.split("\n## ")[1:]
    assert training.splitlines()[2:6] == [
        "| size | threads | lstm | of GEMM peak | nn.LSTM | nn.GRU | MiB, lstm | MiB, small |",
        "|---|---|---|---|---|---|---|---|",
        "| 5, 2, 3, 4 | 1 | 2.00 (1.50–2.50) | 0% | 3.00 (1.50x) | 4.00 (2.00x) |  |  |",
        "| 5, 2, 3, 4 | 2 | 2.00 (1.50–2.50) | 0% | 3.00 (1.50x) | 4.00 (2.00x) | 1.2 | 0.5 |",
    ]
    assert "MiB" not in inference
    assert "- 2 threads, beside nn.LSTM: geometric mean 1.50x, least 1.50x" in training


@pytest.mark.usefixtures("timed")
def test_means_are_over_sizes() -> None:
    first, second = measured(modes=(False,), sizes=[Size(5, 2, 3, 4), Size(6, 2, 3, 4)])
    fast = {"nn.LSTM": replace(second.peers["nn.LSTM"], median=12.0)}
    assert list(means([first, replace(second, peers=fast)])) == [
        "- 1 thread, beside nn.LSTM: geometric mean 3.00x, least 1.50x; for one operation 3.00x"
    ]


def test_the_command_prints_rows_and_means_and_writes_a_page(
    command: Callable[..., SimpleNamespace], tmp_path: Path
) -> None:
    page = tmp_path / "a page.md"
    done = command(
        "lstm", *SMALL, "--inference", "--memory", "--against", "nn.LSTM,loop", "--out", page
    )
    assert (done.code, done.err) == (0, "")
    x = r"\d+\.\d\dx"
    row = r"lstm on cpu, training 5, 2, 3, 4, 1 thread: \d+\.\d\d ms \(\d+% of GEMM peak\)"
    assert re.search(rf"{row}; nn.LSTM {x}; loop {x}", done.out)
    if sys.platform == "linux":
        grown = r"-?\d+\.\d"
        memory = rf"; MiB lstm {grown}, nn.LSTM {grown}, loop {grown}\n"
        assert re.search(memory, done.out)
    assert re.search(rf"lstm on cpu, inference .*; nn.LSTM {x}; loop {x}\n", done.out)
    assert re.search(rf"lstm, inference\n- 1 thread, beside nn.LSTM: geometric mean {x}", done.out)
    text = page.read_text("utf-8")
    words = "--size 5,2,3,4 --seconds 0.01 --inference --memory --against nn.LSTM,loop"
    assert f"`cellwright bench lstm {words} --out '{page}'`" in text
    assert text.count("| 5, 2, 3, 4 | 1 |") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_memory_is_what_a_run_takes() -> None:
    grown = extra_memory(lambda: torch.ones(16, 2**20, dtype=torch.float32))
    assert grown == pytest.approx(64, abs=4)
    assert extra_memory(lambda: None) == pytest.approx(0, abs=1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_memory_that_the_engine_keeps_for_its_next_call_counts() -> None:
    run = step(Recurrent("lstm", 512, 512), torch.randn(8, 1, 512), training=False)
    matrices = 4 * 512 * (512 + 512) * 4 / 2**20
    assert extra_memory(run) == pytest.approx(matrices, abs=3)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_memory_is_told_without_glibc_and_without_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_kernels(double=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda *about: object())
    assert extra_memory(lambda: None) == pytest.approx(0, abs=1)

    def refuse(double: bool) -> object:
        raise BuildError("there is no C++ compiler")

    monkeypatch.setattr(measure, "load_kernels", refuse)
    assert extra_memory(lambda: None) == pytest.approx(0, abs=1)


def test_memory_is_not_told_where_the_system_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *rest: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert extra_memory(lambda: None) is None


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 1, "name a cell to measure: cellwright bench CELL …"),
        (("lstn", *SMALL), 1, "Did you mean lstm?"),
        (("lstm", "--size", "5,2,3"), 1, "as 100,16,64,64; got '5,2,3'"),
        (("lstm", "--size", "5,2,3,0"), 1, "as 100,16,64,64; got '5,2,3,0'"),
        (("lstm", "--size", "5,2,3,²"), 1, "as 100,16,64,64; got '5,2,3,²'"),
        (("lstm", "--size", "5,-2,3,4"), 1, "as 100,16,64,64; got '5,-2,3,4'"),
        (("lstm", "--threads", "0"), 2, 'Invalid value "0" for --threads. Must be >= 1.'),
        (("lstm", "--threads", "two"), 2, '--threads: unable to convert "two" into int'),
        (("lstm", *SMALL, "--against", "nn.LSTM,keras"), 1, "'keras' is nothing to measure against"
            ": choose nn.LSTM, nn.GRU, nn.RNN, plain, small, loop, torchrecurrent"),
        (("lstm", *SMALL, "--against", "torchrecurrent.LSTMM"), 1,
            "torchrecurrent has no layer called 'LSTMM'"),
        (("lstm", *SMALL, "--out", "absent/page.md"), 1,
            "absent/page.md cannot be written: No such file or directory. Choose another one"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_short(
    words: tuple[str, ...],
    code: int,
    message: str,
    command: Callable[..., SimpleNamespace],
    timed: list[str],
) -> None:
    done = command(*words)
    assert done.code == code
    assert message in done.out + done.err
    assert "Traceback" not in done.err
    assert not timed


def test_the_number_of_threads_is_as_it_was() -> None:
    before = torch.get_num_threads()
    with pytest.raises(MissingPeerError):
        measured(threads=(2,), peers=("keras",))
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("timed")
def test_torchrecurrent_that_is_absent_is_said(
    command: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torchrecurrent", None)
    missing = "torchrecurrent is not installed: pip install torchrecurrent"
    page = tmp_path / "page.md"
    done = command("lstm", *SMALL, "--out", page)
    assert done.code == 0
    assert f"- {missing}\n" in done.out
    assert f"- {missing}\n" in page.read_text()
    assert "nn.LSTM 1.50x" in done.out
    done = command("lstm", *SMALL, "--against", "torchrecurrent.MGU")
    assert (done.code, done.err) == (1, f"{missing}\n")


@pytest.mark.usefixtures("timed")
def test_a_cell_that_torchrecurrent_lacks_is_said(command: Callable[..., SimpleNamespace]) -> None:
    pytest.importorskip("torchrecurrent")
    done = command("niaf", *SMALL, "--inference", "--against", "loop,torchrecurrent")
    assert done.out.count("- torchrecurrent has no layer called 'niaf'\n") == 2


def test_peers_are_layers_of_these_sizes() -> None:
    x = torch.randn(5, 2, 3)
    for name in ("nn.RNN", "nn.LSTM", "nn.GRU", "loop"):
        assert peer(name, cell("gru"), 3, 4)(x)[0].shape == (5, 2, 4)
    pytest.importorskip("torchrecurrent")
    for name in ("torchrecurrent", "torchrecurrent.MGU"):
        assert peer(name, cell("peephole_lstm"), 3, 4)(x)[0].shape == (5, 2, 4)


# --- variations ---------------------------------------------------------------------------------


def test_a_varied_cell_beside_the_plain_one(command: Callable[..., SimpleNamespace]) -> None:
    """Masks are those of one seed where results are checked, in training; else there are none."""
    options = ("--with", "zoneout=0.5", "--with", "layer_norm", "--with", "heads=2")
    found = command("lstm", *SMALL, "--against", "plain", "--inference", *options)
    assert found.code == 0, found.err
    assert "zoneout=0.5" in found.out
    assert "plain" in found.out


@pytest.mark.parametrize("word", ["zoneut=0.1", "bias", "=3"])
def test_a_variation_that_there_is_not(command: Callable[..., SimpleNamespace], word: str) -> None:
    found = command("lstm", *SMALL, "--with", word)
    assert found.code == 1
    assert "--with takes layer_norm, zoneout, recurrent_dropout" in found.err
    assert ("Did you mean zoneout?" in found.err) == (word == "zoneut=0.1")


@pytest.mark.usefixtures("mistaken")
def test_a_wrong_varied_cell_is_not_timed(timed: list[str]) -> None:
    with pytest.raises(ParityError, match="results differ from the reference"):
        next(bench([cell("lstm")], [Size(5, 2, 3, 4)], peers=(), variations={"zoneout": 0.5}))
    assert not timed
