"""One step of each cell, in numpy, from the equations of its paper: an oracle for the catalogue."""

from __future__ import annotations

import numpy as np

from papers.functions import Array, States, Step, linear, sigmoid, softplus, standardize


def relu(v: Array) -> Array:
    """The positive part."""
    return np.maximum(v, 0.0)


def hard_sigmoid(v: Array) -> Array:
    """The piecewise linear sigmoid of Theano and Keras."""
    return np.clip(0.2 * v + 0.5, 0.0, 1.0)


def full(x: Array, h: Array, p: States, k: str) -> Array:
    """W_k x + R_k h + b_k."""
    return linear(p[f"W_{k}"], x) + linear(p[f"R_{k}"], h) + p[f"b_{k}"]


def integrate(wx: Array, rh: Array, p: States, k: str = "") -> Array:
    """Wu et al. (2016), general form: alpha*Wx*Uh + beta1*Uh + beta2*Wx + b."""
    both = p[f"alpha{k}"] * wx * rh
    return both + p[f"beta1{k}"] * rh + p[f"beta2{k}"] * wx + p[f"b{k}"]


def atr(x: Array, s: States, p: States) -> Step:
    """Zhang et al. (2018), ATR: the gates are the sum and the difference of p and q."""
    h = s["h"]
    key, query = linear(p["W"], x), linear(p["R"], h)
    new_h = sigmoid(key + query) * key + sigmoid(key - query) * h
    return new_h, {"h": new_h}


def cfn(x: Array, s: States, p: States) -> Step:
    """Laurent, von Brecht (2017), CFN: theta is f here, eta is i."""
    h = s["h"]
    theta, eta = sigmoid(full(x, h, p, "f")), sigmoid(full(x, h, p, "i"))
    new_h = theta * np.tanh(h) + eta * np.tanh(linear(p["W_z"], x))
    return new_h, {"h": new_h}


def delta_rnn(x: Array, s: States, p: States) -> Step:
    """Ororbia et al. (2017), eqs. 3, 5, 11: second-order inner function, identity outside."""
    h = s["h"]
    vh, wx = linear(p["R"], h), linear(p["W"], x)
    d1 = p["alpha"] * vh * wx
    d2 = p["beta1"] * vh + p["beta2"] * wx
    z = np.tanh(d1 + d2 + p["b_n"])
    r = sigmoid(wx + p["b_r"])
    new_h = (1.0 - r) * z + r * h
    return new_h, {"h": new_h}


def dsgu(x: Array, s: States, p: States) -> Step:
    """Gao, Glowacka (2016), DSGU: the candidate is a sigmoid of a projection."""
    h = s["h"]
    x_g = linear(p["W_g"], x) + p["b_g"]
    z_g = np.tanh(linear(p["R_g"], x_g * h))
    z_out = sigmoid(linear(p["R_n"], z_g * h))
    z = hard_sigmoid(full(x, h, p, "z"))
    new_h = (1.0 - z) * h + z * z_out
    return new_h, {"h": new_h}


def sgu(x: Array, s: States, p: States) -> Step:
    """Gao, Glowacka (2016), SGU: the candidate is a softplus."""
    h = s["h"]
    x_g = linear(p["W_g"], x) + p["b_g"]
    z_g = np.tanh(linear(p["R_g"], x_g * h))
    z_out = softplus(z_g * h)
    z = hard_sigmoid(full(x, h, p, "z"))
    new_h = (1.0 - z) * h + z * z_out
    return new_h, {"h": new_h}


def gru_step(x: Array, h: Array, r: Array, z: Array, p: States) -> Step:
    """The part common to GRU1-3: candidate with the reset before the product."""
    n = np.tanh(full(x, r * h, p, "n"))
    new_h = (1.0 - z) * h + z * n
    return new_h, {"h": new_h}


def gru1(x: Array, s: States, p: States) -> Step:
    """Dey, Salem (2017), GRU1: gates of the state and a bias."""
    h = s["h"]
    r = sigmoid(linear(p["R_r"], h) + p["b_r"])
    z = sigmoid(linear(p["R_z"], h) + p["b_z"])
    return gru_step(x, h, r, z, p)


def gru2(x: Array, s: States, p: States) -> Step:
    """Dey, Salem (2017), GRU2: gates of the state alone."""
    h = s["h"]
    return gru_step(x, h, sigmoid(linear(p["R_r"], h)), sigmoid(linear(p["R_z"], h)), p)


