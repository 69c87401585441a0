"""One step of each dynamical and linear recurrent cell, written from its paper in numpy."""

from __future__ import annotations

import numpy as np

from papers.functions import Array, States, Step, linear, sigmoid, softplus, standardize


def silu(x: Array) -> Array:
    """x sigmoid(x)."""
    return x * sigmoid(x)


def norm(x: Array, gain: Array) -> Array:
    """Layer normalisation with a learned gain and no bias."""
    return gain * standardize(x)


def antisymmetric(p: States) -> Array:
    """W - W^T - gamma I of Chang et al. (2019)."""
    return p["R"] - p["R"].T - p["gamma"] * np.eye(len(p["R"]))


def antisymmetric_rnn(x: Array, s: States, p: States) -> Step:
    """Chang et al. (2019), section 3.2: forward Euler with diffusion gamma."""
    h = s["h"]
    drive = linear(antisymmetric(p), h) + linear(p["W"], x) + p["b"]
    h = h + p["epsilon"] * np.tanh(drive)
    return h, {"h": h}


def gated_antisymmetric_rnn(x: Array, s: States, p: States) -> Step:
    """Chang et al. (2019), section 3.3: gate and value share the recurrent matrix."""
    h = s["h"]
    recurrent = linear(antisymmetric(p), h)
    z = sigmoid(recurrent + linear(p["W_z"], x) + p["b_z"])
    value = np.tanh(recurrent + linear(p["W_h"], x) + p["b_h"])
    h = h + p["epsilon"] * z * value
    return h, {"h": h}


def brc(x: Array, s: States, p: States) -> Step:
    """Vecoven et al. (2021), BRC: the unit's own state alone feeds a and c."""
    h = s["h"]
    a = 1 + np.tanh(linear(p["W_a"], x) + p["w_a"] * h)
    c = sigmoid(linear(p["W_c"], x) + p["w_c"] * h)
    h = c * h + (1 - c) * np.tanh(linear(p["W_h"], x) + a * h)
    return h, {"h": h}


def nbrc(x: Array, s: States, p: States) -> Step:
    """Vecoven et al. (2021), nBRC: a and c see the whole layer."""
    h = s["h"]
    a = 1 + np.tanh(linear(p["W_a"], x) + linear(p["R_a"], h))
    c = sigmoid(linear(p["W_c"], x) + linear(p["R_c"], h))
    h = c * h + (1 - c) * np.tanh(linear(p["W_h"], x) + a * h)
    return h, {"h": h}


def cfc(x: Array, s: States, p: States) -> Step:
    """Hasani et al. (2022), the closed form with gate: sigma(-f t) g + (1 - sigma(-f t)) h. What
    activates the backbone is open; this is LeCun's tanh."""
    shared = 1.7159 * np.tanh(0.666 * (linear(p["W"], x) + linear(p["R"], s["h"]) + p["b"]))
    f = linear(p["V_f"], shared) + p["b_f"]
    g = np.tanh(linear(p["V_g"], shared) + p["b_g"])
    k = np.tanh(linear(p["V_k"], shared) + p["b_k"])
    gate = sigmoid(-f * p["dt"])
    h = gate * g + (1 - gate) * k
    return h, {"h": h}


def cornn(x: Array, s: States, p: States) -> Step:
    """Rusch and Mishra (2021), eq. 3 with the damping at the old step (n bar = n - 1)."""
    y, z = s["h"], s["z"]
    force = np.tanh(linear(p["R_h"], y) + linear(p["R_z"], z) + linear(p["W"], x) + p["b"])
    z = z + p["dt"] * (force - p["gamma"] * y - p["epsilon"] * z)
    y = y + p["dt"] * z
    return y, {"h": y, "z": z}


def damped_ema(x: Array, s: States, p: States) -> Step:
    """Ma et al. (2023), section 3.1; a sigmoid keeps alpha and delta in (0, 1) as in their code."""
    alpha, delta = sigmoid(p["alpha"]), sigmoid(p["delta"])
    h = alpha * x + (1 - alpha * delta) * s["h"]
    return h, {"h": h}


def dt_rnn(x: Array, s: States, p: States) -> Step:
    """Pascanu et al. (2014), section 3.3.1: phi_L(W_L ... phi_1(W_1 h + U x)), every phi tanh."""
    h = np.tanh(linear(p["R_1"], s["h"]) + linear(p["W"], x))
    for layer in range(2, int(p["L"]) + 1):
        h = np.tanh(linear(p[f"R_{layer}"], h))
    return h, {"h": h}


