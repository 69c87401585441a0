"""A step of a layer, as the operator takes it."""

from __future__ import annotations

from collections.abc import Sequence

from cellwright.language import print_program
from cellwright.layers.parameters import Stack
from cellwright.layers.passes import Plan
from cellwright.layers.variations import Mask, Varied
from cellwright.program.program import Program
from cellwright.program.transforms import spelled_out, watch
from cellwright.program.variations import initial, restart

__all__ = ["Step", "steps"]


class Step:
    """A program whose parameters come stacked.

    `stacks` are the names of the parameters that each tensor has; `masks` are drawn for the streams
    in behind the layer's input.
    """

    def __init__(
        self, p: Program, stacks: Sequence[Sequence[str]], masks: Sequence[Mask] = ()
    ) -> None:
        self._made_of = p, stacks, masks
        p = spelled_out(p)
        self.text = print_program(p)
        self.outputs = p.outputs
        self.masks = masks
        members = [name for stack in stacks for name in stack]
        self.counts = tuple(map(len, stacks))
        self.places = tuple(members.index(q.name) for q in p.parameters)

    def watched(self) -> Step:
        """The same step, with every named value as a stream out."""
        p, stacks, masks = self._made_of
        return Step(watch(p), stacks, masks)

    def plan(self, backend: str, memory: str, reverse: bool, heads: int) -> Plan:
        """What to run; gradients are wanted of the layer's input, and of no mask."""
        return Plan(self.text, backend, memory, self.counts, self.places, reverse, (0,), heads)


def steps(
    varied: Varied, stacks: Sequence[Stack], learned_state: bool
) -> dict[tuple[bool, bool], Step]:
    """By whether it is a step of training, and whether there are resets in a run whose states begin
    with what is learned: that step takes one stream more, behind the masks, and the learned states
    as parameters."""
    stacked = [[q.name for q in s.members] for s in stacks]
    evaluation = Step(varied.program, stacked)
    training = Step(varied.training, stacked, varied.masks) if varied.masks else evaluation
    found = {(False, False): evaluation, (True, False): training}
    if learned_state:
        starts = [[name] for name in initial(varied.program).values()]
        found[False, True] = Step(restart(varied.program), [*stacked, *starts])
        starts = [[name] for name in initial(varied.training).values()]
        found[True, True] = Step(restart(varied.training), [*stacked, *starts], varied.masks)
    return found
