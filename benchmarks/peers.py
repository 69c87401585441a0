"""torchrecurrent's layers beside the cells of the catalogue that have their equations.

What the two compute is compared in `tests/catalogue/test_against_torchrecurrent.py`, how long they
take by `benchmarks/cpu_engine.py torchrecurrent`. All of this is about version 0.2.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PEERS", "Peer"]


@dataclass(frozen=True)
class Peer:
    """A cell that has the equations of a layer of theirs, and where it has not."""

    cell: str
    parameters: Mapping[str, str]
    """Of each of their parameters, what ours it is made of, one below the other. `0` is a bias that
    is added to another one, as are all that are left out."""
    states: str = "h"
    """Ours, in the order of theirs."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Which of ours each of their constructor's is."""
    differs: str = ""
    """What theirs computes otherwise; ours follows the paper."""
    asked: Mapping[str, object] = field(default_factory=dict)
    """Arguments of their constructor with which it does not."""
    adds: str = ""
    """What theirs learns beyond the paper. Without effect, with a bias at 0 and a matrix at the
    identity, theirs is as ours."""
    sizes: tuple[str, ...] = ()
    """Of ours, what is the hidden size in theirs."""
    changes: tuple[tuple[str, str], ...] = ()
    """What to replace in the text of ours to make it theirs, in both respects."""


def _ih(names: str, biases: str, **others: str) -> dict[str, str]:
    """Their usual names for the matrices on the input and the biases."""
    return {"weight_ih": names, "bias_ih": biases, **others}


HARD = ("0.2 * (W_z x + R_z h + b_z)", "(W_z x + R_z h + b_z) / 6")
HARD_WORDS = "the hard sigmoid has torch's slope, 1/6, for 0.2"
BRC_BIASES = "biases in both gates and in the candidate"

