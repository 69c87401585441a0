"""What a layer on the CPU engine is called with: odd shapes, odd memory, threads, forks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.data import DataLoader, Dataset

from cellwright import Cell, LayerError, Recurrent, parse
from cellwright.backends import registry
from cellwright.backends.cpu import plan as plans
from cellwright.backends.cpu.team import Team, team
from cellwright.backends.registry import BACKENDS, Backend, BackendError, select
from cellwright.language import cell
from conformance import arguments, errors, in_team

CELLS = ["lstm", "gru"]


def layer(
    which: str | Cell = "lstm", *sizes: int, backend: str = "cpu", **options: object
) -> Recurrent:
    torch.manual_seed(0)
    options = {"dtype": torch.float64, **options}
    return Recurrent(which, *(sizes or (3, 4)), backend=backend, **options)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def trained(m: Recurrent, x: Tensor, *rest: object, **options: object) -> list[Tensor]:
    """Output, final states and the gradients of the parameters."""
    y, final = m(x, *rest, **options)
    states = [final] if isinstance(final, Tensor) else list(final)
    loss = (y * torch.linspace(-1, 1, y.shape[-1], dtype=y.dtype)).sum() + states[-1].sum()
    return [y, *states, *torch.autograd.grad(loss, list(m.parameters()))]


def agree(found: list[Tensor], expected: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


# --- parameters ---------------------------------------------------------------------------------


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("weight_hh_l0", (16, 5), r"R_i has to be \(4, 4\), got \(4, 5\)"),
        ("weight_hh_l0", (12, 4), r"R_i has to be \(4, 4\), got \(3, 4\)"),
        ("weight_hh_l0", (16,), r"R_i has to be \(4, 4\), got \(4,\)"),
        ("weight_ih_l0", (16, 4), r"W_i has to be \(4, 3\), got \(4, 4\)"),
        ("bias_l0", (16, 1), r"b_i has to be \(4,\), got \(4, 1\)"),
        ("bias_l0", (3,), r"shape \(3,\) stands where 4 of one shape have to be"),
        ("weight_hh_l0", (17, 4), r"shape \(17, 4\) stands where 4 of one shape have to be"),
        ("bias_l0", (), r"shape \(\) stands where 4 of one shape have to be"),
    ],
)
def test_a_parameter_of_another_shape(
    name: str, shape: tuple[int, ...], words: str, grad: bool
) -> None:
    m = layer()
    setattr(m, name, nn.Parameter(draw(*shape)))
    with torch.set_grad_enabled(grad), pytest.raises(ValueError, match=words):
        m(draw(5, 2, 3))


def test_a_parameter_that_changes_between_calls() -> None:
    m, other, x = layer(), layer("lstm", backend="reference"), draw(5, 2, 3)

    def both() -> None:
        other.load_state_dict(m.state_dict())
        agree(trained(m, x), trained(other, x))

    both()
    with torch.no_grad():
        m.weight_hh_l0.mul_(2)
    both()
    m.weight_hh_l0.data = draw(16, 4)
    both()
    m.weight_hh_l0.data = draw(4, 16).T
    both()
    m.weight_hh_l0.data = m.weight_hh_l0.data.as_strided((16, 4), (4, 1))  # the same address
    both()
    m.weight_hh_l0 = nn.Parameter(draw(16, 4) * 0.5)
    both()


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        lambda: draw(2, 5, 3).transpose(0, 1),
        lambda: draw(3, 2, 5).permute(2, 1, 0),
        lambda: draw(5, 2, 6)[..., ::2],
        lambda: draw(10, 4, 3)[1::2, ::2],
        lambda: draw(5, 1, 3).expand(5, 2, 3),
        lambda: draw(1, 2, 3).expand(5, 2, 3),
        lambda: draw(5, 2, 1).expand(5, 2, 3),
        lambda: draw(1, 1, 1).expand(5, 2, 3),
    ],
    ids=["turned", "backwards", "every other feature", "every other row", "one sequence",
         "one step", "one feature", "one number"],
)  # fmt: skip
def test_inputs_however_they_lie(given: Callable[[], Tensor]) -> None:
    found = given().requires_grad_()
    expected = given().contiguous().requires_grad_()
    m = layer(bidirectional=True)
    agree(trained(m, found), trained(m, expected))
    by_input = [torch.autograd.grad(m(x)[0].square().sum(), x) for x in (found, expected)]
    agree(*map(list, by_input))


def test_states_lengths_and_resets_however_they_lie() -> None:
    m, x = layer(), draw(5, 2, 3)
    state = draw(4, 2, 1).permute(2, 1, 0), draw(1, 1, 4).expand(1, 2, 4)
    lengths = torch.tensor([5, 0, 3], dtype=torch.int32)[::2]
    resets = torch.tensor([[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]], dtype=torch.bool).T
    assert not resets.is_contiguous()
    found = trained(m, x, state, lengths, resets)
    plain = tuple(s.contiguous() for s in state)
    agree(found, trained(m, x, plain, lengths.long().contiguous(), resets.contiguous()))
    agree(found, trained(layer(backend="reference"), x, state, lengths, resets))


def test_batch_first_is_no_copy_of_the_other_layout() -> None:
    m, turned = layer(num_layers=2), layer(num_layers=2, batch_first=True)
    turned.load_state_dict(m.state_dict())
    x = draw(2, 5, 3)
    y, *rest = trained(turned, x)
    agree([y.transpose(0, 1), *rest], trained(m, x.transpose(0, 1)))


def test_gradients_that_are_one_number_repeated() -> None:
    """As sum() gives them: all their strides are zero."""
    m, x = layer(), draw(5, 2, 3)
    found = torch.autograd.grad(m(x)[0].sum(), list(m.parameters()))
    expected = torch.autograd.grad(m(x)[0], list(m.parameters()), torch.ones(5, 2, 4).double())
    agree(list(found), list(expected))


TRANSPOSED = parse("h' = tanh(W^T x + R^T h)", "transposed")


@pytest.mark.parametrize("team_", [Team(1, 1), Team(1, 2)])
@pytest.mark.parametrize(("T", "B"), [(1, 1), (1, 3), (2, 2), (4, 1)])
@pytest.mark.parametrize("which", ["lstm", "gru_reset_before", "fgr", "layer_norm_lstm", "rwkv4",
                                   TRANSPOSED], ids=str)  # fmt: skip
def test_so_few_rows_that_matrices_are_not_packed(
    which: str | Cell, T: int, B: int, team_: Team
) -> None:
    for sizes in ((1, 1), (8, 8), (23, 23), (130, 130)):
        m, reference = layer(which, *sizes), layer(which, *sizes, backend="reference")
        x = draw(T, B, sizes[0]).requires_grad_()
        with in_team(team_):
            found = [*trained(m, x), torch.autograd.grad(m(x)[0].sum(), x)[0]]
        agree(found, [*trained(reference, x), torch.autograd.grad(reference(x)[0].sum(), x)[0]])


@pytest.mark.parametrize("T", [2, 5])
def test_a_matrix_whose_rows_are_one(T: int) -> None:
    m, reference = (layer("rnn", 40, 40, backend=b) for b in ("cpu", "reference"))
    weights = {n: w.detach()[:1].expand(w.shape) for n, w in m.named_parameters()}
    x = draw(T, 1, 40)
    with torch.no_grad():
        agree(*([functional_call(one, weights, (x,))[0]] for one in (m, reference)))


@pytest.mark.parametrize("memory", ["fast", "small"])
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_no_sequences(backend: str, memory: str) -> None:
    m = layer(backend=backend, memory=memory, bidirectional=True)
    x = torch.zeros(5, 0, 3, dtype=torch.float64, requires_grad=True)
    none = torch.zeros(0, dtype=torch.int64)
    for options in ({}, {"lengths": none}, {"resets": torch.zeros(5, 0, dtype=torch.bool)}):
        y, h, c, *grads = trained(m, x, **options)
        assert (y.shape, h.shape, c.shape) == ((5, 0, 8), (2, 0, 4), (2, 0, 4))
        assert len(grads) == 6
        assert not any(g.any() for g in grads)
    assert torch.autograd.grad(m(x)[0].sum(), x)[0].shape == x.shape
    with pytest.raises(LayerError, match="x has no steps"):
        m(torch.zeros(0, 2, 3, dtype=torch.float64))


# --- autograd -----------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_an_output_changed_in_place_is_right_or_refused(name: str, backend: str) -> None:
    """The backward pass of an rnn reads its output."""
    m, x = layer(name, backend=backend), draw(5, 2, 3)
    weights = list(m.parameters())
    expected = torch.autograd.grad(m(x)[0].mul(2).sum(), weights)
    loss = m(x)[0].mul_(2).sum()
    if (name, backend) == ("rnn", "cpu"):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(loss, weights)
    else:
        agree(list(torch.autograd.grad(loss, weights)), list(expected))


@pytest.mark.parametrize("changed", ["input", "weights"])
def test_what_the_backward_pass_reads_may_not_change(changed: str) -> None:
    m, x = layer(), draw(5, 2, 3)
    y, _ = m(x)
    with torch.no_grad():
        (x if changed == "input" else m.weight_hh_l0).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("wanted", ["input", "states", "weights", "one weight"])
def test_gradients_of_some_arguments_only(wanted: str, name: str) -> None:
    m, x = layer(name).requires_grad_(False), draw(5, 2, 3)
    states = tuple(draw(1, 2, 4) for _ in m.program.states)
    kinds = {"input": [x], "states": states, "weights": list(m.parameters())}
    of = [t.requires_grad_() for t in kinds.get(wanted, [m.bias_l0])]
    found, by_autograd = (
        torch.autograd.grad(m(x, states)[0].square().sum(), of, create_graph=again)
        for again in (False, True)
    )
    agree(list(found), list(by_autograd))


def test_gradients_accumulate() -> None:
    m, x = layer(), draw(5, 2, 3)
    m(x)[0].sum().backward()
    once = [w.grad.clone() for w in m.parameters()]
    before = [w.grad for w in m.parameters()]
    m(x)[0].sum().backward()
    agree([w.grad for w in m.parameters()], [2 * g for g in once])
    assert all(w.grad is g for w, g in zip(m.parameters(), before, strict=True))


def test_gradients_of_one_call_do_not_move_into_the_next() -> None:
    """They lie in memory that the engine made for all of them."""
    m, x = layer(), draw(5, 2, 3)
    loss = m(x)[0].sum()
    first = torch.autograd.grad(loss, list(m.parameters()), retain_graph=True)
    copies = [g.clone() for g in first]
    for g in first[1:]:
        g.zero_()
    agree([first[0]], copies[:1])
    agree(list(torch.autograd.grad(loss, list(m.parameters()))), copies)


@pytest.mark.parametrize("name", CELLS)
def test_a_second_derivative_through_lengths_and_resets(name: str) -> None:
    m = layer(name, 2, 2)
    x = draw(3, 2, 2).requires_grad_()
    lengths, resets = torch.tensor([3, 2]), torch.tensor([[0, 0], [1, 0], [0, 0]]).bool()

    def run(x: Tensor) -> Tensor:
        return m(x, lengths=lengths, resets=resets)[0]

    assert torch.autograd.gradgradcheck(run, (x,))
    loss = run(x).square().sum()
    again = torch.autograd.grad(loss, x, create_graph=True)
    agree(list(again), list(torch.autograd.grad(loss, x)))


# --- types --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", CELLS)
def test_a_layer_of_halves_is_near_one_of_float32(name: str, dtype: torch.dtype) -> None:
    m = layer(name, 3, 4, dtype=dtype)
    full = layer(name, 3, 4, dtype=torch.float32)
    full.load_state_dict(m.state_dict())
    x = draw(5, 2, 3).to(dtype)
    lengths = torch.tensor([5, 3])
    found = trained(m, x, lengths=lengths)
    assert {t.dtype for t in found} == {dtype}
    for a, b in zip(found, trained(full, x.float(), lengths=lengths), strict=True):
        torch.testing.assert_close(a.float(), b, atol=2e-2, rtol=2e-2)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts other backends in the place of those that there are."""

    def put(*found: Backend) -> None:
        monkeypatch.setattr(registry, "BACKENDS", found)
        monkeypatch.setattr(registry, "_told", set())
        select.cache_clear()

    yield put
    monkeypatch.undo()
    select.cache_clear()


