"""Cellwright: write a recurrent cell as its equations, use it where `torch.nn.LSTM` stands.

    layer = cellwright.PeepholeLSTM(88, 36)
    layer = cellwright.Recurrent("path/to/my.cell", 88, 36)
    output, state = layer(x)

What needs torch is imported when it is first used: `cellwright.cell("lstm")` does not.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from cellwright.errors import CellwrightError
from cellwright.language import Cell, CellError, cell, cell_names, parse

if TYPE_CHECKING:
    from cellwright import init
    from cellwright.backends.registry import BackendError
    from cellwright.layers.call import LayerError
    from cellwright.layers.named import (
        CIFG,
        FGR,
        GRU,
        JANET,
        LSTM,
        MGU,
        NFG,
        NIAF,
        NIG,
        NOAF,
        NOG,
        RNN,
        CoupledLSTM,
        GRUResetBefore,
        PeepholeLSTM,
    )
    from cellwright.layers.recurrent import Recurrent
    from cellwright.study.saved import load

__version__ = version("cellwright")

__all__ = [
    "CIFG",
    "FGR",
    "GRU",
    "JANET",
    "LSTM",
    "MGU",
    "NFG",
    "NIAF",
    "NIG",
    "NOAF",
    "NOG",
    "RNN",
    "BackendError",
    "Cell",
    "CellError",
    "CellwrightError",
    "CoupledLSTM",
    "GRUResetBefore",
    "LayerError",
    "PeepholeLSTM",
    "Recurrent",
    "cell",
    "cell_names",
    "init",
    "load",
    "parse",
]

_LATER = {
    "BackendError": "backends.registry",
    "LayerError": "layers.call",
    "Recurrent": "layers.recurrent",
    "load": "study.saved",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'cellwright' has no attribute {name!r}")
    if name == "init":
        return import_module("cellwright.init")
    found: object = getattr(import_module(f"cellwright.{_LATER.get(name, 'layers.named')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
