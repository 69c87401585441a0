"""What the equations of several papers are made of; rows are sequences."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
States = dict[str, Array]
Step = tuple[Array, States]
"""The output and the new states."""


def linear(weight: Array, x: Array) -> Array:
    """The matrix applied to each row."""
    return x @ weight.T


def sigmoid(x: Array) -> Array:
    """The logistic function, by way of tanh, which does not overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.logaddexp(0, x)


def standardize(x: Array) -> Array:
    """Less its mean and divided by its deviation, 1e-5 under the root."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
