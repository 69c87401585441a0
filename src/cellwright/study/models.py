"""The best model of each cell, as a file in the folder of the runs that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from cellwright.study.jobs import Job
from cellwright.study.metric import Metric
from cellwright.study.results import Run
from cellwright.study.store import OutputError

__all__ = ["Models"]

SUFFIX = ".safetensors"


class Models:
    """The folder `models` of an output folder: `KEY.safetensors` of each cell's best run.

    The best is that with the best validation: choosing by test would make its test too good.
    """

    def __init__(self, out: Path, metric: Metric) -> None:
        self.folder, self.metric = out / "models", metric

    def keep(self, job: Job, run: Run, model: bytes | None, others: Mapping[Job, Run]) -> None:
        """Write the model of a run that has just finished, if none of `others` of its cell is best.

        That of the run that was best before goes. Written whole or not at all.

        Raises OutputError where it cannot be written.
        """
        if model is None or _best(job.cell.name, {**others, job: run}, self.metric) != job:
            return
        path, part = self._file(job), self._file(job).with_suffix(".part")
        try:
            self.folder.mkdir(exist_ok=True)
            part.write_bytes(model)
            part.replace(path)
            for other in others:
                if other.cell.name == job.cell.name:
                    self._file(other).unlink(missing_ok=True)
        except OSError as e:
            raise OutputError(f"{path} cannot be written: {e.strerror}. "
                              "Name a folder you may write to with --out.") from None  # fmt: skip

    def best(self, runs: Mapping[Job, Run]) -> dict[str, Path]:
        """The file of each cell's best run, by the cell's name, where it is there."""
        names = dict.fromkeys(job.cell.name for job in runs)
        found = {name: _best(name, runs, self.metric) for name in names}
        return {name: path for name, job in found.items()
                if job is not None and (path := self._file(job)).is_file()}  # fmt: skip

    def _file(self, job: Job) -> Path:
        return self.folder / f"{job.key}{SUFFIX}"


def _best(cell: str, runs: Mapping[Job, Run], metric: Metric) -> Job | None:
    """The run of a cell with the best validation, the first of equal ones; None where all diverged.

    A share's divergence is infinite like that of a loss, so it is told by being so.
    """
    own = [job for job, run in runs.items() if run.cell == cell and isfinite(run.valid)]
    return min(own, key=lambda job: (metric.order(runs[job].valid), job.seed), default=None)
