"""Who may ask the sandbox's S3: AWS signature version 4, checked as S3 checks it.

In headers, in a presigned URL, and the signature of a POST policy. Written from AWS's description
and not from what this package signs with, so that a mistake there does not pass here.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html

The chunks of a body that is sent as signed chunks (``STREAMING-…``) are not checked one by one.
"""

import datetime
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-"

TOLERANCE_SECONDS = 900.0
"""How far the time of a signature may be from the server's; S3 allows a quarter of an hour."""

LONGEST_EXPIRY_SECONDS = 7 * 24 * 3600

Pairs = list[tuple[str, str]]


class Denied(Exception):
    """A request that is refused.

    Args:
        code: S3's name for the reason.
        message: S3's sentence.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def access_denied(message: str = "Access Denied") -> Denied:
    """Return the refusal that S3 gives for most reasons."""
    return Denied("AccessDenied", message)


@dataclass(frozen=True)
class Signed:
    """A request, as far as a signature covers it.

    Attributes:
        method: HTTP method.
        path: as it was sent, quoted.
        query: as it was sent, without the question mark.
        headers: by lower-case name.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def parameters(self) -> Pairs:
        """The query's names and values, decoded."""
        pairs = (part.partition("=") for part in self.query.split("&") if part)
        return [(unquote(name), unquote(value)) for name, _, value in pairs]


def utc_now() -> datetime.datetime:
    """Return the time."""
    return datetime.datetime.now(datetime.timezone.utc)


