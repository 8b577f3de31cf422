"""What requests to S3 are signed with: our own identity, or what lives longer.

A presigned request dies with the keys that signed it. A pod's own keys most often are temporary: an
hour, and then others. If the task's secrets hold a user's static keys, these sign what a job is
given, and only that: all requests of the pod's own are made with the pod's own identity.
"""

from collections.abc import Mapping

from perian_shim.storage.aws_keys import KeyChain, keys_in_secrets
from perian_shim.storage.base import Signing
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.s3_settings import S3Settings


class Signer:
    """The keys of a store.

    Args:
        own: the pod's.
        static: keys without an end that may sign in their place.
    """

    def __init__(self, own: KeyChain, static: Keys | None = None) -> None:
        self._own = own
        self._static = static

    def keys(self, *, for_job: bool = False) -> Keys:
        """Return the keys for a request of ours, or for one that a job is given.

        Raises:
            StorageFailed: there are none.
        """
        own = self._own.current()
        if for_job and self._static is not None and (own.token or own.expires):
            return self._static
        return own

    def signing(self) -> Signing:
        """Return for how long what a job is given stays good.

        Keys with a session token that came without their end die within a time that nobody knows:
        nothing can be promised of them.

        Raises:
            StorageFailed: there are no keys.
        """
        keys = self.keys(for_job=True)
        if keys.expires is None:
            return Signing(0.0, renewed=False) if keys.token else Signing(None)
        left = self._own.seconds_left() or 0.0
        return Signing(max(left, 0.0), renewed=self._own.follows)


def static_keys(secrets: Mapping[str, str], settings: S3Settings) -> Keys | None:
    """Return the keys without an end among a task's secrets, None if they are for another store."""
    keys = keys_in_secrets(secrets)
    if keys is None or keys.token:
        return None
    return keys if settings.are_of(secrets.get("aws_endpoint_url", "")) else None
