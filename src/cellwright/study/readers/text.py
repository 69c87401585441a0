"""Text in UTF-8."""

from __future__ import annotations

from pathlib import Path

from cellwright.study.readers.errors import DataError

__all__ = ["read"]


def read(path: Path) -> str:
    """The text of a file, as it is but for a byte order mark.

    Raises DataError, without the file's name, where it is not UTF-8; OSError where it cannot be
    read.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise DataError(
            f"line {line} is not UTF-8: byte {e.start + 1} of the file is "
            f"0x{content[e.start]:02x}. Save the text as UTF-8."
        ) from None
