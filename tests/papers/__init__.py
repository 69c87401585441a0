"""One step of each cell in numpy, from its paper, by someone who knew the cell's names only."""
