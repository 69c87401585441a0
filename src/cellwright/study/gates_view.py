"""The gates at work, as a part of a page: maps over time, below what was read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray

from cellwright.errors import CellwrightError
from cellwright.study.gates import Example, Gates, Plane, example, gates, quantised
from cellwright.study.saved import about, load
from cellwright.study.tasks.task import Symbols, Task

__all__ = ["MOST", "PageError", "Section", "drawn", "fragment", "page", "script", "style", "write"]

MOST: Final = 12
"""Cells that are shown: with more, a page gets too large to send around."""
_LINES: Final = 6
"""Features that are drawn as lines; of more there is a map."""
_ROWS: Final = 12
"""Symbols that are drawn as rows of a map; more of them are written."""
_AROUND: Final = 9
"""Characters on either side of the one that is read at a step."""
_SIGNS: Final = {"\n": "⏎", "\t": "⇥", "\r": "␍", " ": "␣"}
_COLOURS: Final = ("blue", "orange", "green", "pink", "ochre", "violet")


class PageError(CellwrightError):
    """Gates cannot be shown of this model on these data, or not be written there."""


@dataclass(frozen=True)
class Input:
    """What was read, in one of three forms; the others are empty."""

    plane: Plane | None
    names: tuple[str, ...]
    """Of the rows of the plane."""
    lines: tuple[tuple[str, str, str], ...]
    """Name, colour and the points of an SVG polyline, in a box of T by 1."""
    letters: tuple[str, ...]
    now: tuple[str, ...]
    """What was read at each step, in words."""


@dataclass(frozen=True)
class Section:
    """What is shown."""

    shown: Example
    cells: Mapping[str, Gates]
    """By the names of cells."""
    said: Mapping[str, str]
    """What stands beside a cell's name: how good it is."""


def fragment(section: Section) -> Markup:
    """The gates of each cell over one example.

    A page with it needs `style()` in its style sheet, `script()` once behind it, and the colours
    of report.css.
    """
    shown = section.shown
    return Markup(
        _template("gates.html.jinja").render(
            steps=shown.steps, whole=shown.whole, read=_input(shown), cells=section.cells,
            said=section.said,
        )
    )  # fmt: skip


def drawn(task: Task, models: Mapping[str, Path]) -> Section:
    """The gates of saved models, by their cells' names, over an example of a task's data.

    Raises SavedError for a file that is no model, PageError for one that reads something else.
    """
    shown = example(task)
    cells, said = {}, {}
    for name, path in list(models.items())[:MOST]:
        saved, model = about(path), load(path)
        if saved.form.reads != task.reads:
            raise PageError(f"{path} reads {saved.form.reads}, and {task.name} gives {task.reads}, "
                            "or the same of other things. Name the data that the model was "
                            f"trained on: {saved.dataset.source}")  # fmt: skip
        cells[name] = gates(model, shown)
        metric = saved.dataset.metric
        said[name] = f"{saved.run.hidden_size} hidden units, test {metric.full(saved.run.test)}"
    return Section(shown, cells, said)


def page(title: str, section: Section) -> str:
    """A page of its own, which opens offline."""
    return _template("gates_page.html.jinja").render(
        title=title, style=Markup(_file("report.css")), gates=fragment(section),
        gates_style=style(), script=script(),
    )  # fmt: skip


def write(text: str, path: Path) -> None:
    """Write a page.

    Raises PageError where the file cannot be written.
    """
    try:
        path.write_text(text, "utf-8", errors="replace")  # a file's name may be any bytes
    except OSError as e:
        raise PageError(f"{path} cannot be written: {e.strerror}. Choose another one with "
                        "--out") from None  # fmt: skip


def style() -> Markup:
    """What belongs into the style sheet of the page."""
    return Markup(_file("gates.css"))


def script() -> Markup:
    """What belongs into a script element at the end of the page."""
    return Markup(_file("gates.js"))


# --- what was read ------------------------------------------------------------------------------


def _input(shown: Example) -> Input:
    names = shown.reads.names
    if isinstance(shown.reads, Symbols):
        return _symbols(names, shown.inputs[:, 0].numpy())
    values = shown.inputs[:, 0].double().numpy()  # (T, K)
    if len(names) > 2 and np.isin(values, (0, 1)).all():
        return _roll(names, values)
    return _drawn(names, values) if len(names) <= _LINES else _channels(names, values)


def _symbols(names: Sequence[str], symbols: NDArray[np.int64]) -> Input:
    signs = [_sign(names[s]) for s in symbols]
    if len(names) > _ROWS:
        return Input(None, (), (), tuple(signs), tuple(map(_reading(signs), range(len(signs)))))
    rows = (symbols[None] == np.arange(len(names))[:, None]).astype(np.float64)
    return Input(quantised("read", "", rows), tuple(map(_sign, names)), (), (), tuple(signs))


def _sign(name: str) -> str:
    """A symbol that can be seen."""
    return _SIGNS.get(name, name if name.isprintable() else "�")


def _reading(signs: Sequence[str]) -> Callable[[int], str]:
    """A step's symbol within those around it."""

    def at(step: int) -> str:
        before = "".join(signs[max(0, step - _AROUND) : step])
        return f"{before}[{signs[step]}]{''.join(signs[step + 1 : step + 1 + _AROUND])}"

    return at


def _drawn(names: Sequence[str], values: NDArray[np.float64]) -> Input:
    low, high = values.min(0), values.max(0)
    places = (high - values) / np.where(high > low, high - low, 1)
    lines = tuple(
        (name, _COLOURS[k], " ".join(f"{t + 0.5:g},{y:.3f}" for t, y in enumerate(places[:, k])))
        for k, name in enumerate(names)
    )
    now = tuple(
        ", ".join(f"{name} {value:.3g}" for name, value in zip(names, row, strict=True))
        for row in values.tolist()
    )
    return Input(None, (), lines, (), now)


def _roll(names: Sequence[str], values: NDArray[np.float64]) -> Input:
    """What is 0 or 1, the last feature on top; features below and above all that occur left out."""
    used = np.flatnonzero(values.any(0))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, len(names) - 1)
    rows = values[:, first : last + 1].T[::-1]
    plane = _whole(rows)
    now = (" ".join(names[k] for k in np.flatnonzero(row).tolist()) for row in values)
    return Input(
        plane, tuple(names[first : last + 1][::-1]), (), (), tuple(one or "nothing" for one in now)
    )


def _channels(names: Sequence[str], values: NDArray[np.float64]) -> Input:
    return Input(_whole(values.T), tuple(names), (), (), ("",) * len(values))


def _whole(rows: NDArray[np.float64]) -> Plane:
    """Of all rows, which `quantised` would cut: what was read has an order."""
    cut = quantised("read", "", rows)
    if len(rows) == len(cut.codes):
        return cut
    scaled = quantised("read", "", rows.reshape(1, -1))
    return replace(scaled, codes=scaled.codes.reshape(rows.shape), units=len(rows))


# --- words and numbers --------------------------------------------------------------------------


def _packed(codes: NDArray[np.uint8]) -> str:
    return base64.b64encode(np.ascontiguousarray(codes).tobytes()).decode()


def _number(value: float) -> str:
    return f"{value:.2g}".replace("-", "−")


@cache
def _template(name: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.filters |= {"packed": _packed, "number": _number,
                            "json": lambda v: json.dumps(v, ensure_ascii=False)}  # fmt: skip
    return environment.from_string(_file(name))


def _file(name: str) -> str:
    return files("cellwright.study").joinpath(name).read_text("utf-8")
