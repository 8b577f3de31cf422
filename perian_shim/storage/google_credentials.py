"""Documents of credentials, as Google hands them out: where they are, and what they tell.

They are JSON; ``type`` says of what kind. Nothing of a key is ever printed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perian_shim.errors import InvalidInput, StorageFailed

SECRET = "google_application_credentials"  # noqa: S105 - its name
"""Name of the secret that may hold a service account's key."""

KEY = "service_account"
IMPERSONATED = "impersonated_service_account"
FEDERATED = "external_account"


@dataclass(frozen=True)
class GoogleCredentials:
    """A document of credentials.

    Attributes:
        origin: where it is from, for messages.
        content: the document.
    """

    origin: str
    content: Mapping[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Of what kind it is."""
        return str(self.content.get("type"))

    @property
    def account(self) -> str:
        """E-mail address of the service account that it makes somebody, empty if it does not."""
        if self.kind == KEY:
            return str(self.content.get("client_email", ""))
        url = str(self.content.get("service_account_impersonation_url", ""))
        return url.rpartition("/serviceAccounts/")[2].partition(":")[0]


def secret_key(secrets: Mapping[str, str]) -> GoogleCredentials | None:
    """Return the service account's key in a task's secrets, None if there is none.

    Raises:
        InvalidInput: what is there is no such key.
    """
    text = secrets.get(SECRET, "")
    if not text.strip():
        return None
    try:
        content: object = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("type") != KEY:
        raise not_a_key(f"it is no JSON with the type {KEY!r}")
    for name in ("client_email", "private_key"):
        if not (isinstance(content.get(name), str) and content[name]):
            raise not_a_key(f"it has no {name}")
    return GoogleCredentials(f"the secret {SECRET}", content)


def not_a_key(why: str) -> InvalidInput:
    """Return the error for a secret that is something else."""
    message = f"The secret {SECRET} is no key of a service account: {why}."
    remedy = (
        "Store the JSON file that `gcloud iam service-accounts keys create` makes, as it is; or"
        " remove the secret, and the pod's own identity is used."
    )
    return InvalidInput(message, remedy=remedy)


def credentials_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file that says who we are: one that is named, or that of Google's tools."""
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named:
        return Path(named)
    home = Path(environ.get("HOME") or Path.home(), ".config", "gcloud")
    folder = Path(environ.get("CLOUDSDK_CONFIG") or home)
    file = folder / "application_default_credentials.json"
    return file if file.exists() else None


def read_credentials(file: Path) -> GoogleCredentials:
    """Read a file of credentials.

    Raises:
        StorageFailed: it cannot be read.
    """
    try:
        content: object = json.loads(file.read_bytes())
    except OSError as error:
        reason = error.strerror
    except ValueError:
        reason = "it is no JSON"
    else:
        if isinstance(content, dict):
            return GoogleCredentials(f"the file {file}", content)
        reason = "it is no JSON object"
    message = f"Google's credentials in {file} cannot be read: {reason}."
    raise StorageFailed(message, remedy="Correct the file, or what names it.")
