"""The layer: any cell, wherever `torch.nn.LSTM` stands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from cellwright.backends.registry import select
from cellwright.language import Cell
from cellwright.layers import interop
from cellwright.layers.arguments import chosen, flag, is_probability, whole
from cellwright.layers.call import Call, Expected, LayerError, State
from cellwright.layers.operator import execute
from cellwright.layers.parameters import Stack, stacks
from cellwright.layers.passes import MEMORY, Given, forget
from cellwright.layers.step import steps
from cellwright.layers.streams import Fork
from cellwright.layers.variations import Variations, Varied, dense, vary
from cellwright.program.program import Program
from cellwright.program.sharing import Fresh
from cellwright.program.transforms import without_biases

__all__ = ["Recurrent"]


class Recurrent(nn.Module):
    """A recurrent layer of any cell, with the contract of `torch.nn.LSTM`.

    Args:
        cell: a name of the catalogue (`"peephole_lstm"`), a path to a `.cell` file, or a `Cell`; a
            name or a path may have options in brackets, as `"rhn(L=5)"`.
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
        layer_norm: every product of a matrix with a vector is standardized over its units, and
            multiplied by a learned gain (Ba et al. 2016).
        zoneout: the probability that a unit of a state keeps its old value, in training; in
            evaluation states are what is expected of that. A number, for all states, or one for
            each state by its name, as `{"h": 0.05, "c": 0.5}` (Krueger et al. 2017).
        recurrent_dropout: the probability of zeroing, in training, inside the recurrence:
        recurrent_dropout_on: `"update"`, what is written to a memory, in each step anew, and never
            the memory (Semeniuta et al. 2016); `"state"`, what matrices read of a state, the same
            units in every step of a sequence (Gal, Ghahramani 2016).
        residual: adds its input to the output of each layer, where they are of one size.
        learned_state: the states at the beginning, where none are given, and those behind a reset,
            are learned; they start at zero.
        heads: recurrent matrices have that many blocks on their diagonals, and zeros elsewhere.
        options: what the cell's text leaves open: other numbers for its `count`, `size` and `const`
            lines.

    Parameters are stacked as torch stacks them, the cell's equations giving the order of gates:
    `weight_ih_l{k}` `(gates * H, I)`, `weight_hh_l{k}` `(gates * H, H / heads)`, `bias_l{k}`, then
    what else the cell learns; `_reverse` is appended for the second direction. `views()` gives each
    by its name in the equations. They start uniform in ±1/sqrt(H), but where the cell says `init`,
    gains of `layer_norm` at 1, and learned states, `initial_h_l{k}` for `h`, at 0.

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
        layer_norm: bool = False,
        zoneout: float | Mapping[str, float] = 0.0,
        recurrent_dropout: float = 0.0,
        recurrent_dropout_on: str = "update",
        residual: bool = False,
        learned_state: bool = False,
        heads: int = 1,
        **options: float,
    ) -> None:
        super().__init__()
        input_size = whole("input_size", input_size)
        hidden_size = whole("hidden_size", hidden_size)
        num_layers = whole("num_layers", num_layers)
        proj_size = whole("proj_size", proj_size, least=0)
        flag("bias", bias)
        flag("batch_first", batch_first)
        flag("bidirectional", bidirectional)
        if not is_probability(dropout):
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
        self.cell = chosen(cell, options)
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        if memory not in MEMORY:
            raise LayerError(f"memory must be {' or '.join(map(repr, MEMORY))}, got {memory!r}")
        self.backend, self.memory = backend, memory
        self.variations = Variations(
            layer_norm,
            zoneout,
            recurrent_dropout,
            recurrent_dropout_on,
            residual,
            learned_state,
            heads,
        )
        self._build()
        select(
            backend,
            None,
            torch.device(device or torch.get_default_device()),
            dtype or torch.get_default_dtype(),
        )
        for layer, direction in self._places():
            sizes = self._sizes(layer)
            for stack in self.stacks:
                shape = [sizes[s] for s in stack.shape]
                if stack.recurrent:
                    shape[1] //= self.blocks(stack)
                full = [len(stack.members) * shape[0], *shape[1:]] if shape else []
                name = stack.name + _suffix(layer, direction)
                setattr(self, name, nn.Parameter(torch.empty(full, device=device, dtype=dtype)))
            for s in self.program.states if learned_state else ():
                name = self._initial[s.name] + _suffix(layer, direction)
                start = torch.empty(sizes[s.shape[0]], device=device, dtype=dtype)
                setattr(self, name, nn.Parameter(start))
        self.reset_parameters()

    def _build(self) -> None:
        """What follows from the arguments alone, and is not part of the state of the module."""
        given = self.cell.program
        p = given if self.bias else without_biases(given)
        if not p.parameters:
            without = "" if self.bias else " without its biases"
            raise LayerError(f"{self.cell.name} learns nothing{without}: there is nothing to train")
        self._twin, self._as_torch = interop.twin(given), given
        self._varied: Varied = vary(p, self.variations, bool(self.proj_size))
        self.program: Program = (p := self._varied.program)
        self.stacks: tuple[Stack, ...] = stacks(p)
        fresh = Fresh(stack.name for stack in self.stacks)
        self._initial = {s.name: fresh(f"initial_{s.name}") for s in p.states}
        self.steps = steps(self._varied, self.stacks, self.variations.learned_state)
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
        self._check_variations()

    def _check_variations(self) -> None:
        heads = self.variations.heads
        if heads > 1 and all(self.blocks(stack) == 1 for stack in self.stacks):
            raise LayerError(f"heads: {self.cell.name} has no recurrent matrix to cut in blocks")
        sizes, names = self._sizes(0), {"H": "hidden_size", "P": "proj_size"}
        cut = {s for stack in self.stacks if self.blocks(stack) > 1 for s in stack.shape}
        for size in (*names, *sorted(cut - names.keys())):
            if sizes[size] % heads:
                name = names.get(size, f"the size {size}")
                raise LayerError(f"heads must divide {name}, got {heads} and {sizes[size]}")
        if self.variations.residual and not any(map(self._adds_input, range(self.num_layers))):
            below, above = (self._sizes(layer)["I"] for layer in (0, 1))
            raise LayerError(
                "residual adds the input of a layer to its output where they are of one size: the "
                f"one layer here has an input of {below} features and an output of {above}. Add "
                "layers, or choose sizes that agree"
            )

    def __getstate__(self) -> dict[str, Any]:
        derived = ("program", "stacks", "steps", "_twin", "_as_torch", "_varied", "_initial")
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
        sizes = {**self.cell.sizes(self.input_size, self.hidden_size), "P": self.proj_size}
        (output,) = self.program.output.shape
        for _ in range(layer):
            sizes["I"] = self._directions * sizes[output]
        return sizes

    def _adds_input(self, layer: int) -> bool:
        return self.variations.residual and self._sizes(layer)["I"] == self._sizes(layer + 1)["I"]

    def blocks(self, stack: Stack) -> int:
        """How many blocks the matrices of a stack have: of more than one, it holds those only."""
        return self.variations.heads if stack.cut else 1

    # --- parameters --------------------------------------------------------------------------

    def reset_parameters(self) -> None:
        """Draw new parameters: uniform in ±1/sqrt(H), and where the cell says `init`, that."""
        bound = 1 / sqrt(self.hidden_size)
        with torch.no_grad():
            for layer, direction in self._places():
                for stack in self.stacks:
                    w = getattr(self, stack.name + _suffix(layer, direction))
                    nn.init.uniform_(w, -bound, bound)
            for layer, direction in self._places():
                for start in self._starts(layer, direction):
                    start.zero_()
                views = self.views(layer, bool(direction))
                for q in self.program.parameters:
                    if q.init is not None:
                        views[q.name].fill_(q.init)

    def views(self, layer: int = 0, reverse: bool = False) -> dict[str, Tensor]:
        """Each parameter of one layer and direction by its name in the equations.

        The tensors are views: writing to one, under `torch.no_grad()`, writes to the parameter.
        """
        found: dict[str, Tensor] = {}
        for stack in self.stacks:
            w = getattr(self, stack.name + _suffix(layer, int(reverse)))
            n = len(stack.members)
            parts = torch.split(w, w.shape[0] // n) if stack.shape and n > 1 else (w,)
            found.update(zip((q.name for q in stack.members), parts, strict=True))
        return {q.name: found[q.name] for q in self.program.parameters}

    def _starts(self, layer: int, direction: int) -> list[Tensor]:
        """The learned states of one layer and direction."""
        if not self.variations.learned_state:
            return []
        suffix = _suffix(layer, direction)
        return [getattr(self, self._initial[s.name] + suffix) for s in self.program.states]

    def _tensors(self, layer: int, direction: int, restarts: bool) -> list[Tensor]:
        """The parameters of one layer and direction, as its step takes them."""
        found = []
        for stack in self.stacks:
            w = getattr(self, stack.name + _suffix(layer, direction))
            blocks = self.blocks(stack)
            found.append(dense(w, len(stack.members), blocks) if blocks > 1 else w)
        return found + self._starts(layer, direction) * restarts

    def flatten_parameters(self) -> None:
        """Does nothing: code written for `nn.LSTM` may call it."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self.bias and self._twin:
            for layer, direction in self._places():
                interop.fold_biases(state_dict, prefix, _suffix(layer, direction), self._as_torch)
        forget(self.parameters())
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        forget(self.parameters())
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call,no-any-return]

    def to_torch(self) -> nn.RNNBase:
        """The `torch.nn` module of the same equations, with these parameters.

        Raises LayerError where torch.nn has none.
        """
        if varied := self.variations.shown():
            raise LayerError(f"torch.nn has no module with {', '.join(varied)}")
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
            for name in (s.name + _suffix(*at) for at in self._places() for s in self.stacks)
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
                one state, a tuple of them for several; without `B` for one sequence. Zeros, or
                what is learned, where it is not given. A projected state has `proj_size` features.
            lengths: `(B,)` integers, from 1 to `T`: sequence b is over after `lengths[b]` steps.
                Its output is zero from there on, its final state is the one after its last step.
            resets: bool, shaped like the first two dimensions of x: a true value at step t starts
                an episode there; no state passes into it from step t - 1, in either direction. It
                begins with zeros, or what is learned.
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
        restarts = self.variations.learned_state and call.resets is not None
        for layer in range(self.num_layers):
            outputs = []
            sizes = self._sizes(layer)
            stacks = [self._tensors(layer, d, restarts) for d in range(self._directions)]
            given = (x, *call.state, call.lengths, call.resets, *stacks[-1])
            fork = Fork(given if self.bidirectional else ())
            lent = fork.lent(stacks)
            for direction in range(self._directions):
                at = layer * self._directions + direction
                watching = (layer, direction) == watched
                step = self.steps[self.training, restarts]
                step = step.watched() if watching else step
                backend = "reference" if watching else self.backend
                with fork.branch(direction):
                    masks = [m.draw(x, sizes[m.stream.shape[0]]) for m in step.masks]
                    again = [call.restarts_from(direction)] if restarts else []
                    streams, new = execute(
                        step.plan(backend, self.memory, bool(direction), self.variations.heads),
                        Given(
                            [x, *masks, *again],
                            [s[at] for s in call.state],
                            lent[direction],
                            call.lengths,
                            None if restarts else call.resets_from(direction),
                        ),
                    )
                named = dict(zip(step.outputs, streams, strict=True))
                outputs.append(named[self.program.outputs[0]])
                final.append(new)
                if watching:
                    seen = {name.removesuffix("'"): v for name, v in named.items()}
            fork.join([*streams, *new])
            y = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            if self.dropout and layer < self.num_layers - 1:
                y = nn.functional.dropout(y, self.dropout, self.training)
            if self._adds_input(layer):
                y = y + (x if layer else call.unpadded(x))
            x = y
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
            getattr(self, self.stacks[0].name + _suffix(0, 0)),
            [
                torch.stack(s)
                for s in zip(*(self._starts(*at) for at in self._places()), strict=True)
            ],
        )

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        shown = [f"{self.cell.origin!r}", str(self.input_size), str(self.hidden_size)]
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
        shown += self.variations.shown()
        shown += map(str, self.cell.given)
        return ", ".join(shown)


def _suffix(layer: int, direction: int) -> str:
    """As torch names parameters: `_l0`, `_l0_reverse`."""
    return f"_l{layer}" + "_reverse" * direction
