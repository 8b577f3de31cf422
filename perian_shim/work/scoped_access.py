"""Temporary credentials of the clouds, in the form in which a grant gives them to a job."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from perian_shim.storage.aws_scoped import AwsScoper
from perian_shim.storage.google_scoped import GoogleScoper
from perian_shim.storage.reach import Reach
from perian_shim.work.grants import Access

S3 = frozenset({"s3"})
GOOGLE = frozenset({"gs", "gcs"})


def within(reach: Reach, schemes: frozenset[str]) -> Reach | None:
    """Return what of a reach lies in one cloud, None if nothing does."""

    def there(uris: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(uri for uri in uris if urlsplit(uri).scheme in schemes)

    part = Reach(there(reach.objects), there(reach.read), there(reach.write))
    return None if part == Reach() else part


@dataclass(frozen=True)
class AwsAccess:
    """Hands out keys of S3 for what a job needs.

    Attributes:
        scoper: asks AWS for them.
        now: the time, in seconds since the epoch.
    """

    scoper: AwsScoper
    now: Callable[[], float] = time.time

    @property
    def source(self) -> str:
        """Whose they are."""
        return self.scoper.source

    def __call__(self, reach: Reach) -> Access:
        """Return keys that reach this and nothing else."""
        part = within(reach, S3)
        if part is None:
            return Access((), float("inf"))
        keys = self.scoper.keys(part)
        left = float("inf") if keys.expires is None else keys.expires.timestamp() - self.now()
        return Access((("aws", keys.access_key, keys.secret_key, keys.token),), left)


@dataclass(frozen=True)
class GoogleAccess:
    """Hands out tokens for Google Cloud Storage for what a job needs.

    Attributes:
        scoper: asks Google for them.
        now: the time, in seconds since the epoch.
    """

    scoper: GoogleScoper
    now: Callable[[], float] = time.time

    @property
    def source(self) -> str:
        """Whose they are."""
        return self.scoper.source

    def __call__(self, reach: Reach) -> Access:
        """Return a token that reaches this and nothing else."""
        part = within(reach, GOOGLE)
        if part is None:
            return Access((), float("inf"))
        token = self.scoper.token(part)
        left = float("inf") if token.expires is None else token.expires.timestamp() - self.now()
        return Access((("google", token.text),), left)
