"""What a layer needs of a text, beyond its being a program."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cellwright.language.errors import CellError, Place
from cellwright.language.hints import misspelt
from cellwright.language.library import aliases, cell_names, meant
from cellwright.language.names import plain, spelled, target_of
from cellwright.language.syntax import Declare, Equation, Output, Syntax
from cellwright.program.ops import topological
from cellwright.program.program import Program, prime

__all__ = ["check_layer"]


def check_layer(p: Program, syntax: Syntax, sizes: Collection[str]) -> None:
    """Refuse a program that no layer can be made of, or that says what nothing needs; `sizes` are
    those that the text declares.

    Raises CellError.
    """
    last = replace(syntax.statements[-1].place, when="")

    def refuse(message: str, remedy: str, place: Place = last) -> CellError:
        return CellError(message, remedy, place)

    if not p.states:
        timed = next((e.name for e in p.equations if e.name.endswith("_t")), "h_t")
        raise refuse(
            "no equation sets a state, so nothing would be remembered",
            f"Write at least one equation with a prime: {prime(timed[:-2])} = … for {timed}, with "
            f"{timed[:-2]} for its value from the step before.",
        )
    for st in syntax.statements:
        if isinstance(st.content, Declare) and st.content.kind == "input":
            for node in st.content.names:
                if node.name != "x":
                    raise refuse(
                        f"the input {node.name} is not x",
                        "A layer has one input, named x; a program that was derived from a cell "
                        "is no cell.",
                        st.at(node),
                    )
    if not p.inputs:
        raise refuse(
            "the cell never reads its input x",
            "Use x in an equation, for example W x; a layer has one input, named x.",
        )
    for st in syntax.statements:
        if isinstance(st.content, Output) and len(st.content.names) > 1:
            raise refuse("a layer returns one value a step", "Name one output.", st.place)
        if isinstance(st.content, Output) and p.output.shape == ():
            raise refuse(
                f"the output {spelled(st.content.names[0])} is a single number, not a vector",
                "Name an equation that sets a vector, for example h'.",
                st.place,
            )
        if isinstance(st.content, Equation) and st.content.sum:
            raise refuse("a cell has no sums", "Remove this line.", st.place)
    _check_needed(p, syntax)
    _check_like(syntax)
    shapes = {v.shape for v in p.values}
    unknown = sorted({s for shape in shapes for s in shape} - {"I", "H", *sizes})
    if unknown:
        raise refuse(
            f"unknown size {', '.join(unknown)}",
            "Every cell has two: I, the input size, and H, the hidden size. Declare another one: "
            f"size {unknown[0]} = 20.",
        )


def _check_needed(p: Program, syntax: Syntax) -> None:
    """Refuse an equation that changes nothing: more often than not a name is misspelt elsewhere."""
    needed = set(topological([p.output, *(p.next(s) for s in p.states)]))
    vectors = [q.name for q in p.parameters if len(q.shape) == 1]
    for st in syntax.statements:
        if not isinstance(st.content, Equation):
            continue
        name = target_of(st.content)
        if p.named.get(plain(name), p.output) in needed:
            continue  # or it was left out, as nothing needs it for these counts
        remedy = "Use it in an equation, or remove this line."
        if near := misspelt(plain(name), vectors):
            remedy = (
                f"No equation sets {near}, which makes it a learned vector: did you mean {name} "
                "there?"
            )
        raise CellError(
            f"{name} is set, but neither the output nor a state depends on it",
            remedy,
            st.at(st.content.target),
        )


def _check_like(syntax: Syntax) -> None:
    for header, name, place in syntax.headers:
        if header == "like" and name not in cell_names() and name not in aliases():
            raise CellError(
                f"like: names no cell of the catalogue, got {name or 'nothing'}",
                f"{meant(name)}Name one that cellwright list has, or remove this line.",
                place,
            )
