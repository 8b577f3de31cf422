"""Buckets of Google's, in memory, by both of its APIs; what may be done is asked of a gate."""

import base64
import email.utils
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from support.front import Received
from support.gcs_boundaries import CREATE, DELETE, GET, LIST, UPDATE
from support.gcs_identities import said
from support.gcs_signatures import Form, Refused, raw

from perian_shim.sandbox.server.application import Response

Gate = Callable[[str, str, "str | None", str], None]
"""Raises ``Refused`` if this permission is lacking for bucket, object, and prefix of a listing."""

MOST_SOURCES = 32
BYTES = "application/octet-stream"


@dataclass(frozen=True)
class Stored:
    """One object."""

    content: bytes
    kind: str
    changed: float
    generation: int


class Objects:
    """The buckets, and the JSON API.

    Args:
        now: the time since the epoch.
        url: returns where all of this is.

    Attributes:
        buckets: what there is, by bucket and name.
        page: how many objects a page of a listing has at most.
    """

    def __init__(self, now: Callable[[], float], url: Callable[[], str]) -> None:
        self.now = now
        self.url = url
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.page = 1000
        self.uploads: dict[str, tuple[str, str, str, bytearray]] = {}
        self.numbers = itertools.count(1)

    def put(self, bucket: str, key: str, content: bytes, kind: str = BYTES) -> Stored:
        """Create or replace an object, whoever may."""
        made = Stored(content, kind, self.now(), next(self.numbers))
        self.buckets[bucket][key] = made
        return made

    def create(self, gate: Gate, bucket: str, key: str, content: bytes, kind: str) -> Response:
        """Create or replace an object; to replace it is to delete it."""
        self.expect_room(gate, bucket, key)
        return self.told(bucket, key, self.put(bucket, key, content, kind))

    def expect_room(self, gate: Gate, bucket: str, key: str) -> None:
        """Expect that an object may be created or replaced."""
        gate(CREATE, bucket, key, "")
        if not 1 <= len(key.encode()) <= 1024 or re.search(r"[\r\n]", key):
            raise Refused(400, "InvalidObjectName", "The object's name is not valid.")
        if key in self.bucket(bucket):
            gate(DELETE, bucket, key, "")

    def bucket(self, name: str) -> dict[str, Stored]:
        """The objects of a bucket."""
        if name not in self.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist.")
        return self.buckets[name]

    def object(self, bucket: str, key: str) -> Stored:
        """One object."""
        found = self.bucket(bucket).get(key)
        if found is None:
            raise Refused(404, "NoSuchKey", f"No such object: {bucket}/{key}")
        return found

    def json_api(self, request: Received, gate: Gate) -> Response:
        """The JSON API."""
        path = request.path
        if path.startswith("/upload/"):
            return self.upload(request, gate)
        match = re.fullmatch(r"(?:/download)?/storage/v1/b/([^/]+)(?:/o(?:/([^/]+)(/.*)?)?)?", path)
        if match is None:
            raise Refused(404, "NotFound", "Not Found")
        bucket = raw(match[1]).decode()
        if match[2] is None:
            return self.listing(request, gate, bucket)
        key = raw(match[2]).decode()
        if match[3] == "/compose" and request.method == "POST":
            return self.compose(request, gate, bucket, key)
        permission = {"GET": GET, "HEAD": GET, "DELETE": DELETE, "PATCH": UPDATE}[request.method]
        gate(permission, bucket, key, "")
        found = self.object(bucket, key)
        if request.method == "DELETE":
            del self.buckets[bucket][key]
            return Response(204, b"", {})
        if request.query.get("alt") == "media" or path.startswith("/download"):
            return content_of(request, found)
        return self.told(bucket, key, found)

    def listing(self, request: Received, gate: Gate, bucket: str) -> Response:
        """Names that begin with a prefix, in pages."""
        prefix = request.query.get("prefix", "")
        gate(LIST, bucket, None, prefix)
        delimiter, start = request.query.get("delimiter"), request.query.get("pageToken", "")
        items: list[dict[str, Any]] = []
        folders: dict[str, None] = {}
        names = sorted(n for n in self.bucket(bucket) if n.startswith(prefix) and n > start)
        most = min(self.page, int(request.query.get("maxResults", self.page)))
        for name in names[:most]:
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders[prefix + rest.partition(delimiter)[0] + delimiter] = None
            else:
                items.append(self.resource(bucket, name, self.buckets[bucket][name]))
        page: dict[str, Any] = {"kind": "storage#objects"}
        page |= {"items": items} if items else {}
        page |= {"prefixes": list(folders)} if folders else {}
        if names[most:]:
            page["nextPageToken"] = names[most - 1]
        return said(page)

    def compose(self, request: Received, gate: Gate, bucket: str, key: str) -> Response:
        """Make one object of several."""
        asked = json.loads(request.body)
        sources = [each["name"] for each in asked["sourceObjects"]]
        if not 1 <= len(sources) <= MOST_SOURCES:
            raise Refused(400, "InvalidArgument", "The number of source components is exceeded.")
        for source in sources:
            gate(GET, bucket, source, "")
        content = b"".join(self.object(bucket, source).content for source in sources)
        kind = asked.get("destination", {}).get("contentType", BYTES)
        return self.create(gate, bucket, key, content, kind)

    def upload(self, request: Received, gate: Gate) -> Response:
        """The three ways to upload: all at once, with a description, in chunks."""
        query = request.query
        if "upload_id" in query:
            return self.chunk(request, gate)
        bucket = raw(request.path.removeprefix("/upload/storage/v1/b/").removesuffix("/o")).decode()
        sent = request.headers.get("content-type", BYTES)
        if query["uploadType"] == "media":
            return self.create(gate, bucket, query["name"], request.body, sent)
        if query["uploadType"] == "multipart":
            first, content = two_parts(request.body, sent.partition("boundary=")[2].strip("\"'"))
            described = json.loads(first)
            key = described.get("name") or query["name"]
            return self.create(gate, bucket, key, content, described.get("contentType", BYTES))
        described = json.loads(request.body or b"{}")
        key = described.get("name") or query["name"]
        self.expect_room(gate, bucket, key)
        number = f"upload-{next(self.numbers)}"
        kind = described.get("contentType") or request.headers.get("x-upload-content-type", BYTES)
        self.uploads[number] = (bucket, key, kind, bytearray())
        at = f"/upload/storage/v1/b/{quote(bucket)}/o?uploadType=resumable&upload_id={number}"
        return Response(200, b"", {"Location": self.url() + at})

    def chunk(self, request: Received, gate: Gate) -> Response:
        """A chunk of an upload; its URL is enough to add one."""
        bucket, key, kind, content = self.uploads[request.query["upload_id"]]
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", request.headers.get("content-range", ""))
        if part is None or int(part[1]) == len(content):
            content += request.body
        if part is not None and part[2] != str(len(content)):
            return Response(308, b"", {"Range": f"bytes=0-{len(content) - 1}"} if content else {})
        del gate, self.uploads[request.query["upload_id"]]
        return self.told(bucket, key, self.put(bucket, key, bytes(content), kind))

    def told(self, bucket: str, key: str, found: Stored) -> Response:
        """What is told of an object."""
        return said(self.resource(bucket, key, found))

    def resource(self, bucket: str, key: str, found: Stored) -> dict[str, Any]:
        """What is told of an object."""
        at = f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"
        date = email.utils.parsedate_to_datetime(http_date(found.changed)).isoformat()
        stamp = date.replace("+00:00", ".000Z")
        digest = hashlib.md5(found.content, usedforsecurity=False).digest()
        return {
            "kind": "storage#object",
            "bucket": bucket,
            "name": key,
            "size": str(len(found.content)),
            "generation": str(found.generation),
            "metageneration": "1",
            "contentType": found.kind,
            "storageClass": "STANDARD",
            "md5Hash": base64.b64encode(digest).decode(),
            "timeCreated": stamp,
            "updated": stamp,
            "selfLink": self.url() + at,
            "mediaLink": f"{self.url()}/download{at}?generation={found.generation}&alt=media",
        }

    def xml_get(self, request: Received, gate: Gate) -> Response:
        """A GET of the XML API: an object's content, or the names of a bucket's objects."""
        bucket, key = xml_name(request)
        if not key:
            gate(LIST, bucket, None, request.query.get("prefix", ""))
            names = "".join(
                f"<Contents><Key>{escape(k)}</Key></Contents>" for k in self.bucket(bucket)
            )
            return xml(200, f"<ListBucketResult>{names}</ListBucketResult>")
        gate(GET, bucket, key, "")
        return content_of(request, self.object(bucket, key))

    def xml_change(self, request: Received, gate: Gate) -> Response:
        """A PUT or DELETE of the XML API."""
        bucket, key = xml_name(request)
        if request.method == "DELETE":
            gate(DELETE, bucket, key, "")
            self.object(bucket, key)
            del self.buckets[bucket][key]
            return Response(204, b"", {})
        self.create(gate, bucket, key, request.body, request.headers.get("content-type", BYTES))
        return Response(200, b"", {})

    def xml_post(self, form: Form, bucket: str, gate: Gate) -> Response:
        """A form that creates an object."""
        kind = form.fields.get("content-type", BYTES)
        self.create(gate, bucket, form.key, form.content, kind)
        if form.fields.get("success_action_status") != "201":
            return Response(204, b"", {})
        where = f"<Bucket>{bucket}</Bucket><Key>{escape(form.key)}</Key>"
        return xml(201, f"<PostResponse>{where}</PostResponse>")


