"""Diagrams of cells as a page of the site has them: part of the page, in its colours."""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from pathlib import Path

from cellwright.export.diagram import diagram
from cellwright.language import Cell

__all__ = ["drawn", "figure", "inlined", "style", "thumbnail"]


def drawn(pairs: Collection[tuple[Cell, Cell | None]]) -> dict[tuple[str, str], str]:
    """Diagrams as files, by the name of the cell and of the one that it is held against, if any.

    They are drawn on all cores, as some take a second.
    """
    names = [(c.name, against.name if against else "") for c, against in pairs]
    with ProcessPoolExecutor() as pool:
        found = pool.map(diagram, *zip(*pairs, strict=True), chunksize=4)
        return dict(zip(names, found, strict=True))


def figure(picture: str, kind: str = "diagram") -> str:
    """An SVG as a part of a page: without a style of its own, and no smaller than can be read."""
    inline = re.sub(r"<style>.*?</style>\n?", "", picture, flags=re.DOTALL)
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', inline)
    assert found, "the picture has no viewBox"
    inline = inline.replace("<svg ", f'<svg style="--width: {found[1]}px" ', 1)
    return f'<figure class="{kind}" data-search-exclude>{inline.strip()}</figure>'


def thumbnail(picture: str) -> str:
    """A diagram without what is said below it."""
    below = re.search(r'<text class="foot" x="[\d.]+" y="([\d.]+)"', picture)
    assert below, "nothing is said below the picture"
    return re.sub(
        r'(viewBox="0 0 [\d.]+ )[\d.]+(" width="[\d.]+" height=")[\d.]+',
        rf"\g<1>{float(below[1]) - 14:g}\g<2>{float(below[1]) - 14:g}",
        picture,
        count=1,
    )


def inlined(page: str, folder: Path) -> str:
    """A page's HTML with diagrams of cells in place of images of them."""

    def replaced(image: re.Match[str]) -> str:
        file = folder / image[1]
        if file.suffix != ".svg" or "cell-diagram" not in (text := file.read_text("utf-8")):
            return image[0]
        return figure(text)

    return re.sub(r'<p><img [^>]*?src="([^":]+)"[^>]*></p>', replaced, page)


def style() -> str:
    """The diagrams' own style, dark where the page is."""
    css = files("cellwright.export.diagram").joinpath("picture.css").read_text("utf-8")
    query = "@media (prefers-color-scheme: dark)"
    assert query in css
    return css.replace(query, '[data-md-color-scheme="slate"]')
