"""Every layer of torchrecurrent's beside the cell of the catalogue that has its equations.

`benchmarks/peers.py` says which one that is, and what theirs computes otherwise or beyond; nothing
that it says goes unchecked. Where theirs is right and ours differs, ours is wrong; where a test
here fails because they mended theirs, what was said about it has to go.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
import torchrecurrent
from torch import Tensor, nn

from cellwright import Recurrent
from cellwright.language import Cell, cell, parse
from conformance import relative_error
from peers import PEERS, Peer

T, B, H = 7, 3, 4
SAME, OTHER = 1e-10, 1e-3
"""Of relative errors: no more than rounding; more than that by far."""

DIFFERING = [name for name, peer in PEERS.items() if peer.differs]
CHANGED = [name for name, peer in PEERS.items() if peer.changes]


def _cell(peer: Peer) -> Cell:
    """Ours, with sizes as theirs has them."""
    return cell(peer.cell).with_options(**dict.fromkeys(peer.sizes, H))


def _changed(peer: Peer) -> Cell:
    """Ours, as theirs has it."""
    text = cell(peer.cell).text
    for old, new in peer.changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    changed = parse(text, f"{peer.cell}_changed")
    return changed.with_options(**dict.fromkeys(peer.sizes, H))


def _width(peer: Peer) -> int:
    return H if cell(peer.cell).program.inputs[0].shape == ("H",) else 5


def _known(which: Cell, width: int) -> dict[str, Tensor]:
    """Random parameters of a cell, and its constants, by their names in the equations."""
    torch.manual_seed(0)
    p = which.program
    sizes = which.sizes(width, H)
    drawn = {
        q.name: 0.7 * torch.randn([sizes[n] for n in q.shape], dtype=torch.float64)
        for q in p.parameters
    }
    constants = {c.name: torch.tensor(c.default, dtype=torch.float64) for c in p.constants}
    return {**drawn, **constants}


def _ours(which: Cell, width: int, known: Mapping[str, Tensor]) -> Recurrent:
    layer = Recurrent(which, width, H, dtype=torch.float64, backend="reference")
    with torch.no_grad():
        for name, w in layer.views().items():
            w.copy_(known[name])
    return layer


def _theirs(
    name: str, width: int, known: Mapping[str, Tensor], options: Mapping[str, object]
) -> nn.Module:
    """What is not known has no effect: a bias is 0, a matrix the identity."""
    peer = PEERS[name]
    constants = {theirs: known[ours].item() for theirs, ours in peer.constants.items()}
    layer: nn.Module = getattr(torchrecurrent, name)(width, H, **constants, **options)
    layer.double()
    weights = layer.cells[0].state_dict()
    assert peer.parameters.keys() <= weights.keys()
    for key, w in weights.items():
        names = peer.parameters.get(key, "0").split()
        assert key in peer.parameters or key.startswith("bias"), f"{key} is nowhere in ours"
        for part, ours in zip(w.chunk(len(names)) if w.dim() else [w], names, strict=True):
            if ours in known:
                part.copy_(known[ours].reshape(part.shape))
            elif part.dim() == 2:
                part.copy_(torch.eye(*part.shape))
            else:
                part.zero_()
    return layer


def _error(peer: Peer, ours: Recurrent, theirs: nn.Module) -> float:
    """Of outputs and final states, from random initial ones; those that theirs does not have are
    zero at first."""
    sizes = ours.cell.sizes(ours.input_size, H)
    x = torch.randn(T, B, ours.input_size, dtype=torch.float64)
    own = {v.name: torch.zeros(1, B, sizes[v.shape[0]]).double() for v in ours.program.states}
    shared = peer.states.split()
    for s in dict.fromkeys(shared):
        own[s] = torch.randn_like(own[s])
    with torch.no_grad():
        mine, last = ours(x, tuple(own.values()) if len(own) > 1 else own[shared[0]])
        given = tuple(own[s] for s in shared)
        found, ended = theirs(x, given if len(given) > 1 else given[0])
    after = dict(zip(own, last if len(own) > 1 else [last], strict=True))
    pairs = zip(shared, ended if len(shared) > 1 else [ended], strict=True)
    each = [relative_error(after[s], torch.stack(list(of_layers))) for s, of_layers in pairs]
    return max(relative_error(mine, found), *each)


def test_there_is_a_cell_for_each_of_their_layers() -> None:
    cells = {name for name in dir(torchrecurrent) if name.endswith("Cell")}
    assert len(cells) == 41
    assert {f"{name}Cell" for name in PEERS} == cells
    assert len({peer.cell for peer in PEERS.values()}) == len(PEERS)


@pytest.mark.parametrize("name", PEERS)
def test_each_of_our_parameters_is_one_of_theirs(name: str) -> None:
    peer = PEERS[name]
    places = [n for names in peer.parameters.values() for n in names.split() if n != "0"]
    p = _changed(peer).program
    assert {q.name for q in p.parameters} == set(places) - {c.name for c in p.constants}
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    "name", [name for name, peer in PEERS.items() if peer.asked or not peer.differs]
)
def test_theirs_is_ours_where_what_it_adds_has_no_effect(name: str) -> None:
    peer = PEERS[name]
    known = _known(_cell(peer), _width(peer))
    ours = _ours(_cell(peer), _width(peer), known)
    assert _error(peer, ours, _theirs(name, _width(peer), known, peer.asked)) <= SAME


@pytest.mark.parametrize("name", DIFFERING)
def test_theirs_differs_where_that_is_said(name: str) -> None:
    peer = PEERS[name]
    known = _known(_cell(peer), _width(peer))
    ours = _ours(_cell(peer), _width(peer), known)
    assert _error(peer, ours, _theirs(name, _width(peer), known, {})) > OTHER, peer.differs


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_said_to_differ_is_all_that_does(name: str) -> None:
    """With it, ours is theirs, whatever theirs has learned; without it, it is not."""
    peer = PEERS[name]
    changed, width = _changed(peer), _width(peer)
    known = _known(changed, width)
    theirs = _theirs(name, width, known, {})
    assert _error(peer, _ours(changed, width, known), theirs) <= SAME
    constants = _known(_cell(peer), width)
    ours = _ours(_cell(peer), width, {**constants, **known})
    assert _error(peer, ours, theirs) > OTHER, peer.adds


def test_what_differs_is_said() -> None:
    for name, peer in PEERS.items():
        assert bool(peer.changes) == bool(peer.differs or peer.adds), name
        assert bool(peer.differs) >= bool(peer.asked), name
