"""Who asks Perian: organization, token and address, and connections that threads share.

``init`` says them for the whole process. What it does not say comes from the environment
(``PERIAN_ORGANIZATION``, ``PERIAN_API_URL``, and ``PERIAN_TOKEN`` or the program that
``PERIAN_TOKEN_COMMAND`` names), else from where Flyte mounts the secret group ``perian``. A token
from a program or a file is had anew when the API refuses it.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.tokens import CommandToken, FileToken, TokenSource
from perian_shim.config import DEFAULT_SECRET_GROUP
from perian_shim.errors import ConfigError
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import ORGANIZATION_KEY, TOKEN_KEY

IDLE = 4
"""So many unused connections are kept."""


@dataclass
class Connection:
    """One organization at one Perian.

    Attributes:
        organization: its name.
        token: its API token, or what gets one.
        url: base URL of the API.
        read_timeout: seconds without a byte of an answer.
    """

    organization: str
    token: str | TokenSource = field(repr=False)
    url: str = settings.DEFAULT_API_URL
    read_timeout: float = 30.0
    _idle: list[PerianClient] = field(default_factory=list, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @contextmanager
    def client(self) -> Iterator[PerianClient]:
        """Give a client that nobody else uses meanwhile."""
        with self._lock:
            found = self._idle.pop() if self._idle else None
        client = found or self.open()
        try:
            yield client
        except BaseException:
            client.close()
            raise
        with self._lock:
            keep = len(self._idle) < IDLE
            if keep:
                self._idle.append(client)
        if not keep:
            client.close()

    def open(self) -> PerianClient:
        """Return a client of its own, for the caller to close."""
        return PerianClient(self.url, self.organization, self.token, read_timeout=self.read_timeout)

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()


_current: Connection | None = None


def init(
    organization: str | None = None,
    token: str | TokenSource | None = None,
    url: str | None = None,
) -> Connection:
    """Say for the whole process who asks Perian.

    Args:
        organization: None: as the environment says.
        token: a token, or what gets one (``perian_shim.api.tokens``); the same.
        url: base URL of the API; the same.

    Raises:
        ConfigError: organization or token are nowhere to be found.
    """
    global _current  # noqa: PLW0603 - as flyte.init, one for the process
    _current = connection_of(organization, token, url)
    return _current


def connection() -> Connection:
    """Return the process's connection; without ``init``, the environment's.

    Raises:
        ConfigError: organization or token are nowhere to be found.
    """
    return _current or init()


def connection_of(
    organization: str | None = None,
    token: str | TokenSource | None = None,
    url: str | None = None,
    group: str = DEFAULT_SECRET_GROUP,
) -> Connection:
    """Return a connection of its own; arguments and errors as for ``init``.

    Args:
        organization: as for ``init``.
        token: the same.
        url: the same.
        group: Flyte's secret group that is looked for last.
    """
    environ = os.environ
    found_organization = organization or found_name(environ, group)
    found_token = token or found_source(environ, group)
    if found_organization is None or found_token is None:
        asked = {settings.ORGANIZATION: found_organization, settings.TOKEN: found_token}
        missing = " and ".join(name for name, value in asked.items() if value is None)
        message = f"Set {missing} to the credentials of your Perian organization."
        remedy = "" if found_token else f"Or let {settings.TOKEN_COMMAND} name what prints a token."
        raise ConfigError(message, remedy=remedy)
    return Connection(
        found_organization,
        found_token,
        url or settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ),
        settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0, environ),
    )


def found_name(environ: Mapping[str, str], group: str) -> str | None:
    """Return the organization's name as the environment, or else Flyte, says it."""
    name = settings.text(settings.ORGANIZATION, environ=environ)
    if not name:
        secret = FlyteSecrets.of_container(environ).get(group, ORGANIZATION_KEY)
        name = (secret or "").strip()
    return name or None


def found_source(environ: Mapping[str, str], group: str) -> str | TokenSource | None:
    """Return the token that is set, or what gets one: a program before Flyte's secret.

    Raises:
        ClientConfigError: the program's name cannot be read.
    """
    token = settings.text(settings.TOKEN, environ=environ)
    if token:
        return token
    command = settings.text(settings.TOKEN_COMMAND, environ=environ)
    if command:
        return CommandToken(command)
    secrets = FlyteSecrets.of_container(environ)
    for variable in secrets.variables(group, TOKEN_KEY):
        if environ.get(variable, "").strip():
            return environ[variable].strip()
    file = secrets.file(group, TOKEN_KEY)
    return FileToken(file) if file.is_file() else None
