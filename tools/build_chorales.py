"""Build src/cellwright/study/chorales.npz, the Bach chorales that the package ships.

    python3 -m venv /tmp/music21 && /tmp/music21/bin/pip install music21==9.9.2 numpy
    /tmp/music21/bin/python tools/build_chorales.py

Equal inputs give equal bytes. What is taken and how is written to chorales.md beside the file, from
`ABOUT` below; tests/study/test_data.py holds the file against it.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import zipfile
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import Any

import music21  # type: ignore[import-not-found]
import numpy as np
from numpy.typing import NDArray

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
LOWEST, KEYS = 21, 88
"""MIDI number of the piano's lowest key, and how many it has."""
PAUSE = 4
"""Steps for which all voices may be silent; longer is an interlude of instruments left out here."""
PASSAGE = 8
"""Steps for which two settings must be the same in all voices to count as alike there."""
TUNE_STEPS, TUNE_NOTES = 16, 14
"""What two melodies must share to be one tune: so many steps, or so many notes in any rhythm."""
VALID, TEST = (4, 9, 14, 19), (5, 10, 15)
"""Places in each twenty families; the other thirteen are for training."""


@dataclass(frozen=True, eq=False)
class Setting:
    """One chorale."""

    number: str
    """BWV, as the corpus names its file: 112.5-sc."""
    frames: NDArray[np.uint8]
    """`(T, 88)`: 1 where the key sounds at the beginning of the step."""
    melody: tuple[int | None, ...]
    """The soprano at each step, MIDI number or rest."""

    @property
    def order(self) -> tuple[list[int], str]:
        """Sorts by BWV number."""
        return [int(digits) for digits in re.findall(r"\d+", self.number)], self.number


# --- reading ------------------------------------------------------------------------------------


def read(path: Path) -> Setting | str:
    """The setting in a MusicXML file, or why it does not qualify."""
    score = music21.converter.parse(path, forceSource=True)
    found = [[part for part in score.parts if (part.partName or "").split()[:1] == [voice]]
             for voice in VOICES]  # fmt: skip
    if any(len(parts) != 1 for parts in found):
        return "not four voices"
    voices = [parts[0] for parts in found]
    if any(bar.offset % 1 for bar in voices[0].getElementsByClass("Measure")):
        return "bars that begin between two steps"
    steps = ceil(max(voice.highestTime for voice in voices))
    once = np.setdiff1d(np.arange(steps), list(_first_endings(score)))
    rolls = [_roll(voice, steps)[once] for voice in voices]
    frames = np.bitwise_or.reduce(rolls)
    sounding = np.flatnonzero(frames.any(1))
    if np.diff(sounding).max() > PAUSE + 1:
        return "voices silent for more than a bar"
    whole = slice(sounding[0], sounding[-1] + 1)
    melody = [LOWEST + int(np.flatnonzero(frame)[-1]) if frame.any() else None
              for frame in rolls[0][whole]]  # fmt: skip
    return Setting(path.stem.removeprefix("bwv"), frames[whole], tuple(melody))


def _roll(voice: Any, steps: int) -> NDArray[np.uint8]:
    """`(steps, 88)`: a note counts at step t if onset <= t < onset + duration, in quarters."""
    roll = np.zeros((steps, KEYS), np.uint8)
    for note in voice.flatten().notes:
        onset, length = Fraction(note.offset), Fraction(note.duration.quarterLength)
        for pitch in note.pitches:  # a grace note has no length, so it never counts
            roll[ceil(onset) : ceil(onset + length), pitch.midi - LOWEST] = 1
    return roll


def _first_endings(score: Any) -> Iterator[int]:
    """Steps of the endings that a repeat takes the first time: only the last one leads on."""
    brackets = list(score.recurse().getElementsByClass("RepeatBracket"))
    last = max((int(bracket.number) for bracket in brackets), default=0)
    for bracket in brackets:
        if int(bracket.number) < last:
            for bar in bracket.getSpannedElements():
                yield from range(int(bar.offset), int(bar.offset + bar.duration.quarterLength))


