"""The one error of a reader, and what turns whatever a library stumbles over into it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cellwright.errors import CellwrightError

__all__ = ["DataError", "whole"]


class DataError(CellwrightError):
    """The data cannot be read, or leave nothing to learn from."""


@contextmanager
def whole() -> Iterator[None]:
    """Turns whatever a library raises on damaged bytes into a DataError.

    Fuzzing found a dozen types.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as e:
        reason = " ".join(str(e).split())[:80] or type(e).__name__
        raise DataError(f"damaged ({reason}). Write or fetch it again.") from None
