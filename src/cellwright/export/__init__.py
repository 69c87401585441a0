"""What a cell is turned into for others: pictures and LaTeX."""