def test_auto_is_the_engine(use: Callable[..., None]) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        assert select("auto", None, torch.device("cpu"), dtype).name == "cpu"
    ran: list[torch.dtype] = []
    engine, *_, plain = BACKENDS

    def run(p: object, inputs: list[Tensor], *rest: object, **options: object) -> object:
        ran.append(inputs[0].dtype)
        return engine.run(p, inputs, *rest, **options)

    use(replace(engine, run=run), plain)
    for dtype in (torch.float32, torch.float64):
        trained(layer(backend="auto", dtype=dtype), draw(5, 2, 3).to(dtype))
    assert ran == [torch.float32] * 2 + [torch.float64] * 2


def test_auto_says_once_why_it_is_slow(use: Callable[..., None]) -> None:
    engine, *_, plain = BACKENDS
    expected = trained(layer(backend="reference"), draw(5, 2, 3))
    use(replace(engine, obstacle=lambda p, device, dtype: "no compiler: install one"), plain)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            agree(trained(layer(backend="auto"), draw(5, 2, 3)), expected)
    assert [str(w.message) for w in caught] == [
        "cellwright runs slowly, on reference. cpu: no compiler: install one"
    ]
    with pytest.raises(BackendError, match=r"no backend can run this .* cpu: no compiler"):
        layer(backend="cpu")


