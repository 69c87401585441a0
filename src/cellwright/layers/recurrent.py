"""The layer: any cell, wherever `torch.nn.LSTM` stands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from numbers import Real
from operator import index
from typing import Any, Self, SupportsIndex

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from cellwright.backends.registry import select
from cellwright.errors import CellwrightError
from cellwright.language import Cell, print_program
from cellwright.language import cell as find_cell
from cellwright.layers import interop
from cellwright.layers.call import Call, Expected, LayerError, State
from cellwright.layers.operator import execute
from cellwright.layers.parameters import Stack, stacks
from cellwright.layers.passes import MEMORY, Given, Plan, forget
from cellwright.program.program import Program
from cellwright.program.transforms import project, spelled_out, watch, without_biases

__all__ = ["Recurrent"]


class Recurrent(nn.Module):
    """A recurrent layer of any cell, with the contract of `torch.nn.LSTM`.

    Args:
        cell: a name of the catalogue (`"peephole_lstm"`), a path to a `.cell` file, or a `Cell`.
        input_size: features of the input, `I`.
        hidden_size: features of the hidden state, `H`.
        num_layers: layers on top of each other; each reads the one below.
        bias: False leaves out every learned vector that the cell's equations only add.
        batch_first: inputs and outputs are `(B, T, …)`, not `(T, B, …)`; states are not affected.
        dropout: probability of zeroing an output of each layer but the last, in training.
        bidirectional: a second set of parameters runs from the end to the start; outputs are
            concatenated, forward first.
        proj_size: `P` > 0 multiplies the output state by a learned `(P, H)` matrix (LSTMP).
        device, dtype: of the parameters.
        backend: `"auto"`, or the name of the one to insist on; `cellwright doctor` lists them.
        memory: what training keeps between its passes: `"fast"`, all that the backward pass reads;
            `"small"`, the states at a few steps, from which it computes the rest again.
        constants: new values for the cell's `const` lines.

    Parameters are stacked as torch stacks them, the cell's equations giving the order of gates:
    `weight_ih_l{k}` `(gates * H, I)`, `weight_hh_l{k}` `(gates * H, H)`, `bias_l{k}`, then what
    else the cell learns; `_reverse` is appended for the second direction. `views()` gives each by
    its name in the equations. They start uniform in ±1/sqrt(H), but where the cell says `init`.

    A state_dict of `nn.LSTM`, `nn.GRU` or `nn.RNN` loads into the cell of the same equations. A
    gate has one bias, their sum, so code that looks for `bias_ih` by name finds nothing here: write
    to `views()` instead, or give the cell an `init` line.

    Raises:
        CellError: there is no such cell, or its text is wrong.
        LayerError: an argument is out of range, or not possible for this cell.
        BackendError: the backend named cannot run this cell on this device and dtype.
    """

    def __init__(
        self,
        cell: str | os.PathLike[str] | Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        backend: str = "auto",
        memory: str = "fast",
        **constants: float,
    ) -> None:
        super().__init__()
        input_size = _size("input_size", input_size)
        hidden_size = _size("hidden_size", hidden_size)
        num_layers = _size("num_layers", num_layers)
        proj_size = _size("proj_size", proj_size, least=0)
        for name, flag in (
            ("bias", bias),
            ("batch_first", batch_first),
            ("bidirectional", bidirectional),
        ):
            if not isinstance(flag, bool):
                raise LayerError(f"{name} must be True or False, got {flag!r}")
        if not _is_probability(dropout):
            raise LayerError(f"dropout must be a probability, from 0 to 1, got {dropout!r}")
        if dropout and num_layers == 1:
            warnings.warn(
                "dropout acts between layers, and num_layers is 1: it does nothing here",
                stacklevel=2 if type(self) is Recurrent else 3,
            )
        if proj_size >= hidden_size:
            raise LayerError(
                f"proj_size must be smaller than hidden_size {hidden_size}, got {proj_size}"
            )
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise LayerError(f"dtype must be one of torch's, as torch.float32, got {dtype!r}")
        self.cell = find_cell(cell)
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        if memory not in MEMORY:
            raise LayerError(f"memory must be {' or '.join(map(repr, MEMORY))}, got {memory!r}")
        self.backend, self.memory, self.constants = backend, memory, constants
        self._build()
        select(
            backend,
            None,
            torch.device(device or torch.get_default_device()),
            dtype or torch.get_default_dtype(),
        )
        for layer, direction in self._places():
            sizes = self._sizes(layer)
            for stack in self._stacks:
                shape = [sizes[s] for s in stack.shape]
                full = [len(stack.members) * shape[0], *shape[1:]] if shape else []
                name = stack.name + _suffix(layer, direction)
                setattr(self, name, nn.Parameter(torch.empty(full, device=device, dtype=dtype)))
        self.reset_parameters()

    def _build(self) -> None:
        """What follows from the arguments alone, and is not part of the state of the module."""
        try:
            given = self.cell.program.with_constants(**self.constants)
            p = given if self.bias else without_biases(given)
            p = project(p) if self.proj_size else p
        except CellwrightError as e:
            raise LayerError(str(e)) from None
        if not p.parameters:
            without = "" if self.bias else " without its biases"
            raise LayerError(f"{self.cell.name} learns nothing{without}: there is nothing to train")
        self.program: Program = p
        self._twin = interop.twin(given)
        self._stacks: tuple[Stack, ...] = stacks(p)
        self._step = _Step(p, self._stacks)
        # A cell that mixes its input with values of the hidden size has x of size H.
        square = p.inputs[0].shape != ("I",)
        sizes = [self._sizes(layer)["I"] for layer in range(self.num_layers)]
        below = sizes[-1]
        if square and any(size != self.hidden_size for size in sizes):
            raise LayerError(
                f"{self.cell.name} needs input_size == hidden_size, because its equations combine "
                "x elementwise with values of the hidden size, or apply one matrix to both; got "
                f"{sizes[0]} and {self.hidden_size}"
                + (f", and {below} for the layers above" if len(sizes) > 1 else "")
            )
        if ("I",) in (v.shape for v in p.states) and len(set(sizes)) > 1:
            raise LayerError(
                f"{self.cell.name} has a state of the input's size, and layers whose inputs have "
                f"the sizes {', '.join(map(str, sizes))}: their states cannot be stacked. Use one "
                "layer each"
            )

    def __getstate__(self) -> dict[str, Any]:
        derived = ("program", "_stacks", "_step", "_twin")
        return {k: v for k, v in self.__dict__.items() if k not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._build()

    # --- sizes -------------------------------------------------------------------------------

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _places(self) -> Iterator[tuple[int, int]]:
        return ((k, d) for k in range(self.num_layers) for d in range(self._directions))

    def _sizes(self, layer: int) -> dict[str, int]:
        """Of the letters in shapes: what a layer returns is the input of the one above it."""
        sizes = {"I": self.input_size, "H": self.hidden_size, "P": self.proj_size}
        (output,) = self.program.output.shape
        for _ in range(layer):
            sizes["I"] = self._directions * sizes[output]
        return sizes

    # --- parameters --------------------------------------------------------------------------

    def reset_parameters(self) -> None:
        """Draw new parameters: uniform in ±1/sqrt(H), and where the cell says `init`, that."""
        bound = 1 / sqrt(self.hidden_size)
        with torch.no_grad():
            for w in self.parameters():
                nn.init.uniform_(w, -bound, bound)
            for layer, direction in self._places():
                views = self.views(layer, bool(direction))
                for q in self.program.parameters:
                    if q.init is not None:
                        views[q.name].fill_(q.init)

    def views(self, layer: int = 0, reverse: bool = False) -> dict[str, Tensor]:
        """Each parameter of one layer and direction by its name in the equations.

        The tensors are views: writing to one, under `torch.no_grad()`, writes to the parameter.
        """
        found: dict[str, Tensor] = {}
        for stack in self._stacks:
            w = getattr(self, stack.name + _suffix(layer, int(reverse)))
            n = len(stack.members)
            parts = torch.split(w, w.shape[0] // n) if stack.shape and n > 1 else (w,)
            found.update(zip((q.name for q in stack.members), parts, strict=True))
        return {q.name: found[q.name] for q in self.program.parameters}

    def flatten_parameters(self) -> None:
        """Does nothing: code written for `nn.LSTM` may call it."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.bias and self._twin:
            for layer, direction in self._places():
                interop.fold_biases(state_dict, prefix, _suffix(layer, direction), self.program)
        forget(self.parameters())
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        forget(self.parameters())
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]

    def to_torch(self) -> nn.RNNBase:
        """The `torch.nn` module of the same equations, with these parameters.

        Raises LayerError where torch.nn has none.
        """
        module = self._twin
        if module is None or (self.proj_size and module is not nn.LSTM):
            projected = " with a projection" * bool(self.proj_size)
            raise LayerError(
                f"torch.nn has no module with the equations of {self.cell.name}{projected}"
            )
        w = next(self.parameters())
        made = module(
            self.input_size,
            self.hidden_size,
            num_layers=self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **({"proj_size": self.proj_size} if self.proj_size else {}),
            device=w.device,
            dtype=w.dtype,
        )
        own = {
            name: getattr(self, name).detach().clone()
            for name in (s.name + _suffix(*at) for at in self._places() for s in self._stacks)
        }
        for key in [k for k in own if k.startswith("bias_")]:
            ih, hh = interop.split_biases(own.pop(key), self.program)
            suffix = key.removeprefix("bias")
            own[f"bias_ih{suffix}"], own[f"bias_hh{suffix}"] = ih, hh
        made.load_state_dict(own)
        return made.train(self.training)

    # --- running -----------------------------------------------------------------------------

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        *,
        hx: State | None = None,
    ) -> tuple[Tensor | PackedSequence, State]:
        """Run the layer over whole sequences.

        Args:
            x: `(T, B, I)`, `(B, T, I)` with `batch_first`, `(T, I)` for one sequence, or a
                PackedSequence; what torch calls `input`.
            state: the initial state: a tensor `(num_layers * directions, B, H)` for a cell with
                one state, a tuple of them for several; without `B` for one sequence. Zeros where
                it is not given. A projected state has `proj_size` features.
            lengths: `(B,)` integers, from 1 to `T`: sequence b is over after `lengths[b]` steps.
                Its output is zero from there on, its final state is the one after its last step.
            resets: bool, shaped like the first two dimensions of x: a true value at step t starts
                an episode there; no state passes into it from step t - 1, in either direction.
            hx: torch's name for `state`.

        Returns:
            The output of the last layer, `(T, B, directions * H)`, laid out as x, and the final
            state, shaped as `state`.

        Raises:
            LayerError: a shape or a type does not fit.
        """
        if hx is not None:
            if state is not None:
                raise LayerError("state and hx are two names for the same thing: give one of them")
            state = hx
        if isinstance(x, PackedSequence):
            return self._forward_packed(x, state, lengths, resets)
        call = self._expected(self.batch_first).call(x, state, lengths, resets)
        output, final, _ = self._run(call)
        return call.restore(output), self._leave([call.restore_state(s) for s in final])

    def trace(
        self,
        x: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        *,
        layer: int = 0,
        reverse: bool = False,
    ) -> dict[str, Tensor]:
        """Every named value of the equations at every step, laid out as x.

        A vector is `(T, B, H)`, a scalar `(T, B, 1)`.
        `layer` and `reverse` choose which layer and direction to look into. A state's name stands
        for its new value: `trace(x)["c"]` is c after each step. The reference backend runs that
        layer and direction, so nothing is compiled for a look.

        Raises LayerError as `forward` does, and for a layer or direction that there is not.
        """
        if not 0 <= layer < self.num_layers:
            raise LayerError(f"layer must be from 0 to {self.num_layers - 1}, got {layer!r}")
        if reverse and not self.bidirectional:
            raise LayerError("reverse=True needs a bidirectional layer")
        if isinstance(x, PackedSequence):
            raise LayerError(
                "trace takes a padded tensor and lengths, not a PackedSequence: use "
                "torch.nn.utils.rnn.pad_packed_sequence"
            )
        call = self._expected(self.batch_first).call(x, state, lengths, resets)
        _, _, seen = self._run(call, (layer, int(reverse)))
        return {name: call.restore(v) for name, v in seen.items()}

    def _forward_packed(
        self, x: PackedSequence, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[PackedSequence, State]:
        if lengths is not None or resets is not None:
            raise LayerError(
                "a PackedSequence has its own lengths, and takes no resets: pass a "
                "padded tensor with lengths= and resets="
            )
        padded, own = pad_packed_sequence(x)
        call = self._expected(batch_first=False).call(padded, state, own, None)
        output, final, _ = self._run(call)
        if x.sorted_indices is not None:
            output, own = output.index_select(1, x.sorted_indices), own[x.sorted_indices.cpu()]
        data = pack_padded_sequence(output, own).data
        packed = PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
        return packed, self._leave(final)

    def _run(
        self, call: Call, watched: tuple[int, int] | None = None
    ) -> tuple[Tensor, list[Tensor], dict[str, Tensor]]:
        """All layers: output, final states, and what was watched in one layer and direction."""
        x, final = call.x, []
        seen: dict[str, Tensor] = {}
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self._directions):
                at = layer * self._directions + direction
                watching = (layer, direction) == watched
                step = _Step(watch(self.program), self._stacks) if watching else self._step
                backend = "reference" if watching else self.backend
                suffix = _suffix(layer, direction)
                streams, new = execute(
                    step.plan(backend, self.memory, bool(direction)),
                    Given(
                        [x],
                        [s[at] for s in call.state],
                        [getattr(self, s.name + suffix) for s in self._stacks],
                        call.lengths,
                        call.resets_from(direction),
                    ),
                )
                named = dict(zip(step.outputs, streams, strict=True))
                outputs.append(named[self.program.outputs[0]])
                final.append(new)
                if watching:
                    seen = {name.removesuffix("'"): v for name, v in named.items()}
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
        return x, [torch.stack(states) for states in zip(*final, strict=True)], seen

    def _leave(self, states: list[Tensor]) -> State:
        return states[0] if len(states) == 1 else tuple(states)

    def _expected(self, batch_first: bool) -> Expected:
        sizes = self._sizes(0)
        return Expected(
            self.input_size,
            self.num_layers * self._directions,
            {v.name: sizes[v.shape[0]] for v in self.program.states},
            batch_first,
            next(self.parameters()),
        )

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        shown = [f"{self.cell.name!r}", str(self.input_size), str(self.hidden_size)]
        for name, default in (
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0.0),
            ("bidirectional", False),
            ("proj_size", 0),
            ("backend", "auto"),
            ("memory", "fast"),
        ):
            if getattr(self, name) != default:
                shown.append(f"{name}={getattr(self, name)!r}")
        shown += [f"{k}={v!r}" for k, v in self.constants.items()]
        return ", ".join(shown)


class _Step:
    """A program as the operator takes it."""

    def __init__(self, p: Program, stacks: Sequence[Stack]) -> None:
        p = spelled_out(p)
        self.text = print_program(p)
        self.outputs = p.outputs
        members = [q.name for stack in stacks for q in stack.members]
        self.counts = tuple(len(stack.members) for stack in stacks)
        self.places = tuple(members.index(q.name) for q in p.parameters)

    def plan(self, backend: str, memory: str, reverse: bool) -> Plan:
        return Plan(self.text, backend, memory, self.counts, self.places, reverse)


def _size(name: str, size: SupportsIndex, least: int = 1) -> int:
    """A whole number of Python's, of NumPy's or of any other making."""
    try:
        found = index(size)
    except TypeError:
        found = -1
    if isinstance(size, bool) or found < least:
        raise LayerError(f"{name} must be a whole number of at least {least}, got {size!r}")
    return found


def _is_probability(x: object) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool) and 0 <= float(x) <= 1


def _suffix(layer: int, direction: int) -> str:
    """As torch names parameters: `_l0`, `_l0_reverse`."""
    return f"_l{layer}" + "_reverse" * direction
