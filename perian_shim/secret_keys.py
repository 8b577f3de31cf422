"""Names: the keys of the Flyte secrets that perian-shim asks for, and where a job finds its own."""

import re

from perian_shim.spec import ForwardedSecret

ORGANIZATION_KEY = "perian_organization"
TOKEN_KEY = "perian_token"  # noqa: S105 - the name of a key
REQUIRED_KEYS = (ORGANIZATION_KEY, TOKEN_KEY)
REGISTRY_KEYS = ("docker_registry_url", "docker_registry_username", "docker_registry_password")

AWS_KEYS = (
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region",
    "aws_endpoint_url",
    "aws_role_arn",
    "aws_sts_endpoint_url",
)
GOOGLE_KEY = "google_application_credentials"

ACCESS_KEYS = (*AWS_KEYS, GOOGLE_KEY)
"""Every key that gives a job its access to the object store, or signs for it."""

FLYTE_FILE_DIR = "/etc/flyte/secrets"
"""Where Flyte's webhook mounts secrets as files, and so where users' programs look for them."""


def flytekit_variable(secret: ForwardedSecret) -> str:
    """Return the variable in which flytekit's secret manager looks for a secret."""
    return f"_FSEC_{secret.group}_{secret.key}".upper()


def forwarded_path(secret: ForwardedSecret) -> str:
    """Return the file in which a user's program finds a forwarded secret."""
    return f"{FLYTE_FILE_DIR}/{secret.group.lower()}/{secret.key.lower()}"


def create_command(group: str, *others: str) -> str:
    """Return the command that creates a secret group in a project's namespace, values left open.

    Args:
        group: the secret group.
        others: keys to name beside those that every group has.
    """
    name = group if re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", group) else "<name>"
    keys = (*REQUIRED_KEYS, *(key for key in others if key not in REQUIRED_KEYS))
    literals = " ".join(f"--from-literal={key}=…" for key in keys)
    return f"kubectl --namespace <project>-<domain> create secret generic {name} {literals}"
