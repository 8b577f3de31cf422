"""The tools of the audit, which are in an environment of their own (`make check` installs them)."""

import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_ENVIRONMENTS = (Path(sys.prefix, "audit"), CHECKOUT / ".venv" / "audit")


def require_audit_tools() -> str:
    """Return the Python that has pip-audit and CycloneDX's library."""
    for environment in _ENVIRONMENTS:
        python = environment / "bin" / "python"
        if python.exists():
            return str(python)
    reason = "needs the tools of the audit: `make check` installs them"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
