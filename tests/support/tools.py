"""External programs that some tests need."""

import os
import shutil

import pytest


def require_tool(name: str) -> str:
    """The absolute path of a program on PATH.

    Without it the calling test is skipped, with the reason; with CI=true it fails, because there a
    missing tool means that a part of the product goes untested.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"needs the program {name!r}, which is not on PATH (apt-get install {name}?)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
