"""The language of cells: text to Program and back."""

from cellwright.language.cell import Cell, Equation, aliases, cell, cell_names, parse, program
from cellwright.language.errors import CellError
from cellwright.language.printer import print_program, print_value

__all__ = [
    "Cell",
    "CellError",
    "Equation",
    "aliases",
    "cell",
    "cell_names",
    "parse",
    "print_program",
    "print_value",
    "program",
]
