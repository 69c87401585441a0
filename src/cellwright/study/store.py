"""A comparison's folder: a file for each finished run, written at once and never half."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cellwright.errors import CellwrightError
from cellwright.study.jobs import Job
from cellwright.study.plain import decode, encode
from cellwright.study.results import Comparison, Run

__all__ = ["Kept", "OutputError", "Store", "as_json", "read_comparison", "written"]


class OutputError(CellwrightError):
    """The output folder cannot be used."""

    @classmethod
    def of(cls, e: OSError, path: Path) -> OutputError:
        """What the system says of a path."""
        return cls(
            f"{e.filename or path} cannot be written: {e.strerror}. "
            "Name a folder you may write to with --out."
        )


def written(path: Path, content: bytes) -> None:
    """Write a file, for good before its name appears: never half of it.

    Raises OutputError where it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as e:
        raise OutputError.of(e, path) from None


def as_json(value: object) -> bytes:
    """Plain data as a file."""
    return json.dumps(encode(value), indent=1, allow_nan=False).encode()


@dataclass(frozen=True)
class _Record:
    """What a run's file holds."""

    key: str
    granted: float | None
    """Seconds that it could have taken; None for as many as it liked."""
    run: Run


@dataclass(frozen=True)
class Kept:
    """What a folder already holds for a comparison."""

    runs: dict[Job, Run]
    notes: tuple[str, ...]
    """A line for whatever is in the folder and is not used."""


class Store:
    """The folder `out`: `runs/KEY.json`, `results.json`, and reports."""

    def __init__(self, out: Path) -> None:
        """Make the folder.

        Raises OutputError where it cannot be made or written to.
        """
        self.out, self.runs = out, out / "runs"
        self.results, self.report = out / "results.json", out / "report.html"
        probe = self.runs / f"writable-{os.getpid()}.part"
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            for path in (self.results, self.report):
                if path.is_dir():
                    raise IsADirectoryError(None, "Is a folder", str(path))
            probe.write_text("")
            probe.unlink()
        except OSError as e:
            raise OutputError.of(e, self.runs) from None

    def save(self, job: Job, run: Run, granted: float | None) -> None:
        """Keep a finished run, which could have taken `granted` seconds.

        Raises OutputError where it cannot be written.
        """
        written(self._file(job), as_json(_Record(job.key, granted, run)))

    def save_comparison(self, comparison: Comparison) -> None:
        """Write results.json.

        Raises OutputError where it cannot be written.
        """
        written(self.results, as_json(comparison))

    def load(self, jobs: Iterable[Job], granted: float | None) -> Kept:
        """The runs of these jobs that are finished, where a run may take `granted` seconds.

        One that time ended counts for the same time only, any other where it took no longer.
        """
        runs: dict[Job, Run] = {}
        notes = []
        wanted = {self._file(job): job for job in jobs}
        others = 0
        for path in sorted(self.runs.glob("*.json")):
            job = wanted.get(path)
            if job is None:
                others += 1
                continue
            try:
                record = decode(_Record, json.loads(path.read_text("utf-8")))
                if (record.key, record.run.cell, record.run.seed) != (
                    job.key,
                    job.cell.name,
                    job.seed,
                ):
                    raise ValueError("it is another run's")  # noqa: TRY301 - the same remedy
            except (OSError, ValueError, RecursionError) as e:
                notes.append(f"{path} is damaged ({e}) and is ignored: {job} is trained again.")
                continue
            if record.granted == granted or (
                record.run.stopped != "time" and (granted is None or record.run.seconds <= granted)
            ):
                runs[job] = record.run
        if others:
            some = "1 file" if others == 1 else f"{others} files"
            notes.append(f"{self.runs} has {some} of other settings or data, not used here.")
        return Kept(runs, tuple(notes))

    def _file(self, job: Job) -> Path:
        return self.runs / f"{job.key}.json"


def read_comparison(path: Path) -> Comparison:
    """The comparison in a results.json.

    Raises OutputError where the file is not there or is damaged.
    """
    try:
        return decode(Comparison, json.loads(path.read_text("utf-8")))
    except OSError as e:
        raise OutputError(f"{path} cannot be read: {e.strerror}.") from None
    except (ValueError, RecursionError) as e:
        raise OutputError(f"{path} is no comparison's results.json ({e}).") from None
