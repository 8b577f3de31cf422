"""fsspec's stores where both SDKs are in one process: flyte, when imported, puts its own in place.

flytekit's would then be asked for with arguments that only s3fs knows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.registry import _registry

OBSTORE = "obstore"


def without_flytes_stores() -> None:
    """Take away what flyte has put in place."""
    registered: dict[str, type] = _registry
    for protocol, kind in dict(registered).items():
        if kind.__module__.partition(".")[0] == OBSTORE:
            del registered[protocol]


@contextmanager
def flytes_stores() -> Iterator[None]:
    """Have flyte's stores in place meanwhile."""
    from obstore.fsspec import register  # noqa: PLC0415 - comes with flyte

    register(["s3", "gs"])
    try:
        yield
    finally:
        without_flytes_stores()
