"""What torch does to modules: compile, export, autocast, torch.func, DDP, double backward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given, settings
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacrev, vmap

from cellwright import LayerError, Recurrent, parse
from cellwright.language import cell, cell_names
from cellwright.layers.operator import _run, _run_backward, _saved
from cellwright.layers.passes import MEMORY
from cellwright.program.program import Program
from conformance import arguments, plan_of, relative_error
from models import FULL, Tagger, train_in_two_processes
from strategies import programs

PLAIN: dict[str, object] = {}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()


def gradients(model: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("options", [PLAIN, FULL])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compile_without_a_graph_break(options: dict[str, object], backend: str) -> None:
    model = Tagger(**options)
    x = torch.randn(4, 4, 3)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    torch.testing.assert_close(compiled(x), model(x))
    for a, b in zip(
        gradients(model, compiled(x).square().sum()),
        gradients(model, model(x).square().sum()),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
    lengths = torch.tensor([2, 4, 1, 3])
    torch.testing.assert_close(compiled(x, lengths), model(x, lengths))
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize("options", [PLAIN, FULL])
@pytest.mark.parametrize("padded", [False, True])
def test_export_with_free_sizes(padded: bool, options: dict[str, object]) -> None:
    """Of the batch, of the sequence, and of what is in `lengths`."""
    model = Tagger(**options)
    free = {0: torch.export.Dim("first"), 1: torch.export.Dim("second")}
    batch = 0 if model.layer.batch_first else 1
    exported = torch.export.export(
        model,
        (torch.randn(5, 5, 3), *([torch.tensor([5, 2, 4, 1, 3])] if padded else [])),
        dynamic_shapes={"x": free, **({"lengths": {0: free[batch]}} if padded else {})},
    )
    assert "cellwright.run" in str(exported.graph)
    x = torch.randn(7, 9, 3)
    rest = [torch.randint(1, x.shape[1 - batch] + 1, (x.shape[batch],))] if padded else []
    torch.testing.assert_close(exported.module()(x, *rest), model(x, *rest))


def test_options_are_compiled_and_exported() -> None:
    layer, x = Recurrent("rhn(L=3)", 3, 4), torch.randn(5, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))
    exported = torch.export.export(layer, (x,))
    assert "n_3 = tanh(R_n_3 s_2 + b_n_3)" in str(exported.graph)
    torch.testing.assert_close(exported.module()(x), layer(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    model, x = Tagger(**FULL), torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=dtype):
        y, _ = model.layer(x)
        loss = model(x).float().square().sum()
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(x)
        torch.testing.assert_close(compiled, model(x), atol=2e-2, rtol=0)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), model.layer(x)[0], atol=2e-2, rtol=0)
    for g, full in zip(
        gradients(model, loss), gradients(model, model(x).square().sum()), strict=True
    ):
        assert g.dtype == torch.float32
        torch.testing.assert_close(g, full, atol=0.1, rtol=0.1)


def test_torch_func() -> None:
    model, x = Tagger(**FULL), torch.randn(3, 2, 3)
    parameters = dict(model.named_parameters())

    def loss(parameters: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        return functional_call(model, parameters, (x,)).square().sum()

    expected = gradients(model, loss(parameters, x))
    for a, b in zip(grad(loss)(parameters, x).values(), expected, strict=True):
        torch.testing.assert_close(a, b)
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, torch.stack((x, 2 * x)))
    for a, b in zip(each.values(), expected, strict=True):
        torch.testing.assert_close(a[0], b)
    jacobian = jacrev(lambda x: model(x))(x)
    assert jacobian.shape == (3, 2, 2, 3, 2, 3)
    vectorized = torch.autograd.functional.jacobian(lambda x: model(x), x, vectorize=True)
    torch.testing.assert_close(vectorized, jacobian)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_transforms_inside_compile(backend: str) -> None:
    """A graph cannot hold them: refused as a whole, and otherwise run outside of it."""
    layer, x, v = Recurrent("rnn", 3, 4), torch.randn(5, 2, 3), torch.randn(5, 2, 3)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return layer(x)[0].square().sum()

    def directional(x: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(loss, (x,), (v,))[1]

    for f in (directional, grad(loss)):
        with pytest.raises(torch._dynamo.exc.Unsupported, match="LayerError"):
            torch.compile(f, backend=backend, fullgraph=True)(x)
        torch._dynamo.reset()
        torch.testing.assert_close(torch.compile(f, backend=backend)(x), f(x))


def test_lengths_are_looked_at_under_transforms() -> None:
    layer, x = Recurrent("rnn", 3, 4), torch.randn(5, 2, 3)
    lengths = torch.tensor([5, 6])
    with pytest.raises(LayerError, match="got from 5 to 6"):
        grad(lambda x: layer(x, lengths=lengths)[0].sum())(x)


def test_vmap_over_a_backward_pass() -> None:
    model, x = Tagger(**FULL), torch.randn(3, 2, 3, requires_grad=True)
    y = model(x)

    def backward(g: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(y, x, g, retain_graph=True)[0]

    several = torch.randn(4, *y.shape)
    torch.testing.assert_close(vmap(backward)(several), torch.stack([backward(g) for g in several]))


@pytest.mark.parametrize("name", cell_names())
def test_gradcheck_and_gradgradcheck(name: str) -> None:
    torch.manual_seed(0)
    sizes = {o.name: 2 for o in cell(name).options if o.kind == "size"}
    layer = Recurrent(name, 2, 2, dtype=torch.float64, **sizes)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    states = [torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
              for _ in layer.program.states]  # fmt: skip
    names = [k for k, _ in layer.named_parameters()]

    def run(x: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = rest[0] if len(states) == 1 else tuple(rest[: len(states)])
        weights = dict(zip(names, rest[len(states) :], strict=True))
        y, final = functional_call(layer, weights, (x, given))
        return (y, final) if isinstance(final, torch.Tensor) else (y, *final)

    given_ = (x, *states, *layer.parameters())
    assert torch.autograd.gradcheck(run, given_, check_batched_grad=True)
    # The second derivative is torch's, of the reference: a random direction of it is enough.
    assert torch.autograd.gradgradcheck(run, given_, fast_mode=True)


def test_an_argument_computed_from_another_is_not_counted_twice() -> None:
    """Double backward goes through the reference, which sees how h0 depends on x."""
    layer = Recurrent("rnn", 2, 2, dtype=torch.float64)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def run(x: torch.Tensor) -> torch.Tensor:
        return layer(x, x[:1].sin())[0]

    assert torch.autograd.gradgradcheck(run, (x,))


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("save", [False, True])
def test_opcheck(save: bool, memory: str) -> None:
    layer = Recurrent("lstm", 3, 2)
    plan = layer.steps[False, False].plan("auto", memory, reverse=False, heads=1)
    names = _saved(plan.program, memory, plan.by) if save else ""
    tensors = ([torch.randn(20, 2, 3)], [torch.zeros(2, 2), torch.zeros(2, 2)],
               [w.detach().requires_grad_(save) for w in layer.parameters()],
               torch.tensor([20, 2]), None)  # fmt: skip
    torch.library.opcheck(_run, (*plan, names, *tensors))
    if save:
        saved = _run(*plan, names, *tensors)[3:]
        grads = [torch.randn(20, 2, 2), torch.randn(2, 2), torch.randn(2, 2)]
        tests = ("test_schema", "test_faketensor")
        torch.library.opcheck(
            _run_backward, (*plan, True, *tensors, saved, grads), test_utils=tests
        )


@settings(max_examples=15)
@given(programs(sums=False))
def test_opcheck_of_random_programs(p: Program) -> None:
    """Above all: results are laid out as the operator's fake says, and none is a view."""
    given_ = arguments(p, {"I": 3, "H": 2, "K": 4}, 4, 2, torch.float32)
    plan = plan_of(p, "auto")
    arguments_ = (
        *plan,
        _saved(plan.program, "fast", plan.by),
        given_.inputs,
        given_.states,
        given_.parameters,
        None,
        None,
    )
    torch.library.opcheck(_run, arguments_, test_utils=("test_schema", "test_faketensor"))


