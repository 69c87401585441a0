"""A wheel with compiled cells in it is for one platform; without, for all."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Platform(BuildHookInterface):  # type: ignore[type-arg]
    """Names the platform in the wheel's tag, where `make wheel` has compiled cells."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling, before it packs."""
        built = Path(self.root, "src/cellwright/backends/cpu/built")
        if version != "editable" and any(built.glob("*/*.so")):
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
