"""The best models of each cell, as files in a folder that several processes may write to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cellwright.study.store import OutputError, written

__all__ = ["Models"]


class Models:
    """The folder `models`: files of trials that lead their search (`Contest.leads`), named by both.

    So the best model is there of any smaller number of trials as well, which a study may be asked
    for again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, search: str, number: int, model: bytes) -> None:
        """Write a model, at once or not at all.

        Raises OutputError where it cannot be written.
        """
        path = self._file(search, number)
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as e:
            raise OutputError.of(e, path) from None
        written(path, model)

    def drop(self, search: str, numbers: Iterable[int]) -> None:
        """Remove the models of trials that do not lead."""
        for number in numbers:
            self._file(search, number).unlink(missing_ok=True)

    def find(self, search: str, number: int) -> Path | None:
        """The file of a model, if it is here."""
        path = self._file(search, number)
        return path if path.is_file() else None

    def _file(self, search: str, number: int) -> Path:
        name = re.sub(r"[^\w.-]+", "-", search)
        return self.folder / f"{name}-{number}.safetensors"