def fast_rnn(x: Array, s: States, p: States) -> Step:
    """Kusupati et al. (2018), section 3.1, alpha and beta through a sigmoid."""
    value = np.tanh(linear(p["W"], x) + linear(p["R"], s["h"]) + p["b"])
    h = sigmoid(p["alpha"]) * value + sigmoid(p["beta"]) * s["h"]
    return h, {"h": h}


def fast_grnn(x: Array, s: States, p: States) -> Step:
    """Kusupati et al. (2018), section 3.2, zeta and nu through a sigmoid."""
    shared = linear(p["W"], x) + linear(p["R"], s["h"])
    z = sigmoid(shared + p["b_z"])
    value = np.tanh(shared + p["b_n"])
    h = (sigmoid(p["zeta"]) * (1 - z) + sigmoid(p["nu"])) * value + z * s["h"]
    return h, {"h": h}


def gilr(x: Array, s: States, p: States) -> Step:
    """Martin and Cundy (2018), the GILR layer, tau = tanh."""
    g = sigmoid(linear(p["W_g"], x) + p["b_g"])
    i = np.tanh(linear(p["W_i"], x) + p["b_i"])
    h = g * s["h"] + (1 - g) * i
    return h, {"h": h}


def hgrn(x: Array, s: States, p: States) -> Step:
    """Qin et al. (2023), section 3.2 on the real line: y = LayerNorm(g h) W_o + b_o."""
    c = silu(linear(p["W_c"], x) + p["b_c"])
    forget = p["gamma"] + (1 - p["gamma"]) * sigmoid(linear(p["W_f"], x) + p["b_f"])
    h = forget * s["h"] + (1 - forget) * c
    g = silu(linear(p["W_g"], x) + p["b_g"])
    y = linear(p["V"], norm(g * h, p["gain_y_1"])) + p["b_y"]
    return y, {"h": h}


def hornn(x: Array, s: States, p: States) -> Step:
    """Soltani and Jiang (2016): f(W_in x_t + sum over n of W_hn h_{t-n}), n to N, f = tanh."""
    order = int(p["N"])
    last = [s["h"], *(s[f"past_{n}"] for n in range(2, order + 1))]
    matrices = np.concatenate([p["W"], *(p[f"R_{n}"] for n in range(1, order + 1))], axis=1)
    h = np.tanh(linear(matrices, np.concatenate([x, *last], axis=1)))
    return h, {"h": h, **{f"past_{n}": v for n, v in enumerate(last[:-1], start=2)}}


def ind_rnn(x: Array, s: States, p: States) -> Step:
    """Li et al. (2018), section 3, with relu."""
    h = np.maximum(linear(p["W"], x) + p["w"] * s["h"] + p["b"], 0)
    return h, {"h": h}


def leaky_rnn(x: Array, s: States, p: States) -> Step:
    """Jaeger et al. (2007), section 2: (1 - a gamma) h + gamma tanh(...)."""
    value = np.tanh(linear(p["W"], x) + linear(p["R"], s["h"]) + p["b"])
    h = (1 - p["a"] * p["gamma"]) * s["h"] + p["gamma"] * value
    return h, {"h": h}


def lem(x: Array, s: States, p: States) -> Step:
    """Rusch et al. (2022), eq. 3: y (here h) takes the new z (here c)."""
    h, c = s["h"], s["c"]
    dt_c = p["dt"] * sigmoid(linear(p["W_1"], x) + linear(p["R_1"], h) + p["b_1"])
    dt_h = p["dt"] * sigmoid(linear(p["W_2"], x) + linear(p["R_2"], h) + p["b_2"])
    c = (1 - dt_c) * c + dt_c * np.tanh(linear(p["W_c"], x) + linear(p["R_c"], h) + p["b_c"])
    h = (1 - dt_h) * h + dt_h * np.tanh(linear(p["W_h"], x) + linear(p["R_h"], c) + p["b_h"])
    return h, {"h": h, "c": c}


