"""A key of S3, and the form in which AWS hands keys out. Pure."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Keys:
    """What requests are signed with.

    Attributes:
        access_key: its public part.
        secret_key: its secret part.
        token: session token, empty if it has none.
        expires: when they die, None if that is not known.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: datetime.datetime | None = None


def parsed_keys(content: Mapping[str, str], token_name: str) -> Keys:
    """Return keys from the JSON in which AWS hands them out."""
    expires = content.get("Expiration")
    return Keys(
        content["AccessKeyId"],
        content["SecretAccessKey"],
        content.get(token_name) or "",
        parsed_time(expires) if expires else None,
    )


def parsed_time(text: str) -> datetime.datetime:
    """Return a time as AWS writes it."""
    time_ = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return time_ if time_.tzinfo else time_.replace(tzinfo=datetime.timezone.utc)
