"""The one template of every kernel: which rows and units a program has, then its steps."""

__all__ = [
    "ALL",
    "ALL_STEPS",
    "AT",
    "CUT",
    "ENDS",
    "KERNEL",
    "LONGEST",
    "LOOP",
    "ONE_STEP",
    "PART",
    "SIZE",
]

KERNEL = '''\
"""{title}"""

import triton
import triton.language as tl

from cellwright.backends.triton.functions import *


@triton.jit
def {name}(
    {tensors}
    lengths, resets, counter, arrived, T, B,
    {sizes}
    REVERSE: tl.constexpr, LENGTHS: tl.constexpr, RESETS: tl.constexpr,
    ACC: tl.constexpr, DTYPE: tl.constexpr, DOT: tl.constexpr, PRECISION: tl.constexpr,
    PROGRAMS: tl.constexpr, ROWS: tl.constexpr, PARTS: tl.constexpr, SHORT: tl.constexpr,
    {tiles}
):
    zero = tl.full((1, 1), 0, tl.int64)
    first = tl.program_id(1) == 0
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
{lanes}
{body}
'''

SIZE = """\
    lane{z} = tl.program_id(1) * width{z} + tl.arange(0, U{z})[None, :]
    in{z} = (tl.arange(0, U{z})[None, :] < width{z}) & (lane{z} < n{z})
"""

PART = """\
part{z} = tl.arange(0, PARTS)[:, None, None] * (A{z} // PARTS)
row{z} = part{z} + tl.arange(0, A{z} // PARTS)[None, :, None]
part{z} += tl.arange(0, A{z} // PARTS)[None, None, :]"""
"""All units of a size in parts, each of which some threads multiply by its part of a matrix; and
the same as a matrix's rows."""

ENDS = """\
    there = rows < B
    b = rows.to(tl.int64)
    ends = T
    if LENGTHS:
        ends = tl.load(lengths + rows, mask=there, other=0)
"""

LOOP = """\
{steps}
{before}
    for i in range(0, steps):
{soon}
        t = zero + i
        if REVERSE:
            t = zero + (steps - 1 - i)
        live = there & (t < ends)
{lines}
{behind}
"""

AT = """\
t = zero + {i}
if REVERSE:
    t = zero + (steps - 1 - ({i}))
live = there & (t < ends) & ({i} < steps)"""
"""A later step: what it reads is on its way while others compute."""

ALL = "    steps = T"
"""Programs that meet take as many steps, however long their sequences are."""

LONGEST = """\
    steps = T
    if LENGTHS:
        steps = tl.max(tl.max(ends, 1), 0)"""

ALL_STEPS = """\
    there = rows < T * B
    t = (rows // B).to(tl.int64)
    b = (rows % B).to(tl.int64)
    ends = T
    if LENGTHS:
        ends = tl.load(lengths + b, mask=there, other=0)
    live = there & (t < ends)
{lines}
"""

ONE_STEP = """\
    t = zero + tl.load(counter)
    if REVERSE:
        t = T - 1 - t
    live = there & (t < ends)
{lines}
"""

CUT = (
    "if RESETS:",
    "    edge = t + 1",
    "    if REVERSE:",
    "        edge = t",
    "    cut = tl.load(resets + edge * B + b, mask=live & (edge < ends), other=0) > 0",
)
"""Where a sequence begins anew in the next step: no state passes into it."""
