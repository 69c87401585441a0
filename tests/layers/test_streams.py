"""Directions on two streams of a GPU. There is none here: a fake writes down who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor

from cellwright import Recurrent
from cellwright.layers import recurrent, streams


class Stream:
    """Of the fake; `log` has what was asked of all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def wait_stream(self, other: Stream) -> None:
        log.append(f"{self.name} waits for {other.name}")


log: list[str] = []
kept: dict[str, list[Tensor]] = {}
"""By stream, the tensors whose memory is not used again before it is done."""
now: list[Stream] = []


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that say they are on CUDA, and two streams of it."""
    log.clear()
    kept.clear()
    now[:] = [Stream("here")]
    second = Stream("aside")

    @contextmanager
    def stream(s: Stream) -> Iterator[None]:
        now.append(s)
        yield
        now.pop()

    def record_stream(x: Tensor, s: Stream) -> None:
        kept.setdefault(s.name, []).append(x)

    run = recurrent.execute

    def execute(plan, given):  # type: ignore[no-untyped-def]
        log.append(f"{'backward' if plan.reverse else 'forward'} on {now[-1].name}")
        return run(plan, given)

    tensors, view_as = Recurrent._tensors, torch.Tensor.view_as

    def made(self: Recurrent, *which: int) -> list[Tensor]:
        log.append(f"parameters on {now[-1].name}")
        return tensors(self, *which)

    def lent(x: Tensor, other: Tensor) -> Tensor:
        assert now[-1].name == "here"
        return view_as(x, other)

    monkeypatch.setattr(Recurrent, "_tensors", made)
    monkeypatch.setattr(torch.Tensor, "view_as", lent)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.Tensor, "record_stream", record_stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: now[-1])
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(streams, "_second", lambda _: second)
    monkeypatch.setattr(recurrent, "execute", execute)


def inputs() -> tuple[Tensor, tuple[Tensor, Tensor], Tensor, Tensor]:
    state = (torch.randn(4, 3, 4), torch.randn(4, 3, 4))
    return torch.randn(5, 3, 2), state, torch.tensor([5, 2, 4]), torch.rand(5, 3) < 0.3


@pytest.mark.usefixtures("gpu")
def test_the_second_direction_has_a_stream_of_its_own() -> None:
    """It waits for what was there before, and what comes after waits for it."""
    layer = Recurrent("lstm", 2, 4, num_layers=2, bidirectional=True, backend="reference")
    layer(inputs()[0])
    each = ["parameters on here"] * 2
    each += ["aside waits for here", "forward on here", "backward on aside", "here waits for aside"]
    assert each * 2 == log
    assert [s.name for s in now] == ["here"]


@pytest.mark.usefixtures("gpu")
def test_memory_that_both_streams_read_is_kept_for_both() -> None:
    """Memory that is freed is given to whoever asks next on the stream that asked for it, at once:
    what a second one reads, in the backward pass too, has to be known to be in use there."""
    layer = Recurrent("lstm", 2, 4, num_layers=1, bidirectional=True, backend="reference")
    x, (h, c), lengths, resets = inputs()
    y, final = layer(x, (h[:2], c[:2]), lengths, resets)
    second = [w for name, w in layer.named_parameters() if name.endswith("_reverse")]
    assert _addresses(kept["aside"]) == _addresses([x, h, c, lengths, resets, *second])
    shapes = sorted(tuple(x.shape) for x in kept["here"])
    assert shapes == [(3, 4), (3, 4), (5, 3, 4)]
    made = {tuple(x.shape): x for x in kept["here"]}
    assert torch.equal(made[5, 3, 4], y[..., 4:])
    assert torch.equal(made[3, 4], final[1][1])


def _addresses(tensors: list[Tensor]) -> set[int]:
    return {x.data_ptr() for x in tensors}


@pytest.mark.usefixtures("gpu")
def test_gradients_of_parameters_are_added_up_on_the_first_stream() -> None:
    """So between the second branch and its parameters stands an operation of the first stream: a
    leaf's gradient is added up on the stream where it was first used."""
    layer = Recurrent("lstm", 2, 4, bidirectional=True, backend="reference")
    y, _ = layer(inputs()[0])
    behind = [{g.name() for g, _ in f.next_functions if g} for f, _ in y.grad_fn.next_functions]
    assert "torch::autograd::AccumulateGrad" in behind[0]
    assert "torch::autograd::AccumulateGrad" not in behind[1]
    assert "ViewBackward0" in behind[1]


@pytest.mark.usefixtures("gpu")
def test_one_direction_stays_where_it_is() -> None:
    Recurrent("lstm", 2, 4, backend="reference")(inputs()[0])
    assert log == ["parameters on here", "forward on here"]


@pytest.mark.usefixtures("gpu")
def test_streams_are_left_alone_where_a_transform_looks_on() -> None:
    layer = Recurrent("lstm", 2, 4, bidirectional=True, backend="reference")
    x = inputs()[0]
    torch.func.jvp(lambda v: layer(v)[0], (x,), (x,))
    assert log[2:] == ["forward on here", "backward on here"]


@pytest.mark.usefixtures("gpu")
def test_what_is_checkpointed_stays_on_one_stream() -> None:
    """It is computed again in the backward pass of one direction, on that one's stream."""
    layer = Recurrent("lstm", 2, 4, bidirectional=True, backend="reference")
    x = inputs()[0].requires_grad_()
    y = torch.utils.checkpoint.checkpoint(lambda v: layer(v)[0], x, use_reentrant=False)
    y.sum().backward()
    ran = [line for line in log if " on " in line and "parameters" not in line]
    assert ran == ["forward on here", "backward on here"] * 2
    assert not kept


def test_on_a_cpu_there_are_none() -> None:
    fork = streams.Fork([torch.zeros(1), None])
    with fork.branch(1):
        pass
    fork.join([torch.zeros(1)])
    assert fork.here is fork.aside is None
