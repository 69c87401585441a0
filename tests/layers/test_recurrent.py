"""The contract of a layer, beyond what torch.nn has: errors, lengths, resets, trace, copies."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import cellwright
from cellwright import CellError, CellwrightError, LayerError, Recurrent, parse
from cellwright.backends import reference, registry
from cellwright.backends.registry import Backend
from cellwright.language import cell, cell_names
from conformance import relative_error

# A cell with everything a layer must carry: two states, a scalar, a constant, a gain, an init.
RICH = parse(
    """
    title: everything at once
    i  = σ(norm(W_i x) + R_i h + p_i * c + b_i)  # gate
    z  = tanh(W_z x + R_i^T h + b_z)             # candidate
    c' = decay * c + i * z                       # memory
    h' = tanh(c') * alpha                        # output
    scalar alpha = 0.5
    const decay = 0.9
    init b_i = 1
    """,
    "rich",
)


def layer(*args: object, which: object = RICH, **options: object) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(which, *(args or (3, 4)), dtype=torch.float64, **options)


def same(a: object, b: object, bound: float = 1e-12) -> bool:
    if isinstance(a, torch.Tensor):
        return relative_error(a.detach(), b.detach()) <= bound
    return all(same(x, y, bound) for x, y in zip(a, b, strict=True))


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


# --- parameters ---------------------------------------------------------------------------------


def test_parameters_are_stacked_in_the_order_of_the_equations() -> None:
    m = layer(num_layers=2, bidirectional=True)
    shapes = {k: tuple(v.shape) for k, v in m.named_parameters()}
    first = {"weight_ih": (8, 3), "weight_hh": (4, 4), "bias": (8,), "gain": (4,), "p": (4,)}
    for name, shape in (first | {"alpha": ()}).items():
        above = (8, 8) if name == "weight_ih" else shape
        assert shapes[f"{name}_l0"] == shapes[f"{name}_l0_reverse"] == shape
        assert shapes[f"{name}_l1"] == shapes[f"{name}_l1_reverse"] == above
    assert len(shapes) == 4 * 6


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("scalar a\nh' = W x + a * (a_h * h)", "weight_ih a a_2"),
        ("scalar p\nh' = W x + p * (p_i * h + p_j * h)", "weight_ih p p_2"),
        ("scalar gain\nh' = norm(W x) + gain * h", "weight_ih gain gain_2"),
        ("scalar bias\nh' = W x + bias * h + b", "weight_ih bias bias_2"),
        ("h' = W x + bias_f * h + b", "weight_ih bias bias_f"),
        ("scalar weight_ih\nh' = W x + weight_ih * R h", "weight_ih weight_hh weight_ih_2"),
    ],
)
def test_no_two_stacks_have_one_name(text: str, names: str) -> None:
    m = Recurrent(parse(text), 3, 4)
    assert {k for k, _ in m.named_parameters()} == {f"{name}_l0" for name in names.split()}
    assert list(m.views()) == [q.name for q in m.program.parameters]
    y, _ = m(torch.randn(5, 2, 3))
    y.sum().backward()
    assert all(w.grad is not None for w in m.parameters())


def test_views_write_to_the_parameters_and_inits_are_kept() -> None:
    m = layer()
    views = m.views()
    assert list(views) == [q.name for q in RICH.program.parameters]
    assert (views["b_i"] == 1).all()
    assert views["alpha"] == 0.5
    assert (views["gain_i_1"] == 1).all()
    assert float(views["W_z"].detach().abs().max()) <= 1 / 4**0.5
    with torch.no_grad():
        views["W_z"].fill_(2)
    assert (m.weight_ih_l0[4:] == 2).all()
    assert not (m.weight_ih_l0[:4] == 2).any()


def test_bias_false_is_every_added_vector_zero() -> None:
    full, bare = layer(), layer(bias=False)
    assert not any(k.startswith("bias") for k, _ in bare.named_parameters())
    assert hasattr(bare, "p_l0")
    bare.load_state_dict({k: v for k, v in full.state_dict().items() if k != "bias_l0"})
    with torch.no_grad():
        full.bias_l0.zero_()
    assert same(full(draw(5, 2, 3)), bare(draw(5, 2, 3)))


@pytest.mark.parametrize("name", cell_names())
def test_the_count_of_the_program_is_the_count_of_the_layer(name: str) -> None:
    m, c = Recurrent(name, 4, 4), cell(name)
    assert sum(w.numel() for w in m.parameters()) == c.program.count(c.sizes(4, 4))


def test_constants_can_be_overridden() -> None:
    x = draw(5, 2, 3)
    assert not same(layer()(x), layer(decay=0.1)(x))
    text = RICH.text.replace("decay = 0.9", "decay = 0.1")
    assert same(layer(which=parse(text))(x), layer(decay=0.1)(x))
    with pytest.raises(LayerError, match=r"no argument is called 'dcay', .* decay"):
        layer(dcay=0.1)
    for value in (float("nan"), float("inf"), 1e39, 10**400, "much", None):
        with pytest.raises(LayerError, match=r"the constant decay must be a number, .* got"):
            layer(decay=value)


def test_counts_are_options_of_a_layer() -> None:
    m = layer(which="rhn", L=3)
    assert m.cell == cell("rhn(L=3)")
    assert repr(m) == "Recurrent('rhn', 3, 4, L=3)"
    for other in (layer(which="rhn(L=3)"), layer(which=cell("rhn"), L=np.int64(3))):
        assert repr(other) == repr(m)
        assert same(other(draw(5, 2, 3)), m(draw(5, 2, 3)))
    assert layer(which="rhn(L=3)", L=3).cell.name == "rhn(L=3)"
    assert layer(which=cell("rhn(L=3)"), L=1).cell.name == "rhn(L=1)"
    with pytest.raises(LayerError, match=r"rhn\(L=3\) has L=3, and the layer's argument is L=1"):
        layer(which="rhn(L=3)", L=1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        layer(which="rhn").load_state_dict(m.state_dict())
    with pytest.raises(LayerError, match="the count L must be a whole number of at least 0, got"):
        layer(which="rhn", L=0.5)
    with pytest.raises(LayerError, match="no argument is called 'K', and the cell has the count L"):
        layer(which="rhn", K=2)
    with pytest.raises(CellError, match=r"2\.\.0 ends before it begins \(L = 0\)"):
        layer(which="rhn", L=0)


def test_sizes_are_options_of_a_layer() -> None:
    m = layer(which="scrn", K=2, num_layers=2, bidirectional=True)
    assert repr(m) == "Recurrent('scrn', 3, 4, num_layers=2, bidirectional=True, K=2)"
    assert {name: w.shape for name, w in m.views(1).items()} == {
        "W_s": (2, 8), "W_h": (4, 8), "R": (4, 4), "P": (4, 2), "U": (4, 4), "V": (4, 2),
    }  # fmt: skip
    state = draw(4, 5, 4), draw(4, 5, 2)
    output, (h, s) = m(draw(6, 5, 3), state)
    assert (output.shape, h.shape, s.shape) == ((6, 5, 8), (4, 5, 4), (4, 5, 2))
    assert m.trace(draw(6, 5, 3), state)["s"].shape == (6, 5, 2)
    with pytest.raises(
        LayerError, match=r"the initial s must have shape \(4, 5, 2\), got \(4, 5, 4\)"
    ):
        m(draw(6, 5, 3), (state[0], state[0]))
    with pytest.raises(LayerError, match="heads must divide the size K, got 2 and 3"):
        layer(which="scrn", K=3, heads=2)
    with pytest.raises(LayerError, match="the size K must be a whole number of at least 1, got 0"):
        layer(which="scrn", K=0)


def test_a_size_may_be_that_of_the_output() -> None:
    text = "size K = 2\nstate q : K\nh' = tanh(W x + R h)\nq' = tanh(V h' + Q q)\noutput q'"
    m = layer(which=parse(text), num_layers=2, bidirectional=True, proj_size=1)
    assert m.weight_ih_l1.shape == (4, 2)
    output, (q, h) = m(draw(6, 5, 3))
    assert (output.shape, h.shape, q.shape) == ((6, 5, 2), (4, 5, 4), (4, 5, 1))


# --- running ------------------------------------------------------------------------------------


def test_lengths_are_sequences_run_alone() -> None:
    m = layer(num_layers=2, bidirectional=True)
    x, lengths = draw(6, 4, 3), torch.tensor([3, 6, 1, 5])
    state = (draw(4, 4, 4), draw(4, 4, 4) * 0.5)
    output, final = m(x, state, lengths=lengths)
    for b, n in enumerate(lengths.tolist()):
        alone, end = m(x[:n, b], tuple(s[:, b] for s in state))
        assert same(output[:n, b], alone)
        assert not output[n:, b].any()
        assert same(tuple(s[:, b] for s in final), end)


@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_a_packed_sequence_is_lengths(enforce_sorted: bool) -> None:
    m = layer(bidirectional=True)
    lengths = torch.tensor([6, 5, 5, 2] if enforce_sorted else [3, 6, 1, 6])
    x = draw(6, 4, 3)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
    output, final = m(packed)
    assert (output.batch_sizes == packed.batch_sizes).all()
    padded, ends = m(x, lengths=lengths)
    assert same(pad_packed_sequence(output)[0], padded)
    assert same(final, ends)


def test_resets_are_episodes_run_alone() -> None:
    m = layer(bidirectional=True)
    x, resets = draw(7, 1, 3), torch.tensor([1, 0, 0, 1, 0, 1, 0], dtype=torch.bool)
    output, final = m(x, resets=resets.unsqueeze(1))
    episodes = [m(part) for part in x.split([3, 2, 2])]
    assert same(output, torch.cat([y for y, _ in episodes]))
    for s, first, last in zip(final, episodes[0][1], episodes[-1][1], strict=True):
        assert same(s, torch.stack((last[0], first[1])))
    turned = layer(bidirectional=True, batch_first=True)
    swapped, _ = turned(x.transpose(0, 1), resets=resets.unsqueeze(0))
    assert same(swapped, output.transpose(0, 1))
    assert same(m(x[:, 0], resets=resets)[0], output[:, 0])


def test_a_state_carries_on_where_it_was_left() -> None:
    m = layer(num_layers=2)
    x = draw(6, 2, 3)
    whole, end = m(x)
    first, state = m(x[:2])
    second, final = m(x[2:], state)
    assert same(torch.cat((first, second)), whole)
    assert same(final, end)


def test_dropout_is_between_layers_and_in_training_only() -> None:
    m = layer(num_layers=2, dropout=0.5)
    x = draw(6, 2, 3)
    assert not same(m(x)[0], m(x)[0])
    m.eval()
    assert same(m(x)[0], m(x)[0])
    certain = layer(num_layers=2, dropout=1.0)
    top = layer(4, 4)
    top.load_state_dict({k.replace("_l1", "_l0"): v for k, v in certain.state_dict().items()
                         if k.endswith("_l1")})  # fmt: skip
    assert same(certain(x)[0], top(torch.zeros(6, 2, 4, dtype=torch.float64))[0])


def test_a_trace_has_every_named_value_and_obeys_the_equations() -> None:
    m = layer(num_layers=2, bidirectional=True, batch_first=True)
    x, lengths = draw(2, 6, 3), torch.tensor([6, 4])
    seen = m.trace(x, lengths=lengths, layer=1, reverse=True)
    assert list(seen) == ["i", "z", "c", "h"]
    assert all(v.shape == (2, 6, 4) for v in seen.values())
    assert same(seen["h"], m(x, lengths=lengths)[0][..., 4:])
    before = torch.cat((seen["c"][:, 1:], torch.zeros(2, 1, 4, dtype=torch.float64)), 1)
    expected = 0.9 * before + seen["i"] * seen["z"]
    assert same(seen["c"], expected * (torch.arange(6) < lengths[:, None])[..., None])
    with pytest.raises(LayerError, match="from 0 to 1"):
        m.trace(x, layer=2)
    with pytest.raises(LayerError, match="bidirectional"):
        layer().trace(draw(3, 2, 3), reverse=True)


def test_a_trace_has_scalars_and_is_of_the_run_that_went_on() -> None:
    """One run: the layer above reads what was seen below."""
    m = layer(which=parse("s = mean(x)\nh' = tanh(W x + R h) * s"), num_layers=2)
    x = draw(5, 2, 3)
    seen = m.trace(x, layer=0)
    assert same(seen["s"], x.mean(-1, keepdim=True))
    top = m.trace(x, layer=1)
    assert same(top["s"], seen["h"].mean(-1, keepdim=True))
    assert same(top["h"], m(x)[0])


def test_an_output_may_be_changed_in_place() -> None:
    """As that of nn.LSTM: relu_() or dropout on it is common."""
    m, x = layer(), draw(5, 2, 3)
    expected = torch.autograd.grad(m(x)[0].relu().sum(), m.bias_l0)
    found = torch.autograd.grad(m(x)[0].relu_().sum(), m.bias_l0)
    assert same(found, expected)


def test_forward_runs_the_backend_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def run(*args: object, **options: object) -> reference.Result:
        calls.append(args[0])
        return reference.run(*args, **options)

    counting = Backend("counting", "", run, lambda p, device, dtype: None)
    monkeypatch.setattr(registry, "BACKENDS", (*registry.BACKENDS, counting))
    x = draw(5, 2, 3)
    layer()(x)[0].sum().backward()
    assert not calls
    layer(backend="counting")(x)[0].sum().backward()
    assert len(calls) == 2


def test_a_square_cell_asks_for_equal_sizes() -> None:
    mixes = parse("h' = tanh(x + R h)", "mixes")
    assert Recurrent(mixes, 4, 4)(torch.randn(3, 2, 4))[0].shape == (3, 2, 4)
    with pytest.raises(LayerError, match=r"mixes needs input_size == hidden_size.*got 3 and 4"):
        Recurrent(mixes, 3, 4)
    with pytest.raises(LayerError, match="8 for the layers above"):
        Recurrent(mixes, 4, 4, num_layers=2, bidirectional=True)


# --- copies -------------------------------------------------------------------------------------


def test_a_state_of_the_size_of_the_input() -> None:
    own = parse("state c : I\nc' = 0.5 * c + x\nh' = tanh(W x + R h + V c')\noutput h'")
    layer = Recurrent(own, 3, 5)
    output, (c, h) = layer(torch.ones(2, 4, 3))
    assert (output.shape, c.shape, h.shape) == ((2, 4, 5), (1, 4, 3), (1, 4, 5))
    torch.testing.assert_close(c, torch.full((1, 4, 3), 1.5))
    Recurrent(own, 5, 5, num_layers=2)
    with pytest.raises(LayerError, match="inputs have the sizes 3, 5: their states cannot be"):
        Recurrent(own, 3, 5, num_layers=2)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_an_output_of_the_size_of_the_input_doubles_with_directions(num_layers: int) -> None:
    own = parse("h' = tanh(W x + R h + b)\ny = x + V h'\noutput y")
    layer = Recurrent(own, 3, 5, num_layers=num_layers, bidirectional=True)
    assert layer(torch.ones(2, 4, 3))[0].shape == (2, 4, 3 * 2**num_layers)


def test_another_constant_is_another_cell_than_torch_has() -> None:
    text = cell("gru").text.replace("(1 - z)", "(one - z)") + "\nconst one = 1"
    Recurrent(parse(text), 3, 4).to_torch()
    with pytest.raises(LayerError, match=r"torch\.nn has no module with the equations"):
        Recurrent(parse(text), 3, 4, one=2.0).to_torch()


@pytest.mark.parametrize("options", [{"decay": 0.3}, {"which": "rhn", "L": 3}])
def test_copies_are_equal_and_independent(tmp_path: Path, options: dict[str, object]) -> None:
    m = layer(num_layers=2, **options)
    x = draw(5, 2, 3)
    path = tmp_path / "layer.pt"
    torch.save(m, path)
    for twin in (
        copy.deepcopy(m),
        pickle.loads(pickle.dumps(m)),
        torch.load(path, weights_only=False),
    ):
        assert same(twin(x), m(x))
        assert repr(twin) == repr(m)
        with torch.no_grad():
            twin.bias_l0.add_(1)
        assert not same(twin(x), m(x))


def test_the_representation_says_what_is_unusual() -> None:
    assert repr(Recurrent("lstm", 3, 4)) == "Recurrent('lstm', 3, 4)"
    assert repr(cellwright.LSTM(3, 4, bidirectional=True)) == "LSTM(3, 4, bidirectional=True)"
    assert repr(cellwright.JANET(3, 4, beta=2)) == "JANET(3, 4, beta=2)"


def test_named_layers_take_the_arguments_of_torch() -> None:
    theirs = torch.nn.LSTM(3, 4, 2, True, True, 0.5, True, 2)
    ours = cellwright.LSTM(3, 4, 2, True, True, 0.5, True, 2)
    assert ours(torch.randn(2, 5, 3))[0].shape == theirs(torch.randn(2, 5, 3))[0].shape
    ours.flatten_parameters()


# --- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, got 0"),
        ({"input_size": 2.5}, "input_size must be a whole number of at least 1, got 2.5"),
        ({"num_layers": -1}, "num_layers must be"),
        ({"num_layers": 2, "dropout": 1.5}, "dropout must be a probability"),
        ({"proj_size": 4}, "smaller than hidden_size 4, got 4"),
        ({"proj_size": -1}, "proj_size must be a whole number of at least 0, got -1"),
        ({"proj_size": "2"}, "proj_size must be a whole number of at least 0, got '2'"),
        ({"bias": "relu"}, "bias must be True or False, got 'relu'"),
        ({"batch_first": 1}, "batch_first must be True or False, got 1"),
        ({"bidirectional": None}, "bidirectional must be True or False, got None"),
        ({"num_layers": 2, "dropout": "0.5"}, "dropout must be a probability, .* got '0.5'"),
        ({"backend": "fpga"}, "unknown backend 'fpga'"),
        ({"nonlinearity": "relu"}, "no argument is called 'nonlinearity', .* constant decay"),
        ({"layernorm": True}, r"'layernorm', .* constant decay\. Did you mean layer_norm\?$"),
        ({"dcay": 0.5}, r"'dcay', .* constant decay\. Did you mean decay\?$"),
        ({"decay": "fast"}, "the constant decay must be a number, .* got 'fast'"),
        ({"dtype": "float32"}, "dtype must be one of torch's, as torch.float32, got 'float32'"),
    ],
)
def test_bad_arguments(options: dict[str, object], words: str) -> None:
    with pytest.raises(CellwrightError, match=words):
        Recurrent(RICH, **({"input_size": 3, "hidden_size": 4} | options))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m(torch.zeros(3)), "x must be a tensor .* got 1 dimensions"),
        (lambda m: m([1, 2]), "got list"),
        (lambda m: m(torch.zeros(3, 2, 5)), r"3 features .* got shape \(3, 2, 5\)"),
        (lambda m: m(torch.zeros(0, 2, 3)), "x has no steps"),
        (lambda m: m(torch.zeros(3, 2, 3), torch.zeros(1, 2, 4)), r"a tuple \(h, c\), got 1"),
        (
            lambda m: m(torch.zeros(3, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 3, 4))),
            r"initial c must have shape \(1, 2, 4\), got \(1, 3, 4\)",
        ),
        (
            lambda m: m(torch.zeros(3, 2, 3), lengths=torch.tensor([1])),
            r"lengths must be .* \(2,\)",
        ),
        (lambda m: m(torch.zeros(3, 2, 3), lengths=torch.tensor([1, 4])), "from 1 to 3.* to 4"),
        (lambda m: m(torch.zeros(3, 2, 3), lengths=torch.tensor([0, 3])), "from 1 to 3.*from 0"),
        (lambda m: m(torch.zeros(3, 2, 3), lengths=torch.ones(2)), "integer"),
        (lambda m: m(torch.zeros(3, 2, 3), resets=torch.zeros(3, 2)), "resets must be .* bool"),
        (
            lambda m: m(torch.zeros(3, 2, 3), resets=torch.zeros(2, 3, dtype=torch.bool)),
            r"resets must be .* of shape \(3, 2\), got torch.bool \(2, 3\)",
        ),
        (lambda m: m(torch.zeros(3, 3), lengths=3), r"lengths must be .* shape \(1,\).* got int"),
        (lambda m: m(torch.zeros(3, 2, 3), lengths=torch.ones(2) * 1j), "integer.*complex64"),
        (lambda m: m(torch.zeros(3, 2, 3), (None, None)), "initial h must have .* got NoneType"),
        (lambda m: m(torch.zeros(3, 2, 3), "ab"), r"a tuple \(h, c\), got 1"),
        (lambda m: m(torch.zeros(3, 2, 3), 5), r"a tuple \(h, c\), got 1"),
        (lambda m: m(torch.zeros(3, 2, 3).double()), "x is torch.float64 and the layer torch.f"),
        (lambda m: m(torch.zeros(3, 2, 3, dtype=torch.int64)), "x is torch.int64 and the layer"),
        (lambda m: m(torch.zeros(3, 2, 3, device="meta")), "x is on meta and the layer on cpu"),
        (
            lambda m: m(torch.zeros(3, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4).half())),
            "the initial c is torch.float16 and the layer torch.float32",
        ),
        (
            lambda m: m(
                torch.zeros(3, 2, 3), resets=torch.zeros(3, 2, dtype=torch.bool, device="meta")
            ),
            "resets must be .* bool values on cpu .*, got torch.bool .* on meta",
        ),
    ],
)
def test_bad_calls(call, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        call(Recurrent(RICH, 3, 4))


@pytest.mark.parametrize("make", [partial(Recurrent, "rnn"), cellwright.RNN])
def test_dropout_without_layers_above_warns(make: Callable[..., Recurrent]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(3, 4, dropout=0.5)
    assert "it does nothing here" in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_lengths_out_of_range_are_met_in_a_compiled_model_too(backend: str) -> None:
    compiled = torch.compile(layer(), fullgraph=True, backend=backend)
    x = draw(5, 2, 3)
    compiled(x, lengths=torch.tensor([5, 1]))
    with pytest.raises(LayerError, match=r"from 1 to 5, .* got from 1 to 6"):
        compiled(x, lengths=torch.tensor([6, 1]))


def test_state_has_the_name_that_torch_gives_it_too() -> None:
    m, x, state = layer(), draw(5, 2, 3), draw(2, 1, 2, 4).unbind()
    assert same(m(x, hx=state), m(x, state))
    with pytest.raises(LayerError, match="give one of them"):
        m(x, state, hx=state)


def test_numbers_may_be_numpys() -> None:
    half = np.float32(0.5)
    made = Recurrent(RICH, np.int64(3), np.int32(4), np.uint8(2), dropout=half, decay=half)
    assert made(torch.randn(5, 2, 3))[0].shape == (5, 2, 4)
    assert made.program == Recurrent(RICH, 3, 4, decay=0.5).program


@pytest.mark.parametrize("sizes", [(16, 4), (16, 12), (4, 16)])
def test_biases_of_a_checkpoint_that_do_not_fit_are_reported(sizes: tuple[int, int]) -> None:
    broken = torch.nn.LSTM(3, 4).state_dict()
    broken["bias_ih_l0"], broken["bias_hh_l0"] = map(torch.zeros, sizes)
    with pytest.raises(RuntimeError, match="bias_ih_l0"):
        cellwright.LSTM(3, 4).load_state_dict(broken)


def test_a_parametrized_layer_goes_to_torch() -> None:
    m = torch.nn.utils.parametrizations.spectral_norm(cellwright.LSTM(3, 4), "weight_hh_l0").eval()
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(m.to_torch()(x)[0], m(x)[0])


@pytest.mark.parametrize(("text", "bias"), [("h' = tanh(x + h)", True), ("h' = x * h + b", False)])
def test_a_cell_without_parameters_is_refused(text: str, bias: bool) -> None:
    with pytest.raises(LayerError, match="idle learns nothing"):
        Recurrent(parse(text, "idle"), 4, 4, bias=bias)
