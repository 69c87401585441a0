"""The cells that ONNX has operators for, against ONNX Runtime: written by nobody here.

ONNX's LSTM has peepholes, `input_forget` and a choice of functions; a gate with a huge bias is one
that a cell does not have. Its GRU has both places of the reset gate. Only its own layout of weights
is spelled out here; where and how a cell's gates are used, ONNX Runtime knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from cellwright import Recurrent

T, B, I, H = 11, 5, 7, 9  # noqa: E741
LENGTHS = (11, 3, 7, 1, 10)
BOUND = 1e-5


@dataclass(frozen=True)
class Operator:
    """How a cell's parameters are laid out for an operator of ONNX.

    "" is a block of zeros; OPEN, for a bias, one that opens a gate entirely.
    """

    kind: str
    w: tuple[str, ...]
    r: tuple[str, ...]
    wb: tuple[str, ...]
    rb: tuple[str, ...] = ()
    p: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    """Gates whose parameters ONNX has with the other sign."""
    attributes: tuple[tuple[str, int], ...] = ()
    functions: tuple[str, str, str] = ("Sigmoid", "Tanh", "Tanh")
    """Of gates, candidate and output; Affine, with alpha = 1 and beta = 0, is none."""


OPEN = "open"


def _lstm(i: str, f: str, peepholes: bool = True, o: str = "o", **more: object) -> Operator:
    def blocks(letter: str, *gates: str) -> tuple[str, ...]:
        return tuple("" if g in ("", OPEN) else f"{letter}_{g}" for g in gates)

    gates = (i, o, f, "z")
    return Operator(
        "LSTM",
        blocks("W", *gates),
        blocks("R", *gates),
        tuple(OPEN if g == OPEN else b for g, b in zip(gates, blocks("b", *gates), strict=True)),
        p=blocks("p", i, o, f) if peepholes else (),
        **more,
    )


def _gru(after: bool) -> Operator:
    gates = ("z", "r", "n")
    return Operator(
        "GRU",
        tuple(f"W_{g}" for g in gates),
        tuple(f"R_{g}" for g in gates),
        tuple(f"b_{g}" for g in gates),
        ("", "", "b_hn") if after else (),
        attributes=(("linear_before_reset", int(after)),),
    )


OPERATORS = {
    "lstm": _lstm("i", "f", peepholes=False),
    "peephole_lstm": _lstm("i", "f"),
    # input_forget computes f = 1 - i and ignores the parameters of f.
    "cifg": _lstm("i", "", attributes=(("input_forget", 1),)),
    # i = 1 - f = 1 - σ(a) = σ(-a): with the sign of f's parameters changed, its gate is ONNX's i.
    "coupled_lstm": _lstm(
        "f", "", peepholes=False, minus=("f",), attributes=(("input_forget", 1),)
    ),
    "nig": _lstm(OPEN, "f"),
    "nfg": _lstm("i", OPEN),
    "nog": _lstm("i", "f", o=OPEN),
    "niaf": _lstm("i", "f", functions=("Sigmoid", "Affine", "Tanh")),
    "noaf": _lstm("i", "f", functions=("Sigmoid", "Tanh", "Affine")),
    "gru": _gru(True),
    "gru_reset_before": _gru(False),
}


def _block(
    name: str, views: dict[str, torch.Tensor], like: str, minus: tuple[str, ...]
) -> torch.Tensor:
    if not name:
        return torch.zeros_like(views[like])
    if name == OPEN:
        return torch.full_like(views[like], 1e4)
    return -views[name] if name.partition("_")[2] in minus else views[name]


def _onnx(
    layer: Recurrent, op: Operator, x: torch.Tensor, lengths: torch.Tensor, state: torch.Tensor
) -> list[np.ndarray]:
    """Y `(T, directions, B, H)` and the final states, by ONNX Runtime."""

    def stack(names: tuple[str, ...]) -> np.ndarray:
        found = []
        for reverse in (False, True)[: 1 + layer.bidirectional]:
            views = {k: v.detach() for k, v in layer.views(reverse=reverse).items()}
            like = next(n for n in names if n not in ("", OPEN))
            found.append(torch.cat([_block(n, views, like, op.minus) for n in names]))
        return torch.stack(found).numpy()

    bias = stack(op.wb)
    second = stack(op.rb) if op.rb else np.zeros_like(bias)
    given = {
        "X": x.numpy(),
        "W": stack(op.w),
        "R": stack(op.r),
        "B": np.concatenate((bias, second), 1),
        "sequence_lens": lengths.int().numpy(),
        "initial_h": state[0].numpy(),
    }
    if op.kind == "LSTM":
        given["initial_c"] = state[1].numpy()
    if op.p:
        given["P"] = stack(op.p)
    slots = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    outputs = ["Y", "Y_h", "Y_c"][: 2 + (op.kind == "LSTM")]
    attributes: dict[str, object] = dict(op.attributes)
    if "Affine" in op.functions:
        directions = 1 + layer.bidirectional
        attributes["activations"] = op.functions * directions
        attributes["activation_alpha"] = [1.0] * directions
        attributes["activation_beta"] = [0.0] * directions
    node = helper.make_node(
        op.kind,
        [s if s in given else "" for s in slots][: 8 if op.kind == "LSTM" else 6],
        outputs,
        hidden_size=layer.hidden_size,
        direction="bidirectional" if layer.bidirectional else "forward",
        **attributes,
    )
    types = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int32"): TensorProto.INT32}
    graph = helper.make_graph(
        [node],
        "cell",
        [helper.make_tensor_value_info(k, types[v.dtype], v.shape) for k, v in given.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found: list[np.ndarray] = session.run(None, given)
    return found


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_outputs_and_final_states(name: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = Recurrent(name, I, H, bidirectional=bidirectional)
    with torch.no_grad():
        for w in layer.parameters():  # larger than they start, so that gates open and shut
            w.mul_(3)
    op, directions = OPERATORS[name], 1 + bidirectional
    x, lengths = torch.randn(T, B, I), torch.tensor(LENGTHS)
    state = torch.randn(len(layer.program.states), directions, B, H)
    y, *final = _onnx(layer, op, x, lengths, state)
    with torch.no_grad():
        own = tuple(state) if len(state) > 1 else state[0]
        output, ended = layer(x, own, lengths=lengths)
    expected = y.transpose(0, 2, 1, 3).reshape(T, B, directions * H)
    assert np.abs(output.numpy() - expected).max() <= BOUND
    for a, b in zip((ended,) if len(state) == 1 else ended, final, strict=True):
        assert np.abs(a.numpy() - b).max() <= BOUND


def test_the_oracle_tells_cells_apart() -> None:
    """Were ONNX Runtime to ignore an attribute or P, the bound would not see a wrong cell."""
    torch.manual_seed(0)
    x, lengths = torch.randn(T, B, I), torch.tensor(LENGTHS)
    for kind, state in (("LSTM", torch.randn(2, 1, B, H)), ("GRU", torch.randn(1, 1, B, H))):
        made = []
        for name in (n for n, op in OPERATORS.items() if op.kind == kind):
            layer = Recurrent(name, I, H)
            with torch.no_grad():
                for w in layer.parameters():
                    w.fill_(0.3)
            made.append(_onnx(layer, OPERATORS[name], x, lengths, state)[0])
        for i, a in enumerate(made):
            for b in made[:i]:
                assert np.abs(a - b).max() > 1e-3