def gru3(x: Array, s: States, p: States) -> Step:
    """Dey, Salem (2017), GRU3: gates of a bias alone."""
    return gru_step(x, s["h"], sigmoid(p["b_r"]), sigmoid(p["b_z"]), p)


def intersection_rnn(x: Array, s: States, p: States) -> Step:
    """Collins et al. (2017), +RNN: rectifier in depth, tanh in time; the output is y."""
    h = s["h"]
    y_in, h_in = relu(full(x, h, p, "u")), np.tanh(full(x, h, p, "n"))
    g_y, g_h = sigmoid(full(x, h, p, "g")), sigmoid(full(x, h, p, "z"))
    y = g_y * x + (1.0 - g_y) * y_in
    new_h = g_h * h + (1.0 - g_h) * h_in
    return y, {"h": new_h}


def irnn(x: Array, s: States, p: States) -> Step:
    """Le et al. (2015): a simple recurrent network of rectified linear units."""
    new_h = relu(linear(p["W"], x) + linear(p["R"], s["h"]) + p["b"])
    return new_h, {"h": new_h}


def jordan(x: Array, s: States, p: States) -> Step:
    """Jordan (1986): the last output feeds the hidden layer. Units are tanh, for logistic ones."""
    hidden = np.tanh(linear(p["W"], x) + linear(p["R"], s["h"]) + p["b_n"])
    new_h = np.tanh(linear(p["V"], hidden) + p["b_h"])
    return new_h, {"h": new_h}


def layer_norm_lstm(x: Array, s: States, p: States) -> Step:
    """Ba et al. (2016), eqs. 20-22: joint statistics of the x part and of the h part."""
    gates = "ifzo"
    wx = standardize(np.concatenate([linear(p[f"W_{k}"], x) for k in gates], axis=1))
    rh = standardize(np.concatenate([linear(p[f"R_{k}"], s["h"]) for k in gates], axis=1))
    parts = zip(gates, np.split(wx, 4, axis=1), np.split(rh, 4, axis=1), strict=True)
    pre = {k: p[f"g_{k}"] * a + p[f"k_{k}"] * b + p[f"b_{k}"] for k, a, b in parts}
    new_c = sigmoid(pre["f"]) * s["c"] + sigmoid(pre["i"]) * np.tanh(pre["z"])
    squashed = np.tanh(p["gain_h_1"] * standardize(new_c) + p["b_c"])
    new_h = sigmoid(pre["o"]) * squashed
    return new_h, {"h": new_h, "c": new_c}


def li_gru(x: Array, s: States, p: States) -> Step:
    """Ravanelli et al. (2018), Li-GRU, without the batch normalisation of W x."""
    h = s["h"]
    z = sigmoid(full(x, h, p, "z"))
    new_h = z * h + (1.0 - z) * relu(full(x, h, p, "n"))
    return new_h, {"h": new_h}


def light_ru(x: Array, s: States, p: States) -> Step:
    """Ye et al. (2024), LRU: candidate of the input alone, one forget gate."""
    h = s["h"]
    f = sigmoid(full(x, h, p, "f"))
    new_h = (1.0 - f) * h + f * np.tanh(linear(p["W_n"], x))
    return new_h, {"h": new_h}


def lstm_1997(x: Array, s: States, p: States) -> Step:
    """Hochreiter, Schmidhuber (1997), section 4, with tanh for its squashing functions g and h."""
    h = s["h"]
    g = np.tanh(full(x, h, p, "z"))
    new_c = s["c"] + sigmoid(full(x, h, p, "i")) * g
    new_h = sigmoid(full(x, h, p, "o")) * np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}


def mclstm(x: Array, s: States, p: States) -> Step:
    """Ben-Ari, Shwartz-Ziv (2017): the control vector v takes the place of h in the gates."""
    v = s["v"]
    i, f, o, m = (sigmoid(full(x, v, p, k)) for k in "ifom")
    new_c = f * s["c"] + i * np.tanh(full(x, v, p, "z"))
    return o * np.tanh(new_c), {"c": new_c, "v": m * np.tanh(new_c)}


def mgu_step(x: Array, h: Array, f: Array, p: States) -> Step:
    """The part common to MGU1-3: the one gate forgets and resets."""
    new_h = (1.0 - f) * h + f * np.tanh(full(x, f * h, p, "n"))
    return new_h, {"h": new_h}


