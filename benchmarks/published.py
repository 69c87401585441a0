"""Test losses beside the ones that a paper gives for the same data and number of parameters.

    python benchmarks/published.py path/to/JSB_Chorales.mat [--save]

The data are those of Boulanger-Lewandowski, Bengio and Vincent (2012), with their split.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import mean

from cellwright.study.compare import compare
from cellwright.study.published import published
from cellwright.study.tasks import load


def main(data: Path) -> str:
    """Train every cell that the paper has, from 5 seeds; a table."""
    papers = published(load(data).fingerprint)
    if not papers:
        raise SystemExit(f"{data}: no paper's figures are known for these sequences")
    [paper] = papers
    with tempfile.TemporaryDirectory() as out:
        found = compare(data, tuple(paper.test), parameters=20_000, seeds=5, out=out)
    lines = [
        f"# {found.dataset.name}: test loss, nats a frame, mean of {found.settings.seeds} seeds",
        "",
        f"{paper.paper}: {paper.setting}.",
        f"Here at most {found.settings.parameters:,} parameters, readout included; "
        f"{found.environment.processor}, {found.environment.workers} workers, "
        f"{found.environment.seconds:.0f} s, torch {found.environment.torch}.",
        "",
        "| cell | hidden | here | paper |",
        "|---|---|---|---|",
    ]
    for name, theirs in paper.test.items():
        runs = found.of(name)
        ours = mean(run.test for run in runs)
        lines.append(f"| {name} | {runs[0].hidden_size} | {ours:.3f} | {theirs:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    names = [word for word in sys.argv[1:] if not word.startswith("--")]
    if len(names) != 1:
        raise SystemExit(__doc__)
    table = main(Path(names[0]))
    print(table)
    if "--save" in sys.argv:
        (Path(__file__).parent / "results" / "published.md").write_text(table)
