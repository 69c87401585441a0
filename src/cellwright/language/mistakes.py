"""What is wrong with a line that is no statement, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cellwright.language.errors import CellError, Place
from cellwright.language.names import FORMS, FUNCTIONS
from cellwright.language.syntax import HEADERS

__all__ = ["brackets", "misplaced", "stray"]


def brackets(code: str, place: Place) -> None:
    """Refuse a line whose brackets do not pair.

    Raises CellError.
    """
    opened: list[int] = []
    for column, char in enumerate(code):
        if char in _CLOSING:
            opened.append(column)
        elif char in _CLOSING.values():
            if not opened or _CLOSING[code[opened[-1]]] != char:
                opening = next(o for o, c in _CLOSING.items() if c == char)
                raise CellError(
                    "this bracket closes none",
                    f"Remove it, or open one before it with {opening}.",
                    place.within(column, column + 1),
                )
            opened.pop()
    if opened:
        raise CellError(
            "this bracket is never closed",
            f"Close it with {_CLOSING[code[opened[-1]]]} on the same line: an equation is one "
            "line.",
            place.within(opened[-1], opened[-1] + 1),
        )


_CLOSING = {"(": ")", "[": "]"}

_DOTS = "×∘·∗•⋅∙"

_INSTEAD = {
    "^": "There are no powers: write v * v. The transpose of a matrix is R^T.",
    "@": "A matrix stands before its vector without a sign: W x.",
    **dict.fromkeys(_DOTS, "Write * for the elementwise product."),
    **dict.fromkeys("–—‐‑", "Write - for minus."),
    **dict.fromkeys("’‘`´", "Write ' for the prime of a state: c'."),
    **dict.fromkeys("\u00a0\u2009\u202f", "It looks like a space: write an ordinary one."),
    "[": "Group with round brackets: ( ). For W [h, x], a matrix on two vectors, write R h + W x. "
    "An index stands right behind a name, before its prime: n[2], c[1]'.",
    "{": "A subscript has no braces: W_f. For h_{t-1} write h, and h' for the new value h_t.",
    "|": "Write abs(v) for a value without its sign.",
    **dict.fromkeys("²³", "There are no powers: write v * v."),
    **dict.fromkeys("₀₁₂₃₄₅₆₇₈₉ₜₕₓᵢ", "Write a subscript after _: W_1, b_i."),
    "'": "A prime follows the name of a state: c' is its new value. There is only one.",
    "′": "A prime follows the name of a state: c' is its new value. There is only one.",
    ":": f"A header stands at the start of a line and is one of {', '.join(HEADERS)}.",
    "<": "There are no comparisons: write step(a - b) for 1 where a > b, else 0.",
    ">": "There are no comparisons: write step(a - b) for 1 where a > b, else 0.",
    ";": "Write one equation a line.",
    "_": "A name starts with a letter.",
}


def stray(code: str, column: int, place: Place) -> CellError:
    """The error for a character that is in no word of the language, or not there."""
    char = code[column]
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    if char in _ACCEPTED:
        return misplaced(code, column, column + 1, place)
    dotted = char in _DOTS and re.search(r"[A-ZΑ-Ω]\w*(\[[^\]]*\])?\s*$", code[:column])
    remedy = (
        _matrix_on(code[column + 1 :])
        if dotted
        else _INSTEAD.get(char)
        or (
            "Names are written in Latin or Greek letters, digits and _."
            if char.isalpha()
            else "Remove it. An equation has names, numbers, + - * / ( ) , and the prime of c'."
        )
    )
    return CellError(
        f"{shown!r} means nothing here"
        if char.isprintable()
        else f"the character {shown} means nothing here",
        remedy,
        place.within(column, column + 1),
    )


def _matrix_on(behind: str) -> str:
    """How a matrix is applied to what stands behind it."""
    if behind.lstrip()[:1] == "[":
        return "For W · [h, x], a matrix on two vectors, write R h + W x: each has a matrix."
    return f"{_INSTEAD['@']} For the elementwise product write *."


_ACCEPTED = frozenset("+-−*⊙/(),=.0123456789") | frozenset(
    chr(c) for r in ((65, 91), (97, 123), (0x391, 0x3AA), (0x3B1, 0x3CA)) for c in range(*r)
)
"""Characters of the language: where one is refused it is in the wrong place, not a stray."""


_DECLARATIONS = {
    "init": "init b_f = 1, for a learned vector b_f",
    "scalar": "scalar alpha = 0.5, or scalar alpha",
    "const": "const dt = 0.1",
    "count": "count L = 2, with a whole number",
    "size": "size K = 20, with a capital letter and a whole number",
    "output": "output h', or output y where y is set by an equation",
    "input": "input x : I",
    "state": "state h : H",
    "vector": "vector b_f, p_f : H; a vector has a small first letter",
    "matrix": "matrix W_f : (H, I); a matrix has a capital first letter",
    "for": "for l = 2..L, with what it repeats before it or indented below",
}
"""How a line is written that starts with one of these words."""


_TWICE = {
    "*": "There are no powers: write v * v.",
    "/": "A comment starts with #, and / divides.",
}


_NAME = r"[A-Za-zΑ-Ωα-ω][A-Za-zΑ-Ωα-ω0-9_]*"
_PIECE = re.compile(rf"{_NAME}(?:\[[^\]]*\])?['′]?|[0-9.]+(?:[eE][+-]?\d+)?|\S")
_RANGE = re.compile(rf"\bfor[ \t]+{_NAME}")


def misplaced(code: str, start: int, end: int, place: Place) -> CellError:
    """The error for the language's own words in an order it has no meaning for."""
    here = place.within(start, end)
    before = list(_pieces(code[:start]))
    last = before[-1] if before else ""
    found = match[0] if (match := _PIECE.match(code, start)) else ""
    if found:
        here = place.within(start, start + len(found))
    if (opening := code.rfind("[", 0, start)) > code.rfind("]", 0, start):
        return _no_index(code, opening, found, last, place, here)
    words = list(_pieces(code))
    declares = len(words) > 1 and words[0] in _DECLARATIONS and words[1][0].isalnum()
    if found == "for" or declares or _RANGE.search(code[:start]):
        return CellError(
            f"{found} is not expected after {last}" if found else "the line ends too early",
            f"Write {_DECLARATIONS['for' if found == 'for' or not declares else words[0]]}.",
            here,
        )
    if found in ("'", "′", "["):
        return stray(code, start, place)
    if "=" not in code:
        return CellError(
            "this is no equation",
            "Write name = expression; a comment starts with #.",
            place.within(place.start, len(code.rstrip())),
        )
    if found == last == "=":
        return CellError("= is written twice", "Write it once.", here)
    if found == "=" and "=" in before:
        return CellError("a second = in one line", "Write one equation a line.", here)
    if found == "=" or (found and "=" not in before):
        return CellError(
            f"{found} is not expected before the =",
            "The left side is one name with a small first letter: i = …, or h' = … for a state.",
            here,
        )
    if not found:
        return CellError(
            "the equation ends too early",
            f"After {last} a value is expected: a name, a number, a function or a bracket.",
            here,
        )
    if found == last and found in _TWICE:
        return CellError(f"{found}{found} means nothing here", _TWICE[found], here)
    if found == ".":
        return CellError(
            f". is not expected after {last}",
            "A value has no attributes; the transpose of a matrix is written R^T.",
            here,
        )
    if last in FUNCTIONS or last in FORMS:
        return CellError(
            f"the function {last} has no brackets",
            f"Put what it is applied to into brackets: {last}(…).",
            here,
        )
    if _ends_value(last) and (found[0].isalnum() or found[0] in "(."):
        return _side_by_side(last, found, here)
    return CellError(
        f"{found} is not expected after {last}",
        "Here a value is expected: a name, a number, a function or a bracket.",
        here,
    )


