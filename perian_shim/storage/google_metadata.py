"""Google's metadata server, which knows the identity of the pod that asks."""

import datetime
import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from perian_shim.errors import StorageFailed
from perian_shim.storage.google_oauth import Token, no_token
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy
from perian_shim.wire import Connection
from perian_shim.wire.faults import CONNECTION_FAULTS

HOST = "metadata.google.internal"
ADDRESS = "169.254.169.254"
"""Where it is: asked whether it is there at all, no name has to be looked up for that."""

ACCOUNT_PATH = "/computeMetadata/v1/instance/service-accounts/default"
HEADERS = {"Metadata-Flavor": "Google"}
LOOK_SECONDS = 1.0
LOOKS = 2
_OK = 200


def is_there(environ: Mapping[str, str]) -> bool:
    """Whether there is a metadata server of Google's; a few seconds at most.

    Other clouds have one at the same address: only Google's answers with its flavor.
    """
    if environ.get("NO_GCE_CHECK", "").lower() == "true":
        return False
    url = f"http://{environ.get('GCE_METADATA_HOST') or ADDRESS}"
    return any(answers(url) for _ in range(LOOKS))


def answers(url: str) -> bool:
    """Whether Google's metadata server answers there."""
    try:
        connection = Connection(url, None, None, LOOK_SECONDS)
        try:
            with connection.request(
                "GET", "/", headers=HEADERS, body=None, timeout=LOOK_SECONDS
            ) as answer:
                return answer.headers.get("Metadata-Flavor", "") == "Google"
        finally:
            connection.close()
    except (*CONNECTION_FAULTS, ValueError):
        return False


def token_of_metadata(
    environ: Mapping[str, str], web: Web, scope: str, now: Callable[[], float]
) -> Token:
    """Ask for a token.

    Args:
        environ: may name the server.
        web: makes the request.
        scope: what it is to be good for, empty for what the machine is set to. A machine whose
            scopes are fixed does not heed it.
        now: the time since the epoch.

    Raises:
        StorageFailed: there is none.
    """
    asked_at = datetime.datetime.fromtimestamp(now(), datetime.timezone.utc)
    query = "?" + urlencode({"scopes": scope}) if scope else ""
    answer = asked(environ, web, f"{ACCOUNT_PATH}/token{query}", no_token)
    try:
        content = json.loads(answer.body)
        life = datetime.timedelta(seconds=float(content["expires_in"]))
        return Token(content["access_token"], asked_at + life)
    except (ValueError, KeyError, TypeError):
        raise no_token("the metadata server answered without a token") from None


def account_of_metadata(
    environ: Mapping[str, str], web: Web, refused: Callable[..., StorageFailed]
) -> str:
    """Ask for the e-mail address of the pod's service account.

    Args:
        environ: may name the server.
        web: makes the request.
        refused: makes the error, of a reason and whether it is ``passing``.

    Raises:
        StorageFailed: there is none.
    """
    return asked(environ, web, f"{ACCOUNT_PATH}/email", refused).body.decode().strip()


def asked(
    environ: Mapping[str, str], web: Web, target: str, refused: Callable[..., StorageFailed]
) -> Answer:
    """Ask the server."""
    host = environ.get("GCE_METADATA_HOST") or HOST
    try:
        answer = web.ask("GET", f"http://{host}{target}", lambda: HEADERS, direct=True)
    except (NoAnswer, BrokenOff) as error:
        raise refused(str(error), passing=True) from error
    if answer.status != _OK:
        raise refused(f"{host} answered HTTP {answer.status}", passing=is_busy(answer))
    return answer
