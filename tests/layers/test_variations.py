"""Variations of layers against transcriptions of the papers, torch.nn and each other."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import layer_norm

import cellwright
from cellwright import LayerError, Recurrent, parse
from cellwright.language import cell, cell_names
from cellwright.layers.passes import passes
from conformance import relative_error

T, B, H = 5, 3, 4
# Of all kinds: gates, peepholes, several states, matrices on new values, functions around sums.
CELLS = ("lstm", "gru", "rnn", "peephole_lstm", "gru_reset_before", "lem", "slstm", "rhn(L=3)",
         "star", "scrn(K=6)", "cornn")  # fmt: skip
EACH: dict[str, dict[str, object]] = {
    "layer_norm": {"layer_norm": True},
    "zoneout": {"zoneout": 0.3},
    "update": {"recurrent_dropout": 0.3},
    "state": {"recurrent_dropout": 0.3, "recurrent_dropout_on": "state"},
    "residual": {"residual": True, "num_layers": 2},
    "learned_state": {"learned_state": True},
    "heads": {"heads": 2},
}
ALL: dict[str, object] = {
    "layer_norm": True,
    "zoneout": 0.2,
    "recurrent_dropout": 0.3,
    "residual": True,
    "learned_state": True,
    "heads": 2,
    "dropout": 0.2,
    "num_layers": 2,
    "bidirectional": True,
}


def layer(which: object, size: int = H, **options: object) -> Recurrent:
    torch.manual_seed(0)
    made = Recurrent(which, size, H, **{"dtype": torch.float64, "backend": "reference", **options})
    with torch.no_grad():
        for name, w in made.named_parameters():
            if name.startswith(("initial", "gain")):
                w.uniform_(0.5, 1.5)
    return made


def draw(*shape: int, seed: int = 7) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=rng)


def ones(p: float, *shape: int) -> Tensor:
    """A mask as a layer draws it."""
    return (torch.rand(shape) < p).double()


def same(a: object, b: object, bound: float = 1e-12) -> bool:
    if isinstance(a, torch.Tensor):
        return relative_error(a.detach(), b.detach()) <= bound
    return all(same(x, y, bound) for x, y in zip(a, b, strict=True))


# --- as the papers have them --------------------------------------------------------------------


class LSTM:
    """`nn.LSTM`, a step at a time, with a hook for every place where a paper changes it."""

    def __init__(self, m: Recurrent) -> None:
        v = {name: w.detach() for name, w in m.views().items()}
        self.W, self.R, self.b = ([v[f"{k}_{g}"] for g in "ifzo"] for k in "WRb")
        self.v = v

    def run(
        self,
        x: Tensor,
        norm: bool = False,
        read: Callable[[Tensor, int], Tensor] = lambda h, t: h,
        write: Callable[[Tensor, int], Tensor] = lambda u, t: u,
        after: Callable[..., tuple[Tensor, Tensor]] = lambda h, c, old_h, old_c, t: (h, c),
        show: Callable[[Tensor], Tensor] = lambda h: h,
    ) -> tuple[Tensor, Tensor]:
        h = show(x.new_zeros(B, H))
        c = x.new_zeros(B, H)
        outputs = []
        for t in range(len(x)):
            sums = []
            for g, W, R, b in zip("ifzo", self.W, self.R, self.b, strict=True):
                a, r = x[t] @ W.T, read(h, t) @ R.T
                if norm:
                    a = layer_norm(a, (H,), self.v[f"gain_W_{g}"])
                    r = layer_norm(r, (H,), self.v[f"gain_R_{g}"])
                sums.append(a + r + b)
            i, f, z, o = sums
            new_c = torch.sigmoid(f) * c + write(torch.sigmoid(i) * torch.tanh(z), t)
            new_h = show(torch.sigmoid(o) * torch.tanh(new_c))
            h, c = after(new_h, new_c, h, c, t)
            outputs.append(h)
        return torch.stack(outputs), c


def test_layer_norm_of_an_lstm() -> None:
    """Ba et al. 2016, their equations for recurrent networks, each product by itself."""
    m, x = layer("lstm", layer_norm=True), draw(T, B, H)
    output, (_, c) = m(x)
    assert same((output, c[0]), LSTM(m).run(x, norm=True))


def test_layer_norm_of_a_gru() -> None:
    m, x = layer("gru", layer_norm=True), draw(T, B, H)
    v, h = m.views(), torch.zeros(B, H, dtype=torch.float64)
    for t in range(T):
        a = {k: layer_norm(x[t] @ v[f"W_{k}"].T, (H,), v[f"gain_W_{k}"]) for k in "rzn"}
        b = {k: layer_norm(h @ v[f"R_{k}"].T, (H,), v[f"gain_R_{k}"]) for k in "rzn"}
        r, z = (torch.sigmoid(a[k] + b[k] + v[f"b_{k}"]) for k in "rz")
        n = torch.tanh(a["n"] + v["b_n"] + r * (b["n"] + v["b_hn"]))
        h = (1 - z) * n + z * h
    assert same(m(x)[0][-1], h)


def test_zoneout_of_an_lstm() -> None:
    """Krueger et al. 2017, equations 6 and 7: the output gate shows the memory before zoneout."""
    m, x = layer("lstm", zoneout={"c": 0.5, "h": 0.2}), draw(T, B, H)
    torch.manual_seed(3)
    output, (_, c) = m(x)
    torch.manual_seed(3)
    dh, dc = ones(0.2, T, B, H), ones(0.5, T, B, H)

    def zone(h: Tensor, c: Tensor, old_h: Tensor, old_c: Tensor, t: int) -> tuple[Tensor, Tensor]:
        return torch.where(dh[t] > 0, old_h, h), torch.where(dc[t] > 0, old_c, c)

    assert same((output, c[0]), LSTM(m).run(x, after=zone))
    output, (_, c) = m.eval()(x)

    def expected(h: Tensor, c: Tensor, a: Tensor, b: Tensor, t: int) -> tuple[Tensor, Tensor]:
        return 0.2 * a + 0.8 * h, 0.5 * b + 0.5 * c

    assert same((output, c[0]), LSTM(m).run(x, after=expected))


def test_zoneout_of_a_gru_in_numpy() -> None:
    """As haste has it: where the mask says so the state stays as it was."""
    m, x = layer("gru", zoneout=0.4), draw(T, B, H)
    torch.manual_seed(3)
    output, _ = m(x)
    torch.manual_seed(3)
    mask = ones(0.4, T, B, H).numpy()
    v = {name: w.detach().numpy() for name, w in m.views().items()}

    def run(zone: Callable[[np.ndarray, np.ndarray, int], np.ndarray]) -> np.ndarray:
        h, outputs = np.zeros((B, H)), []
        for t in range(T):
            a = {k: x[t].numpy() @ v[f"W_{k}"].T + v[f"b_{k}"] for k in "rzn"}
            b = {k: h @ v[f"R_{k}"].T for k in "rzn"}
            r, z = (1 / (1 + np.exp(-(a[k] + b[k]))) for k in "rz")
            n = np.tanh(a["n"] + r * (b["n"] + v["b_hn"]))
            h = zone(h, (1 - z) * n + z * h, t)
            outputs.append(h)
        return np.stack(outputs)

    drawn = run(lambda old, new, t: np.where(mask[t] == 1, old, new))
    np.testing.assert_allclose(output.detach(), drawn, atol=1e-12)
    expected = run(lambda old, new, t: 0.4 * old + 0.6 * new)
    np.testing.assert_allclose(m.eval()(x)[0].detach(), expected, atol=1e-12)


def test_recurrent_dropout_of_what_is_written() -> None:
    """Semeniuta et al. 2016: equation 12 for the LSTM; for the GRU, theirs has z and 1 - z the
    other way round."""
    m, x = layer("lstm", recurrent_dropout=0.4), draw(T, B, H)
    torch.manual_seed(3)
    output, (_, c) = m(x)
    torch.manual_seed(3)
    mask = ones(0.6, T, B, H) / 0.6
    assert same((output, c[0]), LSTM(m).run(x, write=lambda u, t: mask[t] * u))

    m = layer("gru", recurrent_dropout=0.4)
    torch.manual_seed(3)
    output, _ = m(x)
    v, h = m.views(), torch.zeros(B, H, dtype=torch.float64)
    for t in range(T):
        a = {k: x[t] @ v[f"W_{k}"].T + v[f"b_{k}"] for k in "rzn"}
        b = {k: h @ v[f"R_{k}"].T for k in "rzn"}
        r, z = (torch.sigmoid(a[k] + b[k]) for k in "rz")
        h = z * h + (1 - z) * torch.tanh(a["n"] + r * (b["n"] + v["b_hn"])) * mask[t]
    assert same(output[-1], h)


def test_recurrent_dropout_of_what_is_read() -> None:
    """Gal and Ghahramani 2016: one mask on the state for all steps and gates."""
    m, x = layer("lstm", recurrent_dropout=0.4, recurrent_dropout_on="state"), draw(T, B, H)
    torch.manual_seed(3)
    output, (_, c) = m(x)
    torch.manual_seed(3)
    mask = ones(0.6, 1, B, H)[0] / 0.6
    assert same((output, c[0]), LSTM(m).run(x, read=lambda h, t: mask * h))
    plain = Recurrent("lstm", H, H, dtype=torch.float64)
    plain.load_state_dict(m.state_dict())
    assert same(m.eval()(x), plain(x))


def test_all_at_once_are_applied_in_order() -> None:
    """Products normalised, but for the projection; the projected state zoned, which is what the
    matrices read and what comes out; dropped what is written to the memory."""
    options = {"layer_norm": True, "recurrent_dropout": 0.4, "zoneout": {"h": 0.2, "c": 0.5}}
    m, x = layer("lstm", proj_size=2, **options), draw(T, B, H)
    torch.manual_seed(3)
    output, (_, c) = m(x)
    torch.manual_seed(3)
    mask, dh, dc = ones(0.6, T, B, H) / 0.6, ones(0.2, T, B, 2), ones(0.5, T, B, H)
    found = LSTM(m).run(
        x,
        norm=True,
        write=lambda u, t: mask[t] * u,
        after=lambda h, c, a, b, t: (dh[t] * a + (1 - dh[t]) * h, dc[t] * b + (1 - dc[t]) * c),
        show=lambda h: h @ m.views()["W_hr"].T,
    )
    assert same((output, c[0]), found)


@pytest.mark.parametrize("option", ["zoneout", "update"])
def test_what_is_expected_of_masks_is_what_evaluation_gives(option: str) -> None:
    """For a step from a state, over many sequences alike."""
    m, many = layer("gru", **EACH[option]), 40_000
    x, h = draw(1, 1, H).expand(1, many, H), draw(1, 1, H, seed=8).expand(1, many, H)
    torch.manual_seed(3)
    with torch.no_grad():
        drawn, expected = m(x, h)[0][0], m.eval()(x, h)[0][0, 0]
    assert float(drawn.std(0).min()) > 0.01
    error = (drawn.mean(0) - expected).abs() / (drawn.std(0) / many**0.5)
    assert float(error.max()) < 4.5


# --- neutral ------------------------------------------------------------------------------------


def test_options_that_do_nothing_give_nn_lstm() -> None:
    theirs = nn.LSTM(3, H, num_layers=2, bidirectional=True, dtype=torch.float64)
    options = {"zoneout": {"h": 0.0}, "recurrent_dropout": 0.0, "heads": 1, "learned_state": True}
    m = Recurrent("lstm", 3, H, num_layers=2, bidirectional=True, dtype=torch.float64, **options)
    missing = m.load_state_dict(theirs.state_dict(), strict=False).missing_keys
    assert missing == [k for k in m.state_dict() if k.startswith("initial_")]
    x = draw(T, B, 3)
    assert same(m(x), theirs(x), 1e-10)


def test_checkpoints_of_torch_load_into_varied_layers() -> None:
    theirs = nn.GRU(3, H, dtype=torch.float64)
    m = layer("gru", 3, recurrent_dropout=0.3, layer_norm=True)
    m.load_state_dict({**m.state_dict(), **theirs.state_dict()}, strict=False)
    assert same(m.views()["R_n"], theirs.weight_hh_l0[2 * H :])
    bias = theirs.bias_ih_l0[:H] + theirs.bias_hh_l0[:H]
    assert same(m.views()["b_r"], bias)
    with pytest.raises(LayerError, match=r"no module with layer_norm=True, recurrent_dropout=0.3"):
        m.to_torch()


@pytest.mark.parametrize("projected", [0, 2])
def test_heads_are_blocks_of_a_matrix(projected: int) -> None:
    m, full = (layer("lstm", 3, heads=k, proj_size=projected) for k in (2, 1))
    width = projected or H
    assert m.weight_hh_l0.shape == (4 * H, width // 2)
    assert full.weight_hh_l0.numel() == 2 * m.weight_hh_l0.numel()
    full.load_state_dict({k: v for k, v in m.state_dict().items() if k != "weight_hh_l0"}, False)
    with torch.no_grad():
        for name, R in m.views().items():
            if name.startswith("R"):
                dense = torch.block_diag(*R.chunk(2))
                assert dense.shape == (H, width)
                full.views()[name].copy_(dense)
    x = draw(T, B, 3)
    assert same(m(x), full(x))
    m(x)[0].square().sum().backward()
    full(x)[0].square().sum().backward()
    found = full.weight_hh_l0.grad.view(4, 2, H // 2, width)
    expected = torch.cat((found[:, 0, :, : width // 2], found[:, 1, :, width // 2 :]), 1)
    assert same(m.weight_hh_l0.grad, expected.reshape(4 * H, -1))


# --- outside of the step ------------------------------------------------------------------------


def test_residual_adds_the_input_of_a_layer_to_its_output() -> None:
    lengths, x = torch.tensor([5, 2, 4]), draw(T, B, 3)
    m = layer("gru", 3, num_layers=3, bidirectional=True, residual=True)
    alone = [Recurrent("gru", 3, H, bidirectional=True, dtype=torch.float64)]
    alone += [Recurrent("gru", 2 * H, H, bidirectional=True, dtype=torch.float64) for _ in "12"]
    expected, states = x, []
    for k, one in enumerate(alone):
        own = {n: w for n, w in m.state_dict().items() if f"_l{k}" in n}
        one.load_state_dict({n.replace(f"_l{k}", "_l0"): w for n, w in own.items()})
        y, s = one(expected, lengths=lengths)
        expected = expected + y if k else y
        states.append(s)
    output, final = m(x, lengths=lengths)
    assert same(output, expected)
    assert same(final, torch.cat(states))


def test_residual_of_the_first_layer_keeps_the_padding_zero() -> None:
    m, lengths, x = layer("rnn", H, residual=True), torch.tensor([5, 2, 4]), draw(T, B, H)
    plain = Recurrent("rnn", H, H, dtype=torch.float64)
    plain.load_state_dict(m.state_dict())
    assert same(m(x)[0], plain(x)[0] + x)
    output, _ = m(torch.where(torch.arange(T)[:, None, None] < lengths[:, None], x, torch.nan),
                  lengths=lengths)  # fmt: skip
    for b, n in enumerate(lengths.tolist()):
        assert same(output[:n, b], m(x[:n, b])[0])
        assert (output[n:, b] == 0).all()


def test_residual_goes_round_dropout() -> None:
    m, x = layer("rnn", H, num_layers=2, residual=True, dropout=1.0), draw(T, B, H)
    alone = Recurrent("rnn", H, H, dtype=torch.float64)
    alone.load_state_dict({k[:-1] + "0": w for k, w in m.state_dict().items() if "_l1" in k})
    assert same(m(x)[0], x + alone(x)[0])


@pytest.mark.parametrize("option", ["learned_state", "zoneout"])
def test_resets_lead_to_the_learned_state(option: str) -> None:
    """Each episode is a sequence by itself, in both directions."""
    options = {**EACH["learned_state"], **EACH[option], "bidirectional": True}
    m, x = layer("lstm", 3, **options).eval(), draw(T, B, 3)
    resets, lengths = torch.zeros(T, B, dtype=torch.bool), torch.tensor([5, 2, 4])
    resets[0, 0] = resets[2, :] = resets[3, 0] = True  # that of the second lies behind its end
    output, final = m(x, lengths=lengths, resets=resets)
    for b, cuts in enumerate(((0, 2, 3, 5), (0, 2), (0, 2, 4))):
        parts = [m(x[start:end, b]) for start, end in pairwise(cuts)]
        assert same(output[: cuts[-1], b], torch.cat([y for y, _ in parts]))
        for s, first, last in zip(final, parts[0][1], parts[-1][1], strict=True):
            assert same(s[0, b], last[0])
            assert same(s[1, b], first[1])
    zeros = tuple(torch.zeros(2, B, H, dtype=torch.float64) for _ in "hc")
    given_, _ = m(x, zeros, lengths=lengths, resets=resets)
    forward, backward = ((given_ - output).abs().view(T, B, 2, H).amax(-1) > 1e-9).unbind(-1)
    assert forward.T.int().tolist() == [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]]
    assert backward.T.int().tolist() == [[0, 0, 0, 1, 1], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0]]


def test_a_learned_state_starts_at_zero_and_learns() -> None:
    m = Recurrent("lstm", 3, H, num_layers=2, bidirectional=True, learned_state=True)
    names = [f"initial_{s}_l{k}{d}" for k in (0, 1) for d in ("", "_reverse") for s in "hc"]
    assert [n for n, _ in m.named_parameters() if n.startswith("initial")] == names
    assert all((getattr(m, n) == 0).all() for n in names)
    m(torch.randn(T, B, 3))[0].square().sum().backward()
    assert all((getattr(m, n).grad != 0).any() for n in names)
    taken = parse("scalar initial_h\nh' = tanh(W x + R h) * initial_h", "taken")
    assert "initial_h_2_l0" in Recurrent(taken, 3, H, learned_state=True).state_dict()


# --- every cell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", EACH)
@pytest.mark.parametrize("name", CELLS)
def test_gradcheck_and_gradgradcheck(name: str, option: str) -> None:
    """Of the reference; under a seed masks are the same in every call."""
    torch.manual_seed(0)
    options = {"dtype": torch.float64, "backend": "reference", **EACH[option]}
    m = Recurrent(name, 2, 2, **options)
    x = draw(3, 2, 2).requires_grad_()
    names = [n for n, _ in m.named_parameters()]

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        torch.manual_seed(5)
        return functional_call(m, dict(zip(names, weights, strict=True)), (x,))[0]

    inputs = (x, *m.parameters())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def results(m: Recurrent, x: Tensor, **options: Tensor) -> list[Tensor]:
    torch.manual_seed(5)
    y, final = m(x, **options)
    states = [final] if isinstance(final, Tensor) else [*final]
    rng = torch.Generator().manual_seed(1)
    results = [y, *states]
    loss = sum((torch.randn(v.shape, generator=rng, dtype=v.dtype) * v).sum() for v in results)
    wanted = [x, *m.parameters()]
    return [*results, *torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("name", CELLS)
def test_all_at_once_on_the_engine(name: str) -> None:
    """In training, with resets and lengths."""
    options = {**ALL, "recurrent_dropout_on": ("update", "state")[CELLS.index(name) % 2]}
    engine, reference = (layer(name, 5, backend=b, **options) for b in ("cpu", "reference"))
    x = draw(T, B, 5).requires_grad_()
    resets = torch.rand(T, B, generator=torch.Generator().manual_seed(1)) < 0.3
    given_ = {"resets": resets, "lengths": torch.tensor([5, 2, 4])}
    assert same(results(engine, x, **given_), results(reference, x, **given_), 1e-9)


@pytest.mark.parametrize("option", [k for k in EACH if k != "residual"])
def test_each_on_the_engine(option: str) -> None:
    for training in (True, False):
        engine, reference = (
            layer("lstm", 5, backend=b, **EACH[option]).train(training)
            for b in ("cpu", "reference")
        )
        x = draw(T, B, 5).requires_grad_()
        assert same(results(engine, x), results(reference, x), 1e-9)


@pytest.mark.parametrize("name", cell_names())
def test_every_cell_can_be_varied(name: str) -> None:
    """A cell without matrices in its recurrence has nothing of them to drop, nor blocks."""
    options = {"layer_norm": True, "zoneout": 0.2, "learned_state": True, "residual": True}
    options |= {"recurrent_dropout": 0.3}
    try:
        m = layer(name, H, recurrent_dropout_on="state", heads=2, **options)
    except LayerError as e:
        assert "no matrix reads a state" in str(e) or "no recurrent matrix" in str(e)
        m = layer(name, H, **options)
    y = m(draw(2, B, H))[0]
    y.sum().backward()
    assert y.isfinite().all()
    assert all(w.grad is not None for w in m.parameters())


# --- as modules ---------------------------------------------------------------------------------


def test_masks_are_drawn_from_torch_in_training_only() -> None:
    m, x = layer("lstm", **EACH["zoneout"]), draw(T, B, H)
    torch.manual_seed(1)
    first, again = m(x)[0], m(x)[0]
    torch.manual_seed(1)
    assert same(m(x)[0], first)
    assert not same(again, first)
    m.eval()
    state = torch.get_rng_state()
    assert same(m(x)[0], m(x)[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_each_layer_and_direction_draws_its_own() -> None:
    m = layer("rnn", num_layers=2, bidirectional=True, **EACH["state"])
    draw_ = m._varied.masks[0].draw
    drawn = [draw_(draw(T, B, H), H) for _ in range(4)]
    assert drawn[0].stride(0) == 0
    assert drawn[0].untyped_storage().nbytes() == B * H * 8
    assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(4)
    m(draw(T, B, H))
    left = torch.get_rng_state()
    torch.manual_seed(4)
    for _ in range(4):
        draw_(draw(T, B, H), H)
    assert torch.equal(torch.get_rng_state(), left)


def test_no_gradient_of_a_mask_is_computed() -> None:
    m = layer("lstm", zoneout=0.2, recurrent_dropout=0.3)
    step = m.steps[True, False]
    assert len(step.masks) == 3
    known = passes(step.text, step.plan("cpu", "fast", reverse=False, heads=1).by)
    assert [p.outputs for p in known.backward] == [(), ("d_x",)]


def test_small_memory_draws_once() -> None:
    x = draw(30, 80, H).requires_grad_()
    fast, small = (layer("lstm", memory=k, **{**ALL, "dropout": 0.0}) for k in ("fast", "small"))
    resets = torch.rand(30, 80, generator=torch.Generator().manual_seed(1)) < 0.1
    assert same(results(small, x, resets=resets), results(fast, x, resets=resets), 1e-11)


def test_compile() -> None:
    torch._dynamo.reset()
    one = {**ALL, "num_layers": 1, "bidirectional": False, "dropout": 0.0}
    m, x = layer("lstm", **one), draw(T, B, H).requires_grad_()
    resets = torch.rand(T, B) < 0.3
    run = torch.compile(lambda x: m(x, resets=resets), fullgraph=True, backend="aot_eager")
    run(x)[0].sum().backward()
    assert all(w.grad is not None and w.grad.isfinite().all() for w in m.parameters())
    m.eval()
    assert same(run(x), m(x, resets=resets), 1e-11)


def test_copies_and_checkpoints() -> None:
    options = {**ALL, "zoneout": {"h": 0.1}}
    m, x = layer("peephole_lstm", **options), draw(T, B, H)
    other = Recurrent(m.cell, H, H, dtype=torch.float64, backend="reference", **options)
    other.load_state_dict(m.state_dict())
    torch.manual_seed(2)
    expected = m(x)
    for copied in (pickle.loads(pickle.dumps(m)), copy.deepcopy(m), other):
        torch.manual_seed(2)
        assert same(copied(x), expected)
        assert repr(copied) == repr(m)
    assert "layer_norm=True, zoneout={'h': 0.1}, recurrent_dropout=0.3, residual=True" in repr(m)
    assert repr(cellwright.GRU(3, 4, zoneout=0.1)) == "GRU(3, 4, zoneout=0.1)"


def test_names_of_gains() -> None:
    own = parse("h' = tanh(norm(W x) + R h * gain + R^T h)\nscalar gain = 2", "own")
    m = Recurrent(own, 3, H, layer_norm=True)
    assert {n: tuple(w.shape) for n, w in m.named_parameters()} == {
        "weight_ih_l0": (H, 3),
        "weight_hh_l0": (H, H),
        "gain_l0": (3 * H,),
        "gain_2_l0": (),
    }
    assert list(m.views()) == [q.name for q in m.program.parameters]
    assert all((m.views()[n] == 1).all() for n in ("gain_h_1", "gain_R", "gain_R_T"))
    lstm = Recurrent("lstm", 3, H, layer_norm=True)
    assert lstm.gain_l0.shape == (8 * H,)


def test_a_look_into_a_layer_sees_its_masks() -> None:
    m, x = layer("lstm", zoneout=0.4), draw(T, B, H)
    torch.manual_seed(3)
    seen = m.trace(x)
    torch.manual_seed(3)
    assert same(seen["h"], m(x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_norm": 1}, "layer_norm must be True or False, got 1"),
        ({"zoneout": 1.0}, "zoneout must be a probability, from 0 and less than 1, got 1.0"),
        ({"zoneout": {"h": -0.1}}, "zoneout of h must be a probability, .* got -0.1"),
        ({"zoneout": {"k": 0.1}}, "zoneout: the cell has no state 'k'; it has h, c"),
        ({"recurrent_dropout": "x"}, "recurrent_dropout must be a probability, .* got 'x'"),
        ({"recurrent_dropout_on": "h"}, "_on must be 'update' or 'state', got 'h'"),
        ({"heads": 3}, "heads must divide hidden_size, got 3 and 4"),
        ({"heads": 2, "proj_size": 3}, "heads must divide proj_size, got 2 and 3"),
        ({"recurrent_dropout_on": "state"}, "how often: give recurrent_dropout, as 0.2, too"),
        ({"heads": 0}, "heads must be a whole number of at least 1, got 0"),
        ({"residual": True}, "one layer here has an input of 3 features and an output of 4"),
        ({"learned_state": None}, "learned_state must be True or False, got None"),
    ],
)  # fmt: skip
def test_mistakes(options: dict[str, object], message: str) -> None:
    with pytest.raises(LayerError, match=message):
        Recurrent("lstm", 3, H, **options)


def test_what_a_cell_does_not_have() -> None:
    with pytest.raises(LayerError, match="recurrent_dropout: no matrix reads a state"):
        Recurrent("min_gru", 3, H, recurrent_dropout=0.1, recurrent_dropout_on="state")
    with pytest.raises(LayerError, match="heads: min_gru has no recurrent matrix"):
        Recurrent("min_gru", 3, H, heads=2)
    for name in ("rwkv4", "qrnn"):  # their matrices read inputs, and what is shown
        with pytest.raises(LayerError, match="no recurrent matrix"):
            Recurrent(name, H, H, heads=2)
    with pytest.raises(cellwright.CellError, match="heads is an argument of every layer"):
        parse("const heads = 2\nh' = heads * h + W x")


# --- initialisers -------------------------------------------------------------------------------


def started(which: str, init: Callable[[Recurrent], Recurrent], **options: object) -> Recurrent:
    m = layer(which, 3, num_layers=2, bidirectional=True, **options)
    assert init(m) is m
    return m


@pytest.mark.parametrize(
    ("name", "biases"),
    [
        ("lstm", {"b_f": 2.0}),
        ("gru", {"b_z": 2.0}),
        ("cifg", {"b_i": -2.0}),
        ("lem", {"b_1": -2.0, "b_2": -2.0}),
        ("slstm", {"b_f": 2.0}),
        ("rhn(L=3)", {"b_t_1": -2.0, "b_t_2": -2.0, "b_t_3": -2.0}),
    ],
)
def test_forget_bias(name: str, biases: dict[str, float]) -> None:
    before = layer(name, 3, num_layers=2, bidirectional=True)
    m = started(name, partial(cellwright.init.forget_bias_, value=2.0))
    for k in (0, 1):
        for reverse in (False, True):
            old = before.views(k, reverse)
            for q, w in m.views(k, reverse).items():
                assert torch.equal(w, torch.full_like(w, biases[q]) if q in biases else old[q])


def test_forget_bias_of_several_vectors() -> None:
    m = Recurrent(parse("f = σ(W x - a + R h + b)\nh' = f * h + V x"), 3, H)
    cellwright.init.forget_bias_(m)
    assert (m.views()["a"] == -1).all()
    assert (m.views()["b"] == 0).all()


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("exp(-softplus(W x + b) + h)", -1),
        ("1 - exp(-softplus(-(W x + b)))", -1),
        ("exp(log(1 - σ(W x + b)) - x)", -1),
        ("exp(softplus(W x + b))", None),
    ],
)
def test_forget_bias_of_a_logarithm(gate: str, expected: float | None) -> None:
    m = Recurrent(parse(f"h' = ({gate}) * h + V x"), H, H)
    if expected is None:
        with pytest.raises(LayerError, match=r"no gate that keeps a state: none .*views\(\)"):
            cellwright.init.forget_bias_(m)
    else:
        cellwright.init.forget_bias_(m)
        assert (m.views()["b"] == expected).all()


def test_chrono() -> None:
    m = Recurrent("lstm", 3, 1000)
    torch.manual_seed(0)
    v = cellwright.init.chrono_(m, 51).views()
    assert torch.equal(v["b_i"], -v["b_f"])
    times = v["b_f"].detach().exp()
    assert 1 <= float(times.min()) < 1.2
    assert 49.8 < float(times.max()) <= 50.001
    assert abs(float(times.mean()) - 25.5) < 2
    v = cellwright.init.chrono_(Recurrent("mut1", 50, 50), 51).views()
    assert float(v["b_z"].detach().max()) <= 0


def test_orthogonal() -> None:
    for heads in (1, 2):
        m = started("gru", partial(cellwright.init.orthogonal_, gain=3.0), heads=heads)
        for reverse in (False, True):
            for name, w in m.views(1, reverse).items():
                if name.startswith("R"):
                    for block in w.chunk(heads):
                        assert same(block @ block.T, 9 * torch.eye(H // heads).double())
    before = layer("gru", 3, num_layers=2, bidirectional=True, heads=2)
    assert torch.equal(before.weight_ih_l1, m.weight_ih_l1)


def test_a_matrix_on_the_way_to_the_output_alone_is_not_recurrent() -> None:
    """Also where it reads a state; one that both need is."""
    m = Recurrent(parse("h' = tanh(W x + R (S h))\ny = S h' + V h' + U h\noutput y"), 3, H)
    assert m.weight_hh_l0.shape == (2 * H, H)
    assert m.weight_ho_l0.shape == (2 * H, H)
    before = m.weight_ho_l0.detach().clone()
    cellwright.init.orthogonal_(m)
    assert torch.equal(m.weight_ho_l0, before)
    for name in "RS":
        assert same(m.views()[name] @ m.views()[name].T, torch.eye(H), 1e-5)


@pytest.mark.parametrize(
    ("init", "name", "message"),
    [
        (cellwright.init.forget_bias_, "rnn", "rnn has no gate that keeps a state"),
        (cellwright.init.forget_bias_, "nbrc", "the gates of nbrc that keep a state have no bias"),
        (cellwright.init.orthogonal_, "min_gru", "min_gru has no recurrent matrix"),
        (partial(cellwright.init.chrono_, longest=2), "lstm", "longest must be a number of steps"),
        (partial(cellwright.init.forget_bias_, value="x"), "lstm", "value must be a number, got"),
    ],
)
def test_mistakes_with_initialisers(init: object, name: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        init(Recurrent(name, 3, 3))


def test_constants_and_variations_together() -> None:
    m = layer("cornn", 3, dt=0.5, zoneout=0.1)
    assert cell("cornn").program.constants[0].default != 0.5
    assert {c.name: c.default for c in m.program.constants} == {
        "dt": 0.5, "gamma": 2.7, "epsilon": 4.7, "zone_h": 0.1, "zone_z": 0.1,
    }  # fmt: skip
