"""The Triton backend: what it writes, what it cannot run, which way it runs the loop.

Kernels run in Triton's interpreter, on the CPU, in float64 too, so that they can be compared
closely. `benchmarks/gpu_kernels.py` compiles them for GPUs, which takes no GPU, but a process
without the interpreter.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given as given_by
from hypothesis import settings
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from triton.runtime.errors import OutOfResources

from cellwright import Recurrent, parse
from cellwright.backends import reference
from cellwright.backends.registry import BACKENDS, BackendError, select
from cellwright.backends.triton import interpreter, run, tiles, tune
from cellwright.backends.triton.call import Call
from cellwright.backends.triton.emit import emit
from cellwright.backends.triton.kernel import Kernel
from cellwright.backends.triton.layout import layout
from cellwright.errors import CellwrightError
from cellwright.language import cell, cell_names
from cellwright.program.derivative import derivative
from cellwright.program.program import Program
from conformance import Arguments, arguments, errors, relative_error, training_step
from strategies import programs

[TRITON] = [b for b in BACKENDS if b.name == "triton"]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def nan_in_new_memory() -> Iterator[None]:
    """Whoever reads what nobody wrote reads NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The loop runs in one regime, if that can run it."""
    if request.param != "auto":
        monkeypatch.setattr(tiles, "REGIMES", (request.param, "independent", "segments"))
    return str(request.param)


def draw(name: str, size: tuple[int, int, int, int], dtype: torch.dtype) -> Arguments:
    p = cell(name).program
    T, B, n_in, hidden = size
    sizes = {"I": n_in if p.inputs[0].shape == ("I",) else hidden, "H": hidden, "K": 4}
    return arguments(p, sizes, T, B, dtype)


def varied(T: int, B: int, reverse: bool) -> dict[str, object]:
    rng = torch.Generator().manual_seed(T * 10 + B)
    lengths = torch.randint(1, T + 1, (B,), generator=rng)
    return {
        "lengths": lengths,
        "resets": torch.rand(T, B, generator=rng) < 0.4,
        "reverse": reverse,
    }


# --- against the reference ----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("loop", ["auto", "segments"], indirect=True)
@pytest.mark.parametrize("name", cell_names())
def test_every_cell_in_the_interpreter(name: str, loop: str) -> None:
    T, reverse = (3, False) if loop == "auto" else (2, True)
    given = draw(name, (T, 3, 4, 5), torch.float64)
    check(errors(cell(name).program, given, "triton", **varied(T, 3, reverse)))


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("loop", ["shared"], indirect=True)
@pytest.mark.parametrize("name", ["lstm", "gru_reset_before", "layer_norm_lstm", "rhn", "mclstm"])
def test_programs_that_meet_in_the_interpreter(name: str, loop: str) -> None:
    """A grid of one program, as the interpreter runs one after another."""
    assert layout(cell(name).program).whole
    for reverse in (False, True):
        given = draw(name, (3, 3, 4, 5), torch.float64)
        check(errors(cell(name).program, given, "triton", **varied(3, 3, reverse)))


@pytest.mark.parametrize("loop", ["auto", "segments"], indirect=True)
@pytest.mark.parametrize("name", ["ind_rnn", "sru", "lstm", "gru_reset_before"])
def test_many_tiles(name: str, loop: str) -> None:
    """More sequences than a program has, or more units where those are independent."""
    B, H = (19, 9) if layout(cell(name).program).whole else (2, 131)
    given = draw(name, (2, B, 4, H), torch.float64)
    check(errors(cell(name).program, given, "triton", **varied(2, B, True)))


def check(found: dict[str, float], allowed: float = 1e-11) -> None:
    worst = max(found, key=found.__getitem__)
    assert found[worst] <= allowed, f"{worst}: {found[worst]:.1e}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loop", ["auto", "segments"], indirect=True)
@pytest.mark.parametrize("name", ["gru", "peephole_lstm", "sru"])
def test_types(name: str, loop: str, dtype: torch.dtype) -> None:
    """Within the rounding of what lies in memory for every step; results are of the type given."""
    exact = draw(name, (4, 3, 5, 5), torch.float64).to(dtype).to(torch.float64)
    found = training_step(cell(name).program, exact.to(dtype), "triton")
    expected = training_step(cell(name).program, exact, None)
    assert {x.dtype for x in found.values()} == {dtype}
    check({k: relative_error(x.double(), expected[k]) for k, x in found.items()}, ALLOWED[dtype])


ALLOWED = {torch.float32: 2e-6, torch.float16: 3e-3, torch.bfloat16: 3e-2}


@settings(max_examples=40 if os.environ.get("CI") else 5)
@given_by(p=programs(smooth=True))
def test_random_programs_with_sums(p: Program) -> None:
    given = arguments(p, {"I": 5, "H": 7, "K": 4}, 3, 2, torch.float64)
    tensors = [[x.detach() for x in xs] for xs in (given.inputs, given.states, given.parameters)]
    options = varied(3, 2, reverse=True)
    found, expected = (b.run(p, *tensors, **options) for b in (run, reference))
    for some, wanted in zip(found[:3], expected[:3], strict=True):
        for a, b in zip(some, wanted, strict=True):
            assert relative_error(a, b) <= 1e-9


def test_what_lies_past_the_end_is_not_read() -> None:
    p, lengths = cell("gru").program, torch.tensor([2, 3])
    given = draw("gru", (3, 2, 4, 5), torch.float64)
    expected = training_step(p, given, "triton", lengths=lengths)
    given.inputs[0].data[2, 0] = float("nan")
    found = training_step(p, given, "triton", lengths=lengths)
    assert all(torch.equal(found[k], x) for k, x in expected.items())


@pytest.mark.parametrize("memory", ["fast", "small"])
def test_a_layer(memory: str) -> None:
    """With all that a layer asks of a backend: directions, layers, lengths of 0 in segments."""
    torch.manual_seed(0)
    options = {"num_layers": 2, "bidirectional": True, "memory": memory, "dtype": torch.float64}
    layers = [Recurrent("lstm", 3, 4, backend=b, **options) for b in ("triton", "reference")]
    layers[0].load_state_dict(layers[1].state_dict())
    x = torch.randn(9, 2, 3, dtype=torch.float64).transpose(0, 1).contiguous().transpose(0, 1)
    gradients = []
    for m in layers:
        y, (h, c) = m(x, lengths=torch.tensor([9, 2]))
        gradients.append([y, h, c, *torch.autograd.grad((y.sum() + c.sum()), list(m.parameters()))])
    torch.testing.assert_close(*gradients, atol=1e-11, rtol=1e-11)


# --- what it cannot run -------------------------------------------------------------------------


def test_obstacles(monkeypatch: pytest.MonkeyPatch) -> None:
    p = cell("lstm").program

    def obstacle(device: torch.device, dtype: torch.dtype) -> str:
        return TRITON.obstacle(p, device, dtype) or ""

    assert not obstacle(CPU, torch.float32)
    assert "no CUDA device" in obstacle(CUDA, torch.float32)
    assert "convert the layer" in obstacle(CPU, torch.float8_e5m2)
    monkeypatch.delenv("TRITON_INTERPRET")
    assert "runs on CUDA, not on cpu" in obstacle(CPU, torch.float32)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some card")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert "Some card has less" in obstacle(CUDA, torch.float32)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert not obstacle(CUDA, torch.bfloat16)
    assert "convert the layer" in obstacle(CUDA, torch.float64)
    monkeypatch.setattr(interpreter, "find_spec", lambda _: None)
    assert "pip install 'cellwright[triton]'" in obstacle(CUDA, torch.float32)


def test_auto_takes_it_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    select.cache_clear()
    assert select("auto", None, CUDA, torch.float32).name == "triton"
    assert select("auto", None, CPU, torch.float32).name == "cpu"
    monkeypatch.undo()
    select.cache_clear()
    with pytest.raises(BackendError, match="triton: torch sees no CUDA device"):
        select("triton", None, CUDA, torch.float32)


def test_shapes_that_do_not_fit_are_refused() -> None:
    """Kernels trust addresses."""
    p = cell("rnn").program
    given = draw("rnn", (3, 2, 4, 5), torch.float32)
    tensors = [[x.detach() for x in xs] for xs in (given.inputs, given.states, given.parameters)]
    for i, wrong in ((0, torch.zeros(3, 2, 3)), (1, torch.zeros(2, 4)), (2, torch.zeros(5, 3))):
        changed = [[wrong, *xs[1:]] if i == k else xs for k, xs in enumerate(tensors)]
        with pytest.raises(ValueError, match="has to be"):
            Call(p, *changed, None, None, False)
    with pytest.raises(ValueError, match="lengths has to be integers"):
        Call(p, *tensors, torch.ones(3).long(), None, False)
    with pytest.raises(ValueError, match="resets has to be bool"):
        Call(p, *tensors, None, torch.zeros(3, 2), False)
    with pytest.raises(TypeError, match=r"have to be torch\.float32"):
        TRITON.run(p, tensors[0], [x.double() for x in tensors[1]], tensors[2])


# --- which way the loop runs --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "H", "B", "dtype", "expected"),
    [
        ("ind_rnn", 4000, 128, torch.float32, "independent"),
        ("lstm", 64, 128, torch.float32, "fit"),
        ("lstm", 65, 16, torch.float32, "shared"),
        ("lstm", 128, 16, torch.bfloat16, "fit"),
        ("lstm", 129, 16, torch.bfloat16, "shared"),
        ("lstm", 1024, 16, torch.bfloat16, "shared"),
        ("lstm", 512, 128, torch.bfloat16, "shared"),
        ("lstm", 4096, 16, torch.bfloat16, None),
        ("lstm", 512, 2000, torch.bfloat16, None),
        ("layer_norm_lstm", 64, 16, torch.bfloat16, "fit"),
    ],
)
def test_regimes(
    name: str,
    H: int,
    B: int,
    dtype: torch.dtype,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    of = layout(cell(name).program)
    found = tiles.Loop(of, (H,) * len(of.sizes), B, dtype.itemsize).tiles()
    assert (found and found.regime) == expected
    if found:  # every unit of every sequence is in a tile
        assert found.grid[0] * found.rows >= B
        assert all(found.grid[1] * w >= H for w in found.widths)
        assert all(u >= w for u, w in zip(found.units, found.widths, strict=True))
        assert found.grid[0] * found.grid[1] <= tiles.HOPPER.programs or expected != "shared"


def test_units_of_different_heads_do_not_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each head has programs of its own, where all that a step multiplies by is cut in heads."""
    monkeypatch.delenv("TRITON_INTERPRET")
    of = layout(cell("lstm").program)
    sizes = (768,) * len(of.sizes)
    cut = {f"R_{gate}": 12 for gate in "zifo"}
    for blocks, expected in [(cut, 12), (cut | {"R_o": 6}, 1), ({"R_o": 12}, 1), ({}, 1)]:
        heads = of.heads(blocks)
        assert heads == expected
        found = tiles.Loop(of, sizes, 20, 2, heads=heads).tiles()
        assert found
        assert found.regime == ("fit" if heads == 12 else "shared")
        assert found.grid == ((2, 12) if heads == 12 else (2, 48))
    normed = layout(cell("layer_norm_lstm").program)
    assert normed.heads(cut) == 1  # its sums are over all units


