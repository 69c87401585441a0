"""The best model of each cell, as files in a folder that several processes may write to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from cellwright.study.store import OutputError, written

__all__ = ["Models"]


class Models:
    """The folder `models`: a file for the best trial of a search, named by both."""

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
        """Remove the models of trials that are not the best."""
        for number in numbers:
            self._file(search, number).unlink(missing_ok=True)

    def find(self, search: str, number: int) -> Path | None:
        """The file of a model, if it is here."""
        path = self._file(search, number)
        return path if path.is_file() else None

    def _file(self, search: str, number: int) -> Path:
        name = re.sub(r"[^\w.-]+", "-", search)
        return self.folder / f"{name}-{number}.safetensors"
