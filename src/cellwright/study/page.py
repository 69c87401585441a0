"""What all pages of reports are made of: templates, the style sheet, words with links in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from cellwright.errors import CellwrightError
from cellwright.language import Cell
from cellwright.study import gates_view, pictures
from cellwright.study.gates_view import Section
from cellwright.study.words import duration, listed, p_value, plural

__all__ = ["ReportError", "both", "styles", "template", "write"]


class ReportError(CellwrightError):
    """The report cannot be written where it was asked for."""


def write(texts: Iterable[tuple[Path, str]]) -> None:
    """Write the files of a report.

    Raises ReportError where one cannot be written.
    """
    for file, text in texts:
        try:
            file.write_text(text, "utf-8", errors="replace")  # a file's name may be any bytes
        except OSError as e:
            raise ReportError(f"{file} cannot be written: {e.strerror}. "
                              "Name a folder you may write to with --out.") from None  # fmt: skip


_STOPPED: Final[Mapping[str, str]] = {
    "patience": "no progress",
    "epochs": "epoch limit",
    "time": "time limit",
    "pruned": "pruned",
    "diverged": "divergence",
}
"""What ended a run, in words."""


@cache
def template(name: str) -> Template:
    """One of the templates beside this module, by its path from here."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True, loader=FunctionLoader(_file))  # fmt: skip
    environment.filters |= {"p": p_value, "duration": duration, "linked": _linked,
                            "words": listed, "breakable": _breakable, "prose": _prose}  # fmt: skip
    environment.globals |= {"plural": plural, "stopped": _STOPPED}
    return environment.get_template(name)


def styles(drawn: Sequence[Cell], gates: Section | None) -> Markup:
    """The style sheet of a page with diagrams of these cells."""
    parts = [Markup(_file("report.css"))]
    parts += [pictures.style(drawn[0])] if drawn else []
    parts += [gates_view.style()] if gates else []
    return Markup().join(parts)


def both(drawings: Iterable[str]) -> Markup:
    """A figure in both widths, of which the page shows one."""
    return Markup("".join(drawings))


# --- words --------------------------------------------------------------------------------------


def _breakable(name: str) -> Markup:
    """The name, which a narrow column may break behind a `_` or `/`."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/])", name))


def _prose(sentence: str) -> Markup:
    """A sentence whose formulas and options hold together at the end of a line."""
    text = re.sub(r" ([=<]) ", "\u00a0\\1\u00a0", sentence)
    parts = re.split(r"(--\w+(?: \d+)?)", text)
    return Markup().join(Markup("<code>{}</code>").format(part) if i % 2 else part
                         for i, part in enumerate(parts))  # fmt: skip


_LINK = re.compile(
    r"(?P<arxiv>arXiv[: ]\s*(?P<number>\d{4}\.\d{4,5}(v\d+)?))"
    r"|(?P<doi>\b10\.\d{4,9}/[^\s<>\"';,]*[^\s<>\"';,.)])"
    r"|(?P<address>https://[^\s<>\"';,]*[^\s<>\"';,.)])",
    re.IGNORECASE,
)


def _linked(text: str) -> Markup:
    """A reference with its arXiv number, DOI or address as a link; everything else escaped."""
    parts, at = [], 0
    for match in _LINK.finditer(text):
        address = match["address"] or (f"https://doi.org/{match['doi']}" if match["doi"] else
                                       f"https://arxiv.org/abs/{match['number']}")  # fmt: skip
        parts += [escape(text[at : match.start()]),
                  Markup('<a href="{}">{}</a>').format(address, match[0])]  # fmt: skip
        at = match.end()
    return Markup().join([*parts, escape(text[at:])])


def _file(name: str) -> str:
    return files("cellwright.study").joinpath(name).read_text("utf-8")
