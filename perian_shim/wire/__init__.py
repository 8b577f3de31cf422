"""HTTP on one connection, by the standard library: for what a pod does while it waits.

``Connection`` makes a request and hands back the answer, ``pieces`` reads its body; ``proxy_for``
and ``tls_context`` say how to get there; ``perian_shim.wire.faults`` says what an error means.
There are no retries, no redirects, no ``.netrc`` and no cookies. Upon ``http.client``, which both
are made of, ``requests`` would take another 10 MiB and 40 ms and urllib3 6 MiB and 25 ms, in every
pod that waits.
"""

from perian_shim.wire.connection import PIECE_BYTES, Connection, pieces
from perian_shim.wire.proxies import Proxy, UnusableProxy, proxy_for
from perian_shim.wire.trust import tls_context

__all__ = [
    "PIECE_BYTES",
    "Connection",
    "Proxy",
    "UnusableProxy",
    "pieces",
    "proxy_for",
    "tls_context",
]
