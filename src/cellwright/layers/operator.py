"""A whole sequence of a Program as one node of torch's graphs.

Where torch traces, for compilation or export, that node is an operator of torch.library. It carries
its program as text, so a graph says what it computes and needs nothing but this package to run.
Elsewhere it is an autograd function, which takes less time a call. Both are the two passes of
`layers.passes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from cellwright.backends import reference
from cellwright.backends.reference import Kept
from cellwright.backends.registry import tell
from cellwright.layers.call import LayerError, autocast_dtype, check_lengths
from cellwright.layers.passes import Given, Plan, backward, forward, passes, segments, unstacked

__all__ = ["at_hand", "execute"]


def execute(plan: Plan, given: Given) -> tuple[list[Tensor], list[Tensor]]:
    """Run a program: streams out `(T, B, n)` and final states `(B, n)`.

    Differentiable any number of times. Under autocast everything is cast to its dtype. Under
    torch.func's transforms and in forward mode the reference backend runs, which torch can see
    into.
    """
    dtype = autocast_dtype(given.inputs[0])
    if dtype is not None:
        inputs, states, stacks = ([x.to(dtype) for x in xs] for xs in given[:3])
        given = Given(inputs, states, stacks, given.lengths, given.resets)
    tensors = [*given.inputs, *given.states, *given.stacks]
    if _seen_into(tensors):
        check_lengths(given.lengths, given.inputs[0].shape[0])
        found = _reference(plan, given)
        return found.outputs, found.states
    save = torch.is_grad_enabled() and any(x.requires_grad for x in tensors)
    n, m = _output_count(plan.program), len(given.states)
    if not _is_plain(tensors):
        saved = _saved(plan.program, plan.memory, plan.by) if save else ""
        results = _run(*plan, saved, *map(list, given[:3]), *given[3:])
        return results[:n], results[n : n + m]
    if not save:
        outputs, states, _ = forward(plan, given, save)
        return outputs, states
    results = list(_Recurrence.apply(plan, given, *tensors))  # type: ignore[no-untyped-call]
    return results[:n], results[n:]


# --- routes -------------------------------------------------------------------------------------


def _seen_into(tensors: Sequence[Tensor]) -> bool:
    """Whether a transform is active that cannot go through an operator: one of torch.func's,
    forward mode, or the batching of `torch.autograd.grad(is_grads_batched=True)`.

    Raises LayerError inside torch.compile, where none can be seen into and forward mode would give
    zeros; without `fullgraph=True` that ends the graph, and the layer runs outside of it.
    """
    if torch.compiler.is_compiling():
        if _transformed():
            raise LayerError(
                "torch.func and forward mode do not go inside torch.compile(fullgraph=True): "
                "leave out fullgraph, or compile what they do not transform"
            )
        return False
    return _transformed() or any(is_legacy_batchedtensor(x) for x in tensors)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator, unused-ignore]
def _transformed() -> bool:
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator, unused-ignore]
def _output_count(program: str) -> int:
    return len(passes(program).program.outputs)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator, unused-ignore]
def _saved(program: str, memory: str, by: tuple[int, ...]) -> str:
    """The names of what a forward pass saves."""
    known = passes(program, by)
    return " ".join(known.saved if memory == "fast" else (s.name for s in known.program.states))


def at_hand(tensors: Sequence[Tensor]) -> bool:
    """Whether these are tensors with memory, and neither a tracer nor a transform looks on."""
    return not _seen_into(tensors) and _is_plain(tensors)


def _is_plain(tensors: Sequence[Tensor]) -> bool:
    """Whether nobody looks on: no tracer, no mode, no subclass of Tensor."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._get_tracing_state()
        or any(type(x) not in _PLAIN or x.is_meta for x in tensors)
    )


_PLAIN = (Tensor, torch.nn.Parameter)


# --- as an autograd function --------------------------------------------------------------------


