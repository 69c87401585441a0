"""Commands about layers on this machine: build, bench, doctor."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from cellwright import terminal
from cellwright.cli.output import open_for_writing, say
from cellwright.cli.words import sizes_of_run, variation
from cellwright.errors import CellwrightError
from cellwright.language import cell, cell_names

__all__ = ["bench", "build", "doctor"]

_Count = Annotated[int, Parameter(validator=Number(gte=1))]


def build(
    *cells: str,
    target: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    out: Path | None = None,
) -> None:
    """Compile cells ahead of time, so that layers of them start at once, without a compiler too.

    That is for layers with and without biases; one with `proj_size` still needs a compiler when it
    is first run. What is there already is left as it is.

    Parameters
    ----------
    cells
        Cells of the catalogue, or .cell files; without any, the whole catalogue.
    target
        A kind of processor to compile for: avx512, avx2 or baseline; may be repeated. Without any,
        this machine's.
    out
        Another folder for what is compiled, as that of a wheel; without one, the cache.
    """
    from cellwright.layers.ahead import build

    chosen = [cell(name) for name in cells or cell_names()]
    done = terminal.shown_as_it_goes("compiling", build(chosen, target, out))
    print(f"{done} libraries compiled" if done else "Everything is compiled already")


def bench(
    *cells: str,
    size: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    threads: Annotated[tuple[_Count, ...], Parameter(negative=())] = (1,),
    against: str = "nn.LSTM,nn.GRU,loop,torchrecurrent",
    seconds: float = 2.0,
    inference: bool = False,
    memory: bool = False,
    input_gradient: bool = False,
    with_: Annotated[tuple[str, ...], Parameter(name="--with", negative=())] = (),
    out: Path | None = None,
) -> None:
    """Measure layers beside torch.nn's and others, in turns, in one process.

    Nothing is timed where a cell's results are not right.

    Parameters
    ----------
    cells
        Cells of the catalogue, or .cell files.
    size
        Steps, batch, input size and hidden size, as 100,16,64,64; may be repeated. Without any,
        eight sizes from small to large.
    threads
        Of torch; may be repeated.
    against
        With commas between them: nn.LSTM, nn.GRU, nn.RNN; plain, the cell without what --with says;
        small, that with memory="small";
        loop, the cell as a loop in torch; torchrecurrent, its layer of the same name, or one of its
        layers, as torchrecurrent.MGU.
    seconds
        To measure each of them for, at each size; seven runs are made at the least.
    inference
        Measure runs without a backward pass too.
    memory
        Measure what a training step needs of memory, too.
    input_gradient
        Training wants the gradient of the input, as in a layer on top of another.
    with_
        A variation of the cell, as layer_norm or zoneout=0.1; may be repeated.
    out
        A file for the tables, in Markdown.
    """
    from cellwright.bench.bench import SIZES, bench
    from cellwright.bench.table import machine, markdown

    if not cells:
        raise CellwrightError("name a cell to measure: cellwright bench CELL …")
    if out:
        open_for_writing(out)
    rows = terminal.measured(
        bench(
            [cell(name) for name in cells],
            [sizes_of_run(text) for text in size] or SIZES,
            threads,
            [name for name in against.split(",") if name],
            seconds,
            (True, False) if inference else (True,),
            memory,
            input_gradient,
            dict(map(variation, with_)),
        ),
        machine(),
    )
    if out:
        out.write_text(markdown(rows, " ".join(["cellwright", *map(quote, sys.argv[1:])])), "utf-8")


def doctor() -> None:
    """Say which backends work here and, where one does not, why and what to do."""
    from cellwright.backends.diagnosis import diagnose

    say(terminal.diagnosis(diagnose()))
