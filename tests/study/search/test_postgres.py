"""One study in a real PostgreSQL, by machines without a common folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from cellwright.study.search.claims import PostgresClaims
from cellwright.study.search.files import read_study
from cellwright.study.search.results import Study
from cellwright.study.search.storage import shared
from small import command, figures

pytest.importorskip(
    "psycopg", reason="psycopg is not installed: pip install 'cellwright[postgres]'"
)

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ELSEWHERE = [Path(found).parent for found in [shutil.which("initdb")] if found]
BINARIES = [*DEBIAN[-1:], *ELSEWHERE]
pytestmark = pytest.mark.skipif(
    not BINARIES, reason="no PostgreSQL here: Debian's package is postgresql"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a server that listens on a socket only. It does not run as root, who starts it in CI."""
    folder = tempfile.mkdtemp(prefix="cellwright-postgres-")
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres")
    data, program = f"{folder}/data", BINARIES[0]
    made = [program / "initdb", "-D", data, "-U", "study", "-A", "trust", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **user)
    quick = ["-c", "fsync=off", "-c", "listen_addresses="]
    server = subprocess.Popen(
        [program / "postgres", "-D", data, "-k", folder, *quick], stderr=subprocess.DEVNULL, **user
    )
    until = time.monotonic() + 60
    while not Path(folder, ".s.PGSQL.5432").exists() and time.monotonic() < until:
        time.sleep(0.05)
    try:
        yield f"postgresql://study@/postgres?host={folder}"
    finally:
        server.send_signal(signal.SIGINT)  # without waiting for those connected
        server.wait(30)
        shutil.rmtree(folder)


def test_claims_are_one_connections_until_it_ends(tmp_path: Path, url: str) -> None:
    with shared(tmp_path, url) as ours, shared(tmp_path, url) as theirs:
        assert isinstance(ours.claims, PostgresClaims)
        assert ours.claims.take(3)
        assert [theirs.claims.take(n) for n in (3, 4)] == [False, True]
        ours.claims.release(3)
        assert theirs.claims.take(3)
        assert not ours.claims.take(3)
        theirs.claims.close()
        until = time.monotonic() + 10  # the server sees to it in its own time
        while not ours.claims.take(3) and time.monotonic() < until:
            time.sleep(0.02)
        assert ours.claims.take(4)


def test_two_machines_share_a_study_and_one_is_lost(
    alone: tuple[Path, Study], tmp_path: Path, url: str
) -> None:
    """The other one does what it left, at once; both write the whole study."""
    folders = [tmp_path / "one", tmp_path / "two"]
    lost, stays = (command(folder, storage=url) for folder in folders)
    assert lost.stdout
    for line in lost.stdout:
        if "validation" in line:
            os.killpg(lost.pid, signal.SIGKILL)
            break
    lost.communicate()
    again = command(folders[0], storage=url)
    said = [one.communicate(timeout=200)[0] for one in (stays, again)]
    assert [stays.returncode, again.returncode] == [0, 0], said
    expected = figures(alone[1])
    for folder in folders:
        assert figures(read_study(folder)) == expected
        assert not (folder / "study.journal").exists()
    with shared(tmp_path, url) as kept:
        names = optuna.get_all_study_names(kept.storage)
        trials = [
            t for n in names for t in optuna.load_study(study_name=n, storage=kept.storage).trials
        ]
    assert len(trials) == 16
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