class _Recurrence(torch.autograd.Function):
    """The function of tensors that are at hand."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, given: Given, *tensors: Tensor) -> tuple[Tensor, ...]:
        outputs, states, saved = forward(plan, given, save=True)
        results = [*outputs, *states]
        if any(x._is_view() for x in results):  # torch lets nobody change one in place
            results = _owned(results, list(tensors))
        ctx.set_materialize_grads(False)
        ctx.plan, ctx.counts = plan, (len(given.inputs), len(given.states), len(given.stacks))
        ctx.shapes = [x.shape for x in results]
        ctx.about = saved.about
        ctx.save_for_backward(*tensors, *saved.tensors, given.lengths, given.resets)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        n, m, k = ctx.counts
        *tensors, lengths, resets = ctx.saved_tensors
        given = Given(tensors[:n], tensors[n : n + m], tensors[n + m : n + m + k], lengths, resets)
        wants_streams = any(ctx.needs_input_grad[2 + i] for i in ctx.plan.by)
        by = _filled(grads, ctx.shapes, tensors[0])
        saved = Kept(tensors[n + m + k :], ctx.about)
        return None, None, *_gradients(ctx.plan, given, saved, by, wants_streams)


def _filled(
    grads: Sequence[Tensor | None], shapes: Sequence[torch.Size], like: Tensor
) -> list[Tensor]:
    """Zeros for gradients that there are not."""
    return [
        like.new_zeros(shape) if g is None else g for g, shape in zip(grads, shapes, strict=True)
    ]


def _gradients(
    plan: Plan,
    given: Given,
    saved: Kept,
    grads: Sequence[Tensor],
    wants_streams: bool,
    plain: bool = False,
) -> list[Tensor | None]:
    """The gradients of all that is given; None for streams in where they are not wanted."""
    if torch.is_grad_enabled() or _seen_into(grads):
        return _by_reference(plan, given, grads)
    if _is_plain([*grads, *given.inputs]):
        streams, states, stacks = backward(plan, given, saved, grads, wants_streams, plain)
    elif not plain:  # saved in a form of the backend's, which nobody can look into
        return _by_reference(plan, given, grads)
    else:
        found = _run_backward(
            *plan, wants_streams, *map(list, given[:3]), *given[3:], saved.tensors, list(grads)
        )
        n, m = len(plan.by) * wants_streams, len(given.states)
        streams, states, stacks = found[:n], found[n : n + m], found[n + m :]
    by_stream = dict(zip(plan.by, streams, strict=True)) if wants_streams else {}
    return [*map(by_stream.get, range(len(given.inputs))), *states, *stacks]


def _by_reference(plan: Plan, given: Given, grads: Sequence[Tensor]) -> list[Tensor | None]:
    """By torch's own autograd through the reference: gradients that can be differentiated again."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # An argument may be computed from another one; a view of each keeps their gradients apart.
        inputs, states, stacks = (
            [x.view_as(x) if x.requires_grad else x for x in xs] for xs in given[:3]
        )
        result = _reference(plan, Given(inputs, states, stacks, *given[3:]))
        pairs = [
            (y, g)
            for y, g in zip((*result.outputs, *result.states), grads, strict=True)
            if y.requires_grad
        ]
        arguments = [*inputs, *states, *stacks]
        found = iter(
            torch.autograd.grad(
                [y for y, _ in pairs],
                [x for x in arguments if x.requires_grad],
                [g for _, g in pairs],
                create_graph=again,
                allow_unused=True,
            )
        )
    return [next(found) if x.requires_grad else None for x in arguments]


def _reference(plan: Plan, given: Given) -> reference.Result:
    if plan.backend != "reference":
        tell(
            "cellwright runs slowly, on reference, under torch.func, in forward mode, where "
            "gradients are to be differentiated again, and where a mode sees a backward pass alone"
        )
    return reference.run(
        passes(plan.program).program,
        given.inputs,
        given.states,
        unstacked(plan, given.stacks),
        lengths=given.lengths,
        resets=given.resets,
        reverse=plan.reverse,
    )


# --- as an operator -----------------------------------------------------------------------------


