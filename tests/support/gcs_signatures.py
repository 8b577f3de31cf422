"""What Google's signature version 4 allows, checked on the request as it came over the wire.

Nothing of the product's own signing is used here.
https://cloud.google.com/storage/docs/authentication/canonical-requests
"""

import base64
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support.front import Received

ALGORITHM = "GOOG4-RSA-SHA256"
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
WEEK = 7 * 24 * 3600
SKEW = 15 * 60
FREE_FIELDS = frozenset({"policy", "x-goog-signature", "file"})

KeysOf = Callable[[str], Sequence[rsa.RSAPublicKey]]
"""The public keys of an account, none if there is no such account."""


class Refused(Exception):
    """A request that is not allowed: HTTP status, Google's code, and a message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def mismatch() -> Refused:
    """The error for a signature that nobody made for this."""
    return Refused(403, "SignatureDoesNotMatch", "The request signature we calculated is another.")


def raw(text: str) -> bytes:
    """The bytes of which a percent-encoded text is made."""
    made = bytearray()
    rest = text.encode("latin-1")
    while rest:
        if rest[:1] == b"%":
            made += bytes.fromhex(rest[1:3].decode())
            rest = rest[3:]
        else:
            made += rest[:1]
            rest = rest[1:]
    return bytes(made)


def encoded(content: bytes, free: frozenset[int] = UNRESERVED) -> str:
    """Bytes, percent-encoded as the canonical request wants it."""
    return "".join(chr(byte) if byte in free else f"%{byte:02X}" for byte in content)


def is_signed(request: Received) -> bool:
    """Whether a request's URL claims to be signed."""
    return "x-goog-signature=" in request.target.lower()


def check_url(request: Received, keys_of: KeysOf, now: float) -> str:
    """Return the account that signed a request's URL for just this request.

    Raises:
        Refused: nobody did, or it is too late.
    """
    path, _, query = request.target.partition("?")
    pairs = [tuple(map(raw, pair.partition("=")[::2])) for pair in query.split("&")]
    given = {name.decode().lower(): value.decode() for name, value in pairs}
    if len(given) != len(pairs):
        raise Refused(400, "InvalidQueryParameterValue", "A parameter is there twice.")
    stamp, account, scope = claimed(given)
    lives = int(given["x-goog-expires"]) if given["x-goog-expires"].isdecimal() else 0
    if not 0 < lives <= WEEK:
        raise Refused(400, "AuthorizationQueryParametersError", "X-Goog-Expires is out of range.")
    signed = [
        f"{encoded(name)}={encoded(value)}"
        for name, value in pairs
        if name.lower() != b"x-goog-signature"
    ]
    names = given["x-goog-signedheaders"].split(";")
    extra = {name for name in request.headers if name.startswith("x-goog-")} - set(names)
    if "host" not in names or extra or names != sorted(names):
        raise Refused(400, "MalformedSecurityHeader", "Headers are not signed as they should be.")
    lines = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in names]
    canonical = "\n".join(
        (
            request.method,
            encoded(raw(path), UNRESERVED | {ord("/")}),
            "&".join(sorted(signed)),
            *lines,
            "",
            ";".join(names),
            request.headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD"),
        )
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, given["x-goog-date"], scope, digest))
    verify(text, given["x-goog-signature"], keys_of(account))
    if now < stamp - SKEW:
        raise Refused(403, "RequestTimeTooSkewed", "It is signed in the future.")
    if now >= stamp + lives:
        raise Refused(400, "ExpiredToken", "The provided token has expired.")
    return account


def claimed(given: Mapping[str, str]) -> tuple[float, str, str]:
    """When something claims to be signed, by whom, and in which scope."""
    try:
        account, *scope = given["x-goog-credential"].split("/")
        date = given["x-goog-date"]
        moment = datetime.datetime.strptime(date, "%Y%m%dT%H%M%S%z")
        whole = len(scope) == 4 and [scope[0], *scope[2:]] == [date[:8], "storage", "goog4_request"]
        if given["x-goog-algorithm"] != ALGORITHM or not whole:
            raise mismatch()
        return moment.timestamp(), account, "/".join(scope)
    except (KeyError, ValueError):
        raise Refused(400, "MalformedSecurityHeader", "The signature's fields are wrong.") from None


