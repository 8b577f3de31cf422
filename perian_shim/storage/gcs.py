"""Google Cloud Storage, by its JSON API.

Requests of our own are made with the pod's token. What jobs are given (``gcs_access``) is signed by
what lives longest of all that may sign (``google_signing``), which may be another account.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import (
    ObjectInfo,
    Signing,
    UploadPolicy,
    broken_off,
    moment,
    split_uri,
)
from perian_shim.storage.failures import NO_SUCH_PART, end_of, failed, told, unanswered
from perian_shim.storage.gcs_access import JobAccess
from perian_shim.storage.gcs_join import join
from perian_shim.storage.google_endpoints import GoogleEndpoints
from perian_shim.storage.google_signing import NoSigner, Signer, signer_for
from perian_shim.storage.google_token import Token, token_chain
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

URL = GoogleEndpoints().storage

_BYTES = "application/octet-stream"
_OK = range(200, 300)
_NOT_FOUND = 404
_REQUEST_TIMEOUT = 408


class GcsStore:
    """An ``ObjectStore`` on Google Cloud Storage.

    Args:
        token: what requests are made with.
        web: makes the requests.
        base: URL of the API.
        signer: finds what signs, when that is needed.
        now: the time, in seconds since the epoch.
    """

    def __init__(
        self,
        token: Renewed[Token],
        web: Web,
        base: str = URL,
        signer: Callable[[], Signer] = lambda: NoSigner("nothing is there that signs"),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._token = token
        self._web = web
        self._base = base.rstrip("/")
        self._access = JobAccess(web, self._base, signer, now)

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] = os.environ,
        sleep: Callable[[float], None] = time.sleep,
        secrets: Mapping[str, str] = {},
    ) -> "GcsStore":
        """Return a store set up as Google's own libraries are.

        Args:
            environ: names the store, and who we are.
            sleep: waits between attempts, in seconds.
            secrets: the task's. With ``google_application_credentials``, a service account's key,
                that signs, and only that: all else is done as the pod.
        """
        web = Web(environ, sleep)
        base = GoogleEndpoints.read(environ).storage
        return cls(token_chain(environ, web), web, base, lambda: signer_for(environ, web, secrets))

    def __repr__(self) -> str:
        return f"GcsStore({self._base!r})"

    def signing(self) -> Signing:
        """Return for how long what we sign stays good."""
        return self._access.signing()

    def presign(self, uris: Sequence[str], expires_in: int) -> list[str]:
        """Return for each object a URL that reads it."""
        return self._access.presign(uris, expires_in)

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix."""
        return self._access.upload_policy(prefix, expires_in)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder, markers of folders in it too; its own is left out."""
        bucket, key = split_uri(prefix)
        query = {
            "prefix": key.rstrip("/") + "/" if key else "",
            "fields": "items(name,size,updated),nextPageToken",
        }
        scheme = prefix.partition("://")[0]
        while True:
            answer = self._ask(prefix, "GET", f"/storage/v1/b/{quoted(bucket)}/o", query)
            if answer.status == _NOT_FOUND:
                return
            page = parsed(prefix, answer)
            for entry in page.get("items", []):
                if entry["name"] != query["prefix"]:
                    uri = f"{scheme}://{bucket}/{entry['name']}"
                    yield ObjectInfo(uri, int(entry["size"]), moment(entry.get("updated")))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = page["nextPageToken"]

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        answer = self._ask(uri, "GET", object_path(uri), {"fields": "size"})
        return None if answer.status == _NOT_FOUND else int(parsed(uri, answer)["size"])

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes, or None if there is no such object."""
        answer = self._ask(uri, "GET", object_path(uri), {"alt": "media"}, limit=limit)
        return None if answer.status == _NOT_FOUND else good(uri, answer).body

    def read_end(self, uri: str, length: int) -> bytes | None:
        """Return the last ``length`` bytes, or None if there is no such object."""
        part = {"Range": f"bytes=-{length}"}
        answer = self._ask(
            uri, "GET", object_path(uri), {"alt": "media"}, headers=part, limit=length
        )
        if answer.status in {_NOT_FOUND, NO_SUCH_PART}:
            return None if answer.status == _NOT_FOUND else b""
        return end_of(uri, good(uri, answer), length)

    def write(self, uri: str, content: bytes, content_type: str = "") -> None:
        """Create or replace an object."""
        bucket, key = split_uri(uri)
        path = f"/upload/storage/v1/b/{quoted(bucket)}/o"
        query = {"uploadType": "media", "name": key}
        headers = {"Content-Type": content_type or _BYTES}
        good(uri, self._ask(uri, "POST", path, query, content, headers=headers))

    def delete(self, uri: str) -> None:
        """Delete an object; it is no fault if there is none."""
        answer = self._ask(uri, "DELETE", object_path(uri), {})
        if answer.status != _NOT_FOUND:
            good(uri, answer)

    def join(self, parts: Sequence[str], uri: str) -> None:
        """Make one object of several, in this order; they stay.

        Raises:
            InvalidInput: they are in several buckets, which Google does not join.
            StorageFailed: it could not be made; nothing is left of it.
        """
        bucket = split_uri(uri)[0]
        for part in parts:
            if split_uri(part)[0] != bucket:
                message = f"Google joins objects of one bucket only, not {part!r} to {uri!r}."
                raise InvalidInput(message)
        join(self._compose, self.delete, parts, uri)

    def _compose(self, parts: Sequence[str], uri: str) -> None:
        asked = {
            "sourceObjects": [{"name": split_uri(part)[1]} for part in parts],
            "destination": {"contentType": _BYTES},
        }
        json_ = {"Content-Type": "application/json"}
        body = json.dumps(asked).encode()
        path = f"{object_path(uri)}/compose"
        good(uri, self._ask(uri, "POST", path, {}, body, headers=json_))

    def _ask(
        self,
        uri: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> Answer:
        url = f"{self._base}{path}?{urlencode(query)}"
        sent = {"Accept-Encoding": "gzip"}  # as it is stored; otherwise Google unpacks it
        if method == "POST":
            sent["Content-Type"] = _BYTES
        sent |= headers or {}

        def authorized() -> Mapping[str, str]:
            token = self._token.current().text
            return {**sent, "Authorization": f"Bearer {token}"} if token else sent

        try:
            return self._web.ask(method, url, authorized, body, limit=limit, busy=may_pass)
        except BrokenOff as error:
            raise broken_off(uri) from error
        except NoAnswer as error:
            raise unanswered(uri, error) from error


def quoted(text: str) -> str:
    """Return a name as one segment of a path."""
    return quote(text, safe="")


def object_path(uri: str) -> str:
    """Return where the API has an object."""
    bucket, key = split_uri(uri)
    return f"/storage/v1/b/{quoted(bucket)}/o/{quoted(key)}"


def good(uri: str, answer: Answer) -> Answer:
    """Return an answer that is no error."""
    if answer.status not in _OK:
        raise failed(uri, reason(answer), passing=may_pass(answer))
    return answer


def parsed(uri: str, answer: Answer) -> dict[str, Any]:
    """Return the object in an answer."""
    try:
        content: dict[str, Any] = json.loads(good(uri, answer).body)
    except ValueError as error:
        raise failed(uri, "the answer is no JSON", passing=False) from error
    return content


def reason(answer: Answer) -> str:
    """Return what the store said, in one line."""
    try:
        said = str(json.loads(answer.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = ""
    return told(answer.status, said)


def may_pass(answer: Answer) -> bool:
    """Whether the same access may succeed later: the store is in trouble, or has too much to do."""
    return is_busy(answer) or answer.status == _REQUEST_TIMEOUT