@dataclass(frozen=True)
class Keyring:
    """The one pair of keys that opens the store.

    Attributes:
        access_key: its name.
        secret_key: what signatures are made with.
        tolerance: seconds by which a signature's time may differ from ours.
        now: tells the time.
    """

    access_key: str
    secret_key: str = field(repr=False)
    tolerance: float = TOLERANCE_SECONDS
    now: Callable[[], datetime.datetime] = utc_now

    def check(self, request: Signed) -> str:
        """Check a request's signature; return what it says of the body.

        Returns:
            The body's SHA-256 in hexadecimal, or a word that says that it is not signed.

        Raises:
            Denied: it has none, or it is not good.
        """
        authorization = request.headers.get("authorization", "")
        parameters = request.parameters
        if authorization:
            return self.check_headers(request, authorization)
        if any(name == "X-Amz-Signature" for name, _ in parameters):
            self.check_url(request, parameters)
            return UNSIGNED
        raise access_denied()

    def check_headers(self, request: Signed, authorization: str) -> str:
        """Check a signature in the ``Authorization`` header; return what is said of the body."""
        match = re.fullmatch(
            rf"{ALGORITHM} Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=(\w+)",
            authorization.strip(),
        )
        if match is None:
            raise access_denied("Only signature version 4 is taken.")
        credential, names, signature = match.groups()
        digest = request.headers.get("x-amz-content-sha256", "")
        if not digest:
            raise access_denied("x-amz-content-sha256 is missing.")
        time = self.current(request.headers.get("x-amz-date", ""))
        canonical = canonical_request(request, request.parameters, names, digest)
        self.compare(credential, time, canonical, signature)
        return digest

    def check_url(self, request: Signed, parameters: Pairs) -> None:
        """Check a presigned URL."""
        given = dict(parameters)
        if given.get("X-Amz-Algorithm") != ALGORITHM:
            raise access_denied("Only signature version 4 is taken.")
        try:
            expires = int(given.get("X-Amz-Expires", ""))
        except ValueError:
            raise access_denied("X-Amz-Expires should be a number") from None
        if not 0 <= expires <= LONGEST_EXPIRY_SECONDS:
            raise access_denied("X-Amz-Expires must be non-negative and less than a week")
        text = given.get("X-Amz-Date", "")
        time, now = read_time(text), self.now()
        if (time - now).total_seconds() > self.tolerance:
            raise access_denied("Request is not valid yet")
        signed = [pair for pair in parameters if pair[0] != "X-Amz-Signature"]
        names = given.get("X-Amz-SignedHeaders", "")
        digest = request.headers.get("x-amz-content-sha256", UNSIGNED)
        canonical = canonical_request(request, signed, names, digest)
        self.compare(given.get("X-Amz-Credential", ""), text, canonical, given["X-Amz-Signature"])
        # After the signature, as S3 does it: who cannot sign learns nothing.
        if now > time + datetime.timedelta(seconds=expires):
            raise access_denied("Request has expired")

    def check_policy(self, fields: Mapping[str, str]) -> None:
        """Check the signature of a POST policy; what the policy asks for is not looked at."""
        if fields.get("x-amz-algorithm") != ALGORITHM:
            raise access_denied("Only signature version 4 is taken.")
        time = fields.get("x-amz-date", "")
        read_time(time)
        credential = fields.get("x-amz-credential", "")
        key = self.signing_key(credential, time)
        expected = hmac.new(key, fields.get("policy", "").encode(), "sha256").hexdigest()
        self.same(expected, fields.get("x-amz-signature", ""))

    def current(self, text: str) -> str:
        """Return a time that is about now."""
        if abs((self.now() - read_time(text)).total_seconds()) > self.tolerance:
            message = "The difference between the request time and the current time is too large."
            raise Denied("RequestTimeTooSkewed", message)
        return text

    def compare(self, credential: str, time: str, canonical: str, signature: str) -> None:
        """Compare a signature with the one that the request should have."""
        key = self.signing_key(credential, time)
        scope = credential.partition("/")[2]
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{ALGORITHM}\n{time}\n{scope}\n{digest}"
        self.same(hmac.new(key, text.encode(), "sha256").hexdigest(), signature)

    def same(self, expected: str, given: str) -> None:
        """Compare two signatures in constant time."""
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            message = (
                "The request signature we calculated does not match the signature you provided."
                " Check your key and signing method."
            )
            raise Denied("SignatureDoesNotMatch", message)

    def signing_key(self, credential: str, time: str) -> bytes:
        """Return the key for a credential's scope, if the credential is ours and of that day."""
        access, _, scope = credential.partition("/")
        if not hmac.compare_digest(access.encode("utf-8", "replace"), self.access_key.encode()):
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise Denied("InvalidAccessKeyId", message)
        parts = scope.split("/")
        if len(parts) != 4 or parts[0] != time[:8] or parts[2:] != ["s3", "aws4_request"]:  # noqa: PLR2004 - date, region, service, end
            message = f"The credential is of another day or service: {scope}"
            raise Denied("AuthorizationHeaderMalformed", message, 400)
        key = f"AWS4{self.secret_key}".encode()
        for part in parts:
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def read_time(text: str) -> datetime.datetime:
    """Read a time as AWS writes it.

    Raises:
        Denied: it is none.
    """
    try:
        return datetime.datetime.strptime(text + "+0000", "%Y%m%dT%H%M%SZ%z")
    except ValueError:
        raise access_denied("AWS authentication requires a valid Date or x-amz-date") from None


def canonical_request(request: Signed, parameters: Pairs, names: str, digest: str) -> str:
    """Return what a signature covers.

    Raises:
        Denied: a header that must be signed is not, or one that is signed was not sent.
    """
    signed = names.split(";")
    # WSGI tells no underscore from a hyphen: the signature says which one was sent.
    headers = {name: request.headers.get(name.replace("_", "-")) for name in signed}
    amazons = {name for name in request.headers if name.startswith("x-amz-")}
    left_out = ({"host"} | amazons) - {name.replace("_", "-") for name in signed}
    if left_out:
        message = "There were headers present in the request which were not signed"
        raise access_denied(f"{message}: {', '.join(sorted(left_out))}")
    lines = []
    for name in signed:
        value = headers[name]
        if value is None:
            raise access_denied(f"The signed header {name} is missing")
        lines.append(f"{name}:{' '.join(value.split())}\n")
    pairs = sorted((encoded(name), encoded(value)) for name, value in parameters)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    path = quote(unquote(request.path), safe="/~")
    return "\n".join((request.method, path, query, "".join(lines), names, digest))


def encoded(text: str) -> str:
    """Return a text as it stands in a canonical query."""
    return quote(text, safe="~")
