"""Taking confidential values out of text: as they are, in part, and in the forms they travel in.

A value is looked for as itself and as URLs, JSON, HTML and base64 show it (``disguises``), in
base64 also as a part of something longer, as in ``Basic base64(user:token)``. Of a value of several
lines or a JSON document each part is confidential too (``parts_of``). What is encrypted, hashed, in
another encoding or broken into pieces is not found. Signatures of object stores are hidden by their
form: nobody keeps a list of them. Of Google's credentials most is known to all the world, such as
``googleapis.com``: only the rest is confidential.
"""

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator

REDACTED = "[redacted]"

SHORTEST_HIDDEN = 4
"""Hiding every "1" or "ab" would garble the text and protect nothing. In characters."""

SHORTEST_PART = 8
"""The same for a part of a value, and for a value in base64, of which any text holds pieces."""

GOOGLES_KINDS = (
    "service_account",
    "authorized_user",
    "external_account",
    "external_account_authorized_user",
    "impersonated_service_account",
)
"""What a document of Google's credentials says in its member ``type``."""

GOOGLES_PUBLIC_MEMBERS = frozenset(
    {
        *("type", "project_id", "quota_project_id", "universe_domain"),
        *("client_email", "client_id", "account", "audience", "subject_token_type"),
        *("auth_uri", "token_uri", "token_url", "token_info_url", "revoke_url"),
        *("auth_provider_x509_cert_url", "client_x509_cert_url"),
        "service_account_impersonation_url",
    }
)
"""Members that are no secret: names, and addresses of Google's."""

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
"""What html.escape does; its module has a table of two thousand names."""

_SIGNATURE = re.compile(
    r"(x-(?:amz|goog)-(?:signature|security-token)(?:=|%3D|[\"']?[\s:,]+[\"']?))[^\s&\"'<>,]+",
    re.IGNORECASE,
)
"""As URLs, forms, plans and JSON show them."""

_PERCENT = re.compile("%[0-9A-F]{2}")


class Redactor:
    """Takes confidential values out of text.

    Args:
        always: values that are hidden however short they are.
        values: values that are hidden unless they are so short that nothing is gained.
    """

    def __init__(self, always: Iterable[str], values: Iterable[str] = ()) -> None:
        # Who prints a secret that ends in a newline shows it without that.
        all_values = {form for value in values for form in (value, value.strip())}
        hidden = {*always, *(value for value in all_values if len(value) >= SHORTEST_HIDDEN)}
        forms = {form for value in hidden if value for form in disguises(value)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    def __call__(self, text: str) -> str:
        """Return ``text`` without any of the values."""
        # Looking for each is far faster than one search for hundreds, most of which are not there.
        present = [re.escape(form) for form in self._forms if form in text]
        text = re.sub("|".join(present), REDACTED, text) if present else text
        return without_signatures(text)


def without_signatures(text: str) -> str:
    """Return a text without what makes a signed URL, a form or a policy of a store good.

    Whoever reads a log could use it for as long as it lives.
    """
    if "mz-" not in text and "oog-" not in text and "MZ-" not in text and "OOG-" not in text:
        return text
    return _SIGNATURE.sub(rf"\1{REDACTED}", text)


def disguises(value: str) -> set[str]:
    """Return the forms in which a value may be shown, itself among them."""
    encoded = value.encode("utf-8", "surrogatepass")
    quoted = {
        urllib.parse.quote(encoded),
        urllib.parse.quote(encoded, safe=""),
        urllib.parse.quote_plus(encoded),
    }
    return {
        value,
        *quoted,
        *(_PERCENT.sub(lambda match: match[0].lower(), form) for form in quoted),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        value.translate(_HTML),
        *base64_forms(encoded),
    }


def base64_forms(value: bytes) -> Iterator[str]:
    """Yield what base64 of anything that holds a value shows of it.

    There are three ways, depending on where the value begins; characters that also depend on what
    surrounds it are left out. Of a value that is encoded alone the lines of 76 characters follow,
    as mail and command line tools break it.
    """
    codes = [
        base64.b64encode(bytes(before) + value).decode("ascii")[
            -(-before * 8 // 6) : (before + len(value)) * 8 // 6
        ]
        for before in range(3)
    ]
    for code in (*codes, *base64.encodebytes(value).decode("ascii").splitlines()):
        if len(code) >= SHORTEST_PART:
            yield code
            yield code.replace("+", "-").replace("/", "_")


def parts_of(value: str) -> Iterator[str]:
    """Yield what is confidential of a value besides the whole: lines, and the texts in JSON."""
    if "\n" in value:
        for line in value.splitlines():
            if len(line.strip()) >= SHORTEST_PART:
                yield line.strip()
    for text in json_texts(value):
        if len(text) >= SHORTEST_PART:
            yield text
            yield from parts_of(text)


def json_texts(value: str) -> Iterator[str]:
    """Yield the confidential texts in a JSON document; none if it is no document.

    Names of members are not, nor is what all the world knows of Google's credentials.
    """
    if value.lstrip()[:1] not in {"{", "["}:
        return
    try:
        waiting = [json.loads(value)]
    except (ValueError, RecursionError):
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            public = GOOGLES_PUBLIC_MEMBERS if node.get("type") in GOOGLES_KINDS else ()
            waiting += [each for name, each in node.items() if name not in public]
        elif isinstance(node, list):
            waiting += node
