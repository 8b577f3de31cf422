"""The token for Google Cloud Storage: where it comes from.

A pod with workload identity asks the metadata server, which is one request. Where a file of
credentials is named (a service account's key, workload identity federation, a person's login),
google-auth reads it, in a process of its own that ends at once: loaded here it would stay.
An emulator (``STORAGE_EMULATOR_HOST``) wants no token.
"""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perian_shim.errors import StorageFailed
from perian_shim.storage.child import answer_of
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.s3_keys import parsed_time
from perian_shim.storage.web import BrokenOff, NoAnswer, Web, is_busy

METADATA_HOST = "metadata.google.internal"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_OK = 200

_SOURCE = """
import json, sys
sys.path[:] = json.loads(sys.stdin.read())
try:
    import google.auth, google.auth.exceptions
    from google.auth.transport.requests import Request
except ImportError:
    sys.exit(json.dump({"missing": True}, sys.stdout))
try:
    found, _ = google.auth.default(
        scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    found.refresh(Request())
except Exception as error:
    passing = isinstance(error, google.auth.exceptions.TransportError) or getattr(
        error, "retryable", False)
    said = " ".join(f"{type(error).__name__}: {error.args[0] if error.args else ''}".split())[:300]
    sys.exit(json.dump({"error": said, "passing": bool(passing)}, sys.stdout))
json.dump({"token": found.token, "expires": found.expiry and found.expiry.isoformat()}, sys.stdout)
"""


@dataclass(frozen=True)
class Token:
    """An OAuth token.

    Attributes:
        text: what is sent, empty for an emulator.
        expires: when it dies.
    """

    text: str = field(repr=False)
    expires: datetime.datetime | None = None


def token_chain(environ: Mapping[str, str], web: Web) -> Renewed[Token]:
    """Return the token that a process with this environment has."""
    if environ.get("STORAGE_EMULATOR_HOST"):
        return Renewed(lambda: Token(""))
    if has_credentials_file(environ):
        return Renewed(lambda: token_of_google_auth(environ))
    return Renewed(lambda: token_of_metadata(environ, web))


def has_credentials_file(environ: Mapping[str, str]) -> bool:
    """Whether a file says who we are: one that is named, or that of Google's tools."""
    if environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return True
    home = Path(environ.get("HOME") or Path.home(), ".config", "gcloud")
    folder = Path(environ.get("CLOUDSDK_CONFIG") or home)
    return (folder / "application_default_credentials.json").exists()


def token_of_metadata(environ: Mapping[str, str], web: Web) -> Token:
    """Ask the metadata server."""
    host = environ.get("GCE_METADATA_HOST") or METADATA_HOST
    asked_at = datetime.datetime.now(datetime.timezone.utc)
    try:
        headers = {"Metadata-Flavor": "Google"}
        answer = web.ask("GET", f"http://{host}{METADATA_PATH}", lambda: headers, direct=True)
    except (NoAnswer, BrokenOff) as error:
        raise no_token(str(error), passing=True) from error
    if answer.status != _OK:
        raise no_token(f"{host} answered HTTP {answer.status}", passing=is_busy(answer))
    try:
        content = json.loads(answer.body)
        life = datetime.timedelta(seconds=float(content["expires_in"]))
        return Token(content["access_token"], asked_at + life)
    except (ValueError, KeyError, TypeError):
        raise no_token(f"{host} answered without a token") from None


def token_of_google_auth(environ: Mapping[str, str]) -> Token:
    """Let google-auth read a file of credentials."""
    found = answer_of(_SOURCE, environ, "Looking for credentials for Google Cloud Storage")
    if "missing" in found:
        raise no_token("a file of credentials is read by google-auth, which is not installed")
    if "error" in found:
        raise no_token(found["error"], passing=bool(found["passing"]))
    expires = found.get("expires")
    return Token(found["token"], parsed_time(expires) if expires else None)


def no_token(why: str, *, passing: bool = False) -> StorageFailed:
    """Return the error for a pod without a token."""
    remedy = "Give the pod's service account a role for the bucket (workload identity)."
    message = f"There are no credentials for Google Cloud Storage: {why}."
    failure = StorageFailed(message, remedy=remedy)
    failure.passing = passing
    return failure