def _no_index(
    code: str, opening: int, found: str, last: str, place: Place, here: Place
) -> CellError:
    """What is in square brackets is no index; or they stand for round ones, as those behind a
    function do, and those that no name is written onto."""
    _, *before = ("", *_pieces(code[:opening]))
    if code[:opening][-1:].isspace() or (before and before[-1] in FUNCTIONS):
        return stray(code, opening, place)
    two = " For W[h, x], a matrix on two vectors, write R h + W x." * (found == ",")
    return CellError(
        f"{found} is not expected after {last}",
        "An index is made of whole numbers, counts and what a for counts, with + and -: "
        f"n[l-1].{two}",
        here,
    )


def _side_by_side(last: str, found: str, here: Place) -> CellError:
    if last == ")":
        remedy = (
            "Write * between them for the elementwise product. A matrix stands before its vector "
            "without brackets: W x + R x for (W + R) x."
        )
    elif last[0].isalpha() and last[-1] not in "'′":
        matrix = last[0].upper() + last[1:]
        remedy = (
            f"Write {last} * {found} for the elementwise product, or {matrix} {found} if "
            f"{last} is a matrix: matrices have a capital first letter."
        )
    else:
        remedy = f"Write {last} * {found} for the elementwise product."
    return CellError(f"two values side by side: {last} {found}", remedy, here)


def _pieces(code: str) -> Iterator[str]:
    return (m[0] for m in _PIECE.finditer(code))


def _ends_value(piece: str) -> bool:
    return bool(piece) and (piece[0].isalnum() or piece == ")")
