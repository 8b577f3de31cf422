"""Tokens for a job: those of a Google identity, narrowed down to what the job may reach.

Google's Security Token Service trades a token for one that is good for less
(``google_boundary``). The new one ends when the old one does, after an hour at most.
"""

import datetime
import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from perian_shim.errors import StorageFailed
from perian_shim.storage.failures import told
from perian_shim.storage.google_boundary import access_boundary
from perian_shim.storage.google_credentials import credentials_file, secret_key
from perian_shim.storage.google_endpoints import GoogleEndpoints
from perian_shim.storage.google_metadata import is_there
from perian_shim.storage.google_token import (
    CLOUD_PLATFORM,
    Token,
    token_chain,
    token_of_google_auth,
)
from perian_shim.storage.reach import Reach
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

__all__ = ["GoogleScoper", "access_boundary"]

_OK = 200
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
_REMEDY = (
    "The identity has to be a service account's (workload identity, or a key as the task's secret"
    " google_application_credentials), with the scope cloud-platform."
)


class GoogleScoper:
    """Makes tokens for jobs.

    Args:
        wide: the tokens that are narrowed down.
        source: whose they are, as a phrase for messages.
        web: makes the requests.
        url: of the Security Token Service.
        now: the time since the epoch.

    Attributes:
        source: whose they are.
    """

    def __init__(
        self,
        wide: Renewed[Token],
        source: str,
        web: Web,
        url: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.source = source
        self._wide = wide
        self._web = web
        self._url = url
        self._now = now

    def __repr__(self) -> str:
        return f"GoogleScoper({self.source!r})"

    @classmethod
    def find(
        cls,
        secrets: Mapping[str, str],
        environ: Mapping[str, str],
        web: Web,
        now: Callable[[], float] = time.time,
    ) -> "GoogleScoper | None":
        """Return what makes tokens of the Google identity that there is, None if there is none.

        Takes four seconds at most, where nothing answers as Google's metadata server.

        Args:
            secrets: the task's; a service account's key among them goes first.
            environ: of the pod.
            web: makes the requests.
            now: the time since the epoch.

        Raises:
            InvalidInput: the secret for it is no key.
        """
        endpoints = GoogleEndpoints.read(environ)
        key = secret_key(secrets)
        if key is not None:
            document = key.content
            wide = Renewed(lambda: token_of_google_auth(environ, CLOUD_PLATFORM, document), now)
            return cls(
                wide, "the service account key of the task's secrets", web, endpoints.sts, now
            )
        if credentials_file(environ) is not None:
            source = "the pod's credentials file for Google"
        elif not endpoints.emulated and is_there(environ):
            source = "the pod's workload identity"
        else:
            return None
        wide = token_chain(environ, web, CLOUD_PLATFORM, now)
        return cls(wide, source, web, endpoints.sts, now)

    def token(self, reach: Reach) -> Token:
        """Return a token that is good for this and nothing else.

        Raises:
            StorageFailed: there is none.
            InvalidInput: it is too much for one token.
        """
        boundary = access_boundary(reach)
        wide = self._wide.current()
        fields = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": _ACCESS_TOKEN,
            "requested_token_type": _ACCESS_TOKEN,
            "subject_token": wide.text,
            "options": quote(json.dumps(boundary)),  # quoted once more by the form, as Google asks
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        asked_at = self._now()
        try:
            answer = self._web.ask("POST", f"{self._url}/v1/token", lambda: headers, body)
        except (NoAnswer, BrokenOff) as error:
            raise self._failed(str(error), passing=getattr(error, "passing", True)) from error
        if answer.status != _OK:
            raise self._failed(told(answer.status, said(answer)), passing=is_busy(answer))
        try:
            content = json.loads(answer.body)
            text = str(content["access_token"])
            life = content.get("expires_in")
            ends = None if life is None else asked_at + float(life)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._failed("the answer holds no token", passing=False) from None
        return Token(text, earlier(ends, wide.expires))

    def _failed(self, why: str, *, passing: bool) -> StorageFailed:
        message = f"Narrowing down a Google token of {self.source} failed: {why}."
        failure = StorageFailed(message, remedy=None if passing else _REMEDY)
        failure.passing = passing
        return failure


def earlier(ends: float | None, expires: datetime.datetime | None) -> datetime.datetime | None:
    """Return the earlier one of two moments, of which one or both may not be known."""
    if ends is None:
        return expires
    moment = datetime.datetime.fromtimestamp(ends, datetime.timezone.utc)
    return moment if expires is None else min(moment, expires)


def said(answer: Answer) -> str:
    """Return what the service said of a refusal."""
    try:
        content = json.loads(answer.body)
        return f"{content['error']}: {content.get('error_description', '')}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
