"""Named layers: the catalogue's best-known cells with the positional arguments of torch.nn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from cellwright.layers.recurrent import Recurrent

__all__ = [
    "CIFG",
    "FGR",
    "GRU",
    "JANET",
    "LSTM",
    "MGU",
    "NAMED",
    "NFG",
    "NIAF",
    "NIG",
    "NOAF",
    "NOG",
    "RNN",
    "CoupledLSTM",
    "GRUResetBefore",
    "PeepholeLSTM",
]


class _Named(Recurrent):
    """A layer of one cell of the catalogue; arguments and contract as `Recurrent`."""

    cell_name: ClassVar[str]

    def __init__(
        self,
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
        super().__init__(
            self.cell_name,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
            backend=backend,
            memory=memory,
            layer_norm=layer_norm,
            zoneout=zoneout,
            recurrent_dropout=recurrent_dropout,
            recurrent_dropout_on=recurrent_dropout_on,
            residual=residual,
            learned_state=learned_state,
            heads=heads,
            **options,
        )

    def extra_repr(self) -> str:
        """As `Recurrent`'s, without the cell, which the class names."""
        return super().extra_repr().partition(", ")[2]


class RNN(_Named):
    """The simple recurrent network of Elman (1990); `torch.nn.RNN` with tanh."""

    cell_name = "rnn"


class LSTM(_Named):
    """The LSTM with forget gate and without peepholes; `torch.nn.LSTM`."""

    cell_name = "lstm"


class PeepholeLSTM(_Named):
    """Variation 1: the gates see the memory (Gers, Schraudolph, Schmidhuber 2002)."""

    cell_name = "peephole_lstm"


class CoupledLSTM(_Named):
    """Variation 2: what is forgotten makes room for what is written, i = 1 - f."""

    cell_name = "coupled_lstm"


class GRU(_Named):
    """The GRU with the reset after the matrix, as cuDNN and Keras run it; `torch.nn.GRU`."""

    cell_name = "gru"


class GRUResetBefore(_Named):
    """Variation 3: the GRU of Cho et al. (2014), the reset before the matrix."""

    cell_name = "gru_reset_before"


class CIFG(_Named):
    """Greff et al. (2017): f = 1 - i, with peepholes."""

    cell_name = "cifg"


class NIG(_Named):
    """Greff et al. (2017): no input gate."""

    cell_name = "nig"


class NFG(_Named):
    """Greff et al. (2017): no forget gate."""

    cell_name = "nfg"


class NOG(_Named):
    """Greff et al. (2017): no output gate."""

    cell_name = "nog"


class NIAF(_Named):
    """Greff et al. (2017): no input activation function."""

    cell_name = "niaf"


class NOAF(_Named):
    """Greff et al. (2017): no output activation function."""

    cell_name = "noaf"


class FGR(_Named):
    """Greff et al. (2017): full gate recurrence."""

    cell_name = "fgr"


class MGU(_Named):
    """The minimal gated unit (Zhou et al. 2016)."""

    cell_name = "mgu"


class JANET(_Named):
    """Just another network: only a forget gate (van der Westhuizen, Lasenby 2018)."""

    cell_name = "janet"


NAMED: tuple[type[_Named], ...] = (
    RNN,
    LSTM,
    PeepholeLSTM,
    CoupledLSTM,
    GRU,
    GRUResetBefore,
    CIFG,
    NIG,
    NFG,
    NOG,
    NIAF,
    NOAF,
    FGR,
    MGU,
    JANET,
)
