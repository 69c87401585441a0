"""One step of each cell in numpy, written from its paper by someone who had not seen the cell."""
