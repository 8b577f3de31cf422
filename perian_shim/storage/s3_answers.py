"""What S3 says in its answers: listings, errors, regions. Pure."""

import re
from xml.etree import ElementTree as ET

from perian_shim.storage.failures import failed, told
from perian_shim.storage.web import Answer, is_busy

OK = range(200, 300)
_NOT_IMPLEMENTED = 501

_BUSY = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"}
_XML_CODE = re.compile(rb"<Code>([^<]*)</Code>")
_XML_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")
_XML_REGION = re.compile(rb"<Region>([a-z0-9-]+)</Region>")
REGION_HEADER = "x-amz-bucket-region"


def parsed(uri: str, body: bytes) -> ET.Element:
    """Return a listing, its names without their namespace.

    Raises:
        StorageFailed: it is no XML.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat bounds what entities may grow to
    except ET.ParseError as error:
        raise failed(uri, f"the listing is no XML: {error}", passing=False) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def error_code(answer: Answer) -> str:
    """Return the store's own code for an error, empty if it has none."""
    code = _XML_CODE.search(answer.body)
    return code[1].decode(errors="replace") if code else ""


def told_region(answer: Answer) -> str:
    """Return the region that an answer says a bucket is in, empty if it says none."""
    in_body = _XML_REGION.search(answer.body)
    return answer.headers.get(REGION_HEADER, "") or (in_body[1].decode() if in_body else "")


def reason(answer: Answer) -> str:
    """Return what the store said, in one line."""
    message = _XML_MESSAGE.search(answer.body)
    said = message[1].decode(errors="replace") if message else ""
    return told(answer.status, ": ".join(filter(None, (error_code(answer), said))))


def may_pass(answer: Answer) -> bool:
    """Whether the same access may succeed later: the store is in trouble, or has too much to do."""
    if answer.status == _NOT_IMPLEMENTED:
        return False
    return is_busy(answer) or (answer.status not in OK and error_code(answer) in _BUSY)