def mgu1(x: Array, s: States, p: States) -> Step:
    """Heck, Salem (2017), MGU1: gate of the state and a bias."""
    h = s["h"]
    return mgu_step(x, h, sigmoid(linear(p["R_f"], h) + p["b_f"]), p)


def mgu2(x: Array, s: States, p: States) -> Step:
    """Heck, Salem (2017), MGU2: gate of the state alone."""
    h = s["h"]
    return mgu_step(x, h, sigmoid(linear(p["R_f"], h)), p)


def mgu3(x: Array, s: States, p: States) -> Step:
    """Heck, Salem (2017), MGU3: gate of a bias alone."""
    return mgu_step(x, s["h"], sigmoid(p["b_f"]), p)


def mi_gru(x: Array, s: States, p: States) -> Step:
    """Wu et al. (2016), general form in each sum of the GRU of Chung et al. (2014)."""
    h = s["h"]
    r = sigmoid(integrate(linear(p["W_r"], x), linear(p["R_r"], h), p, "_r"))
    z = sigmoid(integrate(linear(p["W_z"], x), linear(p["R_z"], h), p, "_z"))
    n = np.tanh(integrate(linear(p["W_n"], x), linear(p["R_n"], r * h), p, "_n"))
    new_h = (1.0 - z) * h + z * n
    return new_h, {"h": new_h}


def mi_lstm(x: Array, s: States, p: States) -> Step:
    """Wu et al. (2016), general form in the four sums of the LSTM without peepholes."""
    pre = {
        k: integrate(linear(p[f"W_{k}"], x), linear(p[f"R_{k}"], s["h"]), p, f"_{k}")
        for k in "ifzo"
    }
    new_c = sigmoid(pre["f"]) * s["c"] + sigmoid(pre["i"]) * np.tanh(pre["z"])
    new_h = sigmoid(pre["o"]) * np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}


def mi_rnn(x: Array, s: States, p: States) -> Step:
    """Wu et al. (2016), general form, with tanh."""
    new_h = np.tanh(integrate(linear(p["W"], x), linear(p["R"], s["h"]), p))
    return new_h, {"h": new_h}


def minimal_rnn(x: Array, s: States, p: States) -> Step:
    """Chen (2017), MinimalRNN, with a fully connected tanh layer as the input map."""
    h = s["h"]
    z = np.tanh(linear(p["W_z"], x) + p["b_z"])
    u = sigmoid(linear(p["R_u"], h) + linear(p["V_u"], z) + p["b_u"])
    new_h = u * h + (1.0 - u) * z
    return new_h, {"h": new_h}


def miru1(x: Array, s: States, p: States) -> Step:
    """Zyarah, Kudithipudi (2026), MiRU1: the update gate is the constant lam."""
    h, lam = s["h"], p["lam"]
    r = sigmoid(full(x, h, p, "r"))
    new_h = lam * h + (1.0 - lam) * np.tanh(full(x, r * h, p, "n"))
    return new_h, {"h": new_h}


def miru2(x: Array, s: States, p: States) -> Step:
    """Zyarah, Kudithipudi (2026), MiRU2: the reset gate is the constant theta too."""
    h, lam = s["h"], p["lam"]
    new_h = lam * h + (1.0 - lam) * np.tanh(full(x, p["theta"] * h, p, "n"))
    return new_h, {"h": new_h}


def mrnn(x: Array, s: States, p: States) -> Step:
    """Sutskever et al. (2011), MRNN: the factored multiplicative recurrence."""
    factors = linear(p["W_m"], x) * linear(p["R_m"], s["h"])
    new_h = np.tanh(linear(p["V"], factors) + linear(p["W"], x))
    return new_h, {"h": new_h}


def mogrifier_lstm(x: Array, s: States, p: States) -> Step:
    """Melis et al. (2020), section 2: r rounds, counted over both, the odd ones for x; then LSTM.

    Q^i of round i = 2k - 1 is Q_k here, R^i of round i = 2k is S_k.
    """
    scaled = {-1: x, 0: s["h"]}
    r = int(p["m"] + p["n"])
    for i in range(1, r + 1):
        matrix = p[f"Q_{(i + 1) // 2}"] if i % 2 else p[f"S_{i // 2}"]
        scaled[i] = 2 * sigmoid(linear(matrix, scaled[i - 1])) * scaled[i - 2]
    odd, even = (max(i for i in scaled if i % 2 == left) for left in (1, 0))
    f, i_, o, j = (full(scaled[odd], scaled[even], p, k) for k in "fioz")
    c = sigmoid(f) * s["c"] + sigmoid(i_) * np.tanh(j)
    h = sigmoid(o) * np.tanh(c)
    return h, {"h": h, "c": c}


