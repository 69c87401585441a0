"""A study on a real Ray cluster, of this machine."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'cellwright[ray]'")

from cellwright.study.options import OptionError  # noqa: E402 - behind Ray
from cellwright.study.search.cluster import Cluster  # noqa: E402
from cellwright.study.search.files import read_study  # noqa: E402
from cellwright.study.search.results import Study  # noqa: E402
from small import command, figures  # noqa: E402
from tiny import MUSIC  # noqa: E402


def test_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(OptionError, match=r"no Ray cluster .* Start one with `ray start --head`"):
        Cluster("auto", MUSIC, 1)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a cluster with two cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        options = {"include_dashboard": False, "logging_level": logging.ERROR}
        ray.init("local", num_cpus=2, object_store_memory=2**27, log_to_driver=False, **options)
        yield ray.get_runtime_context().gcs_address
        ray.shutdown()


def test_two_workers_of_a_cluster_find_what_one_finds_here(
    alone: tuple[Path, Study], tmp_path: Path, address: str
) -> None:
    started = command(tmp_path, ray=address, workers=2)
    said, _ = started.communicate(timeout=200)
    assert started.returncode == 0, said
    found = read_study(tmp_path)
    assert figures(found) == figures(alone[1])
    assert [one.model for one in found.cells] != [None, None]


def test_without_ray_it_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError\n")
    code = "import cellwright.study.search.cluster"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "pip install 'cellwright[ray]'" in done.stderr
