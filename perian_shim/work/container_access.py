"""How a container task's job reaches its data: a signed URL for each object, one policy to upload.

The job gets no key. What it may fetch are single objects; what it may create lies below one prefix,
which holds nothing but what it writes itself.
"""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from perian_shim.storage import ObjectStore
from perian_shim.work.grants import Access
from perian_shim.work.records import Record

PIECE_BYTES = 1024**3
"""A file that is too large for one upload is uploaded in pieces of this size; S3 joins ten
thousand, which are more than its largest object."""


def container_access(
    store_of: Callable[[str], ObjectStore],
    gets: Sequence[tuple[str, str]],
    output: str | None,
    seconds: float,
) -> Access:
    """Return the access of a job.

    Args:
        store_of: returns the store that holds a URI.
        gets: what it fetches: path in the job, and URI, or URL that needs no access.
        output: URI of the prefix below which it leaves what it produces, None if it leaves nothing.
        seconds: for how long the access is to be good.

    Raises:
        StorageFailed: it cannot be signed.
    """
    # First: with it the store is asked, and its clock is known by which all of this ends.
    upload = [] if output is None else upload_records(store_of(output), output, int(seconds))
    urls = {uri: uri for _, uri in gets if urlsplit(uri).scheme in {"http", "https"}}
    stores: dict[str, list[str]] = {}
    for _, uri in gets:
        if uri not in urls:
            stores.setdefault(urlsplit(uri).scheme, []).append(uri)
    for uris in stores.values():
        store = store_of(uris[0])
        seconds = min(seconds, store.signing().seconds or seconds)
        urls |= zip(uris, store.presign(uris, int(seconds)), strict=True)
    records: list[Record] = [("get", path, urls[uri]) for path, uri in gets]
    records += upload
    return Access(tuple(records), seconds)


def upload_records(store: ObjectStore, output: str, seconds: int) -> list[Record]:
    """Return leave to create objects below a prefix."""
    policy = store.upload_policy(output, seconds)
    return [
        ("post", policy.url),
        ("prefix", policy.key_prefix),
        ("max_bytes", str(policy.max_bytes)),
        ("piece", str(min(PIECE_BYTES, policy.max_bytes))),
        *(("field", name, value) for name, value in policy.fields.items()),
    ]
