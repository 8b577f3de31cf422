"""How a function task's job reaches the object store.

flytekit runs in the job and reads and writes whatever the user's code asks for, so signed URLs are
not enough. The job gets temporary credentials that reach what the task needs and no further
(``Scoper``), where there is somebody who hands these out: see ``storage.aws_scoped`` and
``storage.google_scoped``. Else it gets the keys of the task's secret group as they are, without end
and with all that they reach, unless the task forbids it (``storage_access="scoped"``); stores that
only speak S3 often have nothing better.

The keys are Flyte secrets of the task's group (``secret_keys.ACCESS_KEYS``) and go into the
request's ``secrets`` only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from perian_shim import settings
from perian_shim.errors import MissingSecret
from perian_shim.secret_keys import ACCESS_KEYS, GOOGLE_KEY
from perian_shim.storage import Signing
from perian_shim.storage.reach import Reach
from perian_shim.work.grants import Access

GOOGLE_FILE = "/perian-shim/google-application-credentials.json"

CONFIDENTIAL = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", GOOGLE_KEY}

STATIC = (
    "the job holds {}, as they are: they reach all that they may, and do not end with the job. {}"
)
NO_SCOPE = (
    "PerianConfig(storage_access='scoped') asks for temporary credentials, and nothing hands them"
    " out for {!r}: {}."
)
WAYS = (
    "Temporary ones are handed out by a role of the pod's service account (web identity), by the"
    " secret group's `aws_role_arn`, by an IAM user's keys on AWS and by a Google service account's"
    " key; for a store that only speaks S3 by a security token service, `aws_sts_endpoint_url`"
)

ReadSecret = Callable[[str], str | None]


class Scoper(Protocol):
    """Hands out temporary credentials for what a job needs."""

    @property
    def source(self) -> str:
        """Whose they are, for messages."""
        ...

    def __call__(self, reach: Reach) -> Access:
        """Return credentials that reach this and nothing else.

        Raises:
            StorageFailed: there are none.
        """
        ...


@dataclass(frozen=True)
class StorageAccess:
    """What a function task's job is given.

    Attributes:
        variables: variables that may be seen.
        secrets: variables that may not, of keys that are given as they are.
        files: the same for files: path to content.
        own: whether these keys are those of the user's own machine.
        scopers: hand out temporary credentials, in place of the keys.
        fallback: whether the job may get the keys if no temporary credentials can be had.
        temporary: whether the keys end at a time that nobody knows.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    own: bool = False
    scopers: tuple[Scoper, ...] = ()
    fallback: bool = True
    temporary: bool = False

    @property
    def life(self) -> Signing:
        """For how long the keys are good."""
        return Signing(0.0, renewed=False) if self.temporary else Signing()

    @property
    def warning(self) -> str:
        """What the pod's log says of keys that are given as they are."""
        whose = "the keys of S3 that are set here" if self.own else "the keys of the task's secrets"
        return STATIC.format(whose, WAYS + ".")

    def confidential(self) -> list[str]:
        """Return the values that must not be shown."""
        return [*self.secrets.values(), *self.files.values()]


def storage_access(
    read: ReadSecret,
    group: str,
    environ: Mapping[str, str],
    own: Mapping[str, str] | None = None,
    scopers: Sequence[Scoper] = (),
    *,
    scoped_only: bool = False,
) -> StorageAccess:
    """Return the access that a job gets.

    Args:
        read: returns the value of a key of the group, None if there is none.
        group: the group's name, for messages.
        environ: the resolver container's environment: its S3 endpoint and region are the job's
            too, unless the secrets say otherwise.
        own: for a run on the user's own machine, the keys that are set there, by the same names;
            the job gets them if the group has none.
        scopers: hand out temporary credentials.
        scoped_only: whether the keys themselves must not be given.

    Raises:
        MissingSecret: there are neither credentials nor somebody who hands them out, or only one
            half of AWS's.
    """
    found = {key: value for key in ACCESS_KEYS if (value := read(key))}
    is_own = bool(own) and not CONFIDENTIAL & set(found)
    if is_own:
        found = {**(own or {}), **found}
    has_aws = {"aws_access_key_id", "aws_secret_access_key"} <= set(found)
    has_keys = has_aws or GOOGLE_KEY in found
    if not scopers and not has_keys:
        message = (
            f"The job has no access to the object store: Flyte secret group {group!r} has neither"
            " aws_access_key_id and aws_secret_access_key nor google_application_credentials"
        )
        here = ", and keys of S3 are not set in this environment either (AWS_ACCESS_KEY_ID, …)"
        raise MissingSecret(f"{message}{'' if own is None else here}.", remedy=f"{WAYS}.")
    if scoped_only and not scopers:
        raise MissingSecret(NO_SCOPE.format(group, "its keys are all there is"), remedy=f"{WAYS}.")
    variables = aws_variables(found, environ)
    if not has_keys or scoped_only:
        return StorageAccess(variables, scopers=tuple(scopers), fallback=False)
    secrets = aws_secrets(found) if has_aws else {}
    files = {GOOGLE_FILE: found[GOOGLE_KEY]} if GOOGLE_KEY in found else {}
    if files:
        secrets["GOOGLE_APPLICATION_CREDENTIALS"] = GOOGLE_FILE
    temporary = has_aws and "aws_session_token" in found
    return StorageAccess(variables, secrets, files, is_own, tuple(scopers), temporary=temporary)


def aws_secrets(found: Mapping[str, str]) -> dict[str, str]:
    """Return AWS keys under the names that flytekit, s3fs and boto3 read."""
    secrets = {
        "AWS_ACCESS_KEY_ID": found["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": found["aws_secret_access_key"],
    }
    if "aws_session_token" in found:
        secrets["AWS_SESSION_TOKEN"] = found["aws_session_token"]
    return secrets


def aws_variables(found: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return S3's endpoint and region under the names that flytekit, s3fs and boto3 read."""
    endpoint = (
        found.get("aws_endpoint_url")
        or settings.text(settings.S3_PUBLIC_ENDPOINT, environ=environ)
        or settings.text("FLYTE_AWS_ENDPOINT", environ=environ)
        or settings.text("AWS_ENDPOINT_URL_S3", environ=environ)
    )
    region = (
        found.get("aws_region")
        or settings.text("AWS_REGION", environ=environ)
        or settings.text("AWS_DEFAULT_REGION", environ=environ)
    )
    variables: dict[str, str] = {}
    if endpoint:
        variables |= {"FLYTE_AWS_ENDPOINT": endpoint, "AWS_ENDPOINT_URL_S3": endpoint}
    if region:
        variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    return variables
