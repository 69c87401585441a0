"""How wide a cell may be: the same number of learned values for every cell."""

from __future__ import annotations

from cellwright.errors import CellwrightError
from cellwright.language import Cell

__all__ = ["hidden_size_for", "learned_values", "output_size"]


def output_size(cell: Cell, keys: int, hidden_size: int) -> int:
    """Features of what the cell returns at each step."""
    return cell.sizes(keys, hidden_size)[cell.program.output.shape[0]]


def learned_values(cell: Cell, keys: int, hidden_size: int) -> int:
    """Learned values of the whole model: the cell, and a readout with bias to `keys` logits."""
    readout = (output_size(cell, keys, hidden_size) + 1) * keys
    return cell.program.count(cell.sizes(keys, hidden_size)) + readout


def hidden_size_for(cell: Cell, budget: int, keys: int) -> int:
    """The largest hidden size whose model has at most `budget` learned values.

    Raises CellwrightError where even one hidden unit has more, or where the hidden size cannot be
    chosen because the equations tie it to the input's or learn nothing that grows with it.
    """
    if cell.program.inputs[0].shape != ("I",):
        raise CellwrightError(
            f"{cell.name} combines its input elementwise with values of the hidden size, so its "
            f"hidden size must be {keys} and cannot be fitted to a budget: leave it out of "
            "--cells, or give it a matrix, V x, where x meets a value of the hidden size"
        )
    smallest = learned_values(cell, keys, 1)
    if smallest > budget:
        raise CellwrightError(
            f"{budget} parameters are too few for {cell.name}: with one hidden unit, and a readout "
            f"to {keys} keys, it has {smallest}; use --parameters {smallest} or more"
        )
    if learned_values(cell, keys, 2) == smallest:
        raise CellwrightError(
            f"{cell.name} learns {smallest} values whatever its hidden size, which cannot be "
            "fitted to a budget then: leave it out of --cells"
        )
    fits, over = 1, 2
    while learned_values(cell, keys, over) <= budget:
        fits, over = over, over * 2
    while over - fits > 1:
        middle = (fits + over) // 2
        if learned_values(cell, keys, middle) <= budget:
            fits = middle
        else:
            over = middle
    return fits
