"""Make the README's picture of a report: report.html to docs/images/report.png.

    python tools/screenshot.py compare/report.html
    python tools/screenshot.py report.html docs/images/report-phone.png --width 500 --dark

Needs Chromium or Chrome (`apt-get install chromium`); nothing else in the project does. The browser
is given an empty profile and no network.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
NARROWEST = 500
"""Pixels: Chromium opens no narrower window."""


def screenshot(report: Path, picture: Path, width: int, height: int, dark: bool) -> None:
    """Write the top `width` x `height` CSS pixels of `report` to `picture`, two pixels to one.

    Raises FileNotFoundError where there is no browser or no report, CalledProcessError where the
    browser fails.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(BROWSERS)} is installed")
    if not report.is_file():
        raise FileNotFoundError(f"{report} is not a file")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [browser, *QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}",
             "--force-device-scale-factor=2", *(["--force-dark-mode"] if dark else []),
             f"--screenshot={picture.resolve()}", report.resolve().as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip


def main() -> int:
    """Read the command line; 0 if the picture was made."""
    parser = argparse.ArgumentParser(description="Make a picture of a report.")
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path, nargs="?", default=Path("docs/images/report.png"))
    parser.add_argument("--width", type=int, default=1040, help="CSS pixels, at least 500")
    parser.add_argument("--height", type=int, default=1340, help="CSS pixels")
    parser.add_argument("--dark", action="store_true", help="as in a dark room")
    asked = parser.parse_args()
    if asked.width < NARROWEST:
        parser.error(f"--width {asked.width} is narrower than {NARROWEST}, a browser's narrowest")
    try:
        screenshot(asked.report, asked.picture, asked.width, asked.height, asked.dark)
    except (OSError, subprocess.SubprocessError) as e:
        print(f"no picture: {e}", file=sys.stderr)
        return 1
    print(asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