def lipschitz_rnn(x: Array, s: States, p: States) -> Step:
    """Erichson et al. (2021), sections 3-4, forward Euler."""

    def blend(m: Array, beta: Array, gamma: Array) -> Array:
        return (1 - beta) * (m + m.T) + beta * (m - m.T) - gamma * np.eye(len(m))

    h = s["h"]
    a = blend(p["M_a"], p["beta_a"], p["gamma_a"])
    w = blend(p["M_w"], p["beta_w"], p["gamma_w"])
    h = h + p["epsilon"] * (linear(a, h) + np.tanh(linear(w, h) + linear(p["U"], x) + p["b"]))
    return h, {"h": h}


def ltc(x: Array, s: States, p: States) -> Step:
    """Hasani et al. (2021), algorithm 1: one fused step, f a sigmoid layer."""
    h, dt = s["h"], p["dt"]
    f = sigmoid(linear(p["W"], x) + linear(p["R"], h) + p["b"])
    h = (h + dt * f * p["a"]) / (1 + dt * (1 / p["tau"] + f))
    return h, {"h": h}


def min_gru(x: Array, s: States, p: States) -> Step:
    """Feng et al. (2024), section 3.1: sequential minGRU, the candidate linear."""
    z = sigmoid(linear(p["W_z"], x) + p["b_z"])
    h = (1 - z) * s["h"] + z * (linear(p["W_n"], x) + p["b_n"])
    return h, {"h": h}


def min_lstm(x: Array, s: States, p: States) -> Step:
    """Feng et al. (2024), section 3.2: sequential minLSTM, the two gates normalised."""
    f = sigmoid(linear(p["W_f"], x) + p["b_f"])
    i = sigmoid(linear(p["W_i"], x) + p["b_i"])
    value = linear(p["W_n"], x) + p["b_n"]
    h = f / (f + i) * s["h"] + i / (f + i) * value
    return h, {"h": h}


def qrnn(x: Array, s: States, p: States) -> Step:
    """Bradbury et al. (2017), eqs. 1, 2 and 4: a masked convolution of width k, fo-pooling, no
    bias."""
    k = int(p["k"])
    window = [x, *(s[f"past_{j}"] for j in range(1, k))]

    def convolved(gate: str) -> Array:
        filters = np.concatenate([p[f"W_{gate}_{j}"] for j in range(k)], axis=1)
        return linear(filters, np.concatenate(window, axis=1))

    z, f, o = np.tanh(convolved("z")), sigmoid(convolved("f")), sigmoid(convolved("o"))
    c = f * s["c"] + (1 - f) * z
    return o * c, {"c": c, **{f"past_{j}": v for j, v in enumerate(window[:-1], start=1)}}


def lru(x: Array, s: States, p: States) -> Step:
    """Orvieto et al. (2023), eqs. 3 and 7 and section 3.4, in complex numbers: the state is
    Lambda h + exp(gamma) B x, the output the real part of C h, and D x."""
    eigenvalues = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    b, c = p["B_re"] + 1j * p["B_im"], p["C_re"] + 1j * p["C_im"]
    h = eigenvalues * (s["re"] + 1j * s["im"]) + np.exp(p["gamma"]) * (x @ b.T)
    return (h @ c.T).real + linear(p["D"], x), {"re": h.real, "im": h.imag}


def rg_lru(x: Array, s: States, p: States) -> Step:
    """De et al. (2024), eqs. 1-4, log a = -c softplus(Lambda) r as in appendix A."""
    r = sigmoid(linear(p["W_r"], x) + p["b_r"])
    i = sigmoid(linear(p["W_i"], x) + p["b_i"])
    a = np.exp(-p["c"] * softplus(p["lam"]) * r)
    h = a * s["h"] + np.sqrt(1 - a**2) * (i * x)
    return h, {"h": h}


def rhn(x: Array, s: States, p: States) -> Step:
    """Zilly et al. (2017), eqs. 6-9 at depth L, the carry gate coupled as 1 - t."""
    h = s["h"]
    for layer in range(1, int(p["L"]) + 1):
        n = linear(p[f"R_n_{layer}"], h) + p[f"b_n_{layer}"]
        t = linear(p[f"R_t_{layer}"], h) + p[f"b_t_{layer}"]
        if layer == 1:
            n, t = n + linear(p["W_n"], x), t + linear(p["W_t"], x)
        h = np.tanh(n) * sigmoid(t) + h * (1 - sigmoid(t))
    return h, {"h": h}


