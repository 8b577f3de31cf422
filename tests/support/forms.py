"""Uploads by HTML form, as a container task's job makes them, and downloads by URL."""

import uuid
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from support.waiting import LONG_SECONDS

from perian_shim.storage.base import UploadPolicy


def posted(policy: UploadPolicy, key: str, content: bytes = b"content") -> tuple[int, str]:
    """Upload an object with a form; status and what the store said."""
    boundary = uuid.uuid4().hex
    fields = {**policy.fields, "key": policy.key_prefix + key}
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    body = "".join([*parts, file]).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    form = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, answer = _asked(Request(policy.url, body, form, method="POST"))
    return status, answer.decode()


def fetched(url: str) -> tuple[int, bytes]:
    """Download from a URL; status and what was sent."""
    return _asked(Request(url))


def _asked(request: Request) -> tuple[int, bytes]:
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=LONG_SECONDS) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()
