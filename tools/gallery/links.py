"""What is wrong with a site that was built: links, pictures, and what it would load from afar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["problems"]

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src",
          "object": "data", "video": "src", "audio": "src", "embed": "src"}  # fmt: skip
"""Attributes that a browser loads from without being asked to."""
STYLE = re.compile(r"url\(\s*['\"]?(.*?)['\"]?\s*\)|@import\s+['\"](.*?)['\"]")


class _Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads = [url or imported for url, imported in STYLE.findall(text)]
        self.anchors = {""}
        self.pictures = 0
        self.articles = 0
        """How deep in the text it is: a theme has pictures of its own."""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        found = {name: value or "" for name, value in attrs}
        self.articles += tag == "article"
        is_picture = tag == "img" or (tag == "svg" and found.get("role") == "img")
        self.pictures += is_picture and self.articles > 0
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if (attribute := LOADED.get(tag)) and attribute in found:
            self.loads.append(found[attribute])

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser."""
        self.articles -= tag == "article"


def problems(site: Path) -> list[str]:
    """A line for each, with the page; none where all is well."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(site)
        if not page.pictures:
            found.append(f"{where}: no picture")
        found += [f"{where}: {what}" for what in _astray(path, page, pages)]
    for path in sorted(site.rglob("*.css")):
        loads = (url or imported for url, imported in STYLE.findall(path.read_text("utf-8")))
        found += [f"{path.relative_to(site)}: loads {to}" for to in loads if _is_afar(to)]
    return found


def _is_afar(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def _astray(path: Path, page: _Page, pages: Mapping[Path, _Page]) -> Iterator[str]:
    yield from (f"loads {target}" for target in page.loads if _is_afar(target))
    for target in [*page.links, *page.loads]:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not file.is_file():
            yield f"there is no {target}"
        elif file in pages and unquote(parts.fragment) not in pages[file].anchors:
            yield f"there is no such place as {target}"
