"""What a study leaves in its folder, the journal aside."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from cellwright.study.plain import decode
from cellwright.study.results import Run
from cellwright.study.search.models import Models
from cellwright.study.search.results import Searched, Study
from cellwright.study.store import OutputError, as_json, written

__all__ = ["Files", "read_study"]


class Files:
    """The folder `out`: `study.json`, `trials.csv`, `models/`."""

    def __init__(self, out: Path) -> None:
        """Make the folder.

        Raises OutputError where it cannot be made.
        """
        self.out = out
        self.study, self.trials = out / "study.json", out / "trials.csv"
        self.models = Models(out / "models")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise OutputError.of(e, out) from None

    def save(self, study: Study) -> None:
        """Write study.json and trials.csv.

        Raises OutputError where they cannot be written.
        """
        written(self.study, as_json(study))
        written(self.trials, _table(study).encode())


def read_study(path: Path) -> Study:
    """The study in a study.json, or in the folder that has one.

    Raises OutputError where it is not there or is damaged.
    """
    path = path / "study.json" if path.is_dir() else path
    try:
        return decode(Study, json.loads(path.read_text("utf-8")))
    except OSError as e:
        raise OutputError(
            f"{path} cannot be read: {e.strerror}. cellwright study writes it when it ends, or is "
            "stopped; compare, whose report is written by the same command again, does not."
        ) from None
    except (ValueError, RecursionError) as e:
        raise OutputError(f"{path} is no study.json of cellwright study ({e}).") from None


# --- a table of trials --------------------------------------------------------------------------


def _table(study: Study) -> str:
    """A row a training; `again` is 1 for seeds of the best trial."""
    names = [one.name for one in study.settings.ranges]
    metrics = [metric.name for metric in study.dataset.metrics]
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["cell", "trial", "again", "seed", *names, "size", "learned", "epochs", "best_epoch",
         "valid", "test", *(f"test_{name.replace(' ', '_')}" for name in metrics), "seconds",
         "stopped"]
    )  # fmt: skip
    for searched in study.cells:
        for number, again, setting, run in _rows(searched, study):
            table.writerow(
                [searched.cell, number, again, run.seed, *(setting[name] for name in names),
                 run.hidden_size, run.parameters, len(run.epochs), run.best_epoch + 1, run.valid,
                 run.test, *(run.metrics.get(name, "") for name in metrics), run.seconds,
                 run.stopped]
            )  # fmt: skip
    return text.getvalue()


def _rows(searched: Searched, study: Study) -> Iterator[tuple[int, int, dict[str, float], Run]]:
    for trial in searched.trials:
        yield trial.number, 0, trial.hyperparameters, trial.run
    best = searched.best(study.dataset.metric)
    for run in searched.again if best else ():
        assert best is not None
        yield best.number, 1, best.hyperparameters, run
