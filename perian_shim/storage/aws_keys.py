"""The keys of S3: where they come from, and for how long they are good.

Keys that are given are taken as they are. Web identity (IRSA) and container credentials (EKS pod
identity, ECS), which most pods have, take one request each, made here. All else that AWS has
(profiles, SSO, instance roles, ``credential_process``) is botocore's own chain, in a process of its
own that ends at once: loaded here it would stay, 15 MiB for as long as the pod waits.

Nothing of a key is ever printed.
"""

import datetime
import json
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from perian_shim.errors import StorageFailed
from perian_shim.storage.aws_chain import keys_of_botocore
from perian_shim.storage.key_requests import OK, asked, refused
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.s3_keys import Keys, parsed_keys, parsed_time
from perian_shim.storage.s3_settings import S3Settings, aws_file
from perian_shim.storage.sts import Sts, keys_in, sts_url
from perian_shim.storage.web import Web

CONTAINER_HOST = "http://169.254.170.2"
_PLAIN_HOSTS = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost", "127.0.0.1", "::1"}

KeyChain = Renewed[Keys]


def key_chain(settings: S3Settings, environ: Mapping[str, str], web: Web) -> KeyChain:
    """Return the keys that a process with this environment has."""
    given = given_keys(settings, environ)
    if given is not None:
        return KeyChain(lambda: given, follows=False)
    if not has_profiles(environ):
        if has_web_identity(environ):
            return KeyChain(lambda: web_identity_keys(settings, environ, web))
        if container_url(environ):
            return KeyChain(lambda: container_keys(environ, web))
    return KeyChain(lambda: keys_of_botocore(environ))


def given_keys(settings: S3Settings, environ: Mapping[str, str]) -> Keys | None:
    """Return the keys that are set, flytekit's before AWS's.

    Raises:
        StorageFailed: one half is missing.
    """
    pairs = (
        (settings.access_key_id, settings.secret_access_key, "", ""),
        (
            environ.get("AWS_ACCESS_KEY_ID", ""),
            environ.get("AWS_SECRET_ACCESS_KEY", ""),
            environ.get("AWS_SESSION_TOKEN", "") or environ.get("AWS_SECURITY_TOKEN", ""),
            environ.get("AWS_CREDENTIAL_EXPIRATION", ""),
        ),
    )
    for pair, is_flytekits in zip(pairs, (True, False), strict=True):
        access, secret, token, expires = (text.strip() for text in pair)
        if access and secret:
            return Keys(access, secret, token, given_end(expires))
        if access or (secret and is_flytekits):  # AWS's tools overlook a secret by itself
            message = "Only one half of an S3 key is set: the access key id or the secret."
            raise StorageFailed(message, remedy="Set both, or neither.")
    return None


def keys_in_secrets(secrets: Mapping[str, str]) -> Keys | None:
    """Return the keys among a task's secrets; one half of a key is none."""
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    access, secret, token = (secrets.get(name, "").strip() for name in names)
    return Keys(access, secret, token) if access and secret else None


def given_end(text: str) -> datetime.datetime | None:
    """Return until when keys of the environment are good, None if it does not tell.

    Raises:
        StorageFailed: it is no time.
    """
    try:
        return parsed_time(text) if text else None
    except ValueError:
        message = (
            f"AWS_CREDENTIAL_EXPIRATION: expected a time like 2030-01-31T12:00:00Z, got {text!r}."
        )
        raise StorageFailed(message, remedy="Correct the value.") from None


def has_profiles(environ: Mapping[str, str]) -> bool:
    """Whether AWS's own files may say where keys come from; they precede web identity."""
    if environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE"):
        return True
    files = (("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials"))
    return any(aws_file(environ, *names).exists() for names in files)


def web_identity_keys(settings: S3Settings, environ: Mapping[str, str], web: Web) -> Keys:
    """Trade the pod's token for keys, at AWS's security token service."""
    role = environ["AWS_ROLE_ARN"]
    what = f"Assuming {role}"
    fields = web_identity_fields(environ)
    fields["RoleSessionName"] = (
        environ.get("AWS_ROLE_SESSION_NAME") or f"perian-shim-{int(time.time())}"
    )
    sts = Sts(web, sts_url(settings.region, environ), settings.region)
    answer = sts.ask(what, "AssumeRoleWithWebIdentity", fields)
    if answer.status != OK:
        raise refused(what, answer)
    return keys_in(answer, what)


def web_identity_fields(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what says which role the pod's token is for."""
    return {
        "RoleArn": environ["AWS_ROLE_ARN"],
        "WebIdentityToken": token_in(environ["AWS_WEB_IDENTITY_TOKEN_FILE"]),
    }


def has_web_identity(environ: Mapping[str, str]) -> bool:
    """Whether the pod's service account has a role."""
    return bool(environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"))


def container_url(environ: Mapping[str, str]) -> str:
    """Return where the container's keys are handed out, empty if nowhere."""
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    if relative:
        return CONTAINER_HOST + relative
    return environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")


def container_keys(environ: Mapping[str, str], web: Web) -> Keys:
    """Fetch the container's keys from the agent on its node."""
    url = container_url(environ)
    parts = urlsplit(url)
    what = f"Fetching the container's keys from {parts.netloc}"
    if parts.scheme != "https" and parts.hostname not in _PLAIN_HOSTS:
        message = f"{what}: the URL is neither https nor on this node."
        raise StorageFailed(message)
    file = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    token = token_in(file) if file else environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "").strip()
    headers = {"Accept": "application/json", **({"Authorization": token} if token else {})}
    answer = asked(web, "GET", url, what, lambda: headers, direct=True)
    if answer.status != OK:
        raise refused(what, answer)
    try:
        return parsed_keys(json.loads(answer.body), "Token")
    except (ValueError, KeyError, TypeError):
        message = f"{what}: the answer holds no keys."
        raise StorageFailed(message) from None


def token_in(file: str) -> str:
    """Return a token that the cluster keeps fresh in a file."""
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        message = f"The pod's token {file} cannot be read: {error.strerror}."
        raise StorageFailed(message) from error