def multiplicative_lstm(x: Array, s: States, p: States) -> Step:
    """Krause et al. (2016), last version: an LSTM whose recurrent input is m."""
    m = linear(p["W_m"], x) * linear(p["R_m"], s["h"])
    pre = {k: linear(p[f"W_{k}"], x) + linear(p[f"V_{k}"], m) + p[f"b_{k}"] for k in "ifzo"}
    new_c = sigmoid(pre["f"]) * s["c"] + sigmoid(pre["i"]) * np.tanh(pre["z"])
    new_h = sigmoid(pre["o"]) * np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}


def mut1(x: Array, s: States, p: States) -> Step:
    """Jozefowicz et al. (2015), MUT1: tanh of the bare input in the candidate."""
    h = s["h"]
    z = sigmoid(linear(p["W_z"], x) + p["b_z"])
    r = sigmoid(full(x, h, p, "r"))
    n = np.tanh(linear(p["R_n"], r * h) + np.tanh(x) + p["b_n"])
    new_h = n * z + h * (1.0 - z)
    return new_h, {"h": new_h}


def mut2(x: Array, s: States, p: States) -> Step:
    """Jozefowicz et al. (2015), MUT2: the bare input in the reset gate."""
    h = s["h"]
    z = sigmoid(full(x, h, p, "z"))
    r = sigmoid(x + linear(p["R_r"], h) + p["b_r"])
    n = np.tanh(full(x, r * h, p, "n"))
    new_h = n * z + h * (1.0 - z)
    return new_h, {"h": new_h}


def mut3(x: Array, s: States, p: States) -> Step:
    """Jozefowicz et al. (2015), MUT3: tanh of the state in the update gate."""
    h = s["h"]
    z = sigmoid(full(x, np.tanh(h), p, "z"))
    r = sigmoid(full(x, h, p, "r"))
    n = np.tanh(full(x, r * h, p, "n"))
    new_h = n * z + h * (1.0 - z)
    return new_h, {"h": new_h}


def nas(x: Array, s: States, p: States) -> Step:
    """Zoph, Le (2017), as the NASCell of TensorFlow: a product in branch 4."""
    a = [linear(p[f"W_{k}"], x) for k in range(1, 9)]
    b = [linear(p[f"R_{k}"], s["h"]) for k in range(1, 9)]
    one = np.tanh(sigmoid(a[0] + b[0]) * relu(a[1] + b[1]))
    two = np.tanh(sigmoid(a[2] + b[2]) + relu(a[3] * b[3]))
    three = np.tanh(np.tanh(a[4] + b[4]) * sigmoid(a[5] + b[5]))
    four = sigmoid(np.tanh(a[6] + b[6]) + sigmoid(a[7] + b[7]))
    new_c = np.tanh(one + s["c"]) * two
    new_h = np.tanh(new_c * np.tanh(three + four))
    return new_h, {"h": new_h, "c": new_c}


def ran(x: Array, s: States, p: States) -> Step:
    """Lee et al. (2017), section 2, eq. 1, with tanh as the output function."""
    h = s["h"]
    i, f = sigmoid(full(x, h, p, "i")), sigmoid(full(x, h, p, "f"))
    new_c = i * linear(p["W_z"], x) + f * s["c"]
    new_h = np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}


def res_lstm(x: Array, s: States, p: States) -> Step:
    """Kim et al. (2017), residual LSTM: the shortcut comes in before the output gate."""
    h, c = s["h"], s["c"]
    i = sigmoid(full(x, h, p, "i") + p["p_i"] * c)
    f = sigmoid(full(x, h, p, "f") + p["p_f"] * c)
    new_c = f * c + i * np.tanh(full(x, h, p, "z"))
    o = sigmoid(full(x, h, p, "o") + p["p_o"] * new_c)
    new_h = o * (linear(p["V_h"], np.tanh(new_c)) + linear(p["W_h"], x))
    return new_h, {"h": new_h, "c": new_c}