# --- threads ------------------------------------------------------------------------------------


@pytest.fixture
def teams(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Team]]:
    """What teams the engine works in."""
    found: list[Team] = []

    def told(*about: object) -> Team:
        found.append(team(*about))
        return found[-1]

    monkeypatch.setattr(plans, "team", told)
    plans.plan.cache_clear()
    yield found
    torch.set_num_threads(1)
    plans.plan.cache_clear()


@pytest.mark.parametrize("B", [1, 2, 3, 5])
@pytest.mark.parametrize("team_", [Team(1, 2), Team(2, 1), Team(1, 3), Team(3, 1), Team(2, 2)])
@pytest.mark.parametrize("name", CELLS)
def test_a_team_gives_what_the_reference_gives(name: str, team_: Team, B: int) -> None:
    p, T = cell(name).program, 9
    given = arguments(p, {"I": 5, "H": 99}, T, B, torch.float64)
    rng = torch.Generator().manual_seed(B)
    lengths = torch.randint(1, T + 1, (B,), generator=rng)
    resets = torch.rand(T, B, generator=rng) < 0.3
    for options in (
        {},
        {"reverse": True},
        {"lengths": lengths},
        {"lengths": lengths, "resets": resets},
        {"lengths": lengths, "resets": resets, "reverse": True},
    ):
        with in_team(team_):
            assert max(errors(p, given, "cpu", **options).values()) <= 1e-10, options


