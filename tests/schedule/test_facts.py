"""Facts are true: against torch's counts, the numbers of papers, and how cells behave."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from hypothesis import given
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from cellwright import Recurrent
from cellwright.backends import reference
from cellwright.language import cell, cell_names, parse
from cellwright.layers.passes import Given, forward
from cellwright.program.program import Program
from cellwright.schedule.facts import facts, products
from cellwright.schedule.stages import schedule
from conformance import arguments, plan_of
from strategies import programs

SIZES = {"I": 5, "H": 3, "K": 2}

OTHERS = {
    "a scan": "z = σ(W_z x)\nh' = (1 - z) * h + z * (W x + b)",
    "a scan of an average of the input": "a = σ(p)\nh' = a * x + (1 - a) * h",
    "a scan of a matrix": "h' = R h / 2 + W x - mean(h)",
    "a scan, convolved": (
        "state c : H\nstate x_old : I\nf = σ(W_f x + R_f x_old)\n"
        "c' = f * c + (1 - f) * tanh(W x + R x_old)\nx_old' = x\ny = relu(c')\noutput y"
    ),
    "a scan, convolved over three": (
        "state a : I\nstate b : I\nh' = σ(U b) * h + V a\na' = x\nb' = tanh(a)"
    ),
    "a scan, normalised behind": "h' = σ(W x) * h + U x\ny = V norm(h')\noutput y",
    "a scan, chosen by the input": "h' = where(U x, h, W x)",
    "units for themselves": "h' = relu(W x + w * h + b)",
    "units that gate themselves": "f = σ(W_f x + v * c)\nc' = f * c + (1 - f) * W x",
    "units that choose": "h' = where(h - p, W x, h)",
    "units that jump": "h' = step(h) + W x",
    "units that divide": "h' = W x / (1 + h)",
    "units that keep the largest": "h' = max(h, W x)",
    "a scan of a scan": "h' = σ(c) * h + W x\nc' = c * p + x",
    "a sum over units": "h' = W x + sum(h * h) * p",
    "a normalised state": "h' = norm(h + W x)",
    "two gates before a matrix": "g = tanh(R_g (σ(p) * h))\nh' = g * σ(R h + W x)",
    "a matrix behind a gate behind a gate": (
        "r = σ(R_r h + W x)\ns = σ(R_s (r * h))\nh' = tanh(R (s * h))"
    ),
    "a step through two states": "z' = tanh(R h + W x)\nh' = h + Q z'",
}
"""What the catalogue may not have, by what it is."""


@cache
def known() -> dict[str, Program]:
    found = {name: cell(name).program for name in cell_names()}
    return found | {name: parse(text).program for name, text in OTHERS.items()}


NAMES = tuple(known())


# --- counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cell_names())
def test_parameters_are_those_that_a_layer_has(name: str) -> None:
    found = facts(cell(name).program, cell(name).sizes(4, 4))
    assert found.parameters == sum(w.numel() for w in Recurrent(name, 4, 4).parameters())


@pytest.mark.parametrize("name", NAMES)
def test_multiply_adds_are_those_that_torch_counts(name: str) -> None:
    p, T, B = known()[name], 4, 2
    given = arguments(p, SIZES, T, B, torch.float64)
    with FlopCounterMode(display=False) as counter:
        reference.run(p, given.inputs, given.states, given.parameters)
    assert counter.get_total_flops() == 2 * T * B * facts(p, SIZES).macs


@pytest.mark.parametrize(
    ("name", "on_input", "on_states"),
    [("lstm", 4, 4), ("gru", 3, 3), ("gru_reset_before", 3, 3), ("fgr", 4, 13), ("nig", 3, 3)],
)
def test_multiply_adds_are_those_of_the_papers(name: str, on_input: int, on_states: int) -> None:
    made = products(cell(name).program, {"I": 88, "H": 100})
    assert (made.ahead, made.recurrent) == (on_input * 100 * 88, on_states * 100 * 100)


def test_a_matrix_on_a_learned_vector_is_no_work_of_a_step() -> None:
    text = "vector p : H\nh' = tanh(W x + U p) * h"
    assert facts(parse(text).program, SIZES).macs == 3 * 5


@pytest.mark.parametrize(
    "name",
    ["lstm", "gru", "rnn", "fgr", "nog", "mi_lstm", "layer_norm_lstm", "qrnn", "tau_gru", "rwkv4"],
)
def test_what_is_kept_is_what_the_engine_keeps(name: str) -> None:
    """Of as many units and inputs as fill its blocks."""
    p, sizes, B = cell(name).program, cell(name).sizes(64, 64), 2
    taken = []
    for T in (3, 8):
        given = arguments(p, sizes, T, B, torch.float32)
        tensors = Given(given.inputs, given.states, given.parameters, None, None)
        outputs, _, kept = forward(plan_of(p, "cpu"), tensors, save=True)
        own = [x for x in kept.tensors if all(x is not y for y in outputs)]
        taken.append(sum(x.numel() for x in own))
    assert taken[1] - taken[0] == (8 - 3) * B * facts(p, sizes).kept


def test_an_lstm_keeps_four_gates_both_states_and_a_tanh() -> None:
    found = facts(cell("lstm").program, {"I": 64, "H": 64})
    assert found.kept == 7 * 64
    assert found.memory == 4 * 7 * 64


def test_an_output_is_not_kept_a_second_time() -> None:
    """Kept are the gate, and the state, which is its own new value one step later."""
    p = parse("z = σ(W x)\nh' = z * h + U x\ny = tanh(V h')\noutput y").program
    assert facts(p, SIZES).kept == 2 * 3


# --- the recurrence -----------------------------------------------------------------------------

S = {
    0: "brc unicornn ind_rnn sru qrnn qrnn(k=5) min_gru min_lstm rg_lru t_rnn t_gru t_lstm lru",
    1: (
        "rnn lstm lstm_1997 peephole_lstm nig nfg nog niaf noaf cifg fgr coupled_lstm janet mclstm "
        "ran nas slstm gru mgu3 gru3 ugrnn intersection_rnn li_gru minimal_rnn light_ru sgrn sgu "
        "atr star cfn nbrc fast_rnn fast_grnn scrn miru2 tau_gru tau_gru(d=9) antisymmetric_rnn "
        "gated_antisymmetric_rnn cornn rhn(L=1) dt_rnn(L=1) "
        "hornn hornn(N=7)"
    ),
    2: (
        "multiplicative_lstm wmc_lstm res_lstm gru_reset_before mgu mgu1 mgu2 gru1 gru2 mut1 mut2 "
        "mut3 dsgu miru1 rhn dt_rnn lem"
    ),
    3: "rhn(L=3)",
    5: "mogrifier_lstm(m=2)",
    6: "mogrifier_lstm",
    7: "rhn(L=7) dt_rnn(L=7)",
}
"""Matrix products in a step that have to wait for one another, as read from the papers. RHNs have
as many as they are deep."""
STAGES = {name: n for n, names in S.items() for name in names.split()}
SCANS = {"qrnn", "qrnn(k=5)", "min_gru", "min_lstm", "rg_lru", "t_rnn", "t_gru", "t_lstm",
         "lru"}  # fmt: skip
"""What papers say runs as a scan, of these."""


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_those_of_the_papers(name: str) -> None:
    found = facts(cell(name).program, SIZES)
    assert found.stages == STAGES[name]
    assert found.linear == (name in SCANS)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_said_of_others(name: str) -> None:
    found = facts(known()[name], SIZES)
    stages = {
        "a scan of a matrix": 1,
        "a sum over units": 1,
        "a normalised state": 2,  # the mean, then the deviation from it
        "two gates before a matrix": 1,
        "a matrix behind a gate behind a gate": 3,
        "a step through two states": 2,
    }
    assert found.stages == stages.get(name, 0)
    assert found.linear == (name.startswith("a scan") and name != "a scan of a scan")


@given(programs())
def test_an_engine_has_at_least_as_many_stages(p: Program) -> None:
    loop = schedule(p).loop
    waiting = [s for s in loop if s.products or any(v.op == "sum" for v in s.scalars)]
    assert facts(p, SIZES).stages <= len(waiting)


class Behaviour:
    """One step of a program as numbers, for one input: what new units do when old ones change."""

    def __init__(self, p: Program) -> None:
        self.p = p
        self.given = arguments(p, SIZES, 1, 1, torch.float64)
        self.sizes = [SIZES[s.shape[0]] for s in p.states]
        self.depends = self.which_depend()
        blocks = [x.split(self.sizes, 1) for x in self.depends.split(self.sizes)]
        edges = torch.tensor([[float(x.any()) for x in row] for row in blocks])
        lasting = torch.linalg.matrix_power(edges, len(self.sizes)).any(1)
        self.lasts = lasting.repeat_interleave(torch.tensor(self.sizes))
        """The units in which something lasts: the others are the same after a few steps, whatever
        they were at first."""

    def step(self, units: Tensor) -> Tensor:
        """The units of all states, `(points, units)`, after a step."""
        inputs = [x.expand(1, len(units), -1) for x in self.given.inputs]
        found = reference.run(self.p, inputs, units.split(self.sizes, 1), self.given.parameters)
        return torch.cat(found.states, 1).detach()

    def draw(self, points: int, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(seed)
        return 2 * torch.randn(points, sum(self.sizes), generator=rng, dtype=torch.float64)

    def which_depend(self) -> Tensor:
        """`(new units, old units)`: whether another old one gives another new one."""
        points, n = 8, sum(self.sizes)
        one, two = self.draw(points, 1), self.draw(points, 2)
        columns = [torch.where(torch.arange(n) == j, two, one) for j in range(n)]
        before, *after = self.step(torch.cat([one, *columns])).split(points)
        return torch.stack([(before != x).any(0) for x in after], 1)

    def is_affine(self) -> bool:
        """Between two points, and beyond them, where they differ in what lasts."""
        points = 24
        one, two = self.draw(points, 3), self.draw(points, 4)
        two = torch.where(self.lasts, two, one)
        a = torch.linspace(-1, 2, points, dtype=torch.float64).unsqueeze(1)
        x, y, between = self.step(torch.cat([one, two, a * one + (1 - a) * two])).split(points)
        found, right = between[:, self.lasts], (a * x + (1 - a) * y)[:, self.lasts]
        return torch.allclose(found, right, rtol=1e-9, atol=1e-9)

    def is_elementwise(self) -> bool:
        """Each unit by itself: that at its place in another state is the same one."""
        place = torch.cat([torch.arange(n) for n in self.sizes])
        size = torch.cat([torch.full((n,), n) for n in self.sizes])
        same = (place == place.unsqueeze(1)) & (size == size.unsqueeze(1))
        between = self.depends[self.lasts][:, self.lasts]
        return bool((between <= same[self.lasts][:, self.lasts]).all())


@pytest.mark.parametrize("name", NAMES)
def test_cells_behave_as_their_facts_say(name: str) -> None:
    """Where a cell is not linear a violation is found, and where it is not elementwise too."""
    p = known()[name]
    found, seen = facts(p, SIZES), Behaviour(p)
    assert found.linear == seen.is_affine()
    assert found.elementwise == seen.is_elementwise()


@given(programs(smooth=True, sums=False))
def test_random_programs_behave_as_their_facts_say(p: Program) -> None:
    found = facts(p, SIZES)
    if found.linear or found.elementwise:
        seen = Behaviour(p)
        assert not found.linear or seen.is_affine()
        assert not found.elementwise or seen.is_elementwise()
