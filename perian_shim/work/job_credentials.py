"""How a function task's job reaches the object store: with keys of the user's choosing.

flytekit runs in the job and reads and writes whatever the user's code asks for, so presigned URLs
are not enough. The keys are taken from Flyte secrets of the task's group and go into the request's
``secrets`` and container files only. AWS: ``aws_access_key_id`` and ``aws_secret_access_key``, and
if they are there ``aws_session_token``, ``aws_region`` and ``aws_endpoint_url``. Google:
``google_application_credentials``, the JSON of a service account.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from perian_shim import settings
from perian_shim.errors import MissingSecret
from perian_shim.secret_keys import ACCESS_KEYS, GOOGLE_KEY

GOOGLE_FILE = "/perian-shim/google-application-credentials.json"

CONFIDENTIAL = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", GOOGLE_KEY}

ReadSecret = Callable[[str], str | None]


@dataclass(frozen=True)
class StorageAccess:
    """What the job is given.

    Attributes:
        variables: variables that may be seen.
        secrets: variables that may not.
        files: path to content.
        own: whether it is that of the user's own machine.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    own: bool = False

    def confidential(self) -> list[str]:
        """Return the values that must not be shown."""
        return [*self.secrets.values(), *(content.decode() for content in self.files.values())]


def storage_access(
    read: ReadSecret,
    group: str,
    environ: Mapping[str, str],
    own: Mapping[str, str] | None = None,
) -> StorageAccess:
    """Return the access that the secrets give.

    Args:
        read: returns the value of a key of the group, None if there is none.
        group: the group's name, for messages.
        environ: the resolver container's environment: its S3 endpoint and region are the job's
            too, unless the secrets say otherwise.
        own: for a run on the user's own machine, the keys that are set there, by the same names;
            the job gets them if the group has none.

    Raises:
        MissingSecret: neither AWS nor Google credentials are there, or only half of AWS's.
    """
    found = {key: value for key in ACCESS_KEYS if (value := read(key))}
    is_own = bool(own) and not CONFIDENTIAL & set(found)
    if is_own:
        found = {**(own or {}), **found}
    has_aws = {"aws_access_key_id", "aws_secret_access_key"} <= set(found)
    if not has_aws and GOOGLE_KEY not in found:
        message = (
            f"The job has no access to the object store: Flyte secret group {group!r} has neither"
            " aws_access_key_id and aws_secret_access_key nor google_application_credentials"
        )
        here = ", and keys of S3 are not set in this environment either (AWS_ACCESS_KEY_ID, …)"
        raise MissingSecret(f"{message}{'' if own is None else here}.")
    access = google_access(found[GOOGLE_KEY]) if GOOGLE_KEY in found else StorageAccess()
    if not has_aws:
        return access
    aws = aws_access(found, environ)
    secrets = {**access.secrets, **aws.secrets}
    return StorageAccess(aws.variables, secrets, access.files, is_own)


def google_access(credentials: str) -> StorageAccess:
    """Return the access of a Google service account."""
    return StorageAccess(
        secrets={"GOOGLE_APPLICATION_CREDENTIALS": GOOGLE_FILE},
        files={GOOGLE_FILE: credentials.encode()},
    )


def aws_access(found: Mapping[str, str], environ: Mapping[str, str]) -> StorageAccess:
    """Return the access of AWS keys, under the names that flytekit, s3fs and boto3 read."""
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
    secrets = {
        "AWS_ACCESS_KEY_ID": found["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": found["aws_secret_access_key"],
    }
    if "aws_session_token" in found:
        secrets["AWS_SESSION_TOKEN"] = found["aws_session_token"]
    return StorageAccess(variables, secrets)
