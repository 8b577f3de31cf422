"""AWS's security token service, which trades an identity for temporary keys.

https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
"""

import datetime
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from perian_shim.errors import StorageFailed
from perian_shim.storage.key_requests import asked
from perian_shim.storage.s3_address import DEFAULT_REGION
from perian_shim.storage.s3_keys import Keys, parsed_time
from perian_shim.storage.sigv4 import Scope, signed_headers
from perian_shim.storage.web import Answer, Web

_VERSION = "2011-06-15"
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_GLOBAL = "https://sts.amazonaws.com/"


class Sts:
    """The service at one place.

    Args:
        web: makes the requests.
        url: where it is.
        region: for which is signed.
        now: the time, in seconds since the epoch.
    """

    def __init__(
        self, web: Web, url: str, region: str, now: Callable[[], float] = time.time
    ) -> None:
        self._web = web
        self._url = url
        self._region = DEFAULT_REGION if url == _GLOBAL or not region else region
        self._now = now

    def ask(
        self,
        what: str,
        action: str,
        fields: Mapping[str, str],
        keys: Callable[[], Keys] | None = None,
    ) -> Answer:
        """Ask for temporary keys and return the answer, be it a refusal.

        Args:
            what: names what is done, for errors.
            action: the operation.
            fields: its parameters.
            keys: returns what the request is signed with; None if the action wants no signature.

        Raises:
            StorageFailed: there was no answer, or there are no keys to sign with.
        """
        body = urlencode({"Action": action, "Version": _VERSION, **fields}).encode()

        def headers() -> Mapping[str, str]:
            if keys is None:
                return _FORM
            now = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
            scope = Scope(keys(), self._region, now, "sts")
            return signed_headers(scope, "POST", self._url, _FORM, body)

        return asked(self._web, "POST", self._url, what, headers, body)


def keys_in(answer: Answer, what: str) -> Keys:
    """Return the keys that an answer holds.

    Raises:
        StorageFailed: it holds none.
    """
    found = dict(re.findall(rb"<(\w+)>([^<]*)</", answer.body))
    try:
        return Keys(
            found[b"AccessKeyId"].decode(),
            found[b"SecretAccessKey"].decode(),
            found[b"SessionToken"].decode(),
            parsed_time(found[b"Expiration"].decode()),
        )
    except (KeyError, ValueError):
        message = f"{what}: the answer holds no keys."
        raise StorageFailed(message) from None


def sts_url(region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of the security token service of a pod."""
    given = environ.get("AWS_ENDPOINT_URL_STS") or environ.get("AWS_ENDPOINT_URL")
    return given.rstrip("/") + "/" if given else aws_sts_url(region, environ)


def aws_sts_url(region: str, environ: Mapping[str, str]) -> str:
    """Return the URL of AWS's own, whatever other endpoint is set."""
    legacy = environ.get("AWS_STS_REGIONAL_ENDPOINTS") == "legacy"
    if not region or legacy:
        return _GLOBAL
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://sts.{region}.{suffix}/"