def rwkv4(x: Array, s: States, p: States) -> Step:
    """Peng et al. (2023), time mixing in the stable form of the appendix; decay exp(w) >= 0."""

    def mixed(gate: str) -> Array:
        mu = p[f"mu_{gate}"]
        return linear(p[f"W_{gate}"], mu * x + (1 - mu) * s["x_old"])

    r, k, v = mixed("r"), mixed("k"), mixed("v")
    a, b, top = s["a"], s["b"], s["p"]
    q = np.maximum(top, p["u"] + k)
    old, new = np.exp(top - q), np.exp(p["u"] + k - q)
    wkv = (old * a + new * v) / (old * b + new)
    y = linear(p["W_y"], sigmoid(r) * wkv)
    decayed = top - np.exp(p["w"])
    q = np.maximum(decayed, k)
    old, new = np.exp(decayed - q), np.exp(k - q)
    return y, {"x_old": x, "p": q, "a": old * a + new * v, "b": old * b + new}


def scrn(x: Array, s: States, p: States) -> Step:
    """Mikolov et al. (2015), context features; y before the softmax of the language model."""
    slow = (1 - p["alpha"]) * linear(p["W_s"], x) + p["alpha"] * s["s"]
    h = sigmoid(linear(p["P"], slow) + linear(p["W_h"], x) + linear(p["R"], s["h"]))
    y = linear(p["U"], h) + linear(p["V"], slow)
    return y, {"h": h, "s": slow}


def sru(x: Array, s: States, p: States) -> Step:
    """Lei et al. (2018), the SRU of section 3 with its scaling correction alpha."""
    c = s["c"]
    f = sigmoid(linear(p["W_f"], x) + p["v_f"] * c + p["b_f"])
    r = sigmoid(linear(p["W_r"], x) + p["v_r"] * c + p["b_r"])
    c = f * c + (1 - f) * linear(p["W"], x)
    return r * c + (1 - r) * x * p["alpha"], {"c": c}


def typed(x: Array, s: States, p: States, gate: str) -> Array:
    """The strongly-typed preactivation: this input and the last."""
    return linear(p[f"W_{gate}"], x) + linear(p[f"R_{gate}"], s["x_old"]) + p[f"b_{gate}"]


def t_rnn(x: Array, s: States, p: States) -> Step:
    """Balduzzi and Ghifary (2016), the T-RNN."""
    f = sigmoid(linear(p["W_f"], x) + p["b_f"])
    h = f * s["h"] + (1 - f) * linear(p["W_z"], x)
    return h, {"h": h}


def t_gru(x: Array, s: States, p: States) -> Step:
    """Balduzzi and Ghifary (2016), the T-GRU, tau = tanh."""
    z, f, o = (typed(x, s, p, gate) for gate in "zfo")
    h = sigmoid(f) * s["h"] + z * np.tanh(o)
    return h, {"h": h, "x_old": x}


def t_lstm(x: Array, s: States, p: States) -> Step:
    """Balduzzi and Ghifary (2016), the T-LSTM, tau = tanh."""
    z, f, o = (typed(x, s, p, gate) for gate in "zfo")
    c = sigmoid(f) * s["c"] + (1 - sigmoid(f)) * z
    return c * np.tanh(o), {"c": c, "x_old": x}


def tau_gru(x: Array, s: States, p: States) -> Step:
    """Erichson et al. (2022), section 3: only z sees the delayed state, d steps before h."""
    h, d = s["h"], int(p["d"])
    u = np.tanh(linear(p["W_u"], x) + linear(p["R_u"], h))
    z = np.tanh(linear(p["W_z"], x) + linear(p["R_z"], s[f"past_{d}"]))
    g = sigmoid(linear(p["W_g"], x) + linear(p["R_g"], h))
    a = sigmoid(linear(p["W_a"], x) + linear(p["R_a"], h))
    new = (1 - g) * h + g * (u + a * z)
    older = [h, *(s[f"past_{k}"] for k in range(1, d))]
    return new, {"h": new, **{f"past_{k}": v for k, v in enumerate(older, start=1)}}


def unicornn(x: Array, s: States, p: States) -> Step:
    """Rusch and Mishra (2021), UnICORNN: symplectic Euler, y takes the new z."""
    y, dt = s["h"], p["dt"] * sigmoid(p["k"])
    z = s["z"] - dt * (np.tanh(p["w"] * y + linear(p["W"], x) + p["b"]) + p["alpha"] * y)
    y = y + dt * z
    return y, {"h": y, "z": z}