def sgrn(x: Array, s: States, p: States) -> Step:
    """Zu, Wei (2020): the gate and the candidate share W x; the bias is the gate's."""
    h, wx = s["h"], linear(p["W"], x)
    f = sigmoid(wx + linear(p["R"], h) + p["b_f"])
    new_h = np.tanh((1.0 - f) * wx + f * h)
    return new_h, {"h": new_h}


def slim_step(x: Array, s: States, gates: tuple[Array, Array, Array], p: States) -> Step:
    """The part common to the slim LSTMs: only the gates i, f and o are reduced."""
    i, f, o = (sigmoid(v) for v in gates)
    new_c = f * s["c"] + i * np.tanh(full(x, s["h"], p, "z"))
    new_h = o * np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}


def slim_lstm_1(x: Array, s: States, p: States) -> Step:
    """Akandeh, Salem (2017), LSTM1: gates without the input."""
    i, f, o = (linear(p[f"R_{k}"], s["h"]) + p[f"b_{k}"] for k in "ifo")
    return slim_step(x, s, (i, f, o), p)


def slim_lstm_2(x: Array, s: States, p: States) -> Step:
    """Akandeh, Salem (2017), LSTM2: gates without the input and the bias."""
    i, f, o = (linear(p[f"R_{k}"], s["h"]) for k in "ifo")
    return slim_step(x, s, (i, f, o), p)


def slim_lstm_3(x: Array, s: States, p: States) -> Step:
    """Akandeh, Salem (2017), LSTM3: gates of a bias alone."""
    return slim_step(x, s, (p["b_i"], p["b_f"], p["b_o"]), p)


def slim_lstm_4(x: Array, s: States, p: States) -> Step:
    """Akandeh, Salem (2017), LSTM4: gates of a vector times the state, elementwise."""
    i, f, o = (p[f"p_{k}"] * s["h"] for k in "ifo")
    return slim_step(x, s, (i, f, o), p)


def slim_lstm_5(x: Array, s: States, p: States) -> Step:
    """Akandeh, Salem (2017), LSTM5: LSTM4 with a bias."""
    i, f, o = (p[f"p_{k}"] * s["h"] + p[f"b_{k}"] for k in "ifo")
    return slim_step(x, s, (i, f, o), p)


def slstm(x: Array, s: States, p: States) -> Step:
    """Beck et al. (2024), sLSTM: sigmoid forget gate, stabilised by the running maximum m."""
    i, f, z, o = (full(x, s["h"], p, k) for k in "ifzo")
    carried = s["m"] - softplus(-f)
    new_m = np.maximum(carried, i)
    keep, add = np.exp(carried - new_m), np.exp(i - new_m)
    new_c = keep * s["c"] + add * np.tanh(z)
    new_n = keep * s["n"] + add
    new_h = sigmoid(o) * new_c / new_n
    return new_h, {"h": new_h, "m": new_m, "c": new_c, "n": new_n}


def star(x: Array, s: States, p: States) -> Step:
    """Turkoglu et al. (2021), STAR: a tanh around the mixture of state and input."""
    h = s["h"]
    z = np.tanh(linear(p["W_z"], x) + p["b_z"])
    k = sigmoid(full(x, h, p, "k"))
    new_h = np.tanh((1.0 - k) * h + k * z)
    return new_h, {"h": new_h}


def ugrnn(x: Array, s: States, p: States) -> Step:
    """Collins et al. (2017), UGRNN: the gate keeps the state; z is the gate here."""
    h = s["h"]
    g = sigmoid(full(x, h, p, "z"))
    new_h = g * h + (1.0 - g) * np.tanh(full(x, h, p, "n"))
    return new_h, {"h": new_h}


def wmc_lstm(x: Array, s: States, p: States) -> Step:
    """Landi et al. (2021), LSTM-WM: tanh of a projection of the cell in each gate."""
    h, c = s["h"], s["c"]
    i = sigmoid(full(x, h, p, "i") + np.tanh(linear(p["V_i"], c)))
    f = sigmoid(full(x, h, p, "f") + np.tanh(linear(p["V_f"], c)))
    new_c = f * c + i * np.tanh(full(x, h, p, "z"))
    o = sigmoid(full(x, h, p, "o") + np.tanh(linear(p["V_o"], new_c)))
    new_h = o * np.tanh(new_c)
    return new_h, {"h": new_h, "c": new_c}
