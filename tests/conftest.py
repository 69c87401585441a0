"""Settings that every test runs under."""

from __future__ import annotations

import os
from ctypes import CDLL
from pathlib import Path

import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Triton's kernels run in its interpreter: it decides when it is first imported.
os.environ["TRITON_INTERPRET"] = "1"

# Shapes in annotations are checked here, and only here: users pay nothing for them. What Triton
# compiles stays as it is.
BACKENDS = Path(__file__).parents[1] / "src/cellwright/backends"
CHECKED = [
    ".".join(("cellwright", *path.relative_to(BACKENDS.parent).with_suffix("").parts))
    for path in BACKENDS.rglob("*.py")
    if path.name not in ("__init__.py", "functions.py")
]
install_import_hook(CHECKED, "beartype.beartype")

from cellwright.backends.cpu import build  # noqa: E402 - behind the hook

# Compiled cells are kept between runs of the tests, and not among the user's own. Processes that
# tests start have it from here.
CACHE = Path(__file__).parents[1] / "build" / "test-cache"
os.environ.setdefault("CELLWRIGHT_CACHE", str(CACHE))

# The engine's memory is NaN until something is written to it.
build.FLAGS = (*build.FLAGS, "-DPOISON")


# Cells in float64 are checked for what they compute, and those in float32, which people train in,
# for what the compiler's optimisation makes of it: without it one compiles in a third of the time.
# Of programs in float64 a quarter is optimised all the same, for what only they are tried with.
# A flag would be the kernels' too, which all products are made by.
def _unoptimised(source: str, double: bool) -> CDLL:
    if double and source != build._kernel_source() and sum(source.encode()) % 4:
        source = f'#pragma GCC optimize("O0")\n{source}'
    return _native(source, double)


_native, build._native = build._native, _unoptimised

torch.set_num_threads(1)

# A first example may compile a grammar or a kernel, and a slow machine is no failure.
settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=150,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "default")
