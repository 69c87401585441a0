r"""A cell's equations in LaTeX, as papers write them.

Values have the step at their foot: `h_{t-1}` is what the step before left, `h_t` is new. `\odot`
multiplies vectors unit by unit. Parameters, and what is made of them alone, have no step.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from cellwright.language import Cell
from cellwright.language.notation import ATOM, FORMS, Form, Notation, number_text
from cellwright.program.ops import LEAVES, TABLE, Value, build, constant, spread, topological
from cellwright.program.program import Program, prime

__all__ = ["expression", "latex", "lines"]


def latex(cell: Cell) -> str:
    """The equations, one a line, aligned at their signs: an `aligned` environment of amsmath."""
    rows = " \\\\\n".join(f"{left} &= {right}" for left, right in lines(cell.program))
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}\n"


def lines(p: Program) -> Iterator[tuple[str, str]]:
    """The two sides of each equation."""
    new = {prime(s.name): s.name for s in p.states}
    words = _words([name for name in p.names if name not in new])
    names = {v: _timed(words[v.name], "") for v in p.arguments}
    names |= {constant(c.name): _timed(words[c.name], "") for c in p.constants}
    names |= {v: _timed(words[v.name], "t") for v in p.inputs}
    names |= {v: _timed(words[v.name], "t-1") for v in p.states}
    for e in p.equations:
        step = "t" if e.value in p.stepped or e.name in new else ""
        left = _timed(words[new.get(e.name, e.name)], step)
        # A scalar fills a state whether a cell says so or not.
        filled = e.value.op == "spread" and e.value not in names
        yield left, expression(e.value.args[0] if filled else e.value, names)
        if e.value.op not in LEAVES:
            names.setdefault(e.value, left)


# --- expressions --------------------------------------------------------------------------------


def expression(v: Value, names: Mapping[Value, str]) -> str:
    """A value, in terms of those that have names; all leaves but numbers and sizes do."""
    return _LATEX.text(_signed(v, names), names)


def _signed(v: Value, names: Mapping[Value, str]) -> Value:
    """The same with the sign of a first factor before the product."""
    done: dict[Value, Value] = {}
    for u in topological([v], stop=names.__contains__):
        if u in names or not u.args:
            done[u] = u
            continue
        first, *rest = (done[a] for a in u.args)
        if u.op in ("mul", "div") and first.op == "neg":
            done[u] = -build(u.op, *first.args, *rest)
        else:
            done[u] = spread(first, *u.shape) if u.op == "spread" else build(u.op, first, *rest)
    return done[v]


def _spell(v: Value, operands: Sequence[str]) -> str:
    if v.op == "number":
        return _number(v)
    if v.op == "size":
        return rf"\operatorname{{size}}({v.attr})"
    if v.op == "mul" and any(a.shape == () for a in v.args):
        return r" \cdot ".join(operands)
    written = TABLE[v.op].latex or rf"\operatorname{{{v.op}}}"
    if "{0}" in written:
        return written.format(*operands)
    return written + _bracket(", ".join(operands))


def _bracket(inner: str) -> str:
    return rf"\left({inner}\right)" if r"\frac" in inner else f"({inner})"


def _number(v: Value) -> str:
    assert isinstance(v.attr, float)
    digits, e, power = number_text(v.attr).partition("e")
    if not e:
        return digits
    sign = "-" if digits.startswith("-") else ""
    factor = "" if digits.lstrip("-") == "1" else rf"{digits.lstrip('-')} \times "
    return f"{sign}{factor}10^{{{int(power)}}}"


_LATEX = Notation(
    _spell,
    {
        **{op: form for op, form in FORMS.items() if op != "div"},  # a fraction encloses its own
        "neg": Form(1, (2,)),  # as a term of a sum: a sign before it, and none after another sign
        "spread": Form(2, (2,)),
        "outer": Form(4, (ATOM, ATOM)),
    },
    _bracket,
)


# --- names --------------------------------------------------------------------------------------

_GREEK: dict[str, str] = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "ς": "varsigma", "σ": "sigma", "τ": "tau", "υ": "upsilon",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi",
    "Ω": "Omega",
}  # fmt: skip
_LATIN = dict(zip("οΑΒΕΖΗΙΚΜΝΟΡΤΧ", "oABEZHIKMNOPTX", strict=True))
"""Greek letters that look like Latin ones, and are written as those."""


def _words(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each name as a letter or a word with what stands at its foot; one that would look like
    another is written out."""
    found = {name: _parts(name) for name in names}
    counts = Counter(found.values())
    return {
        name: parts if counts[parts] == 1 else (_upright(name.replace("_", r"\_")),)
        for name, parts in found.items()
    }


def _parts(name: str) -> tuple[str, ...]:
    head, *feet = (part for part in name.split("_") if part)
    letters, digits = re.fullmatch(r"(.*?)(\d*)", head).groups()  # type: ignore[union-attr]
    return tuple(map(_symbol, filter(None, (letters, digits, *feet))))


def _symbol(word: str) -> str:
    r"""A letter by itself, `\alpha` for alpha, and words upright."""
    if word in _GREEK.values():
        return rf"\{word}"
    if len(word) == 1:
        return rf"\{_GREEK[word]}" if word in _GREEK else _LATIN.get(word, word)
    if not word.isascii():
        return " ".join(map(_symbol, word))
    return word if re.fullmatch(r"[a-zA-Z]?\d+", word) else _upright(word)


def _upright(word: str) -> str:
    return rf"\mathrm{{{word}}}"


def _timed(parts: Sequence[str], step: str) -> str:
    head, *feet = parts
    foot = ",".join([*feet, step] if step else feet)
    if not foot:
        return head
    return f"{head}_{foot}" if len(foot) == 1 else f"{head}_{{{foot}}}"
