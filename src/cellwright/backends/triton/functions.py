"""What kernels call: functions that Triton does not have, or has with other edges than torch.

Imports Triton, so only kernels import this module. Nothing is annotated: Triton reads annotations,
and knows its own only.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["larger", "meet", "relu", "sign", "smaller", "softplus", "step", "tanh", "where"]


@triton.jit
def tanh(x):
    """By exp where |x| is not small, else by its series, as 1 - exp(-2x) would cancel there."""
    e = tl.exp(-2.0 * tl.abs(x))
    large = (1.0 - e) / (1.0 + e)
    s = x * x
    series = -0.05396825396825397 + s * (0.021869488536155203 - s * 0.008863235529902197)
    series = 1.0 + s * (-0.3333333333333333 + s * (0.13333333333333333 + s * series))
    return tl.where(tl.abs(x) < 0.1, x * series, tl.where(x < 0, -large, large))


@triton.jit
def softplus(x):
    """log(1 + exp(x)); what 1 + e rounds off is put right, so that it is not 0 far to the left."""
    e = tl.exp(-tl.abs(x))
    u = 1.0 + e
    kept = u - 1.0
    beyond = tl.where(kept > 0, tl.log(u) * (e / tl.where(kept > 0, kept, 1.0)), e)
    return tl.where(x < 0, 0.0, x) + beyond


@triton.jit
def relu(x):
    """NaN stays NaN."""
    return tl.where(x < 0, 0.0, x)


@triton.jit
def sign(x):
    """-1, 0 or 1."""
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0))


@triton.jit
def step(x):
    """1 where positive, else 0."""
    return tl.where(x > 0, 1.0, 0.0)


@triton.jit
def where(v, a, b):
    """`a` where `v` is positive, else `b`."""
    return tl.where(v > 0, a, b)


@triton.jit
def smaller(a, b):
    """The smaller one; NaN where either is."""
    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def larger(a, b):
    """The larger one; NaN where either is."""
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def meet(arrived, everybody):
    """Wait until as many programs have come here as `everybody` says, counted from the beginning of
    the run; what any of them wrote before can be read by all behind it."""
    tl.debug_barrier()
    tl.atomic_add(arrived, 1, sem="release")
    while tl.atomic_add(arrived, 0, sem="acquire") < everybody:
        pass
    tl.debug_barrier()
