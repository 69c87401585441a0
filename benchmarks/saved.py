"""Where what was measured is kept: a folder for each kind of machine."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from cellwright.study.environment import processor


def save(name: str, lines: list[str], about: str = "") -> None:
    """Writes a page of Markdown to `results/MACHINE`, the machine being named by what is said
    `about` it, or by its processor, and by what oneDNN is held to, if it is."""
    about = about or f"{processor()} {os.environ.get('ONEDNN_MAX_CPU_ISA', '')}"
    words = re.findall(r"[a-z0-9]+", re.sub(r"\(.*?\)|Processor", "", about).lower())
    folder = Path(__file__).with_name("results") / "-".join(words)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n")


def carry_out(
    parts: Mapping[str, Callable[[], Iterator[str]]],
    words: Sequence[str],
    prefix: str,
    machine: str,
    about: str = "",
) -> None:
    """Prints the parts that `words` name, all without any, each below its docstring and the
    `machine`; with `--save` among the words, saves each as `PREFIX_PART`."""
    for name in [word for word in words if word != "--save"] or parts:
        title = " ".join((parts[name].__doc__ or "").split())
        lines = []
        for text in chain((f"# {title}\n", f"{machine}\n"), parts[name]()):
            print(text, flush=True)
            lines.append(text)
        if "--save" in words:
            save(f"{prefix}_{name}", lines, about)