def test_results_are_contiguous_where_a_state_is_not() -> None:
    """Elementwise operations of torch keep the strides of what they are given."""
    layer = Recurrent(parse("h' = tanh(h) + W x"), 3, 4)
    plan = layer.steps[False, False].plan("auto", "fast", reverse=False, heads=1)
    tensors = [torch.randn(5, 2, 3)], [torch.randn(4, 2).t()], list(layer.parameters()), None, None
    results = _run(*plan, _saved(plan.program, "fast", plan.by), *tensors)
    assert all(result.is_contiguous() for result in results)


def test_compile_of_values_that_share_a_gemm() -> None:
    layer = Recurrent(parse("y = W_a x\nh' = tanh(W_b x) + h\noutput y"), 3, 4)
    x = torch.randn(5, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="inductor")
    torch.testing.assert_close(compiled(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_forward_mode(name: str) -> None:
    layer = Recurrent(name, 3, 2, dtype=torch.float64)
    x, v = torch.randn(2, 4, 2, 3, dtype=torch.float64)
    with forward_ad.dual_level():
        y, _ = layer(forward_ad.make_dual(x, v))
        tangent = forward_ad.unpack_dual(y).tangent
    _, expected = torch.func.jvp(lambda x: layer(x)[0], (x,), (v,))
    torch.testing.assert_close(tangent, expected)
    step = 1e-6
    slope = (layer(x + step * v)[0] - layer(x - step * v)[0]) / (2 * step)
    torch.testing.assert_close(tangent, slope, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_norm_is_right_where_a_square_is_too_large_for_the_type(dtype: torch.dtype) -> None:
    layer = Recurrent(parse("h' = norm(W x) + 0.5 * h"), 8, 8)
    x, weight = 1000 * torch.randn(5, 2, 8), torch.randn(5, 2, 8)
    expected, _ = layer(x)
    wanted = gradients(layer, (weight * expected).sum())
    with torch.autocast("cpu", dtype=dtype):
        y, _ = layer(x)
        found = gradients(layer, (weight * y.float()).sum())
    torch.testing.assert_close(y.float(), expected, atol=5e-2, rtol=0)
    for a, b in zip(found, wanted, strict=True):
        assert relative_error(a, b) <= 5e-2


def test_autocast_leaves_float64_alone_as_everywhere_in_torch() -> None:
    layer = Recurrent("lstm", 3, 2, dtype=torch.float64)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x)[0].dtype == torch.float64
        with pytest.raises(LayerError, match=r"x is torch.float32 and the layer torch.float64"):
            layer(x.float())


def test_shapes_without_data() -> None:
    layer = Recurrent("lstm", 3, 2, device="meta")
    x, lengths = torch.randn(4, 2, 3, device="meta"), torch.tensor([4, 2], device="meta")
    assert layer(x)[0].shape == layer(x, lengths=lengths)[0].shape == (4, 2, 2)
    with FakeTensorMode():
        layer = Recurrent("lstm", 3, 2)
        output, _ = layer(torch.randn(4, 2, 3), lengths=torch.tensor([4, 2]))
    assert output.shape == (4, 2, 2)


def test_ddp_averages_gradients(tmp_path: Path) -> None:
    x = torch.randn(4, 5, 3)
    mp.spawn(train_in_two_processes, (tmp_path, x), nprocs=2)
    model = Tagger(**FULL)
    found = torch.load(tmp_path / "gradients.pt")
    for a, b in zip(found, gradients(model, model(x).square().mean()), strict=True):
        torch.testing.assert_close(a, b)
