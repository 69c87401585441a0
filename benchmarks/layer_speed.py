"""Training-step time of layers beside torch.nn and the loop that people write today.

    python benchmarks/layer_speed.py [--save]

Every round runs each contestant once, so that noise hits all alike; figures are medians. Parity of
outputs is checked first: no time is printed for a wrong result. One thread.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import cellwright

SIZES = [(100, 16, 32, 32), (100, 16, 64, 64), (100, 32, 128, 128), (200, 1, 64, 64)]
ROUNDS = 12


class PeepholeLoop(nn.Module):
    """A peephole LSTM as one writes it in torch: a cell, and a loop over steps."""

    def __init__(self, layer: cellwright.Recurrent) -> None:
        super().__init__()
        self.ih, self.hh = (nn.Parameter(w.detach().clone()) for w in
                            (layer.weight_ih_l0, layer.weight_hh_l0))  # fmt: skip
        views = layer.views()
        bias = torch.cat([views[f"b_{g}"] for g in "ifzo"])
        self.bias = nn.Parameter(bias.detach().clone())
        self.p = nn.ParameterList([nn.Parameter(views[f"p_{g}"].detach().clone()) for g in "ifo"])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = c = x.new_zeros(x.shape[1], self.hh.shape[1])
        p_i, p_f, p_o = self.p
        outputs = []
        for t in range(x.shape[0]):
            i, f, z, o = (x[t] @ self.ih.T + h @ self.hh.T + self.bias).chunk(4, -1)
            c_new = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(z)
            h = torch.sigmoid(o + p_o * c_new) * torch.tanh(c_new)
            c = c_new
            outputs.append(h)
        return torch.stack(outputs), c


def step(module: nn.Module, x: Tensor) -> float:
    start = time.perf_counter()
    module(x)[0].sum().backward()
    taken = time.perf_counter() - start
    for w in module.parameters():
        w.grad = None
    return taken


def check(a: nn.Module, b: nn.Module, x: Tensor, name: str) -> None:
    error = (a(x)[0] - b(x)[0]).abs().max().item()
    if error > 1e-5:
        raise SystemExit(f"{name}: parity fails by {error:.1e}; no time is printed")


def contestants(n_in: int, hidden: int, x: Tensor) -> dict[str, nn.Module]:
    made: dict[str, nn.Module] = {}
    for name, ours, theirs in (
        ("LSTM", cellwright.LSTM, nn.LSTM),
        ("GRU", cellwright.GRU, nn.GRU),
    ):
        made[f"cellwright {name}"] = layer = ours(n_in, hidden)
        made[f"nn.{name}"] = theirs(n_in, hidden)
        made[f"nn.{name}"].load_state_dict(layer.to_torch().state_dict())
        check(layer, made[f"nn.{name}"], x, name)
    made["cellwright PeepholeLSTM"] = peephole = cellwright.PeepholeLSTM(n_in, hidden)
    made["loop PeepholeLSTM"] = PeepholeLoop(peephole)
    check(peephole, made["loop PeepholeLSTM"], x, "PeepholeLSTM")
    return made


def main(write: Callable[[str], object]) -> None:
    torch.set_num_threads(1)
    write(f"# Training step, ms (median of {ROUNDS}), 1 thread\n")
    write(f"torch {torch.__version__}, {platform.machine()}, {_processor()}\n")
    pairs = [("cellwright LSTM", "nn.LSTM"), ("cellwright GRU", "nn.GRU"),
             ("cellwright PeepholeLSTM", "loop PeepholeLSTM")]  # fmt: skip
    write("| T, B, I, H | " + " | ".join(f"{a} / {b} (ratio)" for a, b in pairs) + " |")
    write("|---" * (len(pairs) + 1) + "|")
    for T, B, n_in, hidden in SIZES:
        torch.manual_seed(0)
        x = torch.randn(T, B, n_in)
        modules = contestants(n_in, hidden, x)
        times: dict[str, list[float]] = {name: [] for name in modules}
        for _ in range(ROUNDS + 2):
            for name, module in modules.items():
                times[name].append(1e3 * step(module, x))
        median = {name: statistics.median(found[2:]) for name, found in times.items()}
        cells = [f"{median[a]:.1f} / {median[b]:.1f} ({median[b] / median[a]:.2f}x)"
                 for a, b in pairs]  # fmt: skip
        write(f"| {T}, {B}, {n_in}, {hidden} | " + " | ".join(cells) + " |")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    return next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), "")


if __name__ == "__main__":
    shown: list[str] = []
    main(lambda line: (print(line, flush=True), shown.append(line)))
    if "--save" in sys.argv:
        target = Path(__file__).parent / "results" / "layer_speed.md"
        target.write_text("\n".join(shown) + "\n")
