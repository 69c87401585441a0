"""How models are trained on each kind of task where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The settings that a task decides; `results.Settings` says what each is."""

    batch_size: int
    learning_rate: float
    epochs: int
    patience: int
    dropout: float
    clip_norm: float = 1.0
    averaging: float = 0.99


_GENERATED: Final = Recipe(batch_size=32, learning_rate=0.02, epochs=60, patience=20, dropout=0.0)
"""There is as much data as anybody asks for, and a plateau before the answer is found."""

RECIPES: Final[Mapping[str, Recipe]] = {
    "music": Recipe(batch_size=8, learning_rate=0.02, epochs=60, patience=5, dropout=0.2),
    "series": Recipe(batch_size=16, learning_rate=0.005, epochs=200, patience=30, dropout=0.5),
    "forecast": Recipe(batch_size=32, learning_rate=0.005, epochs=200, patience=15, dropout=0.1),
    "text": Recipe(batch_size=32, learning_rate=0.02, epochs=30, patience=3, dropout=0.0),
    "adding": _GENERATED,
    "copy": _GENERATED,
    "temporal_order": _GENERATED,
    "parity": _GENERATED,
    "digits": Recipe(batch_size=16, learning_rate=0.005, epochs=100, patience=10, dropout=0.2),
}
"""By `Task.kind`; found by training the LSTM and the GRU of 20,000 parameters on real data."""
