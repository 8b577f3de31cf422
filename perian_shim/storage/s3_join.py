"""Several objects of S3 made one within the store, by a multipart upload that copies them.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html
"""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from perian_shim.errors import StorageFailed
from perian_shim.storage.base import split_uri
from perian_shim.storage.failures import failed
from perian_shim.storage.s3_answers import OK, may_pass, parsed, reason
from perian_shim.storage.sigv4 import quoted
from perian_shim.storage.web import Answer

COPIES = 8
"""So many parts are copied at a time."""


class Ask(Protocol):
    """Makes a signed request about an object."""

    def __call__(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Return the answer."""
        ...


def join(ask: Ask, parts: Sequence[str], uri: str, headers: Mapping[str, str]) -> None:
    """Make one object of several, in this order.

    Args:
        ask: about the object that is made.
        parts: URIs of the objects; all but the last have at least 5 MiB.
        uri: of the object that is made.
        headers: go with the request that begins it: how it is encrypted.

    Raises:
        StorageFailed: it could not be made; nothing is left of it.
    """
    began = made(uri, ask("POST", {"uploads": ""}, headers))
    upload = {"uploadId": began.findtext("UploadId", "")}

    def copy(number: int, part: str) -> str:
        source = {"x-amz-copy-source": quoted("/".join(split_uri(part)))}
        answer = ask("PUT", {**upload, "partNumber": str(number)}, source)
        tag = made(uri, answer).findtext("ETag", "")
        return f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"

    try:
        with ThreadPoolExecutor(COPIES) as pool:
            copied = "".join(pool.map(copy, itertools.count(1), parts))
        body = f"<CompleteMultipartUpload>{copied}</CompleteMultipartUpload>".encode()
        made(uri, ask("POST", upload, None, body))
    except StorageFailed:
        ask("DELETE", upload)  # what has been copied would be paid for
        raise


def made(uri: str, answer: Answer) -> Element:
    """Return what an answer says was made.

    S3 answers 200 while it still copies, and says in the body how that ended.
    """
    if answer.status not in OK:
        raise failed(uri, reason(answer), passing=may_pass(answer))
    found = parsed(uri, answer.body)
    if found.tag == "Error":
        raise failed(uri, reason(answer), passing=True)
    return found
