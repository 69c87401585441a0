"""Stand-in."""
from __future__ import annotations
from dataclasses import dataclass
from math import isfinite
import numpy as np
from scipy import stats
from cellwright.study.results import Comparison

@dataclass(frozen=True)
class Standing:
    cell: str
    losses: tuple[float, ...]
    diverged: int
    missing: int
    mean: float | None
    interval: tuple[float, float] | None
    difference: float | None
    p: float | None

def rank(c: Comparison) -> tuple[Standing, ...]:
    found = []
    base = [r.test for r in c.of(c.settings.baseline) if isfinite(r.test)]
    raw = {}
    for cell in c.settings.cells:
        v = [r.test for r in c.of(cell) if isfinite(r.test)]
        if cell != c.settings.baseline and len(v) > 1 and len(base) > 1:
            raw[cell] = float(stats.ttest_ind(v, base, equal_var=False).pvalue)
    p, last = {}, 0.0
    for i, (cell, q) in enumerate(sorted(raw.items(), key=lambda x: x[1])):
        last = max(last, min(1.0, q * (len(raw) - i))); p[cell] = last
    for cell in c.settings.cells:
        runs = c.of(cell)
        v = tuple(r.test for r in runs if isfinite(r.test))
        mean = float(np.mean(v)) if v else None
        iv = None
        if len(v) > 1:
            h = float(stats.t.ppf(.975, len(v)-1) * np.std(v, ddof=1) / len(v)**.5)
            iv = (mean - h, mean + h)
        found.append(Standing(cell, v, len(runs)-len(v), c.settings.seeds-len(runs), mean, iv,
            None if mean is None or not base or cell == c.settings.baseline else mean - float(np.mean(base)), p.get(cell)))
    return tuple(sorted(found, key=lambda s: (s.mean is None, s.mean or 0)))

def sentences(c: Comparison) -> tuple[str, ...]:
    out = []
    for s in rank(c):
        if s.cell == c.settings.baseline: continue
        if s.p is None: out.append(f"{s.cell} cannot be compared with {c.settings.baseline} yet.")
        elif s.p < .05: out.append(f"{s.cell} is {'better' if s.difference < 0 else 'worse'} than {c.settings.baseline} by {abs(s.difference):.3f} nats a frame (p = {s.p:.2g}).")
        else: out.append(f"{s.cell} and {c.settings.baseline}: no difference that {len(s.losses)} seeds can show (p = {s.p:.2g}).")
    return tuple(out)