def test_a_program_has_16_units_of_each_size_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many programs share a wide state; of a narrow projection each has as much as all would."""
    monkeypatch.delenv("TRITON_INTERPRET")
    layer = Recurrent(cell("lstm"), 8, 8, proj_size=4, backend="reference")
    of = layout(derivative(layer.program).backward)
    for itemsize, expected in [(4, None), (2, "shared")]:
        sizes = tuple({"I": 512, "H": 512, "P": 32}[name] for name in of.sizes)
        found = tiles.Loop(of, sizes, 16, itemsize).tiles()
        assert (found and found.regime) == expected


def test_no_sequences() -> None:
    layer = Recurrent(cell("lstm"), 3, 4, backend="triton", dtype=torch.float64)
    y, _ = layer(torch.zeros(5, 0, 3, dtype=torch.float64))
    y.sum().backward()
    assert y.shape == (5, 0, 4)
    assert all(w.grad is not None and not w.grad.any() for w in layer.parameters())


@pytest.mark.parametrize("options", [{}, {"proj_size": 4}, {"learned_state": True}])
def test_heads(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    made = [
        Recurrent(cell("lstm"), 5, 12, heads=4, backend=b, dtype=torch.float64, **options)
        for b in ("triton", "reference")
    ]
    made[0].load_state_dict(made[1].state_dict())
    x = torch.randn(6, 18, 5, dtype=torch.float64)
    results = []
    for layer in made:
        y, states = layer(x)
        y.square().sum().backward()
        results.append([y, *states, *(w.grad for w in layer.parameters())])
    for found, right in zip(*results, strict=True):
        assert relative_error(found, right) < 1e-11


def test_a_size_that_no_kernel_can_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    of = layout(cell("lstm").program)
    monkeypatch.setattr(tiles, "REGIMES", ("independent", "fit"))
    with pytest.raises(CellwrightError, match="fit: its matrices take 8388608 bytes"):
        tiles.Loop(of, (512,) * len(of.sizes), 4, 4).tiles()
    normed = layout(cell("layer_norm_lstm").program)
    [kernel] = [k for k in emit(cell("layer_norm_lstm").program).ahead if k]
    with pytest.raises(CellwrightError, match="sums over units go up to 65536"):
        tiles.segment_tiles(normed, kernel, dict.fromkeys(normed.sizes, 70_000), 4)


# --- tiles by trial -----------------------------------------------------------------------------


@pytest.mark.parametrize("regime", ["independent", "fit", "shared"])
def test_every_candidate_gives_the_same(regime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, H = ("sru", 80) if regime == "independent" else ("gru_reset_before", 33)
    given = draw(name, (2, 37, 4, H), torch.float64)
    monkeypatch.setattr(tiles, "REGIMES", (regime, "segments"))
    monkeypatch.setattr(tune, "wanted", lambda _: True)
    tried: list[tiles.Tiles] = []

    def kth(
        k: int,
        key: object,
        rule: tiles.Tiles,
        candidates: Callable[[], Sequence[tiles.Tiles]],
        run: Callable[[tiles.Tiles], None],
    ) -> tiles.Tiles:
        found = candidates()
        assert found[0] == rule
        tried.extend(found)
        run(found[0])  # what is there already may not change what comes next
        return found[min(k, len(found) - 1)]

    for k in range(4):
        monkeypatch.setattr(tune, "fastest", partial(kth, k))
        check(errors(cell(name).program, given, "triton", **varied(2, 37, True)))
    assert len({(t.rows, t.warps) for t in tried}) >= 4
    assert {t.regime for t in tried} == {regime}


def test_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    for name, H, B, heads in [("lstm", 64, 128, 1), ("lstm", 768, 128, 12), ("sru", 1024, 7, 1)]:
        of = layout(cell(name).program)
        loop = tiles.Loop(of, (H,) * len(of.sizes), B, 2, heads=heads)
        found = loop.candidates()
        assert found[0] == loop.tiles()
        assert 4 <= len(found) == len(set(found))
        assert all(t.grid[0] * t.rows >= B and 2 <= t.warps <= 16 for t in found)
        assert all(t.grid[1] * max(t.widths) >= H for t in found)
        if name == "lstm":  # a product of matrices has 16 rows at least
            assert all(t.rows >= 16 for t in found)
            assert {t.regime for t in found} == ({"fit"} if heads > 1 else {"fit", "shared"})
    assert not tiles.Loop(layout(cell("lstm").program), (4096, 4096), 16, 2).candidates()


def _fastest(times: dict[int, float], refusal: Exception | None = None) -> tuple[int, list[int]]:
    """Which of three candidates is chosen, by their warps, and which were run."""
    some = [replace(SOME, warps=warps) for warps in (4, 8, 2)]
    ran: list[int] = []

    def run(t: tiles.Tiles) -> None:
        ran.append(t.warps)
        if t.warps not in times:
            raise refusal or RuntimeError

    def timed(again: Callable[[], None]) -> float:
        again()
        return times[ran[-1]]

    key = object()
    chosen = tune.fastest(key, some[0], lambda: some, run, timed)
    ran_once = list(ran)
    assert tune.fastest(key, some[0], lambda: some, run, timed) == chosen
    assert ran == ran_once, "it is tried once"
    return chosen.warps, ran


SOME = tiles.Tiles("fit", 16, (64,), (64,), (64,), 4, (1, 1))


@pytest.fixture
def not_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


@pytest.mark.usefixtures("not_recording")
def test_the_fastest_is_chosen() -> None:
    assert _fastest({4: 1.0, 8: 0.5, 2: 0.8}) == (8, [4, 8, 2] * 4)
    assert _fastest({4: 1.0, 8: 0.98, 2: 1.1})[0] == 4, "noise is no reason"


@pytest.mark.usefixtures("not_recording")
@pytest.mark.parametrize(
    "refusal", [RuntimeError("too many"), OutOfResources(9, 8, "shared memory")]
)
def test_what_is_too_large_for_a_device_is_not_chosen(refusal: Exception) -> None:
    assert _fastest({4: 1.0, 2: 0.8}, refusal) == (2, [4, 8, 2] + [4, 2] * 3)
    with pytest.raises(type(refusal)):
        _fastest({8: 1.0}, refusal)  # the rule's tiles have to run
    with pytest.raises(torch.OutOfMemoryError):
        _fastest({4: 1.0, 2: 0.8}, torch.OutOfMemoryError())


def test_nothing_is_tried_while_a_graph_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found before is part of it."""
    other, key = replace(SOME, warps=8), object()
    arguments = (key, SOME, lambda: (SOME, other), lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert tune.fastest(*arguments) == SOME
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    times = iter([1.0, 0.5] * tune.TURNS)
    assert tune.fastest(*arguments, lambda _: next(times)) == other
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert tune.fastest(*arguments) == other


def test_tiles_are_tried_where_torch_may_try(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not tune.wanted(CUDA)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    assert tune.wanted(CUDA)
    assert not tune.wanted(CPU)


# --- what is written ----------------------------------------------------------------------------


class _Python(SingleFileSnapshotExtension):
    file_extension = "txt"  # not to be linted
    _write_mode = WriteMode.TEXT


@pytest.fixture
def python(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_Python)


@pytest.mark.parametrize("which", ["fused", "meeting", "step"])
def test_the_loop_of_a_backward_pass(which: str, python: SnapshotAssertion) -> None:
    kernels = emit(derivative(cell("gru_reset_before").program).backward)
    found = kernels.step[-1] if which == "step" else getattr(kernels, which)
    assert found.source == python


@pytest.mark.parametrize("T", [1, 3])
def test_streams_that_lie_alike_have_their_strides_once(
    T: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So threads keep one offset for them, where each would have an address in two registers."""
    kernels = []
    launch = Call.launch

    def noted(self: Call, kernel: Kernel, *about: object, **more: object) -> None:
        kernels.append(kernel)
        launch(self, kernel, *about, **more)

    monkeypatch.setattr(Call, "launch", noted)
    layer = Recurrent(cell("lstm"), 3, 4, backend="triton", dtype=torch.float64)
    y, _ = layer(torch.randn(T, 2, 3, dtype=torch.float64))
    y.backward(torch.ones_like(y))
    there, back = (k for k in kernels if k.name == "loop")
    for kernel in (there, back):
        assert sum(a.kind in ("in", "out") for a in kernel.arguments) > 10
        given = [a.kind for a in kernel.strided]
        assert given.count("matrix") == 1
        assert len(given) == 3, "those beside each other, those by themselves, and matrices"


def test_names_of_a_cell_stay_in_comments() -> None:
    text = "live = W_tl x\nmeet = R_zero h + live\nλ_2 = tanh(meet)\nh' = λ_2"
    plain = "v_1 = W_1 x\nv_2 = R_2 h + v_1\nv_3 = tanh(v_2)\nh' = v_3"
    code = [re.sub("#.*", "", emit(parse(t).program).fused.source) for t in (text, plain)]
    assert code[0] == code[1]


# --- compiled for GPUs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "regimes"),
    [
        ("ind_rnn mgu --target 80 --target 90 --target 100", {"independent", "fit"}),
        ("layer_norm_lstm", {"fit", "segments"}),
        ("mgu --regime segments", {"segments"}),
        ("mgu --hidden 256", {"shared"}),
        ("mgu --hidden 256 --dtype float32 --target 80", {"shared"}),
    ],
)
def test_kernels_compile_without_spills(words: str, regimes: set[str]) -> None:
    """For GPUs that are not here. The script does it for every cell, which takes ten minutes."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    script = str(Path(__file__).parents[2] / "benchmarks" / "gpu_kernels.py")
    command = [sys.executable, script, "--json", *words.split()]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["regime"] for row in found} == regimes
    assert {row["pass"] for row in found} == {"forward", "backward"}
    assert all(row["registers"] > 8 and row["stack"] == 0 for row in found)
    allowed = {80: 163, 90: 227, 100: 227}
    assert all(row["shared"] <= allowed[row["target"]] * 1024 for row in found)
