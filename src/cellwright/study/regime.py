"""How one model is trained: what decides its figures, beside the cell, the data and the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from cellwright.language import Cell
from cellwright.study.results import Settings
from cellwright.study.sizes import Ends, hidden_size_for

__all__ = ["Optimizer", "Regime", "regime_of"]

Optimizer: TypeAlias = Literal["adam", "adamw", "nesterov"]


@dataclass(frozen=True)
class Regime:
    """The settings of one training."""

    hidden_size: int
    batch_size: int
    learning_rate: float
    epochs: int
    """At the most."""
    patience: int
    """Epochs without a better objective in validation that end it."""
    optimizer: Optimizer = "adam"
    """Adam; AdamW, whose weights decay by `learning_rate * weight_decay` of themselves in a step;
    or SGD with Nesterov's momentum, whose steps are multiplied by `1 - momentum`."""
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    """Of all gradients together, at the most."""
    dropout: float = 0.0
    """Probability of zeroing what the readout reads, in training."""
    input_noise: float = 0.0
    """Standard deviation of what is added to each feature at each step, in training."""
    averaging: float | None = None
    """Share of the running average of the weights that a step keeps; the average is evaluated.
    None where the weights themselves are."""
    initial: float | None = None
    """Standard deviation of the normal distribution that every learned value starts from; None
    where layers start as they do elsewhere, and the readout from what counting gives."""
    summed: bool = False
    """Whether a gradient is that of the sum over a batch's predictions, or of their mean."""


def regime_of(settings: Settings, cell: Cell, ends: Ends) -> Regime:
    """How a comparison trains a cell.

    Raises CellwrightError where the cell cannot be fitted to the budget.
    """
    return Regime(
        hidden_size=hidden_size_for(cell, settings.parameters, ends),
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        epochs=settings.epochs,
        patience=settings.patience,
        clip_norm=settings.clip_norm,
        dropout=settings.dropout,
        averaging=settings.averaging,
    )
