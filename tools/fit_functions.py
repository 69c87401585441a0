"""Fit the polynomials by which functions.hpp computes exp and log in float32.

    python tools/fit_functions.py

exp(r) is 1 + r + r² q(r), for |r| up to ln 2 / 2; log(1 + y) is 2 atanh(s) with s = y / (2 + y),
and atanh(s) is s (1 + s² q(s²)), for s up to 1 / 3. Each q has the smallest largest relative error
of its function there is, and its coefficients are rounded to float32. Prints them, from the lowest
power up, and the error before and after the rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS, ROUNDS = 4001, 3000
Numbers = NDArray[np.floating]


@dataclass(frozen=True)
class Fit:
    """f(x) is begin(x) + factor(x) q(of(x))."""

    name: str
    f: Callable[[Numbers], Numbers]
    begin: Callable[[Numbers], Numbers]
    factor: Callable[[Numbers], Numbers]
    of: Callable[[Numbers], Numbers]
    limits: tuple[float, float]
    """A little more than what x can be: it may be beyond that by rounding."""
    degree: int


FITS = (
    Fit("exp", np.exp, lambda r: 1 + r, lambda r: r**2, lambda r: r, (-0.3466, 0.3466), 4),
    Fit("atanh", np.arctanh, lambda s: s, lambda s: s**3, lambda s: s**2, (1e-3, 0.3334), 3),
)


def fitted(fit: Fit, x: Numbers) -> Numbers:
    """The coefficients of q, by Lawson's iteration: least squares, with weights that grow where the
    error is large."""
    exact = fit.f(x)
    powers = fit.of(x)[:, None] ** np.arange(fit.degree + 1) * (fit.factor(x) / exact)[:, None]
    rest = (exact - fit.begin(x)) / exact
    weights = np.full(len(x), 1 / len(x))
    best, least = np.zeros(fit.degree + 1), np.inf
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        q = np.linalg.lstsq(powers * root[:, None], rest * root, rcond=None)[0]
        errors = np.abs(powers @ q - rest)
        if errors.max() < least:
            best, least = q, errors.max()
        weights *= errors
        weights /= weights.sum()
    return best


def error(fit: Fit, q: Numbers, x: Numbers) -> float:
    """The largest relative error of the function by q."""
    wide = x.astype(np.longdouble)
    tail = np.polynomial.Polynomial(q.astype(np.longdouble))(fit.of(wide))
    return float(np.abs((fit.begin(wide) + fit.factor(wide) * tail) / fit.f(wide) - 1).max())


def main() -> None:
    """Print the coefficients and the errors."""
    for fit in FITS:
        low, high = fit.limits
        ends = np.cos(np.linspace(0, np.pi, POINTS))  # denser at the ends
        x = (low + high) / 2 + (high - low) / 2 * ends
        q = fitted(fit, x)
        rounded = q.astype(np.float32)
        print(f"{fit.name}: " + ", ".join(f"{c!s}f" for c in rounded))
        print(
            f"largest relative error {error(fit, q, x):.2e}, "
            f"of the rounded ones {error(fit, rounded, x):.2e}"
        )


if __name__ == "__main__":
    main()
