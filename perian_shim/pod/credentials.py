"""Flyte secrets in the resolver container, and where the job finds those that it gets.

A secret is read through flytekit (variable first, then file), else from an environment variable
where one is named.
"""

import os

from flytekit import current_context

from perian_shim import settings
from perian_shim.api import RegistryCredentials
from perian_shim.errors import MissingSecret
from perian_shim.spec import ForwardedSecret

ORGANIZATION_KEY = "perian_organization"
TOKEN_KEY = "perian_token"  # noqa: S105 - the name of a key
REQUIRED_KEYS = (ORGANIZATION_KEY, TOKEN_KEY)
REGISTRY_KEYS = ("docker_registry_url", "docker_registry_username", "docker_registry_password")

FLYTE_FILE_DIR = "/etc/flyte/secrets"
"""Where Flyte's webhook mounts secrets as files, and so where users' programs look for them."""

_VARIABLES = {ORGANIZATION_KEY: settings.ORGANIZATION, TOKEN_KEY: settings.TOKEN}


def read_secret(group: str, key: str) -> str | None:
    """Return a secret's value, or None if it is nowhere."""
    try:
        value = current_context().secrets.get(group, key)
    except ValueError:
        variable = _VARIABLES.get(key)
        value = settings.text(variable, environ=os.environ) if variable else ""
    return str(value).strip() or None


def require_secret(group: str, key: str) -> str:
    """Return a secret's value.

    Raises:
        MissingSecret: it is nowhere; the message says where it was looked for.
    """
    value = read_secret(group, key)
    if value is None:
        variable = _VARIABLES.get(key)
        places = f"Flyte secret {key!r} of group {group!r}"
        if variable:
            places += f" and environment variable {variable}"
        raise MissingSecret(f"Not found: {places}.")
    return value


def registry_credentials(group: str) -> RegistryCredentials | None:
    """Return how Perian may pull the image, None if the group has no such secrets."""
    found = {key: read_secret(group, key) or "" for key in REGISTRY_KEYS}
    return RegistryCredentials(*found.values()) if any(found.values()) else None


def flytekit_variable(secret: ForwardedSecret) -> str:
    """Return the variable in which flytekit's secret manager looks for a secret."""
    return f"_FSEC_{secret.group}_{secret.key}".upper()


def forwarded_path(secret: ForwardedSecret) -> str:
    """Return the file in which a user's program finds a forwarded secret."""
    return f"{FLYTE_FILE_DIR}/{secret.group.lower()}/{secret.key.lower()}"
