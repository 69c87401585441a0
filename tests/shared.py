"""Real data, which the project does not have: tests that read them skip where they are absent."""

from __future__ import annotations

from pathlib import Path

import pytest

__all__ = ["DATA", "needs_data"]

_BESIDE = [folder / "shared" / "data" for folder in Path(__file__).resolve().parents]
DATA = next((folder for folder in _BESIDE if folder.is_dir()), _BESIDE[2])
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}")
