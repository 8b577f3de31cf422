"""The token for Google Cloud Storage: where it comes from.

A pod with workload identity asks the metadata server, which is one request. Where a file of
credentials is named (a service account's key, workload identity federation, a person's login),
google-auth reads it, in a process of its own that ends at once: loaded here it would stay.
An emulator (``STORAGE_EMULATOR_HOST``) wants no token.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from perian_shim.storage.child import answer_of
from perian_shim.storage.google_credentials import credentials_file
from perian_shim.storage.google_metadata import token_of_metadata
from perian_shim.storage.google_oauth import CLOUD_PLATFORM, STORAGE, Token, no_token
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.s3_keys import parsed_time
from perian_shim.storage.web import Web

__all__ = [
    "CLOUD_PLATFORM",
    "STORAGE",
    "Token",
    "no_token",
    "token_chain",
    "token_of_google_auth",
]

_SOURCE = """
import json, sys
sys.path[:] = json.loads(sys.stdin.readline())
asked = json.loads(sys.stdin.readline())
try:
    import google.auth, google.auth.exceptions
    from google.auth.transport.requests import Request
except ImportError:
    sys.exit(json.dump({"missing": True}, sys.stdout))
try:
    document, scopes = asked["document"], [asked["scope"]]
    if document is None:
        found, _ = google.auth.default(scopes=scopes)
    elif document.get("type") == "service_account":
        from google.oauth2.service_account import Credentials
        found = Credentials.from_service_account_info(document, scopes=scopes)
    else:
        found, _ = google.auth.load_credentials_from_dict(document, scopes=scopes)
    found.refresh(Request())
except Exception as error:
    passing = isinstance(error, google.auth.exceptions.TransportError) or getattr(
        error, "retryable", False)
    said = " ".join(f"{type(error).__name__}: {error.args[0] if error.args else ''}".split())[:300]
    sys.exit(json.dump({"error": said, "passing": bool(passing)}, sys.stdout))
json.dump({"token": found.token, "expires": found.expiry and found.expiry.isoformat()}, sys.stdout)
"""


def token_chain(
    environ: Mapping[str, str],
    web: Web,
    scope: str = STORAGE,
    now: Callable[[], float] = time.time,
) -> Renewed[Token]:
    """Return the token that a process with this environment has.

    Args:
        environ: names a file of credentials, or a metadata server.
        web: makes the requests.
        scope: what it is to be good for.
        now: the time since the epoch.
    """
    if environ.get("STORAGE_EMULATOR_HOST") and scope == STORAGE:
        return Renewed(lambda: Token(""))
    if credentials_file(environ) is not None:
        return Renewed(lambda: token_of_google_auth(environ, scope), now)
    asked = "" if scope == STORAGE else scope  # every machine's own scopes have the storage
    return Renewed(lambda: token_of_metadata(environ, web, asked, now), now)


def token_of_google_auth(
    environ: Mapping[str, str], scope: str, document: Mapping[str, Any] | None = None
) -> Token:
    """Let google-auth read a document of credentials.

    Args:
        environ: names its file.
        scope: what the token is to be good for.
        document: another one, if it is not that file.

    Raises:
        StorageFailed: there is no token.
    """
    given = {"document": document and dict(document), "scope": scope}
    found = answer_of(_SOURCE, environ, "Looking for credentials for Google Cloud Storage", given)
    if "missing" in found:
        raise no_token("a file of credentials is read by google-auth, which is not installed")
    if "error" in found:
        raise no_token(found["error"], passing=bool(found["passing"]))
    expires = found.get("expires")
    return Token(found["token"], parsed_time(expires) if expires else None)
