"""memory="small": what "fast" gives, and far less is kept for the backward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from cellwright import LayerError, Recurrent
from cellwright.layers import operator, passes
from cellwright.layers.passes import Given, Plan, segments


def pair(name: str = "lstm", H: int = 4, **options: object) -> tuple[Recurrent, Recurrent]:
    """A layer that keeps all, and one of the same parameters that keeps little."""
    torch.manual_seed(0)
    fast = Recurrent(name, 3, H, dtype=torch.float64, **options)
    small = Recurrent(name, 3, H, dtype=torch.float64, memory="small", **options)
    small.load_state_dict(fast.state_dict())
    return fast, small


def everything(m: Recurrent, x: Tensor, **options: object) -> list[Tensor]:
    """Output, final states, and the gradients of parameters, input and initial states."""
    rng = torch.Generator().manual_seed(1)
    places = m.num_layers * (1 + m.bidirectional)
    given = [
        torch.randn(places, x.shape[1], 4, generator=rng, dtype=x.dtype).requires_grad_()
        for _ in m.program.states
    ]
    x = x.detach().requires_grad_()
    y, final = m(x, tuple(given), **options)
    results = [y, *([final] if isinstance(final, Tensor) else final)]
    loss = sum((r * torch.randn(r.shape, generator=rng, dtype=r.dtype)).sum() for r in results)
    return [*results, *torch.autograd.grad(loss, [*m.parameters(), x, *given])]


def same(a: list[Tensor], b: list[Tensor]) -> None:
    torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


def kept(m: Recurrent, x: Tensor) -> int:
    """How many numbers a forward pass keeps in memory, beside parameters and the input."""
    own = {w.untyped_storage().data_ptr() for w in (*m.parameters(), x)}
    found: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        memory = t.untyped_storage()
        if memory.data_ptr() not in own:
            found[memory.data_ptr()] = memory.nbytes() // t.element_size()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        m(x)
    return sum(found.values())


# --- results ------------------------------------------------------------------------------------


# A segment of three sequences has 171 steps.
@pytest.mark.parametrize("T", [1, 171, 172, 400])
@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True, "num_layers": 2}], ids=["plain", "deep"]
)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_results_and_gradients_are_the_same(name: str, options: dict[str, object], T: int) -> None:
    fast, small = pair(name, **options)
    rng = torch.Generator().manual_seed(T)
    x = torch.randn(T, 3, 3, generator=rng, dtype=torch.float64)
    lengths = torch.tensor([T, 1, (T + 1) // 2])
    resets = torch.rand(T, 3, generator=rng) < 0.2
    for rest in (
        {},
        {"lengths": lengths},
        {"resets": resets},
        {"lengths": lengths, "resets": resets},
    ):
        same(everything(small, x, **rest), everything(fast, x, **rest))


def test_the_reference_runs_in_segments_too() -> None:
    fast, small = pair(backend="reference", bidirectional=True)
    x, lengths = torch.randn(199, 3, 3, dtype=torch.float64), torch.tensor([20, 199, 1])
    same(everything(small, x, lengths=lengths), everything(fast, x, lengths=lengths))


def test_a_reset_where_a_segment_begins() -> None:
    fast, small = pair(bidirectional=True)
    T, each = 199, segments(199, 3)[1]
    x, resets = torch.randn(T, 3, 3, dtype=torch.float64), torch.zeros(T, 3, dtype=torch.bool)
    resets[[0, each - 1, each, each + 1, T - 1], [0, 1, 2, 0, 1]] = True
    same(everything(small, x, resets=resets), everything(fast, x, resets=resets))


def test_gradients_of_weights_alone() -> None:
    """The input's are left out then, in each segment."""
    fast, small = pair()
    x = torch.randn(199, 3, 3, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad(m(x)[0].square().sum(), list(m.parameters())) for m in (small, fast)
    )
    same(list(found), list(expected))


def test_a_second_derivative() -> None:
    _, small = pair()
    x = torch.randn(17, 1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: small(x)[0][-1], (x,), fast_mode=True)


# --- what is kept -------------------------------------------------------------------------------


@pytest.mark.parametrize("B", [0, 1, 3, 64, 100, 256])
def test_segments_cover_a_sequence(B: int) -> None:
    for T in (*range(1, 300), 1000, 4097):
        number, each = segments(T, B)
        assert (number - 1) * each < T <= number * each
        assert number <= 16
        assert each >= 8
        assert B == 0 or each * B >= 512


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("memory", ["fast", "small"])
def test_a_backward_pass_that_somebody_looks_into(memory: str, backend: str) -> None:
    """The forward pass was eager, and what it saved has the backend's form."""

    class Onlooker(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: object, args: Any = (), kwargs: Any = None
        ) -> object:
            return func(*args, **(kwargs or {}))

    m = Recurrent("lstm", 3, 5, memory=memory, backend=backend, dtype=torch.float64)
    x = torch.randn(9, 2, 3, dtype=torch.float64, requires_grad=True)
    wanted = [x, *m.parameters()]
    expected = torch.autograd.grad(m(x)[0].square().sum(), wanted)
    loss = m(x)[0].square().sum()
    with Onlooker():
        found = torch.autograd.grad(loss, wanted)
    same(list(found), list(expected))


@pytest.mark.parametrize(("name", "streams", "states"), [("lstm", 7, 2), ("gru", 5, 1)])
def test_small_keeps_the_states_of_seven_steps(name: str, streams: int, states: int) -> None:
    T, B, H = 1600, 2, 64  # units are kept in whole blocks: H is one
    fast, small = pair(name, H)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    initial = states * B * H
    number, _ = segments(T, B)
    assert number == 7
    assert kept(small, x) == number * states * B * H + initial
    assert kept(fast, x) == streams * T * B * H + initial


def test_small_keeps_no_more_for_a_longer_sequence() -> None:
    _, small = pair()
    short, long = (torch.randn(T, 2, 3, dtype=torch.float64) for T in (8000, 16000))
    assert kept(small, long) == kept(small, short)


@pytest.mark.parametrize("memory", ["fast", "small"])
def test_nothing_is_kept_where_nobody_wants_gradients(
    memory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves: list[bool] = []

    def forward(plan: Plan, given: Given, save: bool) -> object:
        saves.append(save)
        return passes.forward(plan, given, save)

    monkeypatch.setattr(operator, "forward", forward)
    m = Recurrent("lstm", 3, 4, dtype=torch.float64, memory=memory)
    x = torch.randn(33, 2, 3, dtype=torch.float64)
    assert kept(m, x)
    with torch.no_grad():
        assert not kept(m, x)
        assert m(x)[0].grad_fn is None
    m.requires_grad_(False)
    assert not kept(m, x)
    assert saves == [True, False, False, False]


def test_another_word_is_refused() -> None:
    with pytest.raises(LayerError, match="memory must be 'fast' or 'small', got 'tiny'"):
        Recurrent("lstm", 3, 4, memory="tiny")
    for value in (None, 1, True):
        with pytest.raises(LayerError, match=f"'fast' or 'small', got {value}"):
            Recurrent("lstm", 3, 4, memory=value)


def test_a_layer_shows_its_memory() -> None:
    assert (
        repr(Recurrent("lstm", 3, 4, memory="small")) == "Recurrent('lstm', 3, 4, memory='small')"
    )
