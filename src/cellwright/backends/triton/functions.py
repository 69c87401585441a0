"""What kernels call: functions that Triton does not have, or has with other edges than torch.

Imports Triton, so only kernels import this module. Nothing is annotated: Triton reads annotations,
and knows its own only.
"""

from __future__ import annotations

import triton
import triton.language as tl

from cellwright.backends.triton.interpreter import interpreting

__all__ = [
    "add_up",
    "black_box",
    "exp",
    "laid_out",
    "larger",
    "meet",
    "relu",
    "sigmoid",
    "sign",
    "smaller",
    "softplus",
    "step",
    "tanh",
    "where",
]


DEVICE = tl.constexpr(not interpreting())
"""Whether there is a device, whose own instructions are used: those of Triton's functions also mind
numbers that are smaller than normal ones, which takes most of their time."""

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def exp(x):
    """To 2 units in the last place, one more for each 2 of |x|; 0 below normal numbers."""
    if DEVICE:
        x = LOG2_E * x
        found = tl.inline_asm_elementwise(
            "ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        found = tl.exp(x)
    return found


@triton.jit
def reciprocal(x):
    """Of what is 1 or more, to 1 unit in the last place."""
    if DEVICE:
        found = tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        found = 1.0 / x
    return found


@triton.jit
def sigmoid(x):
    """0 where exp(-x) is infinite."""
    return reciprocal(1.0 + exp(-x))


@triton.jit
def tanh(x, SHORT):
    """By exp where |x| is not small, else by its series, as 1 - exp(-2x) would cancel there. Where
    numbers are SHORT, of 16 bits, the device's own, which is as good as those are."""
    if SHORT:
        found = tl.inline_asm_elementwise(
            "tanh.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        e = exp(-2.0 * tl.abs(x))
        large = (1.0 - e) * reciprocal(1.0 + e)
        s = x * x
        series = -0.05396825396825397 + s * (0.021869488536155203 - s * 0.008863235529902197)
        series = 1.0 + s * (-0.3333333333333333 + s * (0.13333333333333333 + s * series))
        found = tl.where(tl.abs(x) < 0.1, x * series, tl.where(x < 0, -large, large))
    return found


@triton.jit
def softplus(x):
    """log(1 + exp(x)); what 1 + e rounds off is put right, so that it is not 0 far to the left."""
    e = exp(-tl.abs(x))
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
def black_box(t):
    """The same number, of which the compiler knows nothing: so each step computes its addresses,
    where the compiler would keep one for each tensor, in two registers, and go on from there."""
    if DEVICE:
        t = tl.inline_asm_elementwise(
            "mov.b64 $0, $1;", "=l,l", [t], dtype=tl.int64, is_pure=False, pack=1
        )
    return t


@triton.jit
def add_up(parts):
    """The sum over the first dimension, a power of two. A reduction of Triton's leaves the result
    with every warp, so that all work on it is done by each, and writes to shared memory in strides
    that are served one after another; halves that are split apart have neither."""
    n: tl.constexpr = parts.shape[0]
    if n > 1:
        rest = tl.permute(parts, (1, 2, 0))
        shape: tl.constexpr = (parts.shape[1], parts.shape[2], n // 2, 2)
        a, b = tl.split(tl.reshape(rest, shape))
        found = add_up(tl.permute(a + b, (2, 0, 1)))
    else:
        found = tl.reshape(parts, (parts.shape[1], parts.shape[2]))
    return found


@triton.jit
def laid_out(x):
    """The same, its numbers with the threads that load and store them: what a matrix product gives
    is with others, and each value would have to pass between those through shared memory. Triton
    has no word for that; halves that are split apart are with the threads of memory."""
    apart: tl.constexpr = (x.shape[0], x.shape[1] // 4, 2, 2)
    a, b = tl.split(tl.permute(tl.reshape(x, apart), (0, 1, 3, 2)))
    return tl.reshape(tl.permute(tl.join(a, b), (0, 1, 3, 2)), (x.shape[0], x.shape[1]))


@triton.jit
def meet(arrived, everybody):
    """Wait until as many programs have come here as `everybody` says, counted from the beginning of
    the run; what any of them wrote before can be read by all behind it."""
    tl.debug_barrier()
    tl.atomic_add(arrived, 1, sem="release")
    while tl.atomic_add(arrived, 0, sem="acquire") < everybody:
        pass
    tl.debug_barrier()
