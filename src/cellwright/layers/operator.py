"""The torch operator: a whole sequence of a Program as one node of torch's graphs.

The operator carries the program as text, so a compiled or exported graph says what it computes and
needs nothing but this package to run. Its derivative is the derivative Program, run by the same
operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from cellwright.backends import reference
from cellwright.backends.registry import select
from cellwright.language import print_program
from cellwright.language import program as read_program
from cellwright.layers.call import LayerError, autocast_dtype, check_lengths
from cellwright.program.derivative import derivative
from cellwright.program.program import Program
from cellwright.program.transforms import with_outputs

__all__ = ["execute"]

_parsed = lru_cache(maxsize=1024)(read_program)


def execute(
    program: str,
    backend: str,
    inputs: Sequence[Tensor],
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    reverse: bool = False,
) -> tuple[list[Tensor], list[Tensor]]:
    """Run a program, given as text; arguments and results as `backends.reference.run`.

    Differentiable any number of times. Under autocast everything is cast to its dtype. Under
    torch.func's transforms and in forward mode the reference backend runs, which torch can see
    into.
    """
    dtype = autocast_dtype(inputs[0])
    if dtype is not None:
        inputs, states, parameters = (
            [x.to(dtype) for x in xs] for xs in (inputs, states, parameters)
        )
    if _seen_into([*inputs, *states, *parameters]):
        check_lengths(lengths, inputs[0].shape[0])
        result = reference.run(
            _parsed(program),
            inputs,
            states,
            parameters,
            lengths=lengths,
            resets=resets,
            reverse=reverse,
        )
        return result.outputs, result.states
    save = torch.is_grad_enabled() and any(
        x.requires_grad for xs in (inputs, states, parameters) for x in xs
    )
    found = _run(
        program,
        backend,
        save,
        list(inputs),
        list(states),
        list(parameters),
        lengths,
        resets,
        reverse,
    )
    n = _output_count(program)
    return found[:n], found[n : n + len(states)]


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
    return len(_parsed(program).outputs)


@torch.library.custom_op("cellwright::run", mutates_args=())
def _run(
    program: str,
    backend: str,
    save: bool,
    inputs: list[Tensor],
    states: list[Tensor],
    parameters: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> list[Tensor]:
    """Streams out, final states, sums; then, where `save` is set, what backward reads."""
    p = _parsed(program)
    q = derivative(p).forward if save else p
    like = inputs[0]
    check_lengths(lengths, like.shape[0])
    chosen = select(backend, q, like.device, like.dtype)
    with torch.no_grad(), torch.autocast(like.device.type, enabled=False):
        result = chosen.run(
            q, inputs, states, parameters, lengths=lengths, resets=resets, reverse=reverse
        )
    outputs, saved = result.outputs[: len(p.outputs)], result.outputs[len(p.outputs) :]
    return _owned([*outputs, *result.states, *result.sums, *saved], [*inputs, *states, *parameters])


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


@_run.register_fake
def _fake(
    program: str,
    backend: str,
    save: bool,
    inputs: list[Tensor],
    states: list[Tensor],
    parameters: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> list[Tensor]:
    p = _parsed(program)
    q = derivative(p).forward if save else p
    like = inputs[0]
    T, B = like.shape[:2]
    sizes = p.sizes(x.shape for x in (*inputs, *states, *parameters))
    streams = [
        like.new_empty((T, B, *([sizes[s] for s in q.named[o].shape] or [1]))) for o in q.outputs
    ]
    final = [like.new_empty((B, sizes[v.shape[0]])) for v in p.states]
    sums = [like.new_empty([sizes[s] for s in t.value.shape]) for t in p.sums]
    return [*streams[: len(p.outputs)], *final, *sums, *streams[len(p.outputs) :]]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    program, backend, save, streams, states, parameters, lengths, resets, reverse = inputs
    p = _parsed(program)
    results = len(p.outputs) + len(p.states) + len(p.sums)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*streams, *states, *parameters, *output[results:], lengths, resets)
    ctx.shapes = [x.shape for x in output[:results]]
    ctx.of = (program, backend, save, reverse, any(x.requires_grad for x in streams))


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    program, backend, save, reverse, wants_streams = ctx.of
    p = _parsed(program)
    *tensors, lengths, resets = ctx.saved_tensors
    n, m, k = len(p.inputs), len(p.states), len(p.parameters)
    arguments, saved = tensors[: n + m + k], tensors[n + m + k :]
    given = [
        x.new_zeros(shape) if g is None else g
        for g, shape, x in zip(grads, ctx.shapes, repeat(tensors[0]))
    ]
    if save and not p.sums and not torch.is_grad_enabled() and not _seen_into(given):
        d = derivative(p)
        own = dict(zip((v.name for v in p.arguments), arguments, strict=True))
        text = _backward_text(p, wants_streams)
        q = _parsed(text)
        found: list[Tensor | None] = list(
            _run(
                text,
                backend,
                False,
                [*given[: len(p.outputs)], *(own[v] for v in d.saved_inputs), *saved],
                given[len(p.outputs) :],
                [own[r.name] for r in q.parameters],
                lengths,
                resets,
                not reverse,
            )
        )
        if not wants_streams:
            found = [*repeat(None, n), *found]
    else:
        found = _by_reference(p, arguments, given, lengths, resets, reverse)
    return (None, None, None, found[:n], found[n : n + m], found[n + m :], None, None, None)


_run.register_autograd(_backward, setup_context=_setup_context)


@lru_cache(maxsize=1024)
def _backward_text(p: Program, wants_streams: bool) -> str:
    """The backward program; without the gradients of streams in, where nobody wants them."""
    backward = derivative(p).backward
    return print_program(backward if wants_streams else with_outputs(backward, ()))


def _by_reference(
    p: Program,
    arguments: Sequence[Tensor],
    given: Sequence[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    reverse: bool,
) -> list[Tensor | None]:
    """By torch's own autograd through the reference: gradients that can be differentiated again."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # An argument may be computed from another one; a view of each keeps their gradients apart.
        views = [x.view_as(x) if x.requires_grad else x for x in arguments]
        n, m = len(p.inputs), len(p.states)
        result = reference.run(
            p,
            views[:n],
            views[n : n + m],
            views[n + m :],
            lengths=lengths,
            resets=resets,
            reverse=reverse,
        )
        pairs = [
            (y, g)
            for y, g in zip((*result.outputs, *result.states, *result.sums), given, strict=True)
            if y.requires_grad
        ]
        wanted = [x for x in views if x.requires_grad]
        found = iter(
            torch.autograd.grad(
                [y for y, _ in pairs],
                wanted,
                [g for _, g in pairs],
                create_graph=again,
                allow_unused=True,
            )
        )
    return [next(found) if x.requires_grad else None for x in views]
