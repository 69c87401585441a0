"""Initialisers that hold for every cell, in the manner of `torch.nn.init`.

cellwright.init.forget_bias_(layer, 1.0)
"""

from __future__ import annotations

from cellwright.layers.init import chrono_, forget_bias_, orthogonal_

__all__ = ["chrono_", "forget_bias_", "orthogonal_"]
