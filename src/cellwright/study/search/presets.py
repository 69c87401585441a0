"""Named ways to search: data, in a `.toml` file each beside this one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, TypeAlias, get_args

from cellwright.study.options import OptionError
from cellwright.study.search.hyperparameters import TABLE, Range, other_name, parsed
from cellwright.study.words import listed

__all__ = ["PRESETS", "Preset", "Sampler", "preset"]

Sampler: TypeAlias = Literal["random", "tpe"]

PRESETS: Final = ("modern", "odyssey")


@dataclass(frozen=True)
class Preset:
    """What a search is, data and cells aside."""

    name: str
    title: str
    paper: str
    cells: tuple[str, ...]
    """Searched where nobody says."""
    trials: int
    """A cell."""
    seeds: int
    """That the best trial of each cell is trained from again."""
    sampler: Sampler
    pruning: bool
    """Whether Hyperband gives up trials that are worse than others."""
    left_to_task: tuple[str, ...]
    """Fields of the regime that the task's recipe decides."""
    fixed: Mapping[str, Any]
    """Fields of the regime that are the same in all trials; or hyperparameters."""
    ranges: tuple[Range, ...]

    def overridden(self, given: Mapping[str, str]) -> Preset:
        """With other ranges, and values that are no longer searched: `LOW,HIGH` or `VALUE` each.

        Raises OptionError where a name or a text is wrong, for what means nothing here, and for two
        that say the same thing.
        """
        ranges: dict[str, Any] = {one.name: one for one in self.ranges}
        fixed = dict(self.fixed)
        left = list(self.left_to_task)
        for name, text in given.items():
            found = parsed(name, text)
            self._check_effect(name, text)
            left = [field for field in left if field != name]
            other = str(other_name(name))
            if other in given:
                raise OptionError(
                    f"{name}={text} and {other}={given[other]} both say how large cells are: give "
                    "one of them"
                )
            if isinstance(found, Range):
                ranges[name] = found
                gone = (fixed, name), (fixed, other), (ranges, other)
            else:
                fixed[name] = found
                gone = (ranges, name), (fixed, other), (ranges, other)
            for where, which in gone:
                where.pop(which, None)
        if not ranges:
            raise OptionError("nothing is searched: give at least one hyperparameter a range")
        return replace(self, left_to_task=tuple(left), fixed=fixed, ranges=tuple(ranges.values()))

    def _check_effect(self, name: str, text: str) -> None:
        """Raise OptionError where a hyperparameter means nothing to the optimizer."""
        optimizer, only = self.fixed["optimizer"], TABLE[name].optimizer
        if only in (None, optimizer):
            return
        read = [
            n for n, row in TABLE.items() if row.searched and row.optimizer in (None, optimizer)
        ]
        raise OptionError(
            f"{name}={text} would change nothing: the preset {self.name} trains by {optimizer}, "
            f"and only {only} has {name}. Leave it out; {self.name} can search {listed(read)}"
        )


@cache
def preset(name: str) -> Preset:
    """The preset of that name.

    Raises OptionError where there is none.
    """
    if name not in PRESETS:
        raise OptionError(f"there is no preset {name!r}: choose {' or '.join(PRESETS)}")
    text = files("cellwright.study.search").joinpath(f"{name}.toml").read_text("utf-8")
    found = tomllib.loads(text)
    ranges = (parsed(key, f"{low},{high}") for key, (low, high) in found.pop("ranges").items())
    assert found["sampler"] in get_args(Sampler)
    return Preset(
        name=name,
        ranges=tuple(one for one in ranges if isinstance(one, Range)),
        cells=tuple(found.pop("cells")),
        left_to_task=tuple(found.pop("left_to_task")),
        **found,
    )
