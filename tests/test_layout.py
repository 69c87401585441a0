"""The structure that docs/architecture.md promises."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cellwright
from cellwright.language import aliases, cell_names

PACKAGE = Path(cellwright.__file__).parent
ORDER = (
    "errors", "program", "language", "schedule", "backends", "layers", "export", "study", "bench",
)  # fmt: skip
"""A folder, or the module `errors`, imports from itself and from those before it."""
MODULES = sorted(PACKAGE.rglob("*.py"))
KNOW_CELLS = {
    "layers/named.py": "the named layers",
    "layers/interop.py": "torch's own cells",
    "study/results.py": "the default list of compare",
}


def _imports(tree: ast.AST) -> Iterator[str]:
    """The parts of Cellwright that a module imports, also late."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = [node.module or ""]
            if node.module == "cellwright":
                names = [f"cellwright.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (n.split(".")[1] for n in names if n.startswith("cellwright."))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_folder_imports_only_what_comes_before_it(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own not in ORDER:
        assert own in ("__init__", "cli", "init", "terminal", "catalogue")
        return
    allowed = {*ORDER[: ORDER.index(own) + 1]}
    assert set(_imports(ast.parse(path.read_text()))) <= allowed


def test_every_folder_has_a_place_in_the_order() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == {*ORDER, "catalogue", "cli", "terminal"} - {"errors"}
    assert all((PACKAGE / f / "__init__.py").is_file() for f in folders)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_code_knows_a_cell_by_name(path: Path) -> None:
    """No string has the name of a cell among its words. Examples in docstrings may."""
    if str(path.relative_to(PACKAGE)) in KNOW_CELLS:
        return
    nodes = list(ast.walk(ast.parse(path.read_text())))
    docstrings = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    words = {
        word.strip(".").removesuffix(".cell")
        for n in nodes
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docstrings
        for word in re.findall(r"[\w.]+", n.value)
    }
    assert not words & {*cell_names(), *aliases()}


def test_the_exceptions_are_needed() -> None:
    for name in KNOW_CELLS:
        assert any(f'"{known}"' in (PACKAGE / name).read_text() for known in cell_names())


@pytest.mark.parametrize("module", ["cellwright", "cellwright.cli"])
def test_what_needs_no_torch_does_not_import_it(module: str) -> None:
    code = (
        f"import sys, {module}, cellwright; cellwright.cell('lstm')\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'jinja2'} & {*sys.modules}\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_public_name_is_there() -> None:
    for name in cellwright.__all__:
        assert getattr(cellwright, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'lstm'"):
        cellwright.lstm
