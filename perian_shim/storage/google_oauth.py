"""An OAuth token of Google's, and what is said when there is none. Pure."""

import datetime
from dataclasses import dataclass, field

from perian_shim.errors import StorageFailed

STORAGE = "https://www.googleapis.com/auth/devstorage.read_write"
"""Scope of a token for objects."""

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
"""Scope of a token for all that an account may do: signing and narrower tokens ask for it."""


@dataclass(frozen=True)
class Token:
    """An OAuth token.

    Attributes:
        text: what is sent, empty for an emulator.
        expires: when it dies.
    """

    text: str = field(repr=False)
    expires: datetime.datetime | None = None


def no_token(why: str, *, passing: bool = False) -> StorageFailed:
    """Return the error for a pod without a token."""
    remedy = "Give the pod's service account a role for the bucket (workload identity)."
    message = f"There are no credentials for Google Cloud Storage: {why}."
    failure = StorageFailed(message, remedy=remedy)
    failure.passing = passing
    return failure
