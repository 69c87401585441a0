"""The reference backend against the most literal reading of a program: a step at a time."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cellwright.backends import reference
from cellwright.backends.registry import BackendError, select
from cellwright.language import program
from cellwright.program.ops import TABLE, Value
from cellwright.program.program import Program
from conformance import arguments, relative_error
from strategies import programs

SIZES = {"I": 3, "H": 2, "K": 4}


def literally(p: Program, step: dict[Value, Tensor], v: Value) -> Tensor:
    """The value of `v` in one step of one sequence, by its definition."""
    if v in step:
        return step[v]
    if v.op == "number":
        return torch.tensor(v.attr, dtype=torch.float64)
    if v.op == "size":
        return torch.tensor(SIZES[str(v.attr)], dtype=torch.float64)
    if v.op == "constant":
        value = next(c.default for c in p.constants if c.name == v.attr)
        return torch.tensor(value, dtype=torch.float64)
    args = [literally(p, step, a) for a in v.args]
    if v.op == "spread":
        return args[0].reshape(()).repeat(SIZES[v.shape[0]])
    if v.op == "apply":
        return args[0] @ args[1]
    if v.op == "sum":
        return args[0].sum()
    return TABLE[v.op].torch(torch, *args)


def one_sequence(
    p: Program,
    inputs: list[Tensor],
    states: list[Tensor],
    parameters: list[Tensor],
    times: list[int],
) -> tuple[list[list[Tensor]], list[Tensor]]:
    """Outputs by step, and the final states; `inputs` are `(T, n)`."""
    outputs = []
    for t in times:
        step = dict(zip((q.value for q in p.parameters), parameters, strict=True))
        step |= {v: x[t] for v, x in zip(p.inputs, inputs, strict=True)}
        step |= dict(zip(p.states, states, strict=True))
        outputs.append([literally(p, step, p.named[o]).reshape(-1) for o in p.outputs])
        states = [literally(p, step, p.next(s)) for s in p.states]
    return outputs, states


@given(programs(smooth=True), st.booleans(), st.integers(0, 2**31))
def test_a_batch_is_its_sequences_one_by_one(p: Program, reverse: bool, seed: int) -> None:
    T, B = 4, 3
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, T + 1, (B,), generator=rng)
    resets = torch.rand(T, B, generator=rng) < 0.3
    given_ = arguments(p, SIZES, T, B, torch.float64, seed)
    with torch.no_grad():
        found = reference.run(
            p, given_.inputs, given_.states, given_.parameters,
            lengths=lengths, resets=resets, reverse=reverse,
        )  # fmt: skip
        for b in range(B):
            states = [s[b] for s in given_.states]
            length = int(lengths[b])
            for t in reversed(range(length)) if reverse else range(length):
                if resets[t, b] and not reverse:
                    states = [torch.zeros_like(s) for s in states]
                [outputs], states = one_sequence(
                    p, [x[:, b] for x in given_.inputs], states, given_.parameters, [t]
                )
                if resets[t, b] and reverse:
                    states = [torch.zeros_like(s) for s in states]
                for y, expected in zip(found.outputs, outputs, strict=True):
                    assert relative_error(y[t, b], expected) <= 1e-12
            for s, expected in zip(found.states, states, strict=True):
                assert relative_error(s[b], expected) <= 1e-12
            for y in found.outputs:
                assert not y[length:, b].any()


def test_what_is_past_the_end_is_never_read() -> None:
    p = program("h' = tanh(W x + R h)\noutput h'")
    given_ = arguments(p, SIZES, 4, 2, torch.float64)
    x = given_.inputs[0].detach().clone()
    x[2:, 0] = float("nan")
    x.requires_grad_()
    found = reference.run(p, [x], given_.states, given_.parameters, lengths=torch.tensor([2, 4]))
    total = found.outputs[0].sum() + found.states[0].sum()
    for g in torch.autograd.grad(total, [x, *given_.states, *given_.parameters]):
        assert g.isfinite().all()


def test_a_reset_clears_what_is_no_number() -> None:
    p = program("h' = W x + h\noutput h'")
    given_ = arguments(p, SIZES, 3, 1, torch.float64)
    broken = torch.full((1, 2), float("nan"), dtype=torch.float64)
    resets = torch.tensor([[True], [False], [False]])
    found = reference.run(p, given_.inputs, [broken], given_.parameters, resets=resets)
    assert found.outputs[0].isfinite().all()


def test_sums_count_every_step_of_every_sequence() -> None:
    p = program("state h : H\nvector b : H\nh' = h + b\nsum s = b\nsum m = outer(b, b)\n"
                "input x : I\noutput h'")  # fmt: skip
    given_ = arguments(p, SIZES, 4, 3, torch.float64)
    found = reference.run(
        p, given_.inputs, given_.states, given_.parameters, lengths=torch.tensor([4, 1, 2])
    )
    b = given_.parameters[0]
    assert relative_error(found.sums[0], 7 * b) <= 1e-12
    assert relative_error(found.sums[1], 7 * torch.outer(b, b)) <= 1e-12


def test_a_backend_that_there_is_not() -> None:
    p = program("h' = W x\noutput h'")
    with pytest.raises(BackendError, match="unknown backend 'fpga': choose auto, "):
        select("fpga", p, torch.device("cpu"), torch.float32)
    with pytest.raises(BackendError, match="int64 is no floating-point type"):
        select("auto", p, torch.device("cpu"), torch.int64)


def test_norm_is_the_layer_norm_of_torch() -> None:
    p = program(
        "input x : I\nstate h : H\nvector bias : I\n"
        "y = norm(x) + bias\nh' = W y\ninit bias = 0\noutput y"
    )
    sizes = {"I": 7, "H": 3, "K": 2}
    given_ = arguments(p, sizes, 4, 2, torch.float64)
    own = dict(zip((q.name for q in p.parameters), given_.parameters, strict=True))
    result = reference.run(p, given_.inputs, given_.states, given_.parameters)
    gain = next(v for name, v in own.items() if name.startswith("gain"))
    expected = torch.nn.functional.layer_norm(given_.inputs[0], (7,), gain, own["bias"])
    assert relative_error(result.outputs[0], expected) <= 1e-12
