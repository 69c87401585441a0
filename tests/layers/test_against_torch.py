"""The cells that torch.nn has, against torch.nn in float64: everything a training step gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import cellwright
from cellwright import LayerError, Recurrent
from cellwright.layers.interop import fold_biases
from conformance import relative_error

BOUND = 1e-12


@dataclass(frozen=True)
class Case:
    """What a layer is made and run with."""

    T: int = 5
    B: int | None = 3
    I: int = 7  # noqa: E741
    H: int = 5
    options: dict[str, object] = field(default_factory=dict)
    lengths: tuple[int, ...] = ()
    """Packed where there are any."""
    state: bool = True
    contiguous: bool = True


CASES = {
    "plain": Case(),
    "no state": Case(state=False),
    "one of everything": Case(1, 1, 1, 1),
    "odd sizes": Case(17, 3, 13, 31),
    "empty batch": Case(4, 0, 3, 2),
    "a view": Case(contiguous=False),
    "unbatched": Case(B=None),
    "unbatched, 2 layers": Case(B=None, options={"num_layers": 2, "bidirectional": True}),
    "batch first": Case(options={"batch_first": True}),
    "no bias": Case(options={"bias": False}),
    "2 layers": Case(options={"num_layers": 2}),
    "both directions": Case(options={"bidirectional": True}),
    "all": Case(9, 4, options={"num_layers": 2, "bidirectional": True, "batch_first": True}),
    "3 layers, no bias": Case(3, 2, 4, 6, {"num_layers": 3, "bias": False}),
    "packed": Case(6, 4, lengths=(6, 5, 5, 2)),
    "packed, unsorted": Case(6, 4, lengths=(2, 6, 1, 6), options={"bidirectional": True}),
    "packed, 2 layers": Case(
        6, 4, lengths=(3, 6, 4, 5), options={"num_layers": 2, "bidirectional": True}
    ),
    "packed, batch first": Case(6, 3, lengths=(1, 2, 6), options={"batch_first": True}),
    "packed, no state": Case(6, 3, lengths=(4, 2, 6), state=False),
}
PROJECTED = {
    "projection": Case(options={"proj_size": 2}),
    "projection, all": Case(
        6, 3, 4, 7, {"proj_size": 3, "num_layers": 2, "bidirectional": True}, (6, 2, 5)
    ),
    "projection, batch first": Case(options={"proj_size": 1, "batch_first": True}),
}
PAIRS = {
    "rnn": (cellwright.RNN, nn.RNN),
    "lstm": (cellwright.LSTM, nn.LSTM),
    "gru": (cellwright.GRU, nn.GRU),
}
ALL = [(name, case) for name in PAIRS for case in CASES] + [("lstm", case) for case in PROJECTED]


def _made(name: str, case: Case) -> tuple[Recurrent, nn.RNNBase]:
    torch.manual_seed(1)
    ours, theirs = PAIRS[name]
    made = [kind(case.I, case.H, **case.options, dtype=torch.float64) for kind in (ours, theirs)]
    with torch.no_grad():
        for w in made[1].parameters():  # larger than they start, so that gates open and shut
            w.mul_(2)
    return made[0], made[1]


def _arguments(case: Case, theirs: nn.RNNBase) -> tuple[Tensor, list[Tensor]]:
    """Leaves that require gradients: x and the initial states."""
    first = case.options.get("batch_first") and case.B is not None
    shape = [case.T, *([] if case.B is None else [case.B])]
    shape = shape[::-1] if first else shape
    x = torch.randn(*shape, case.I, dtype=torch.float64)
    if not case.contiguous:
        x = torch.randn(case.I, *shape, dtype=torch.float64).movedim(0, -1)
    places = theirs.num_layers * (1 + theirs.bidirectional)
    batch = [] if case.B is None else [case.B]
    sizes = [theirs.proj_size or case.H, case.H][: 1 + isinstance(theirs, nn.LSTM)]
    states = [torch.randn(places, *batch, n, dtype=torch.float64) for n in sizes]
    return x.requires_grad_(), [s.requires_grad_() for s in states if case.state]


def _given(case: Case, x: Tensor, states: list[Tensor]) -> tuple[object, ...]:
    packed: object = x
    if case.lengths:
        packed = pack_padded_sequence(
            x,
            torch.tensor(case.lengths),
            batch_first=bool(case.options.get("batch_first")),
            enforce_sorted=False,
        )
    return (packed, *([tuple(states) if len(states) > 1 else states[0]] if states else []))


def _flat(result: tuple[object, object]) -> list[Tensor]:
    output, state = result
    output = output.data if isinstance(output, PackedSequence) else output
    assert isinstance(output, Tensor)
    return [output, *((state,) if isinstance(state, Tensor) else state)]


def _gradients(results: Sequence[Tensor], by: Sequence[Tensor]) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(3)
    seeds = [torch.randn(y.shape, generator=rng, dtype=y.dtype) for y in results]
    return torch.autograd.grad(results, by, seeds)


@pytest.mark.parametrize(("name", "case"), ALL, ids=[f"{n}-{c}" for n, c in ALL])
def test_outputs_states_and_every_gradient(name: str, case: str) -> None:
    """Gradients are by torch's own parameters: ours are computed from them."""
    how = (CASES | PROJECTED)[case]
    ours, theirs = _made(name, how)
    x, states = _arguments(how, theirs)
    weights = dict(theirs.named_parameters())
    own = dict(weights)
    for layer, direction in ours._places():
        fold_biases(own, "", f"_l{layer}" + "_reverse" * direction, ours.program)
    assert set(own) == {k for k, _ in ours.named_parameters()}
    found = _flat(functional_call(ours, own, _given(how, x, states)))
    expected = _flat(theirs(*_given(how, x, states)))
    assert [y.shape for y in found] == [y.shape for y in expected]
    for a, b in zip(found, expected, strict=True):
        assert relative_error(a, b) <= BOUND
    leaves = [x, *states, *weights.values()]
    labels = ["x", *(f"state {i}" for i in range(len(states))), *weights]
    pairs = zip(labels, _gradients(found, leaves), _gradients(expected, leaves), strict=True)
    errors = {label: relative_error(a, b) for label, a, b in pairs}
    assert max(errors.values()) <= BOUND, errors


