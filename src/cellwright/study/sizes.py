"""How wide a cell may be: the same number of learned values for every cell."""

from __future__ import annotations

from dataclasses import dataclass

from cellwright.errors import CellwrightError
from cellwright.language import Cell

__all__ = ["Ends", "hidden_size_for", "learned_values", "output_size"]


@dataclass(frozen=True)
class Ends:
    """What a model has around its cell."""

    inputs: int
    """Features that the cell reads at a step."""
    outputs: int
    """Numbers that the readout gives."""
    learned: int = 0
    """Values that are learned before the cell reads anything: those of an embedding."""


def output_size(cell: Cell, inputs: int, hidden_size: int) -> int:
    """Features of what the cell returns at each step."""
    return cell.sizes(inputs, hidden_size)[cell.program.output.shape[0]]


def learned_values(cell: Cell, ends: Ends, hidden_size: int) -> int:
    """Learned values of the whole model: the cell, an embedding, and a readout with bias."""
    readout = (output_size(cell, ends.inputs, hidden_size) + 1) * ends.outputs
    return cell.program.count(cell.sizes(ends.inputs, hidden_size)) + readout + ends.learned


def hidden_size_for(cell: Cell, budget: int, ends: Ends) -> int:
    """The largest hidden size whose model has at most `budget` learned values.

    Raises CellwrightError where even one hidden unit has more, or where the hidden size cannot be
    chosen because the equations tie it to the input's or learn nothing that grows with it.
    """
    if cell.program.inputs[0].shape != ("I",):
        raise CellwrightError(
            f"{cell.name} combines its input elementwise with values of the hidden size, so its "
            f"hidden size must be {ends.inputs} and cannot be fitted to a budget: leave it out of "
            "--cells, or give it a matrix, V x, where x meets a value of the hidden size"
        )
    smallest = learned_values(cell, ends, 1)
    if smallest > budget:
        raise CellwrightError(
            f"{budget} parameters are too few for {cell.name}: with one hidden unit, and a readout "
            f"of {_outputs(ends)}, it has {smallest}; use --parameters {smallest} or more"
        )
    if learned_values(cell, ends, 2) == smallest:
        raise CellwrightError(
            f"{cell.name} learns {smallest} values whatever its hidden size, which cannot be "
            "fitted to a budget then: leave it out of --cells"
        )
    fits, over = 1, 2
    while learned_values(cell, ends, over) <= budget:
        fits, over = over, over * 2
    while over - fits > 1:
        middle = (fits + over) // 2
        if learned_values(cell, ends, middle) <= budget:
            fits = middle
        else:
            over = middle
    return fits


def _outputs(ends: Ends) -> str:
    return "1 output" if ends.outputs == 1 else f"{ends.outputs} outputs"