# --- what is alike ------------------------------------------------------------------------------


def passages(setting: Setting) -> set[Hashable]:
    """Its music in every window of PASSAGE steps, the same for every transposition."""
    frames = [np.flatnonzero(frame) for frame in setting.frames]
    windows = (frames[i : i + PASSAGE] for i in range(len(frames) - PASSAGE + 1))
    return {tuple(tuple(frame - min(np.concatenate(window))) for frame in window)
            for window in windows}  # fmt: skip


def without_duplicates(settings: Iterable[Setting]) -> list[Setting]:
    """Of two that share half of the shorter one's passages the longer stays, then the lower BWV."""
    kept: list[tuple[Setting, set[Hashable]]] = []
    for setting in sorted(settings, key=lambda s: (-len(s.frames), s.order)):
        found = passages(setting)
        if all(2 * len(found & other) < min(len(found), len(other)) for _, other in kept):
            kept.append((setting, found))
    return sorted((setting for setting, _ in kept), key=lambda s: s.order)


def melodies(setting: Setting) -> set[Hashable]:
    """Stretches of its melody long enough to tell the tune, the same for every transposition."""
    held: list[int] = []
    for pitch in setting.melody:  # a rest after a line is only another way to write it
        held += [pitch] if pitch is not None else held[-1:]
    notes = [pitch for i, pitch in enumerate(held) if i == 0 or pitch != held[i - 1]]
    return {tuple(pitch - line[i] for pitch in line[i : i + length])
            for line, length in ((held, TUNE_STEPS), (notes, TUNE_NOTES))
            for i in range(len(line) - length + 1)}  # fmt: skip


def families(settings: Sequence[Setting]) -> list[list[Setting]]:
    """Settings of one tune or one passage together, in order of the first one's BWV number."""
    family: dict[Setting, list[Setting]] = {}
    first: dict[Hashable, Setting] = {}
    for setting in settings:
        family[setting] = [setting]
        for music in melodies(setting) | passages(setting):
            one, other = family[setting], family[first.setdefault(music, setting)]
            if one is not other:
                other += one
                family |= dict.fromkeys(one, other)
    unique = {id(members): members for members in family.values()}
    return sorted(unique.values(), key=lambda members: min(s.order for s in members))


@dataclass(frozen=True)
class Split:
    """The chorales by what they are for."""

    train: list[Setting] = field(default_factory=list)
    valid: list[Setting] = field(default_factory=list)
    test: list[Setting] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, list[Setting]]:
        """By name, as in the file."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


def split(settings: Sequence[Setting]) -> Split:
    """Deal the families out: of every twenty in BWV order thirteen are for training."""
    found = Split()
    for i, members in enumerate(families(settings)):
        place = i % 20 + 1
        part = found.valid if place in VALID else found.test if place in TEST else found.train
        part += members
    for part in found.parts.values():
        part.sort(key=lambda s: s.order)
    return found


# --- writing ------------------------------------------------------------------------------------


def write(found: Split, path: Path) -> None:
    """All arrays of `found` as an .npz whose bytes depend on nothing but them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, settings in found.parts.items():
            lengths = np.array([len(s.frames) for s in settings], np.int32)
            frames = np.concatenate([s.frames for s in settings])
            for key, array in ((name, frames), (f"{name}_lengths", lengths)):
                member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
                with archive.open(member, "w") as file:
                    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


