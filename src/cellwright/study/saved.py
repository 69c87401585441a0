"""A trained model as a file: safetensors, with the cell's text and the task's description inside.

No pickle: a file is numbers and JSON, and a stranger's is safe to load.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from cellwright.errors import CellwrightError
from cellwright.language import Cell, CellError, GivenError, parse
from cellwright.study.model import Model
from cellwright.study.plain import decode, encode
from cellwright.study.regime import Regime
from cellwright.study.results import Dataset, Run
from cellwright.study.tasks.task import Features, Form, Symbols, Task

__all__ = ["Saved", "SavedError", "about", "as_file", "load"]

SUFFIX: Final = ".safetensors"
_KEY: Final = "cellwright"


class SavedError(CellwrightError):
    """A file is no model that was saved here."""


@dataclass(frozen=True)
class _Shape:
    """`Form` as plain data: one of the two ways to read is None."""

    features: Features | None
    symbols: Symbols | None
    outputs: tuple[str, ...]
    last: bool


@dataclass(frozen=True)
class _Record:
    """What a file says beside its tensors."""

    version: str
    name: str
    """Without options."""
    cell: str
    options: dict[str, float]
    """Those that are not the text's defaults."""
    shape: _Shape
    dataset: Dataset
    regime: Regime
    run: Run


@dataclass(frozen=True)
class Saved:
    """What a file says of a model."""

    cell: Cell
    form: Form
    dataset: Dataset = field(repr=False)
    """What it was trained on."""
    regime: Regime
    run: Run = field(repr=False)
    """How it was trained, and with what success."""
    cellwright: str
    """The version that wrote it."""


def as_file(model: Model, task: Task, regime: Regime, run: Run) -> bytes:
    """What `load` reads."""
    cell = model.recurrent.cell
    reads = model.form.reads
    features, symbols = (reads if isinstance(reads, kind) else None for kind in (Features, Symbols))
    record = _Record(
        version=version("cellwright"),
        name=cell.origin,
        cell=cell.text,
        options={o.name: o.value for o in cell.given},
        shape=_Shape(features, symbols, model.form.outputs, model.form.last),  # type: ignore[arg-type]
        dataset=task.summary(),
        regime=regime,
        run=run,
    )
    tensors = {name: w.detach().contiguous() for name, w in model.state_dict().items()}
    return save(tensors, {_KEY: json.dumps(encode(record), allow_nan=False)})


def about(path: str | os.PathLike[str]) -> Saved:
    """What a file says of its model.

    Raises SavedError where it is not there, or is something else.
    """
    return _read(path)[0]


def load(path: str | os.PathLike[str]) -> Model:
    """The model that a study has saved, in evaluation mode; `about(path)` says what it is.

    `model(inputs, lengths)` is `(outputs, state)`, `model.recurrent` the layer, and
    `model.recurrent.trace(model.read(inputs))` what every named value of its equations did.

    Raises SavedError where it is not there, or is something else.
    """
    found, tensors = _read(path)
    model = Model(found.cell, found.form, found.regime.hidden_size)
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise SavedError(f"{path}: its tensors do not fit its cell, {found.cell.name}") from None
    return model.eval()


def _read(which: str | os.PathLike[str]) -> tuple[Saved, dict[str, Tensor]]:
    if not isinstance(which, str | os.PathLike):
        raise TypeError(f"a saved model is named by its path, got {type(which).__name__}")
    path = Path(which)
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        if text is None:
            raise SavedError(
                f"{path}: safetensors, but it does not say which cell it is of. Expected a model "
                "that cellwright study has saved"
            )
        record = decode(_Record, json.loads(text))
        reads = record.shape.features or record.shape.symbols
        if reads is None:
            raise ValueError("it reads nothing")  # noqa: TRY301 - the same remedy
        form = Form(reads, record.shape.outputs, record.shape.last)
        given = {n: int(v) if v.is_integer() else v for n, v in record.options.items()}
        cell = parse(record.cell, record.name).with_options(**given)
    except OSError as e:
        if path.is_dir():
            remedy = "name one of the .safetensors files in it"
            raise SavedError(f"{path} is a folder: {remedy}") from None
        raise SavedError(f"{path}: cannot be read: {e.strerror or e}") from None
    except (SafetensorError, ValueError, RecursionError, CellError, GivenError) as e:
        raise SavedError(f"{path}: is no model that cellwright has saved ({e})") from None
    found = Saved(cell, form, record.dataset, record.regime, record.run, record.version)
    return found, tensors
