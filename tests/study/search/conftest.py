from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cellwright.study.search.results import Study
from cellwright.study.search.study import carry_out
from small import plan, unreported


@pytest.fixture(scope="session", autouse=True)
def _unreported() -> Iterator[None]:
    """Studies here are of what is searched; what is told of it has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        unreported(patch)
        yield


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    """A small study by one worker, whose figures those of any others have to be."""
    out = tmp_path_factory.mktemp("alone")
    return out, carry_out(plan(workers=1), out, Console(file=io.StringIO()))
