"""The functions of functions.hpp, on every kind of number, for every kind of processor here."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cellwright.backends.cpu import build
from cellwright.backends.cpu.targets import usable
from cellwright.program.ops import TABLE

Numbers = NDArray[np.floating]

EXACT = (
    "add", "sub", "mul", "div", "neg", "relu", "sqrt", "abs", "min", "max", "sign", "step", "where",
    "spread",
)  # fmt: skip
CLOSE: dict[str, tuple[Callable[[Numbers], Numbers], float]] = {
    # in more digits, and the largest error in units in the last place: 1.4 times what is measured
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 3.1),
    "tanh": (np.tanh, 3.5),
    "exp": (np.exp, 1.4),
    "softplus": (lambda x: np.logaddexp(x, 0), 3.6),
    "log": (np.log, 2.8),
    "sin": (np.sin, 0.8),
    "cos": (np.cos, 0.8),
}
NORMAL = {np.float32: 87, np.float64: 708}
"""The sigmoid of less than minus that is 0, but for the smallest normal numbers."""


@dataclass(frozen=True)
class Harness:
    """The functions, compiled for one kind of processor and one type of number."""

    library: ctypes.CDLL
    dtype: type[np.float32] | type[np.float64]

    def __call__(self, name: str, *args: Numbers) -> Numbers:
        result = np.empty_like(args[0])
        addresses = [ctypes.c_void_p(x.ctypes.data) for x in (*args, result)]
        getattr(self.library, f"each_{name}")(*addresses, ctypes.c_long(len(result)))
        return result


def function(name: str) -> str:
    """C++ that applies an operation to whole vectors."""
    row = TABLE[name]
    names = "abc"[: row.arity]
    value = row.cpp.format(*(f"load({x} + i)" for x in names))
    args = ", ".join(f"const REAL* {x}" for x in names)
    loop = f"for (long i = 0; i < n; i += LANES) store(y + i, {value});"
    return f'extern "C" void each_{name}({args}, REAL* y, long n) {{ {loop} }}\n'


@pytest.fixture(
    scope="module",
    params=[(target, double) for target in usable() for double in (False, True)],
    ids=lambda p: f"{p[0].name}-float{64 if p[1] else 32}",
)
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    target, double = request.param
    work = tmp_path_factory.mktemp("functions")
    source, library = work / "all.cpp", work / "all.so"
    source.write_text('#include "functions.hpp"\n' + "".join(map(function, (*EXACT, *CLOSE))))
    try:
        command = [*build.compiler(), *build._flags(double, target)]
    except build.BuildError as e:
        pytest.skip(str(e))
    subprocess.run([*command, f"-I{build.HERE}", source, "-o", library], check=True)
    return Harness(ctypes.CDLL(str(library)), np.float64 if double else np.float32)


def whole(x: Sequence[float] | Numbers, dtype: type[np.floating]) -> Numbers:
    """Whole vectors, some numbers again at the end."""
    return np.resize(np.asarray(x, dtype), -(-len(x) // 64) * 64)


def numbers(dtype: type[np.floating]) -> Numbers:
    """Of every sign, exponent and kind of NaN; and densely, where functions do not saturate."""
    unsigned, step = (np.uint32, 8009) if dtype is np.float32 else (np.uint64, 2**64 // 200_003)
    info = np.iinfo(unsigned)
    every = np.arange(0, info.max, step, dtype=unsigned).view(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).smallest_subnormal]
    reach = 1.1 * NORMAL[dtype]
    dense = [np.linspace(-w, w, 100_003) for w in (reach, 20, 1)]
    return whole(np.concatenate([every, np.concatenate([*dense, special]).astype(dtype)]), dtype)


def units(found: Numbers, exact: Numbers) -> Numbers:
    """Errors in units in the last place; infinite where only one is NaN, or infinite."""
    near = exact.astype(found.dtype)
    with np.errstate(invalid="ignore"):
        errors = np.abs(found - exact) / np.spacing(np.abs(near))
    same = (found == near) | (np.isnan(found) & np.isnan(near))
    odd = ~np.isfinite(found) | ~np.isfinite(near)
    return np.where(odd, np.where(same, 0, np.inf), errors)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of infinities
@pytest.mark.parametrize("name", CLOSE)
def test_few_units_in_the_last_place(harness: Harness, name: str) -> None:
    exact, bound = CLOSE[name]
    x = numbers(harness.dtype)
    found = harness(name, x)
    wide = x.astype(np.float64 if harness.dtype is np.float32 else np.longdouble)
    errors = units(found, exact(wide))
    if name == "sigmoid":
        low = x < -NORMAL[harness.dtype]
        assert (found[low] >= 0).all()
        assert (found[low] < 2 * np.finfo(harness.dtype).tiny).all()
        errors[low] = 0
    worst = int(np.argmax(errors))
    assert errors[worst] <= bound, f"{name}({x[worst]!r}) gave {found[worst]!r}"


@pytest.mark.parametrize("name", EXACT)
def test_as_torch_has_it(harness: Harness, name: str) -> None:
    tiny, largest = np.finfo(harness.dtype).smallest_subnormal, np.finfo(harness.dtype).max
    some = [0, -0.0, 1, -1, 0.3, -7.1, tiny, -tiny, largest, -largest, np.inf, -np.inf, np.nan]
    combined = np.array(np.meshgrid(*[some] * TABLE[name].arity)).reshape(TABLE[name].arity, -1)
    args = [whole(x, harness.dtype) for x in combined]
    found, expected = harness(name, *args), TABLE[name].torch(torch, *map(torch.tensor, args))
    np.testing.assert_array_equal(found, expected)


def test_every_operation_is_tested() -> None:
    assert {*EXACT, *CLOSE} == {row.name for row in TABLE.values() if row.cpp}