def two_parts(body: bytes, boundary: str) -> tuple[bytes, bytes]:
    """The two parts of a body; some clients end their lines with a line feed only."""
    border = rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(?:\r?\n|--)"
    _, *parts = re.split(border, body)
    first, second = (re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1] for part in parts[:2])
    return first, second


def xml_name(request: Received) -> tuple[str, str]:
    """The bucket and object of a path."""
    bucket, _, key = request.target.partition("?")[0].removeprefix("/").partition("/")
    return raw(bucket).decode(), raw(key).decode()


def content_of(request: Received, found: Stored) -> Response:
    """An object's content, or the part of it that was asked for."""
    headers = {"Content-Type": found.kind, "Last-Modified": http_date(found.changed)}
    headers |= {"ETag": f'"{found.generation}"', "x-goog-generation": str(found.generation)}
    content, size = found.content, len(found.content)
    status = 200
    if part := re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "")):
        first, last = part[1], part[2]
        start = int(first) if first else max(size - int(last), 0)
        end = min(int(last) + 1, size) if first and last else size
        if start >= size:
            raise Refused(416, "InvalidRange", "The requested range cannot be satisfied.")
        content, status = content[start:end], 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.method == "HEAD":
        return Response(status, b"", {**headers, "Content-Length": str(len(content))})
    return Response(status, content, headers)


def http_date(moment: float) -> str:
    """A moment as HTTP writes it."""
    return email.utils.formatdate(moment, usegmt=True)


def xml(status: int, content: str) -> Response:
    """An answer of the XML API."""
    body = f"<?xml version='1.0' encoding='UTF-8'?>{content}".encode()
    return Response(status, body, {"Content-Type": "application/xml; charset=UTF-8"})


def xml_refusal(error: Refused) -> Response:
    """An error of the XML API."""
    said_ = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
    return xml(error.status, f"<Error>{said_}</Error>")


def json_refusal(error: Refused) -> Response:
    """An error of the JSON API, and of all other services."""
    details: Mapping[str, object] = {"code": error.status, "message": error.message, "errors": []}
    return Response(error.status, json.dumps({"error": details}).encode(), {})