@torch.library.custom_op("cellwright::run", mutates_args=())
def _run(
    program: str,
    backend: str,
    memory: str,
    counts: Sequence[int],
    places: Sequence[int],
    reverse: bool,
    by: Sequence[int],
    heads: int,
    saved: str,
    inputs: list[Tensor],
    states: list[Tensor],
    stacks: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    """Streams out and final states; then what is to be saved.

    That is named, so that nobody takes the graph of another version of this package for this one's.
    """
    plan = Plan(program, backend, memory, tuple(counts), tuple(places), reverse, tuple(by), heads)
    with torch.no_grad():
        given = Given(inputs, states, stacks, lengths, resets)
        outputs, final, kept = forward(plan, given, bool(saved), plain=True)
    return _owned([*outputs, *final, *kept.tensors], [*inputs, *states, *stacks])


@_run.register_fake
def _fake(
    program: str,
    backend: str,
    memory: str,
    counts: Sequence[int],
    places: Sequence[int],
    reverse: bool,
    by: Sequence[int],
    heads: int,
    saved: str,
    inputs: list[Tensor],
    states: list[Tensor],
    stacks: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
) -> list[Tensor]:
    known = passes(program, tuple(by))
    p = known.program
    like = inputs[0]
    T, B = like.shape[:2]
    plan = Plan(program, backend, memory, tuple(counts), tuple(places), reverse, tuple(by), heads)
    sizes = p.sizes(x.shape for x in (*inputs, *states, *unstacked(plan, stacks)))
    q = known.derivative.forward if saved and memory == "fast" else p
    streams = [
        like.new_empty((T, B, *([sizes[s] for s in q.named[o].shape] or [1]))) for o in q.outputs
    ]
    n = len(p.outputs)
    if saved and memory == "small":
        number, _ = segments(T, B)
        streams += [s.new_empty((number, *s.shape)) for s in states]
    final = [s.new_empty(s.shape) for s in states]
    return [*streams[:n], *final, *streams[n:]]


@torch.library.custom_op("cellwright::run_backward", mutates_args=())
def _run_backward(
    program: str,
    backend: str,
    memory: str,
    counts: Sequence[int],
    places: Sequence[int],
    reverse: bool,
    by: Sequence[int],
    heads: int,
    wants_streams: bool,
    inputs: list[Tensor],
    states: list[Tensor],
    stacks: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    saved: list[Tensor],
    grads: list[Tensor],
) -> list[Tensor]:
    """The gradients of the streams in, where they are wanted, of the states and of the stacks."""
    plan = Plan(program, backend, memory, tuple(counts), tuple(places), reverse, tuple(by), heads)
    given = Given(inputs, states, stacks, lengths, resets)
    with torch.no_grad():
        found = backward(plan, given, Kept(saved), grads, wants_streams, plain=True)
    return _owned([x for xs in found for x in xs], [*inputs, *states, *stacks, *saved, *grads])


@_run_backward.register_fake
def _fake_backward(
    program: str,
    backend: str,
    memory: str,
    counts: Sequence[int],
    places: Sequence[int],
    reverse: bool,
    by: Sequence[int],
    heads: int,
    wants_streams: bool,
    inputs: list[Tensor],
    states: list[Tensor],
    stacks: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    saved: list[Tensor],
    grads: list[Tensor],
) -> list[Tensor]:
    streams = [inputs[i] for i in by] if wants_streams else []
    return [x.new_empty(x.shape) for x in (*streams, *states, *stacks)]


def _owned(results: list[Tensor], arguments: list[Tensor]) -> list[Tensor]:
    """Each result contiguous in memory of its own, as an operator's have to be: no view, and
    nothing shared with an argument or with each other."""
    seen = {x.untyped_storage().data_ptr() for x in arguments}
    for i, x in enumerate(results):
        memory = x.untyped_storage()
        whole = memory.nbytes() == x.nbytes and memory.data_ptr() not in seen
        if not whole or x._is_view() or not x.is_contiguous():
            results[i] = x = x.clone(memory_format=torch.contiguous_format)
        seen.add(x.untyped_storage().data_ptr())
    return results


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    *plan, _, streams, states, stacks, lengths, resets = inputs
    ctx.plan = Plan(*plan)
    ctx.plan = ctx.plan._replace(by=tuple(ctx.plan.by))
    ctx.counts = len(streams), len(states), len(stacks)
    results = len(passes(ctx.plan.program).program.outputs) + len(states)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*streams, *states, *stacks, *output[results:], lengths, resets)
    ctx.shapes = [x.shape for x in output[:results]]
    ctx.wants_streams = any(streams[i].requires_grad for i in ctx.plan.by)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    n, m, k = ctx.counts
    *tensors, lengths, resets = ctx.saved_tensors
    given = Given(tensors[:n], tensors[n : n + m], tensors[n + m : n + m + k], lengths, resets)
    by = _filled(grads[: len(ctx.shapes)], ctx.shapes, tensors[0])
    saved = Kept(tensors[n + m + k :])
    found = _gradients(ctx.plan, given, saved, by, ctx.wants_streams, plain=True)
    return (*repeat(None, 9), found[:n], found[n : n + m], found[n + m :], None, None)


_run.register_autograd(_backward, setup_context=_setup_context)