def test_a_short_call_is_not_shared(teams: list[Team]) -> None:
    torch.set_num_threads(2)
    trained(layer(), draw(5, 2, 3))
    assert set(teams) == {Team(1, 1)}


@pytest.mark.parametrize("B", [1, 3, 5])
@pytest.mark.parametrize("team_", [Team(1, 1), Team(2, 1), Team(1, 2), Team(2, 2)])
def test_the_same_again_to_the_last_bit(team_: Team, B: int) -> None:
    m, x = layer("lstm", 5, 99), draw(20, B, 5)
    with in_team(team_):
        once = trained(m, x)
        for _ in range(5):
            assert all(map(torch.equal, trained(m, x), once))


@pytest.mark.parametrize("team_", [Team(1, 1), Team(2, 1), Team(1, 2)])
def test_calls_from_several_python_threads(team_: Team) -> None:
    layers = [layer("lstm", 5, 99), layer("gru", 5, 99)]
    calls = [(m, draw(9, B, 5)) for m in layers for B in (1, 4)]
    expected = [trained(*call) for call in calls]

    def run(number: int) -> None:
        for i in range(number, number + 3 * len(calls)):
            agree(trained(*calls[i % len(calls)]), expected[i % len(calls)])

    with in_team(team_), ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))


class _Outputs(Dataset[Tensor]):
    def __init__(self, m: Recurrent, x: Tensor) -> None:
        self.m, self.x = m, x

    def __len__(self) -> int:
        return self.x.shape[1]

    def __getitem__(self, b: int) -> Tensor:
        return self.m(self.x[:, b])[0].detach()


def test_a_forked_worker_runs_what_its_parent_has_run(teams: list[Team]) -> None:
    """A DataLoader's worker has one thread: with more, GNU OpenMP does not survive a fork, and
    nothing of torch's does either."""
    torch.set_num_threads(2)
    m, x = layer("lstm", 5, 99), draw(9, 3, 5)
    expected, _ = m(x)
    assert teams == [Team(1, 2)]
    workers = DataLoader(
        _Outputs(m, x), batch_size=None, num_workers=1, multiprocessing_context="fork", timeout=30
    )
    agree(list(workers), list(expected.detach().unbind(1)))


def test_what_only_the_reference_can_do_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_told", set())
    m, x = layer(), draw(5, 2, 3)
    with pytest.warns(UserWarning, match="slowly, on reference, under torch.func") as caught:
        for _ in range(2):
            torch.autograd.grad(m(x)[0].sum(), list(m.parameters()), create_graph=True)
        torch.func.vmap(lambda x: m(x)[0])(draw(2, 5, 2, 3))
    assert len(caught) == 1


@torch.no_grad()  # torch swaps no parameter of a graph either
def test_a_layer_whose_parameters_are_swapped() -> None:
    m, x = layer(), draw(5, 2, 3)
    expected = m(x)[0]
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        torch.testing.assert_close(m.float()(x.float())[0], expected.float())
        m.load_state_dict(layer().float().state_dict())
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
