"""The cells that neither torch.nn nor ONNX has, and what papers say of any."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellwright import Recurrent
from cellwright.language import cell

T, B, I, H = 9, 3, 5, 4  # noqa: E741


def _layer(name: str) -> Recurrent:
    torch.manual_seed(0)
    layer = Recurrent(name, I, H, dtype=torch.float64)
    with torch.no_grad():
        for w in layer.parameters():  # larger than they start, so that gates open and shut
            w.mul_(3)
    return layer


def test_full_gate_recurrence_is_the_equations_of_greff_et_al() -> None:
    """Section II and appendix A.1 of arXiv 1503.04069 with the nine matrices of section III,
    written out in numpy. Gates are zero before the first step."""
    layer = _layer("fgr")
    p = {k: v.detach().numpy() for k, v in layer.views().items()}
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, _ = layer(x)

    def sigmoid(a: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-a))

    def net(gate: str, x_t: np.ndarray, before: dict[str, np.ndarray]) -> np.ndarray:
        others = sum(before[g] @ p[f"R_{g}{gate}"].T for g in "ifo")
        return x_t @ p[f"W_{gate}"].T + before["y"] @ p[f"R_{gate}"].T + others + p[f"b_{gate}"]

    now = dict(zip("ycifo", np.zeros((5, B, H)), strict=True))
    for t, x_t in enumerate(x.numpy()):
        old = now
        z = np.tanh(x_t @ p["W_z"].T + old["y"] @ p["R_z"].T + p["b_z"])
        i = sigmoid(net("i", x_t, old) + p["p_i"] * old["c"])
        f = sigmoid(net("f", x_t, old) + p["p_f"] * old["c"])
        c = z * i + old["c"] * f
        o = sigmoid(net("o", x_t, old) + p["p_o"] * c)
        now = {"y": np.tanh(c) * o, "c": c, "i": i, "f": f, "o": o}
        assert np.abs(output[t].detach().numpy() - now["y"]).max() <= 1e-12


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("peephole_lstm", 75_900),
        ("niaf", 75_900),
        ("noaf", 75_900),
        ("nig", 56_900),
        ("nfg", 56_900),
        ("nog", 56_900),
        ("cifg", 56_900),
        ("np", 75_600),
        ("fgr", 165_900),
    ],
)
def test_the_numbers_of_parameters_of_greff_et_al(name: str, count: int) -> None:
    """4NM + 4N² + 7N and so on, with M = 88 inputs and N = 100 units."""
    assert cell(name).program.count({"I": 88, "H": 100}) == count


def test_the_number_of_gates_of_the_classic_cells() -> None:
    """Matrices on x, and on states: what the figures of the papers draw."""
    expected = {
        "cifg": (3, 3), "coupled_lstm": (3, 3), "fgr": (4, 13), "gru": (3, 3),
        "gru_reset_before": (3, 3), "janet": (2, 2), "lstm": (4, 4), "mgu": (2, 2), "nfg": (3, 3),
        "niaf": (4, 4), "nig": (3, 3), "noaf": (4, 4), "nog": (3, 3), "peephole_lstm": (4, 4),
        "rnn": (1, 1),
    }  # fmt: skip
    found = {}
    for name in expected:
        shapes = [q.shape for q in cell(name).program.parameters]
        found[name] = shapes.count(("H", "I")), shapes.count(("H", "H"))
    assert found == expected
