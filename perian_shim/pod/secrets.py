"""Flyte secrets where the backend puts them: a variable, else a file; as flytekit reads them.

Kubernetes secrets arrive as ``_FSEC_<GROUP>_<KEY>`` or as files below ``/etc/secrets``. The
``FLYTE_SECRETS_*`` variables, which Flyte's webhook sets, say otherwise if they are there.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from perian_shim import settings

ReadSecret: TypeAlias = Callable[[str, str], str | None]
"""Returns the value of a group's key, None if there is none."""

ENV_PREFIX = "FLYTE_SECRETS_ENV_PREFIX"
DEFAULT_DIR = "FLYTE_SECRETS_DEFAULT_DIR"
FILE_PREFIX = "FLYTE_SECRETS_FILE_PREFIX"


def mounted_secrets(environ: Mapping[str, str]) -> ReadSecret:
    """Return what reads the secrets of a container.

    Args:
        environ: the container's environment.
    """
    variable_prefix = settings.text(ENV_PREFIX, "_FSEC_", environ)
    folder = settings.text(DEFAULT_DIR, "/etc/secrets", environ)
    file_prefix = settings.text(FILE_PREFIX, "", environ)

    def read(group: str, key: str) -> str | None:
        parts = [part for part in (group, key) if part]
        value = environ.get(variable_prefix + "_".join(parts).upper())
        if value is not None:
            return value.strip()
        *folders, name = (part.lower() for part in parts)
        path = Path(folder, *folders, file_prefix + name)
        try:
            return path.read_text().strip() if path.exists() else None
        except (OSError, UnicodeDecodeError):
            return None

    return read
