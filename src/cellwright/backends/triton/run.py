"""Running a Program on the GPU: products of all steps by torch, the loop by generated kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cellwright.backends.reference import Kept, Result
from cellwright.backends.triton.call import Call
from cellwright.backends.triton.interpreter import installed, interpreting
from cellwright.program.program import Program

__all__ = ["obstacle", "run"]

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def obstacle(p: Program | None, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why it cannot run a program (None: any program), and what to do about it."""
    if not installed():
        return "Triton is not installed: pip install 'cellwright[triton]', or a torch for CUDA"
    if device.type == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device: run on the CPU, or install a torch for CUDA and a driver"
    if interpreting():
        exact = dtype == torch.float64  # which tests compare in
        return None if exact or dtype in DTYPES else _dtype(dtype)
    if device.type != "cuda":
        return (
            f"it runs on CUDA, not on {device}: move the layer and its input there, or set "
            "TRITON_INTERPRET=1 to try it out, slowly, in Triton's interpreter"
        )
    if torch.cuda.get_device_capability(device) < (8, 0):
        name = torch.cuda.get_device_name(device)
        return f"it needs compute capability 8.0 or later, and {name} has less: use the reference"
    return None if dtype in DTYPES else _dtype(dtype)


def _dtype(dtype: torch.dtype) -> str:
    return f"it computes in float32, not in {dtype}: convert the layer and its input"


@torch.no_grad()
def run(
    program: Program,
    inputs: Sequence[Float[Tensor, "T B _"]],
    states: Sequence[Float[Tensor, "B _"]],
    parameters: Sequence[Float[Tensor, "..."]],
    *,
    lengths: Int[Tensor, " B"] | None = None,
    resets: Bool[Tensor, "T B"] | None = None,
    reverse: bool = False,
    keep: int = 0,
    kept: Kept | None = None,
    onto: Sequence[Tensor] | None = None,
    blocks: Mapping[str, int] | None = None,
) -> Result:
    """Run all steps; arguments and results as `reference.run`, which is the specification.

    Computes in float32 what is given in less, and rounds what lies in memory for every step.

    Raises TypeError where tensors are not of one dtype, CellwrightError where a size is beyond what
    kernels can have.
    """
    if kept is not None:
        inputs = [*inputs, *kept.tensors]
    if any(x.dtype != inputs[0].dtype for x in (*inputs, *states, *parameters)):
        raise TypeError(f"all tensors have to be {inputs[0].dtype}, as the first one is")
    with torch.cuda.device_of(inputs[0]):  # type: ignore[no-untyped-call] # where Triton launches
        call = Call(program, inputs, states, parameters, lengths, resets, reverse, blocks)
        call.run()
        outputs, final, sums = call.outputs(), call.final, call.sums()
    if onto is not None:
        sums = [a + b for a, b in zip(onto, sums, strict=True)]
    given = len(outputs) - keep
    return Result(outputs[:given], final, sums, Kept(outputs[given:]) if keep else None)
