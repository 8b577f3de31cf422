"""Credentials: read once, in this room, into one record.

It says what the API gets, what the job gets and what must be hidden. A secret is read through
flytekit (variable first, then file), else from an environment variable where one is named. Only the
API's own credentials are read again: mounted secrets rotate while a job runs.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flytekit import current_context

from perian_shim import settings
from perian_shim.api import PerianClient, RegistryCredentials
from perian_shim.api.redaction import Redactor
from perian_shim.errors import MissingSecret
from perian_shim.lifecycle.console import confidential_forms
from perian_shim.secret_keys import ORGANIZATION_KEY, REGISTRY_KEYS, TOKEN_KEY
from perian_shim.spec import FunctionWork, JobSpec
from perian_shim.work.job_credentials import StorageAccess, storage_access
from perian_shim.work.request import Private

_VARIABLES = {ORGANIZATION_KEY: settings.ORGANIZATION, TOKEN_KEY: settings.TOKEN}


@dataclass(frozen=True)
class Credentials:
    """Everything confidential that a run needs.

    Attributes:
        organization: the Perian organization.
        token: its API token.
        private: what every job is given.
        access: how a function task's job reaches the object store.
    """

    organization: str
    token: str = field(repr=False)
    private: Private = field(default_factory=Private, repr=False)
    access: StorageAccess = field(default_factory=StorageAccess, repr=False)

    @classmethod
    def read(cls, spec: JobSpec, environ: Mapping[str, str]) -> "Credentials":
        """Read what a job's record asks for.

        Raises:
            MissingSecret: something is nowhere; the message says where it was looked for.
        """
        group = spec.config.secret_group
        organization, token = require(group, ORGANIZATION_KEY), require(group, TOKEN_KEY)
        forwarded = {secret: require(secret.group, secret.key) for secret in spec.secrets}
        access = StorageAccess()
        if isinstance(spec.work, FunctionWork):
            access = storage_access(lambda key: read_secret(group, key), group, environ)
        return cls(organization, token, Private(forwarded, registry_credentials(group)), access)

    def redactor(self) -> Redactor:
        """Return what takes all of it out of text."""
        hidden = [*self.private.confidential(), *self.access.confidential()]
        return Redactor([self.token], confidential_forms(hidden))


def connector(group: str, environ: Mapping[str, str]) -> Callable[..., PerianClient]:
    """Return what makes a client of the API, with the credentials as they are when it is called.

    Args:
        group: the secret group that holds them.
        environ: the resolver container's environment.
    """
    url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
    patience = settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0, environ)

    def connect(connect_timeout: float = 10.0, read_timeout: float = patience) -> PerianClient:
        return PerianClient(
            url,
            require(group, ORGANIZATION_KEY),
            require(group, TOKEN_KEY),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )

    return connect


def read_secret(group: str, key: str) -> str | None:
    """Return a secret's value, or None if it is nowhere."""
    try:
        value = current_context().secrets.get(group, key)
    except ValueError:
        variable = _VARIABLES.get(key)
        value = settings.text(variable, environ=os.environ) if variable else ""
    return str(value).strip() or None


def require(group: str, key: str) -> str:
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