# --- checkpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", PAIRS)
def test_a_checkpoint_goes_in_and_comes_out(name: str, bias: bool) -> None:
    """In float32, as people have them; inside a model, whose keys have a prefix."""
    ours, theirs = PAIRS[name]
    torch.manual_seed(0)
    options = {"num_layers": 2, "bidirectional": True, "bias": bias}
    trained = nn.ModuleDict({"encoder": theirs(6, 5, **options), "head": nn.Linear(10, 2)})
    model = nn.ModuleDict({"encoder": ours(6, 5, **options), "head": nn.Linear(10, 2)})
    checkpoint = trained.state_dict()
    kept = copy.deepcopy(checkpoint)
    model.load_state_dict(checkpoint)
    assert list(checkpoint) == list(kept)
    x = torch.randn(8, 3, 6)
    expected, state = trained["encoder"](x)
    found, _ = model["encoder"](x)
    assert relative_error(found, expected) <= 1e-6
    back = model["encoder"].to_torch()
    assert type(back) is theirs
    returned, again = back(x)
    assert relative_error(returned, expected) <= 1e-6
    for a, b in zip(_flat((0 * x, again))[1:], _flat((0 * x, state))[1:], strict=True):
        assert relative_error(a, b) <= 1e-6


def test_a_projected_lstm_goes_in_and_comes_out() -> None:
    theirs = nn.LSTM(6, 5, proj_size=3)
    ours = cellwright.LSTM(6, 5, proj_size=3)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(8, 3, 6)
    assert relative_error(ours(x)[0], theirs(x)[0]) <= 1e-6
    assert relative_error(ours.to_torch()(x)[0], theirs(x)[0]) <= 1e-6


def test_what_torch_has_not_is_refused() -> None:
    with pytest.raises(LayerError, match="no module with the equations of peephole_lstm"):
        cellwright.PeepholeLSTM(3, 4).to_torch()
    with pytest.raises(LayerError, match="no module with the equations of rnn"):
        cellwright.RNN(3, 4, proj_size=2).to_torch()


def test_a_persons_own_lstm_is_torchs_too() -> None:
    text = cellwright.cell("lstm").text.replace("b_f", "bias") + "\ninit bias = 1\n"
    ours, theirs = cellwright.Recurrent(cellwright.parse(text), 3, 4), nn.LSTM(3, 4)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 3)
    assert relative_error(ours(x)[0], theirs(x)[0]) <= 1e-6
    assert relative_error(ours.to_torch()(x)[0], theirs(x)[0]) <= 1e-6


@pytest.mark.parametrize(("name", "theirs"), [("gru_reset_before", nn.GRU), ("noaf", nn.LSTM)])
def test_a_checkpoint_of_other_equations_is_refused(name: str, theirs: type[nn.RNNBase]) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)Missing key.*bias_l0.*Unexpected key.*bias_ih_l0"):
        cellwright.Recurrent(name, 3, 4).load_state_dict(theirs(3, 4).state_dict())


def test_a_checkpoint_that_does_not_fit_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"size mismatch for weight_ih_l0"):
        cellwright.LSTM(3, 4).load_state_dict(nn.LSTM(3, 5).state_dict())
    with pytest.raises(RuntimeError, match=r"size mismatch"):
        cellwright.LSTM(3, 4).load_state_dict(nn.GRU(3, 4).state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*weight_ih_l1"):
        cellwright.LSTM(3, 4, num_layers=2).load_state_dict(nn.LSTM(3, 4).state_dict())
