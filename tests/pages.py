"""Pages of reports, read as a browser would."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

__all__ = ["HOSTILE", "JSB", "Page", "check_page"]

JSB = "4a295a41d510f4a64eb7b524bbfa1bd3de1ad1f723edfd12a6ae50ae33b64e00"
"""The fingerprint of the published set, whatever file it came in."""
HOSTILE = "<script>alert(1)</script>\"'><img src=http://evil.example/x onerror=a> $\\frac & {{ 7 }}"
VOID = {"meta", "br", "wbr", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Fails where an element is closed that is not the innermost open one; keeps what tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} repeats an attribute: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"{tag} is not closed"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"{tag} closed in {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def attributes(self, *names: str) -> list[str]:
        return [v for _, attrs in self.tags for k, v in attrs.items() if k in names and v]


def check_page(text: str) -> None:
    """One page in order: nothing loaded, no place that is not there, nothing a formula left."""
    page = Page(text)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    inside = [ref for ref in page.attributes("href", "xlink:href") if ref.startswith("#")]
    named = [ref.split() for ref in page.attributes("aria-labelledby")]
    assert {ref[1:] for ref in inside} | {name for names in named for name in names} <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)
    drawn = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") for attrs in drawn)
    assert not re.search(r"\b(nan|inf|None|Markup)\b", page.text)
    assert "#ab00" not in text  # a stand-in colour that no variable replaced

    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "base"}
    assert page.attributes("src", "srcset", "data", "poster", "background") == []
    assert "@import" not in text and not re.findall(r"url\((?!#)", text)
    assert all(attrs["href"].startswith(("#", "https://arxiv.org/", "https://doi.org/"))
               for tag, attrs in page.tags if tag == "a" and attrs["href"])  # fmt: skip
