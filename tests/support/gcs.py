"""Google Cloud Storage as far as the product asks it: the JSON API, in memory, over real HTTP."""

import json
from urllib.parse import parse_qs, unquote, urlsplit

from support.storage_front import Answer, Seen

PAGE = 2
"""How many objects one page of a listing has."""

UPDATED = "2026-01-01T00:00:00.000Z"
"""When all objects were written."""


class Gcs:
    """The buckets; an instance is what ``faulty_server`` answers by.

    Args:
        *buckets: names of the empty buckets that there are.

    Attributes:
        objects: what there is, by bucket and name.
    """

    def __init__(self, *buckets: str) -> None:
        self.objects: dict[str, dict[str, bytes]] = {name: {} for name in buckets}

    def __call__(self, seen: Seen) -> Answer:
        """Answer one request."""
        parts = urlsplit(seen.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/upload").removeprefix("/storage/v1/b/")
        name, _, rest = path.partition("/o")
        bucket = self.objects.get(unquote(name))
        if bucket is None:
            return refusal(404, "The specified bucket does not exist.")
        if seen.method == "POST":
            bucket[query["name"]] = seen.body
            return said({"name": query["name"]})
        if not rest:
            return listing(bucket, query)
        content = bucket.get(unquote(rest[1:]))
        if content is None:
            return refusal(404, "No such object")
        return Answer(body=content) if query.get("alt") == "media" else said({"size": len(content)})


def listing(bucket: dict[str, bytes], query: dict[str, str]) -> Answer:
    """One page of names."""
    names = sorted(name for name in bucket if name.startswith(query.get("prefix", "")))
    start = int(query.get("pageToken", "0"))
    page: dict[str, object] = {}
    if found := names[start : start + PAGE]:
        told = {"updated": UPDATED} if "updated" in query.get("fields", "updated") else {}
        page["items"] = [{"name": name, "size": str(len(bucket[name])), **told} for name in found]
    if names[start + PAGE :]:
        page["nextPageToken"] = str(start + PAGE)
    return said(page)


def said(content: object) -> Answer:
    """An answer in JSON."""
    return Answer(body=json.dumps(content).encode(), headers={"Content-Type": "application/json"})


def refusal(status: int, message: str) -> Answer:
    """An error as Google says it."""
    error = {"error": {"code": status, "message": message, "errors": []}}
    return Answer(status, json.dumps(error).encode())
