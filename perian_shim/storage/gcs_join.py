"""Several objects of Cloud Storage made one within the store, by ``compose``.

https://cloud.google.com/storage/docs/composing-objects
"""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from perian_shim.errors import StorageFailed

MOST = 32
"""So many objects are made one by one request."""

REQUESTS = 8
"""So many requests are made at a time."""


def join(
    compose: Callable[[Sequence[str], str], None],
    delete: Callable[[str], None],
    parts: Sequence[str],
    uri: str,
) -> None:
    """Make one object of several, in this order.

    More than a request takes are made fewer objects first, in rounds. These stand beside the first
    part, not beside what is made, where somebody might list them, and go in the end. To append to
    what is made instead would change one object more often than the store allows.

    Args:
        compose: makes one object, the second argument, of at most ``MOST``.
        delete: deletes an object.
        parts: URIs of the objects, of one bucket.
        uri: of the object that is made.

    Raises:
        StorageFailed: it could not be made; nothing is left of it.
    """
    made: list[str] = []
    left = list(parts)
    try:
        while len(left) > MOST:
            groups = [left[start : start + MOST] for start in range(0, len(left), MOST)]
            left = [f"{parts[0]}.joined-{len(made) + n:05}" for n in range(len(groups))]
            made += left
            at_once(compose, groups, left)
        compose(left, uri)
    finally:
        with contextlib.suppress(StorageFailed):  # one that stays does no harm
            at_once(delete, made)


def at_once(call: Callable[..., None], *arguments: Sequence[object]) -> None:
    """Make calls side by side; raise when all have ended, if one has failed."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        calls = [pool.submit(call, *each) for each in zip(*arguments, strict=True)]
    for each in calls:
        each.result()
