"""Fit the polynomial by which functions.hpp computes exp in float32.

    python tools/fit_exponential.py

exp(r) is 1 + r + r² q(r), for |r| up to ln 2 / 2; q has the smallest largest relative error of
exp(r) there is, and its coefficients are rounded to float32. Prints them, from the lowest power up,
and the error before and after the rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIMIT = 0.3466
"""A little more than ln 2 / 2: what is left of an argument may be beyond it by rounding."""
DEGREE = 4
POINTS, ROUNDS = 4001, 3000


def fitted(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficients of q, by Lawson's iteration: least squares, with weights that grow where the
    error is large."""
    powers = r[:, None] ** np.arange(2, DEGREE + 3) / np.exp(r)[:, None]
    rest = (np.expm1(r) - r) / np.exp(r)
    weights = np.full(len(r), 1 / len(r))
    best, least = np.zeros(DEGREE + 1), np.inf
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        q = np.linalg.lstsq(powers * root[:, None], rest * root, rcond=None)[0]
        errors = np.abs(powers @ q - rest)
        if errors.max() < least:
            best, least = q, errors.max()
        weights *= errors
        weights /= weights.sum()
    return best


def error(q: NDArray[np.floating], r: NDArray[np.float64]) -> float:
    """The largest relative error of exp(r) by q."""
    exact = r.astype(np.longdouble)
    found = 1 + exact + exact**2 * np.polynomial.Polynomial(q.astype(np.longdouble))(exact)
    return float(np.abs(found / np.exp(exact) - 1).max())


def main() -> None:
    """Print the coefficients and the errors."""
    r = LIMIT * np.cos(np.linspace(0, np.pi, POINTS))  # denser at the ends
    q = fitted(r)
    rounded = q.astype(np.float32)
    print(", ".join(f"{c!s}f" for c in rounded))
    print(f"largest relative error {error(q, r):.2e}, of the rounded ones {error(rounded, r):.2e}")


if __name__ == "__main__":
    main()
