"""A study small enough to be over in seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from pytest import MonkeyPatch
from rich.console import Console

from cellwright import cell
from cellwright.study.runner import Worker
from cellwright.study.search import report
from cellwright.study.search.presets import Preset, preset
from cellwright.study.search.results import Study
from cellwright.study.search.study import Plan, carry_out, settings_of
from cellwright.study.tasks import Task
from cellwright.study.worker import Message, Order, work
from tiny import MUSIC

__all__ = ["PRESET", "Here", "command", "figures", "leading", "plan", "unreported"]

PRESET: Preset = replace(
    preset("modern").overridden({"parameters": "100,400", "learning_rate": "1e-3,1e-1"}),
    left_to_task=("batch_size", "clip_norm", "averaging"),
    fixed={"optimizer": "adamw", "epochs": 9, "patience": 9},
)
"""Rungs are after 1 and 3 epochs."""


def plan(
    cells: Iterable[str] = ("lstm", "gru"),
    workers: int | None = None,
    preset: Preset = PRESET,
    storage: str | None = None,
    ray: str | None = None,
    **options: int | float | None,
) -> Plan:
    """What `carry_out` takes: six trials and two seeds a cell, or other numbers."""
    names = tuple(cells)
    given = {"trials": 6, "seeds": 2, **options}
    settings = settings_of(preset, MUSIC, names, names[0], **given)  # type: ignore[arg-type]
    return Plan(tuple(map(cell, names)), MUSIC, settings, workers, storage, ray, "test")


def unreported(patch: MonkeyPatch) -> None:
    """A study without its report, which takes longer than a small study itself."""
    patch.setattr(report, "write", lambda study, out, task=None: out / "report.html")


class Here:
    """A crew of one, in this process: nobody waits for another one to start."""

    size = 1

    def __init__(self, task: Task) -> None:
        self.task = task

    def start(self) -> Worker:
        return _Thread(self.task)

    def ready(self, workers: Sequence[Worker], seconds: float) -> Sequence[Worker]:
        return [w for w in workers if isinstance(w, _Thread) and w.has_said(seconds)]

    def close(self) -> None:
        pass


class _Thread:
    """The worker, and its own end of the line."""

    def __init__(self, task: Task) -> None:
        self.orders: SimpleQueue[Order | None] = SimpleQueue()
        self.messages: SimpleQueue[Message] = SimpleQueue()
        self.heard: list[Message] = []
        self.over = False
        self.thread = Thread(target=work, args=(_Line(self), task))
        self.thread.start()

    def has_said(self, seconds: float) -> bool:
        try:
            self.heard.append(self.messages.get(timeout=seconds))
        except Empty:
            return False
        return True

    def send(self, order: Order) -> None:
        self.orders.put(order)

    def receive(self) -> Message:
        return self.heard.pop()

    def end(self) -> None:
        self.over = True
        self.orders.put(None)
        self.thread.join()


class _Line:
    def __init__(self, of: _Thread) -> None:
        self.of = of

    def send(self, message: Message) -> None:
        if self.of.over:
            raise EOFError  # nobody is there
        self.of.messages.put(message)

    def recv(self) -> Order:
        order = self.of.orders.get()
        if order is None:
            raise EOFError
        return order


def figures(study: Study) -> dict[tuple[object, ...], object]:
    """All that is to be the same, whoever does it, by cell and trial."""
    found: dict[tuple[object, ...], object] = {}
    for one in study.cells:
        runs = [
            *((t.number, t.hyperparameters, t.run) for t in one.trials),
            *((f"again {k}", {}, run) for k, run in enumerate(one.again)),
        ]
        for number, setting, run in runs:
            found[one.cell, number] = (
                sorted(setting.items()), run.seed, run.hidden_size, run.valid, run.test,
                sorted(run.metrics.items()), run.stopped,
                [(e.train, e.valid, e.score) for e in run.epochs],
            )  # fmt: skip
    return found


def leading(found: Study, name: str) -> set[int]:
    """The numbers of trials that are the best of the first trial, of the first two, and so on."""
    one, metric = found.of(name), MUSIC.target.metrics[0]
    firsts = [replace(one, trials=one.trials[: k + 1]) for k in range(len(one.trials))]
    return {best.number for part in firsts if (best := part.best(metric))}


def command(out: Path, **options: object) -> subprocess.Popen[str]:
    """The same from a command line, in a session of its own."""
    words = [f"{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "small", str(out), *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _main(out: str, *words: str) -> int:
    options = dict(word.split("=", 1) for word in words)
    places = {name: options.pop(name, None) for name in ("storage", "ray")}
    numbers = {name: int(value) for name, value in options.items()}
    asked = plan(**{"workers": 1, **places, **numbers})  # type: ignore[arg-type]
    unreported(MonkeyPatch())
    return 0 if carry_out(asked, Path(out), Console(width=200)).complete else 1


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
