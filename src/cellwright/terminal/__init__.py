"""What the command line prints, for a terminal or a pipe."""

from cellwright.terminal.cells import cell, cells, summary
from cellwright.terminal.programs import derivative_of, difference, schedule_of
from cellwright.terminal.runs import data, diagnosis, measured, shown_as_it_goes

__all__ = [
    "cell",
    "cells",
    "data",
    "derivative_of",
    "diagnosis",
    "difference",
    "measured",
    "schedule_of",
    "shown_as_it_goes",
    "summary",
]
