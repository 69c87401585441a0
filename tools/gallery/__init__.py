"""Pages of the site that are made: of cells, of what was measured, and the home page."""
