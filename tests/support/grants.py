"""A real HTTP server of grants: what a pod writes for its job, and the store that keeps it."""

import datetime
import email.utils
import itertools
import ssl
from collections.abc import Sequence

from support.front import Exchange, Front

from perian_shim.sandbox.server.application import Response

QUERY = "X-Amz-Signature"
CANARY = "GRANT-URL-CANARY"
"""In the query of every URL: no log may show it."""

Record = tuple[str, ...]


def aws_keys(number: int = 1) -> Record:
    """Temporary keys that are told apart by a number."""
    return ("aws", f"ID{number}", f"SECRET-CANARY-{number}", f"TOKEN-CANARY-{number}")


def google_token(number: int = 1) -> Record:
    """A token that is told apart by a number."""
    return ("google", f"OAUTH-CANARY-{number}")


def grant_text(
    following: str, records: Sequence[Record], renew: int = 600, lives: int = 3600
) -> str:
    """Return a grant as the pod writes it."""
    lines = [
        ("version", "1"),
        ("renew", str(renew)),
        ("lives", str(lives)),
        ("next", following),
        *records,
        ("end",),
    ]
    return "".join("\t".join(line) + "\n" for line in lines)


class GrantServer(Front):
    """Answers with the grant that was written last; each one names a URL of its own for the next.

    Args:
        *records: of the first grant, which was written when the server was entered.
        renew: seconds, of the first grant.
        lives: seconds, of the first grant.
        tls: for HTTPS.
    """

    def __init__(
        self,
        *records: Record,
        renew: int = 600,
        lives: int = 3600,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(behind=self.answer, tls=tls)
        self.numbers = itertools.count(1)
        self.write(*records, renew=renew, lives=lives)

    def __enter__(self) -> "GrantServer":  # noqa: PYI034 - Self needs Python 3.11
        super().__enter__()
        return self

    def write(self, *records: Record, renew: int = 600, lives: int = 3600, age: int = 0) -> None:
        """Write the grant anew, or as if that had been so many seconds ago."""
        self.content = (records, renew, lives)
        self.written = datetime.datetime.now(datetime.timezone.utc)
        self.written -= datetime.timedelta(seconds=age)

    @property
    def first_url(self) -> str:
        """What a job is given."""
        return self.numbered(0)

    def numbered(self, number: int) -> str:
        return f"{self.url}/node/_perian/grants/{number}?{QUERY}={CANARY}-{number}"

    @property
    def reads(self) -> list[str]:
        """The names of the URLs that were read."""
        return [request.path.rpartition("/")[2] for request in self.requests]

    def answer(self, _: Exchange) -> Response:
        """Answer as a store does."""
        records, renew, lives = self.content
        text = grant_text(self.numbered(next(self.numbers)), records, renew, lives)
        dates = {
            "Date": datetime.datetime.now(datetime.timezone.utc),
            "Last-Modified": self.written,
        }
        headers = {name: email.utils.format_datetime(at, usegmt=True) for name, at in dates.items()}
        return Response(200, text.encode(), headers)
