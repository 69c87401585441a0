"""The two passes of training: a Program over whole sequences, forward and backward."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count, islice
from typing import NamedTuple

import torch
from torch import Tensor

from cellwright.backends.reference import Kept, Result
from cellwright.backends.registry import select
from cellwright.language import program as read_program
from cellwright.layers.call import LayerError, check_lengths
from cellwright.layers.parameters import blocked
from cellwright.program.derivative import Derivative, derivative
from cellwright.program.program import Program
from cellwright.program.transforms import with_outputs

__all__ = [
    "MEMORY",
    "Given",
    "Passes",
    "Plan",
    "backward",
    "beside",
    "both",
    "by_stack",
    "forget",
    "forward",
    "passes",
    "segments",
    "unstacked",
]

MEMORY = ("fast", "small")
"""What is saved between the passes: `"fast"` all that the backward pass reads; `"small"` the states
between a few segments of the sequence, each of which runs again in the backward pass."""


class Plan(NamedTuple):
    """What to run, tensors aside."""

    program: str
    backend: str
    memory: str
    counts: tuple[int, ...]
    """How many parameters each of the tensors has: of one shape, along the first dimension."""
    places: tuple[int, ...]
    """For each parameter of the program, which one it is of all that the tensors have."""
    reverse: bool
    by: tuple[int, ...]
    """The streams in that a gradient may be asked for; others have none."""
    heads: int = 1
    """How many blocks the matrices have on their diagonals that `parameters.blocked` names."""


class Given(NamedTuple):
    """The tensors of a run."""

    inputs: Sequence[Tensor]
    """`(T, B, n)` each."""
    states: Sequence[Tensor]
    """`(B, n)` each."""
    stacks: Sequence[Tensor]
    """Parameters; see `Plan.counts`."""
    lengths: Tensor | None
    resets: Tensor | None


@dataclass(frozen=True)
class Passes:
    """A program, and what training needs of it."""

    program: Program
    by: tuple[int, ...]
    """The streams in that it is differentiated by."""

    @cached_property
    def derivative(self) -> Derivative:
        """How it is differentiated."""
        return derivative(self.program, self.by)

    @cached_property
    def saved(self) -> tuple[str, ...]:
        """The streams out of the forward pass that are saved, by name."""
        return self.derivative.forward.outputs[len(self.program.outputs) :]

    @cached_property
    def backward(self) -> tuple[Program, Program]:
        """The backward program, without the gradients of streams in and with them."""
        whole = self.derivative.backward
        return with_outputs(whole, ()), whole

    @cached_property
    def streams_again(self) -> tuple[int, ...]:
        """Which streams in the backward program takes again."""
        names = [v.name for v in self.program.inputs]
        return tuple(map(names.index, self.derivative.saved_inputs))

    @cached_property
    def parameters_again(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which parameters each backward program takes."""
        names = [q.name for q in self.program.parameters]
        without, whole = (tuple(names.index(q.name) for q in p.parameters) for p in self.backward)
        return without, whole


@lru_cache(maxsize=1024)
def passes(text: str, by: tuple[int, ...] = (0,)) -> Passes:
    """Of a program as text, to be differentiated by some of its streams in."""
    return Passes(_read(text), by)


_read = lru_cache(maxsize=1024)(read_program)


# --- parameters ---------------------------------------------------------------------------------


