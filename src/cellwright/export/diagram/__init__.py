"""Pictures of cells: equations to an SVG, with no cell known by name.

`reading` turns equations into a small graph of what a textbook draws, `bundles` joins what several
layers read, `chains` finds the lines that states run along, `placement` puts nodes on a grid,
`routing` leads lines between them, `layout` gives the grid its coordinates, `svg` writes it down.
"""

from cellwright.export.diagram.drawing import diagram

__all__ = ["diagram"]
