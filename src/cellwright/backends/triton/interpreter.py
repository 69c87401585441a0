"""Whether there is Triton, and whether its interpreter runs kernels."""

from __future__ import annotations

import os
from importlib.util import find_spec

__all__ = ["installed", "interpreting"]


def installed() -> bool:
    """Whether there is Triton; it is not imported for that."""
    return find_spec("triton") is not None


def interpreting() -> bool:
    """Whether kernels are interpreted on the CPU, as Triton itself decides when it is imported."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")