ABOUT = """\
# chorales.npz: Bach chorales to compare cells on

Written by `tools/build_chorales.py`, with the file itself; change that and run it again.

**Music.** {count} chorales in four parts (soprano, alto, tenor, bass) by Johann Sebastian Bach
(1685-1750). The music is in the public domain.

**Source.** The corpus in the PyPI package music21 {version} (software BSD-3-Clause): its
`corpus/bach/*.mxl` and `*.xml`, most of them encoded by Margaret Greentree (jsbchorales.net) and
distributed "by permission". music21 claims no right in them; its `corpus/license.txt` says that
encodings may carry restrictions of their own. What is taken here from an encoding is which notes
sound at each quarter, that is Bach's: nothing of its layout, text or engraving.

**Rule.**
- A step is a quarter note, whatever the metre; step 0 is the beginning of the first bar or
  pickup. A key is 1 at step t if a voice sounds it at the instant t begins: onset <= t < onset +
  duration. What lies between two quarters, and grace notes, are not heard. A note held and a note
  struck again look the same.
- Nothing is padded to whole bars. A fermata keeps its written length. Repeats are not played
  (JSB_Chorales.mat plays them); of two endings the last counts. Silence before and after is cut.
- Nothing is transposed (JSB_Chorales.mat is). 88 keys, MIDI 21 to 108; key 0 is A0.
- Where instruments play along, the voices alone count.
- Left out: {left_out}.
- Of two settings that share half of their {passage}-step passages, in any transposition, one is
  kept. Dropped so: {duplicates} ({dropped}).

**Split.** Settings of one tune stay together: those that share {steps} steps of melody, or
{notes} notes of it in any rhythm, or one {passage}-step passage in all voices, in any
transposition. That makes {families} families, in order of their lowest BWV number. Of every
twenty, numbers {valid} are for validation, {test} for the test, the others for training.

| | chorales | steps | keys a step | shortest | median | longest |
|---|---|---|---|---|---|---|
{table}

**Form.** `train`, `valid`, `test`: uint8 `(steps, 88)`, one chorale after the other;
`train_lengths`, `valid_lengths`, `test_lengths`: int32 `(chorales,)`. `cellwright compare` reads
any file of this form.

**SHA-256** of chorales.npz: `{digest}`

**Chorales,** by BWV number:
{numbers}
"""


def about(found: Split, left_out: dict[str, list[str]], dropped: list[str], digest: str) -> str:
    """The provenance, as Markdown."""
    everything = [setting for settings in found.parts.values() for setting in settings]
    rows = []
    for name, settings in found.parts.items():
        lengths = [len(s.frames) for s in settings]
        density = sum(int(s.frames.sum()) for s in settings) / sum(lengths)
        rows.append(f"| {name} | {len(lengths)} | {sum(lengths)} | {density:.2f} | {min(lengths)} "
                    f"| {np.median(lengths):g} | {max(lengths)} |")  # fmt: skip
    return ABOUT.format(
        count=len(everything),
        version=version("music21"),
        left_out="; ".join(f"{why} ({', '.join(which)})" for why, which in left_out.items()),
        passage=PASSAGE,
        duplicates=len(dropped),
        dropped=", ".join(dropped),
        steps=TUNE_STEPS,
        notes=TUNE_NOTES,
        valid=", ".join(map(str, VALID)),
        test=", ".join(map(str, TEST)),
        families=len(families(sorted(everything, key=lambda s: s.order))),
        table="\n".join(rows),
        digest=digest,
        numbers="\n".join(f"- {name}: {', '.join(s.number for s in settings)}"
                          for name, settings in found.parts.items()),
    )  # fmt: skip


def main() -> None:
    """Read the corpus, write the two files, say what came of it."""
    study = Path(__file__).parent.parent / "src" / "cellwright" / "study"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=study, help="folder for the two files")
    out = parser.parse_args().out
    corpus = Path(music21.__file__).parent / "corpus" / "bach"
    settings: list[Setting] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for path in sorted([*corpus.glob("*.mxl"), *corpus.glob("*.xml")]):
        match read(path):
            case Setting() as setting:
                settings.append(setting)
            case why:
                left_out[why].append(path.stem.removeprefix("bwv"))
    kept = without_duplicates(settings)
    dropped = [s.number for s in sorted(settings, key=lambda s: s.order) if s not in kept]
    found = split(kept)
    target = out / "chorales.npz"
    write(found, target)
    text = about(found, left_out, dropped, hashlib.sha256(target.read_bytes()).hexdigest())
    target.with_suffix(".md").write_text(text, "utf-8")
    print(f"{target}: {len(kept)} chorales, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
