"""A real browser without a screen: opens a page and tells what it became."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from support.tools import require_tool
from support.waiting import LONG_SECONDS

ARTIFACTS = "PERIAN_TEST_ARTIFACTS"
"""Names the folder for pictures, ``.artifacts`` of the checkout if it is not set."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--disable-dev-shm-usage"),
)


def artifacts() -> Path:
    """Return the folder in which pictures are left for people to look at."""
    default = Path(__file__).parent.parent.parent / ".artifacts"
    folder = Path(os.environ.get(ARTIFACTS) or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def opened(page: Path, *flags: str) -> str:
    """Open a page in a browser of its own and return what that prints.

    Skips the calling test if there is none; with CI=true it fails.
    """
    chromium = require_tool("chromium")
    with tempfile.TemporaryDirectory(prefix="perian-browser-", ignore_cleanup_errors=True) as home:
        command = [chromium, *FLAGS, f"--user-data-dir={home}", *flags, page.as_uri()]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=2 * LONG_SECONDS
        )
    return done.stdout


def dom_of(page: Path) -> str:
    """Return a page as it is once its scripts have run, as HTML."""
    return opened(page, "--virtual-time-budget=2000", "--dump-dom")


def picture_of(
    page: Path, name: str, *, width: int = 1100, height: int = 1250, dark: bool = False
) -> Path:
    """Leave a picture of a page; return its file.

    Args:
        page: the page.
        name: of the picture.
        width: of the window, in pixels; so is the height.
        height: of the window.
        dark: whether the browser prefers dark pages.
    """
    file = artifacts() / f"{name}.png"
    file.unlink(missing_ok=True)
    look = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    opened(page, f"--screenshot={file}", f"--window-size={width},{height}", *look)
    assert file.read_bytes().startswith(b"\x89PNG"), name
    return file


def elements(dom: str, tag: str) -> list[str]:
    """Return the contents of a page's elements of one name."""
    return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", dom, re.DOTALL)