def unstacked(plan: Plan, stacks: Sequence[Tensor]) -> list[Tensor]:
    """The parameters of a program, from the tensors that have them."""
    parts: list[Tensor] = []
    for w, n in zip(stacks, plan.counts, strict=True):
        parts += torch.split(w, w.shape[0] // n) if n > 1 else (w,)
    return [parts[i] for i in plan.places]


def _detached(plan: Plan, stacks: Sequence[Tensor]) -> list[Tensor]:
    """As `unstacked`, for a pass: nothing that autograd follows."""
    parts: list[Tensor] = []
    for w, n in zip(stacks, plan.counts, strict=True):
        parts += _parts(w, n) if n > 1 else (w,)
    return [parts[i] for i in plan.places]


def _parts(w: Tensor, n: int) -> tuple[Tensor, ...]:
    """Views of a tensor cut in n along its first dimension; those of a Parameter are kept, as
    making them takes a good part of a short call."""
    if not isinstance(w, torch.nn.Parameter):
        return _cut(w, n)
    key, at = id(w), (w.data_ptr(), w.shape, w.stride(), w.dtype)
    owner, place, parts = _KEPT.get(key, (None, None, ()))
    if owner is None or owner() is not w or place != at or len(parts) != n:
        parts = _cut(w, n)
        _KEPT[key] = weakref.ref(w, lambda _: _KEPT.pop(key, None)), at, parts
    return parts


def forget(parameters: Iterable[Tensor]) -> None:
    """Drop what is kept of parameters that are about to change: torch does not swap tensors that
    have weak references."""
    for w in parameters:
        _KEPT.pop(id(w), None)


def _cut(w: Tensor, n: int) -> tuple[Tensor, ...]:
    if w.dim() == 0 or w.shape[0] % n:
        raise LayerError(
            f"a parameter of shape {tuple(w.shape)} stands where {n} of one shape have to be: its "
            f"first dimension has to be {n} times that of each"
        )
    return w.detach().chunk(n)


_KEPT: dict[int, tuple[Callable[[], Tensor | None], object, tuple[Tensor, ...]]] = {}
"""By the identity of a Parameter: the Parameter, its address and form, and views of it. The views
hold its memory, so the address cannot stand for another's."""


def stacked(plan: Plan, parts: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of `unstacked`."""
    return [beside(members) for members in by_stack(plan, parts)]


def by_stack(plan: Plan, parts: Sequence[Tensor]) -> list[list[Tensor]]:
    """What belongs to each parameter of a program, by the tensor that has it, in order."""
    at = dict(zip(plan.places, parts, strict=True))
    members = (at[i] for i in range(len(at)))
    return [list(islice(members, n)) for n in plan.counts]


def beside(parts: Sequence[Tensor]) -> Tensor:
    """`torch.cat`, without a copy where the parts lie side by side in memory already."""
    first = parts[0]
    if len(parts) == 1:
        return first
    memory = first.untyped_storage().data_ptr()
    for part, at in zip(parts, count(first.storage_offset(), first.numel())):
        same = part.storage_offset() == at and part.untyped_storage().data_ptr() == memory
        if not (same and part.is_contiguous()):
            return torch.cat(list(parts))
    return first.as_strided((len(parts) * first.shape[0], *first.shape[1:]), first.stride())


# --- passes -------------------------------------------------------------------------------------


def forward(
    plan: Plan, given: Given, save: bool, plain: bool = False
) -> tuple[list[Tensor], list[Tensor], Kept]:
    """Streams out, final states, and, where `save` is set, what `backward` needs.

    `plain` wants that as the streams it stands for, not as the backend likes it best.

    Raises LayerError where lengths are out of range, BackendError where the backend cannot run it.
    """
    known = passes(plan.program, plan.by)
    check_lengths(given.lengths, given.inputs[0].shape[0])
    parameters = _detached(plan, given.stacks)
    if not save:
        found = _run(plan, known.program, given, given.inputs, given.states, parameters)
        return found.outputs, found.states, Kept([])
    if plan.memory == "small":
        return _forward_in_segments(plan, known, given, parameters)
    wants_streams = any(given.inputs[i].requires_grad for i in plan.by)
    found = _forward(plan, known, given, given.states, parameters, wants_streams, plain)
    assert found.kept is not None
    return found.outputs, found.states, found.kept


def backward(
    plan: Plan,
    given: Given,
    saved: Kept,
    grads: Sequence[Tensor],
    wants_streams: bool,
    plain: bool = False,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The gradients of those streams in that may have one, where wanted, of states and of stacks.

    `grads` are those of the streams out and of the final states; `plain` as in `forward`.
    """
    known = passes(plan.program, plan.by)
    parameters = _detached(plan, given.stacks)
    small = plan.memory == "small"
    run = _backward_in_segments if small else _backward
    found = run(plan, known, given, parameters, saved, grads, wants_streams, plain)
    return found.outputs, found.states, stacked(plan, found.sums)


def both(plan: Plan, given: Given) -> tuple[Result, list[Tensor], Result]:
    """The results of both passes, as backends give them, with `memory="fast"` and without gradients
    of streams in; between them the gradients that the second one began with, zeros."""
    known = passes(plan.program, plan.by)
    parameters = _detached(plan, given.stacks)
    check_lengths(given.lengths, given.inputs[0].shape[0])
    there = _forward(plan, known, given, given.states, parameters, False, plain=False)
    assert there.kept is not None
    grads = [torch.zeros_like(x) for x in (*there.outputs, *there.states)]
    back = _backward(plan, known, given, parameters, there.kept, grads, False, plain=False)
    return there, grads, back


def _run(
    plan: Plan,
    p: Program,
    given: Given,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    keep: int = 0,
    kept: Kept | None = None,
    onto: Sequence[Tensor] | None = None,
    turned: bool = False,
) -> Result:
    like = inputs[0]
    backend = select(plan.backend, p, like.device, like.dtype)
    options = {
        "lengths": given.lengths,
        "resets": given.resets,
        "reverse": plan.reverse ^ turned,
        "keep": keep,
        "kept": kept,
        "onto": onto,
        "blocks": dict.fromkeys(_blocked(plan.program), plan.heads) if plan.heads > 1 else None,
    }
    if torch.is_autocast_enabled(like.device.type):  # what it casts is cast already
        with torch.autocast(like.device.type, enabled=False):
            return backend.run(p, inputs, states, parameters, **options)
    return backend.run(p, inputs, states, parameters, **options)


@lru_cache(maxsize=1024)
def _blocked(program: str) -> tuple[str, ...]:
    return blocked(_read(program))


def _keeps(plan: Plan, known: Passes, like: Tensor, wants_streams: bool) -> bool:
    """Whether one backend runs both passes, so that it may keep what is saved as it likes."""
    both = (known.derivative.forward, known.backward[wants_streams])
    return _share(plan.backend, *both, like.device, like.dtype)


@lru_cache(maxsize=4096)
def _share(
    name: str, there: Program, back: Program, device: torch.device, dtype: torch.dtype
) -> bool:
    with ThreadPoolExecutor(2) as pool:  # they may be compiled for it
        backends = [pool.submit(select, name, p, device, dtype) for p in (there, back)]
        return backends[0].result() is backends[1].result()


def _forward(
    plan: Plan,
    known: Passes,
    given: Given,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    wants_streams: bool,
    plain: bool,
) -> Result:
    n = len(known.program.outputs)
    keep = not plain and _keeps(plan, known, given.inputs[0], wants_streams)
    found = _run(
        plan,
        known.derivative.forward,
        given,
        given.inputs,
        states,
        parameters,
        keep=len(known.saved) * keep,
    )
    kept = found.kept or Kept(found.outputs[n:])
    return Result(found.outputs[:n], found.states, [], kept, found.again)


def _backward(
    plan: Plan,
    known: Passes,
    given: Given,
    parameters: Sequence[Tensor],
    saved: Kept,
    grads: Sequence[Tensor],
    wants_streams: bool,
    plain: bool,
    onto: Sequence[Tensor] | None = None,
) -> Result:
    n = len(known.program.outputs)
    again = [given.inputs[i] for i in known.streams_again]
    keep = not plain and _keeps(plan, known, given.inputs[0], wants_streams)
    return _run(
        plan,
        known.backward[wants_streams],
        given,
        [*grads[:n], *again, *(() if keep else saved.tensors)],
        grads[n:],
        [parameters[i] for i in known.parameters_again[wants_streams]],
        kept=saved if keep else None,
        onto=onto,
        turned=True,
    )


# --- in segments --------------------------------------------------------------------------------


def segments(steps: int, batch: int) -> tuple[int, int]:
    """How many segments `memory="small"` cuts sequences in, and how many steps each has: a
    sixteenth of them, but enough for a call to be worth its while."""
    enough = 1 + 511 // torch.sym_max(1, batch)  # type: ignore[no-untyped-call]
    each: int = torch.sym_max(torch.sym_max(8, enough), (steps + 15) // 16)  # type: ignore[no-untyped-call]
    return (steps + each - 1) // each, each


def _segment(given: Given, start: int, each: int) -> Given:
    """The part of a run from step `start` on; its states are still those of the whole."""
    end = start + each
    return given._replace(
        inputs=[x[start:end] for x in given.inputs],
        lengths=None if given.lengths is None else (given.lengths.long() - start).clamp(0, each),
        resets=None if given.resets is None else given.resets[start:end],
    )


def _forward_in_segments(
    plan: Plan, known: Passes, given: Given, parameters: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor], Kept]:
    """Saved is, of each state, `(segments, B, n)`: as the segment reads it."""
    number, each = segments(*given.inputs[0].shape[:2])
    saved = [s.new_empty(number, *s.shape) for s in given.states]
    outputs: list[Tensor] = []
    states = given.states
    for i in range(number)[:: -1 if plan.reverse else 1]:
        for kept, s in zip(saved, states, strict=True):
            kept[i] = s
        part = _segment(given, i * each, each)
        found = _run(plan, known.program, part, part.inputs, states, parameters)
        _put(outputs, found.outputs, i * each, given)
        states = found.states
    return outputs, list(states), Kept(saved)


def _backward_in_segments(
    plan: Plan,
    known: Passes,
    given: Given,
    parameters: Sequence[Tensor],
    saved: Kept,
    grads: Sequence[Tensor],
    wants_streams: bool,
    plain: bool,
) -> Result:
    n = len(known.program.outputs)
    number, each = segments(*given.inputs[0].shape[:2])
    by_inputs: list[Tensor] = []
    by_states = grads[n:]
    sums: list[Tensor] | None = None
    for i in range(number)[:: 1 if plan.reverse else -1]:
        start = i * each
        part = _segment(given, start, each)
        states = [kept[i] for kept in saved.tensors]
        again = _forward(plan, known, part, states, parameters, wants_streams, plain).kept
        assert again is not None
        by_part = [*(g[start : start + each] for g in grads[:n]), *by_states]
        found = _backward(plan, known, part, parameters, again, by_part, wants_streams, plain, sums)
        del again  # before the next segment needs as much
        _put(by_inputs, found.outputs, start, given)
        by_states, sums = found.states, found.sums
    assert sums is not None
    return Result(by_inputs, list(by_states), sums)


def _put(whole: list[Tensor], parts: Sequence[Tensor], start: int, given: Given) -> None:
    """Put streams of a segment where they belong; the first ones make room for all."""
    if not whole:
        steps = given.inputs[0].shape[0]
        whole += [x.new_empty(steps, *x.shape[1:]) for x in parts]
    for x, part in zip(whole, parts, strict=True):
        x[start : start + part.shape[0]] = part