PEERS: dict[str, Peer] = {
    "ATR": Peer(
        "atr",
        _ih("W", "b_p", weight_hh="R", bias_hh="b_q"),
        adds="biases of p and q",
        changes=(("p  = W x ", "p  = W x + b_p "), ("q  = R h ", "q  = R h + b_q ")),
    ),
    "AntisymmetricRNN": Peer(
        "antisymmetric_rnn",
        _ih("W", "b", weight_hh="R"),
        constants={"epsilon": "epsilon", "gamma": "gamma"},
    ),
    "BR": Peer(
        "brc",
        _ih("W_a W_c W_h", "b_a b_c b_h", weight_hh="w_a w_c"),
        adds=BRC_BIASES,
        changes=(
            ("w_a * h)", "w_a * h + b_a)"),
            ("w_c * h)", "w_c * h + b_c)"),
            ("W_h x + a * h)", "W_h x + a * h + b_h)"),
        ),
    ),
    "CFN": Peer(
        "cfn",
        _ih("W_f W_i W_z", "b_f b_i b_z", weight_hh="R_f R_i"),
        adds="a bias in the candidate",
        changes=(("tanh(W_z x)", "tanh(W_z x + b_z)"),),
    ),
    "DSGU": Peer(
        "dsgu",
        _ih("W_g W_z", "b_g b_z", weight_hh="R_g R_z", bias_hh="b_u 0", weight_ho="R_n"),
        differs=HARD_WORDS,
        adds="a bias in the multiplicative gate",
        changes=(HARD, ("R_g (g * h)", "R_g (g * h) + b_u")),
    ),
    "FastGRNN": Peer(
        "fast_grnn",
        _ih("W", "b_z b_n", weight_hh="R", zeta="zeta", nu="nu"),
        differs="the gate is a tanh, unless it is asked for a sigmoid",
        asked={"nonlinearity": "sigmoid"},
        changes=(("z  = σ(", "z  = tanh("),),
    ),
    "FastRNN": Peer("fast_rnn", _ih("W", "b", weight_hh="R", alpha="alpha", beta="beta")),
    "GatedAntisymmetricRNN": Peer(
        "gated_antisymmetric_rnn",
        _ih("W_z W_h", "b_z b_h", weight_hh="R"),
        constants={"epsilon": "epsilon", "gamma": "gamma"},
    ),
    "IndRNN": Peer(
        "ind_rnn",
        _ih("W", "b", vector_u="w"),
        differs="tanh for relu, unless it is asked for relu",
        asked={"nonlinearity": "relu"},
        changes=(("relu(", "tanh("),),
    ),
    "IntersectionRNN": Peer(
        "intersection_rnn", _ih("W_u W_n W_g W_z", "b_u b_n b_g b_z", weight_hh="R_u R_n R_g R_z")
    ),
    "JANET": Peer(
        "janet",
        _ih("W_f W_z", "b_f b_z", weight_hh="R_f R_z", beta="beta"),
        states="h h",
        constants={"beta": "beta"},
        adds="beta, which it trains",
        changes=(("const beta = 1", "scalar beta = 1"),),
    ),
    "LEM": Peer(
        "lem",
        _ih("W_2 W_1 W_c W_h", "b_2 b_1 b_c b_h", weight_hh="R_2 R_1 R_c", weight_ch="R_h"),
        states="h c",
        constants={"dt": "dt"},
        differs="the output reads the old memory, for the new one",
        changes=(("R_h c' ", "R_h c "),),
    ),
    "LiGRU": Peer("li_gru", _ih("W_z W_n", "b_z b_n", weight_hh="R_z R_n")),
    "LightRU": Peer(
        "light_ru",
        _ih("W_n W_f", "b_n b_f", weight_hh="R_f"),
        adds="a bias in the candidate",
        changes=(("tanh(W_n x)", "tanh(W_n x + b_n)"),),
    ),
    "MCLSTM": Peer(
        "mclstm",
        _ih("W_f W_i W_o W_m W_z", "b_f b_i b_o b_m b_z", weight_hh="R_f R_i R_o R_m R_z"),
        states="v c",
    ),
    "MGU": Peer("mgu", _ih("W_f W_n", "b_f b_n", weight_hh="R_f R_n")),
    "MUT1": Peer(
        "mut1",
        _ih("W_z W_r W_n", "b_z b_r b_x", weight_hh="R_r R_n", bias_hh="0 b_n"),
        adds="a matrix and a bias before the tanh of the input",
        changes=(("tanh(x)", "tanh(W_n x + b_x)"),),
    ),
    "MUT2": Peer(
        "mut2",
        _ih("W_z W_r W_n", "b_z b_r b_n", weight_hh="R_z R_r R_n"),
        adds="a matrix before the input in the reset gate, which makes it that of a GRU",
        changes=(("σ(x + R_r h", "σ(W_r x + R_r h"),),
    ),
    "MUT3": Peer("mut3", _ih("W_z W_r W_n", "b_z b_r b_n", weight_hh="R_z R_r R_n")),
    "MiRU1": Peer(
        "miru1",
        _ih("W_r W_n", "b_r b_n", weight_hh="R_r R_n"),
        constants={"update_coefficient": "lam"},
    ),
    "MiRU2": Peer(
        "miru2",
        _ih("W_n", "b_n", weight_hh="R_n"),
        constants={"update_coefficient": "lam", "reset_coefficient": "theta"},
    ),
    "MinimalRNN": Peer(
        "minimal_rnn", _ih("W_z", "b_z", weight_hh="R_u", bias_hh="b_u", weight_mm="V_u")
    ),
    "MultiplicativeLSTM": Peer(
        "multiplicative_lstm",
        _ih(
            "W_m W_i W_f W_z W_o", "b_m b_i b_f b_z b_o",
            weight_hh="R_m", bias_hh="b_h", weight_mh="V_i V_f V_z V_o",
        ),
        states="h c",
        adds="biases of both factors of m",
        changes=(("W_m x * R_m h ", "(W_m x + b_m) * (R_m h + b_h) "),),
    ),
    "NAS": Peer(
        "nas",
        _ih(
            " ".join(f"W_{k}" for k in range(1, 9)),
            " ".join(f"b_{k}" for k in range(1, 9)),
            weight_hh=" ".join(f"R_{k}" for k in range(1, 9)),
        ),
        states="h c",
        differs="leaf 4 adds what comes from the input and from the state, for their product",
        adds="a bias in each leaf",
        changes=(
            ("W_4 x * R_4 h", "W_4 x + R_4 h"),
            *((f"R_{k} h)", f"R_{k} h + b_{k})") for k in range(1, 9)),
        ),
    ),
    "NBR": Peer(
        "nbrc",
        _ih("W_a W_c W_h", "b_a b_c b_h", weight_hh="R_a R_c"),
        adds=BRC_BIASES,
        changes=(
            ("R_a h)", "R_a h + b_a)"),
            ("R_c h)", "R_c h + b_c)"),
            ("W_h x + a * h)", "W_h x + a * h + b_h)"),
        ),
    ),
    "OriginalLSTM": Peer(
        "lstm_1997", _ih("W_i W_z W_o", "b_i b_z b_o", weight_hh="R_i R_z R_o"), states="h c"
    ),
    "PeepholeLSTM": Peer(
        "peephole_lstm",
        _ih(
            "W_i W_f W_z W_o", "b_i b_f b_z b_o",
            weight_hh="R_i R_f R_z R_o", weight_ph="p_i p_f p_o",
        ),
        states="h c",
    ),
    "RAN": Peer("ran", _ih("W_z W_i W_f", "b_i b_f", weight_hh="R_i R_f"), states="h c"),
    "ResLSTM": Peer(
        "res_lstm",
        _ih(
            "W_i W_f W_z W_o", "b_i b_f b_z b_o", weight_hh="R_i R_f R_z R_o",
            weight_ph="p_i p_f p_o", weight_proj="V_h", weight_res="W_h",
        ),
        states="h c",
    ),
    "SCRN": Peer(
        "scrn",
        _ih("W_s W_h", "b_s b_h", weight_hh="R U", bias_hh="0 b_y", weight_ch="P V", alpha="alpha"),
        states="h s",
        constants={"alpha": "alpha"},
        sizes=("K",),
        differs="y goes through tanh, and is fed back in place of the hidden state",
        adds="alpha, which it trains, and three biases",
        changes=(
            ("const alpha", "scalar alpha"),
            ("(W_s x)", "(W_s x + b_s)"),
            ("h' = σ(W_h x + R h + P s')", "n = σ(W_h x + R h + P s' + b_h)"),
            ("y  = U h' + V s'", "h' = tanh(U n + V s' + b_y)"),
            ("output y\n", ""),
        ),
    ),
    "SGRN": Peer(
        "sgrn",
        _ih("W", "b_u", weight_hh="R", bias_hh="b_f"),
        adds="a bias in the candidate, which the gate sees too",
        changes=(("u  = W x ", "u  = W x + b_u "),),
    ),
    "SGU": Peer(
        "sgu",
        _ih("W_g W_z", "b_g b_z", weight_hh="R_g R_z", bias_hh="b_u 0"),
        differs=HARD_WORDS,
        adds="a bias in the multiplicative gate",
        changes=(HARD, ("R_g (g * h)", "R_g (g * h) + b_u")),
    ),
    "STAR": Peer("star", _ih("W_z W_k", "b_z b_k", weight_hh="R_k")),
    "TGRU": Peer(
        "t_gru", _ih("W_z W_f W_o", "b_z b_f b_o", weight_hh="R_z R_f R_o"), states="h x_old"
    ),
    "TLSTM": Peer(
        "t_lstm", _ih("W_z W_f W_o", "b_z b_f b_o", weight_hh="R_z R_f R_o"), states="c x_old"
    ),
    "TRNN": Peer(
        "t_rnn",
        _ih("W_z W_f", "b_z b_f"),
        adds="a bias in what the state averages",
        changes=(("z  = W_z x ", "z  = W_z x + b_z "),),
    ),
    "UGRNN": Peer("ugrnn", _ih("W_n W_z", "b_n b_z", weight_hh="R_n R_z")),
    "UnICORNN": Peer(
        "unicornn",
        _ih("W", "b", weight_hh="w", weight_ch="k"),
        states="h z",
        constants={"dt": "dt", "alpha": "alpha"},
    ),
    "WMCLSTM": Peer(
        "wmc_lstm",
        _ih(
            "W_i W_f W_z W_o", "b_i b_f b_z b_o", weight_hh="R_i R_f R_z R_o",
            weight_mh="V_i V_f V_o", bias_mh="d_i d_f d_o",
        ),
        states="h c",
        adds="biases inside the tanh of the memory",
        changes=(
            ("tanh(V_i c)", "tanh(V_i c + d_i)"),
            ("tanh(V_f c)", "tanh(V_f c + d_f)"),
            ("tanh(V_o c')", "tanh(V_o c' + d_o)"),
        ),
    ),
    "coRNN": Peer(
        "cornn",
        _ih("W", "b", weight_hh="R_h", weight_ch="R_z"),
        states="h z",
        constants={"dt": "dt", "gamma": "gamma", "epsilon": "epsilon"},
    ),
    "tauGRU": Peer(
        "tau_gru",
        _ih("W_u W_z W_g W_a", "b_u b_z b_g b_a", weight_hh="R_u R_z R_g R_a"),
        differs="the delay is one step, unless another one is asked for",
        asked={"delay": 3},
        adds="biases in both gates and both candidates",
        changes=(
            ("R_u h)", "R_u h + b_u)"),
            ("R_z past[d])", "R_z past[d] + b_z)"),
            ("R_g h)", "R_g h + b_g)"),
            ("R_a h)", "R_a h + b_a)"),
            ("count d = 3", "count d = 1"),
        ),
    ),
}  # fmt: skip
