"""Access that expires, and is fetched again before it does. Times are in seconds."""

import datetime
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from perian_shim.errors import StorageFailed

AHEAD_SECONDS = 900.0
"""How long before its end access is fetched anew, if its life is long enough."""

AGAIN_SECONDS = 60.0
"""How long after a failure access that is still good is not fetched again."""


class Expiring(Protocol):
    """Access of some kind."""

    @property
    def expires(self) -> datetime.datetime | None:
        """When it dies, None if that is not known."""
        ...


T = TypeVar("T", bound=Expiring)


class Renewed(Generic[T]):
    """Access that is fetched when it is needed, and again before it expires.

    Args:
        fetch: gets it; may raise ``StorageFailed``.
        now: the time since the epoch.
    """

    def __init__(self, fetch: Callable[[], T], now: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._access: T | None = None
        self._renew_at = 0.0

    def current(self) -> T:
        """Return access that is good.

        Raises:
            StorageFailed: there is none.
        """
        with self._lock:
            if self._access is None or self._now() >= self._renew_at:
                self._access = self._renewed(self._access)
            return self._access

    def seconds_left(self) -> float | None:
        """Return for how long the access is good, None if that is not known.

        Raises:
            StorageFailed: there is none.
        """
        return self._left(self.current())

    def _renewed(self, before: T | None) -> T:
        try:
            access = self._fetch()
        except StorageFailed:
            left = self._left(before)
            if before is None or left is None or left <= 0:
                raise
            self._renew_at = self._now() + min(AGAIN_SECONDS, left)
            return before
        left = self._left(access)
        self._renew_at = (
            float("inf") if left is None else self._now() + left - min(AHEAD_SECONDS, left / 2)
        )
        return access

    def _left(self, access: T | None) -> float | None:
        if access is None or access.expires is None:
            return None
        return access.expires.timestamp() - self._now()