def verify(text: str, signature: str, keys: Sequence[rsa.RSAPublicKey]) -> None:
    """Expect that one of an account's keys signed a text."""
    for key in keys:
        try:
            key.verify(bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            continue
        return
    raise mismatch()


@dataclass(frozen=True)
class Form:
    """A form that was sent: fields by lower-case name, and the file."""

    fields: Mapping[str, str]
    content: bytes

    @property
    def key(self) -> str:
        """The object that it is to make."""
        return self.fields.get("key", "")


def parsed_form(request: Received) -> Form:
    """A form as it was sent; what follows the file is not read.

    Raises:
        Refused: it is none.
    """
    kind, _, rest = request.headers.get("content-type", "").partition("boundary=")
    if not kind.startswith("multipart/form-data") or not rest:
        raise Refused(400, "MalformedPOSTRequest", "It is no form.")
    border = b"\r\n--" + rest.strip('"').encode()
    fields: dict[str, str] = {}
    for part in (b"\r\n" + request.body).split(border)[1:]:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            continue
        shown = head.decode()
        name = shown.partition('name="')[2].partition('"')[0].lower()
        if name == "file":
            file = shown.partition('filename="')[2].partition('"')[0]
            fields["key"] = fields.get("key", "").replace("${filename}", file)
            return Form(fields, content)
        if name in fields:
            raise Refused(400, "MalformedPOSTRequest", f"The field {name} is there twice.")
        fields[name] = content.decode()
    raise Refused(400, "MalformedPOSTRequest", "There is no file.")


def check_form(form: Form, bucket: str, keys_of: KeysOf, now: float) -> str:
    """Return the account that allows a form.

    Raises:
        Refused: nobody does, or it is too late.
    """
    policy = form.fields.get("policy")
    if policy is None:
        raise Refused(401, "AccessDenied", "Anonymous caller does not have access.")
    stamp, account, _ = claimed(form.fields)
    verify(policy, form.fields.get("x-goog-signature", ""), keys_of(account))
    document = json.loads(base64.b64decode(policy))
    ends = datetime.datetime.strptime(document["expiration"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    if not stamp < ends <= stamp + WEEK:
        raise forbidden("The policy's expiration is out of range.")
    if now >= ends:
        raise forbidden("The policy has expired.")
    values = {**form.fields, "bucket": bucket}
    named = {checked(condition, values, len(form.content)) for condition in document["conditions"]}
    for name in form.fields:
        if name not in named | FREE_FIELDS and not name.startswith("x-ignore-"):
            raise forbidden(f"The policy does not name the field {name}.")
    if not form.key or "key" not in named:
        raise forbidden("The policy or the form names no key.")
    return account


def checked(condition: object, values: Mapping[str, str], size: int) -> str:
    """The field that a condition is about.

    Raises:
        Refused: it does not hold.
    """
    if isinstance(condition, dict):
        ((name, value),) = condition.items()
        condition = ["eq", f"${name}", value]
    assert isinstance(condition, list)
    kind, name, value = condition
    if kind == "content-length-range":
        if not int(name) <= size <= int(value):
            code = "EntityTooLarge" if size > int(value) else "EntityTooSmall"
            raise Refused(400, code, "The file is not as long as it has to be.")
        return ""
    field = str(name).removeprefix("$").lower()
    actual = values.get(field)
    holds = {"eq": actual == value, "starts-with": (actual or "").startswith(value)}
    if actual is None or not holds[kind]:
        raise forbidden(f"The form does not meet the condition {condition!r}.")
    return field


def forbidden(message: str) -> Refused:
    """The error for a form that its policy does not allow."""
    return Refused(400, "InvalidPolicyDocument", message)
