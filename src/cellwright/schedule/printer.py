"""A Schedule as text, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from cellwright.language import print_program, print_value
from cellwright.program.ops import LEAVES, Value, parameter, topological
from cellwright.schedule.lowering import rebuilt, terms
from cellwright.schedule.stages import Schedule

__all__ = ["equations", "print_schedule"]

_PHASES = {
    "ahead": "Ahead of the loop, for many steps at once",
    "loop": "Each step",
    "behind": "Behind the loop, for many steps at once",
}


def print_schedule(s: Schedule) -> str:
    """What runs when, each value as an equation, by phase and stage."""
    return "\n".join(_Printer(s).lines()) + "\n"


def equations(s: Schedule) -> dict[Value, str]:
    """The equation of each value that has one, as the program's text has it."""
    lines = print_program(s.program).splitlines()
    by_name = {line.split(" = ")[0]: line for line in lines if " = " in line}
    found: dict[Value, str] = {}
    for e in s.equations:
        found.setdefault(e.value, by_name[e.name])
    return found


class _Printer:
    def __init__(self, s: Schedule) -> None:
        self.schedule = s
        self.names = {e.value: e.name for e in reversed(s.equations) if e.value.op not in LEAVES}
        taken = {*s.program.names}
        free = (name for i in range(1, 10_000) if (name := f"v{i}") not in taken)
        for v in self._apart():
            if v not in self.names:
                self.names[v] = next(free)

    def _apart(self) -> Iterator[Value]:
        """What gets an equation of its own: what a stage begins or ends with, and what others
        read more than once."""
        s = self.schedule
        uses = Counter(a for _, g in s.phases for stage in g for v in stage.values for a in v.args)
        for _, stages in s.phases:
            for i, stage in enumerate(stages):
                later = {a for other in stages[i + 1 :] for v in other.values for a in v.args}
                for v in stage.values:
                    if v.op in ("products", "sum") or v in later or uses[v] > 1:
                        yield v

    def lines(self) -> Iterator[str]:
        s = self.schedule
        if any(v in self.names for v in s.once):
            yield "Once"
            yield from self._equations(s.once)
        for phase, stages in s.phases:
            if any(stage.values for stage in stages):
                yield _PHASES[phase]
            for i, stage in enumerate(stages):
                if len(stages) > 1:
                    yield f"  Stage {i + 1} of {len(stages)}"
                yield from self._equations(stage.values)
        if s.sums:
            yield "Added up over steps and sequences"
            for t, v in zip(s.program.sums, s.sums, strict=True):
                yield f"    {t.name} = {self._text(v, named=True)}"

    def _equations(self, values: Iterable[Value]) -> Iterator[str]:
        for v in values:
            if v in self.names:
                yield f"    {self.names[v]} = {self._text(v, named=False)}"

    def _text(self, v: Value, named: bool) -> str:
        """The expression of a value, in terms of those that have names."""
        known = {u: parameter(name, u.shape) for u, name in self.names.items()}
        if not named:
            known.pop(v, None)
        done = dict(known)
        for u in topological([v], stop=known.__contains__):
            if u in known:
                continue
            if u.op == "products":
                first, *rest = (done[m] @ done[x] for m, x in terms(u))
                for term in rest:
                    first = first + term
                done[u] = first
            else:
                done[u] = rebuilt(u, [done[a] for a in u.args])
        return print_value(done[v])
