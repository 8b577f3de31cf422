"""Access that expires, and is fetched again at half of its life. Times are in seconds.

What is signed dies with the access that signed it: at any time there is at least half of a life
left in it, unless no new access can be had.
"""

import datetime
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from perian_shim.errors import StorageFailed

AGAIN_SECONDS = 60.0
"""How long access that is still good is not fetched again after a failure."""

LEAST_SECONDS = 1.0
"""How long it is not fetched again in any case: some sources hand out the same until its end."""


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
        follows: whether other access can be had after it.

    Attributes:
        follows: the same.
    """

    def __init__(
        self, fetch: Callable[[], T], now: Callable[[], float] = time.time, *, follows: bool = True
    ) -> None:
        self.follows = follows
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
            float("inf") if left is None else self._now() + max(left / 2, LEAST_SECONDS)
        )
        return access

    def _left(self, access: T | None) -> float | None:
        if access is None or access.expires is None:
            return None
        return access.expires.timestamp() - self._now()
