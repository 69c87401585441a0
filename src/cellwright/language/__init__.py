"""The language of cells: text to Program and back."""

from cellwright.language.cell import Cell, Equation, Line, cell, parse, program
from cellwright.language.errors import CellError
from cellwright.language.library import aliases, cell_names
from cellwright.language.options import GivenError, Option
from cellwright.language.printer import print_program, print_value

__all__ = [
    "Cell",
    "CellError",
    "Equation",
    "GivenError",
    "Line",
    "Option",
    "aliases",
    "cell",
    "cell_names",
    "parse",
    "print_program",
    "print_value",
    "program",
]
