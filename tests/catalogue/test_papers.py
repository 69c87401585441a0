"""Every cell against equations that were written down twice: in its file, and in numpy from its
paper by someone who knew its names and not its equations (`tests/papers`)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch

from cellwright import Recurrent
from cellwright.backends import reference
from cellwright.language import cell, cell_names
from conformance import arguments
from papers import dynamical, families
from papers.functions import Array, States, Step

T, B, H = 6, 3, 5

ELSEWHERE = {
    "torch.nn": ("rnn", "lstm", "gru"),
    "ONNX Runtime": ("peephole_lstm", "coupled_lstm", "cifg", "gru_reset_before"),
    "torchrecurrent": ("mgu", "janet"),
    "Greff et al., in test_cells.py and test_against_onnxruntime.py": (
        "fgr", "nfg", "niaf", "nig", "noaf", "nog",
    ),
}  # fmt: skip
"""What holds the other cells."""


def _steps(module: ModuleType) -> dict[str, Callable[[Array, States, States], Step]]:
    return {name: f for name, f in vars(module).items() if name in cell_names()}


STEPS = {**_steps(families), **_steps(dynamical)}


def test_every_cell_is_held_by_something() -> None:
    elsewhere = {name for names in ELSEWHERE.values() for name in names}
    assert elsewhere | STEPS.keys() == set(cell_names())
    assert not elsewhere & STEPS.keys()
    assert not _steps(families).keys() & _steps(dynamical).keys()


OTHERS = (
    "rhn(L=1)", "rhn(L=3)", "rhn(L=5)", "tau_gru(d=1)", "tau_gru(d=5)", "qrnn(k=1)", "qrnn(k=4)",
    "scrn(K=3)", "dt_rnn(L=1)", "dt_rnn(L=4)", "hornn(N=1)", "hornn(N=4)",
    "mogrifier_lstm(m=0, n=0)", "mogrifier_lstm(m=1, n=0)", "mogrifier_lstm(m=2)",
)  # fmt: skip
"""Beside cells as they are by default, with options that change their equations."""


@pytest.mark.parametrize("name", [*sorted(STEPS), *OTHERS])
def test_equations_are_those_of_the_paper(name: str) -> None:
    this = cell(name)
    p = this.program
    sizes = this.sizes(4 if p.inputs[0].shape == ("I",) else H, H)
    given = arguments(p, sizes, T, B, torch.float64)
    with torch.no_grad():
        found = reference.run(p, given.inputs, given.states, given.parameters)
    known: States = {
        q.name: w.detach().numpy() for q, w in zip(p.parameters, given.parameters, strict=True)
    }
    known |= {o.name: np.array(o.value) for o in this.options}
    state = {v.name: s.detach().numpy() for v, s in zip(p.states, given.states, strict=True)}
    for t in range(T):
        output, state = STEPS[this.origin](given.inputs[0][t].detach().numpy(), state, known)
        np.testing.assert_allclose(
            found.outputs[0][t].detach().numpy(), output, rtol=1e-9, atol=1e-12
        )
    for v, last in zip(p.states, found.states, strict=True):
        np.testing.assert_allclose(last.detach().numpy(), state[v.name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["dt_rnn(L=1)", "hornn(N=1)"])
def test_what_is_left_of_a_deep_transition_is_the_simple_network_of_torch(name: str) -> None:
    theirs = torch.nn.RNN(4, H, bias=False)
    ours = Recurrent(name, 4, H)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, 4)
    torch.testing.assert_close(ours(x), theirs(x))
