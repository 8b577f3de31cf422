"""Who asks Perian: organization, token and address, and connections that threads share.

``init`` says them for the whole process. What it does not say comes from the environment
(``PERIAN_ORGANIZATION``, ``PERIAN_TOKEN``, ``PERIAN_API_URL``), else from where Flyte mounts the
secret group ``perian``.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.errors import ConfigError

IDLE = 4
"""So many unused connections are kept."""


@dataclass
class Connection:
    """One organization at one Perian.

    Attributes:
        organization: its name.
        token: its API token.
        url: base URL of the API.
        read_timeout: seconds without a byte of an answer.
    """

    organization: str
    token: str = field(repr=False)
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
    organization: str | None = None, token: str | None = None, url: str | None = None
) -> Connection:
    """Say for the whole process who asks Perian.

    Args:
        organization: None: as the environment says.
        token: the same.
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
    organization: str | None = None, token: str | None = None, url: str | None = None
) -> Connection:
    """Return a connection of its own; arguments and errors as for ``init``."""
    environ = os.environ
    names = {settings.ORGANIZATION: organization, settings.TOKEN: token}
    found = {name: given or settings.text(name, environ=environ) for name, given in names.items()}
    if not all(found.values()):
        missing = " and ".join(name for name, value in found.items() if not value)
        message = f"Set {missing} to the credentials of your Perian organization."
        raise ConfigError(message, remedy="")
    return Connection(
        found[settings.ORGANIZATION],
        found[settings.TOKEN],
        url or settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ),
        settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0, environ),
    )
