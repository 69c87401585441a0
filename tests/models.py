"""Models that tests share, where spawned processes can import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch
from torch import nn

from cellwright import Recurrent

__all__ = ["FULL", "Fatal", "Tagger", "Unreadable", "train_in_two_processes"]

FULL: dict[str, object] = {"num_layers": 2, "bidirectional": True, "batch_first": True}


class Tagger(nn.Module):
    """A model that holds a layer, as a user's does."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = Recurrent("peephole_lstm", 3, 4, **options)
        self.readout = nn.Linear(4 * (1 + self.layer.bidirectional), 2)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return self.readout(self.layer(x, lengths=lengths)[0])


def train_in_two_processes(rank: int, folder: Path, x: torch.Tensor) -> None:
    """One of two processes: a step on its half of `x`; the first saves the gradients.

    It ends without tidying up: torch's gloo joins a thread while it holds the lock of the
    interpreter, and where that thread still wants the lock, neither ever goes on.
    """
    torch.set_num_threads(1)
    # The loopback device: a machine's own name need not resolve.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    model = nn.parallel.DistributedDataParallel(Tagger(**FULL))
    model(x.chunk(2)[rank]).square().mean().backward()
    if rank == 0:
        torch.save([w.grad for w in model.parameters()], folder / "gradients.pt")
    os._exit(0)


class Fatal:
    """Whatever process reads this from a pipe is killed, as by a system without memory."""

    def __reduce__(self) -> tuple[object, ...]:
        return signal.raise_signal, (signal.SIGKILL,)


class Unreadable:
    """In the place of a regime: an error of the system as soon as it is used."""

    @property
    def hidden_size(self) -> object:
        raise OSError(28, "No space left on device")
