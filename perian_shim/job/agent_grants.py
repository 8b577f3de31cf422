"""What a function task's job may use now: its grants, read one after the other while it runs.

grant_text.py says what a grant is. Moments are seconds of the monotonic clock: no clock of another
machine is compared with this one's. A grant's age is told by two moments of the store's own clock.
"""

import email.utils
import http.client
import os
import ssl
import threading
import time
import urllib.error
import urllib.request

from perian_shim.job.grant_text import GrantText
from perian_shim.job.transfer import TransferError, ascii_url, explain, refusal, say

MAX_BYTES = 256 * 1024
STALL_SECONDS = 10.0
READ_SECONDS = 30.0

PATIENCE_SECONDS = 1.5
"""How long one who asks for credentials waits for new ones: AWS's libraries give up after 2."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0
"""Between attempts to read a grant that could not be read; doubled."""

DAY_SECONDS = 24 * 3600

LEAST_PAUSE_SECONDS = 1.0
"""Between attempts, however often credentials are asked for."""


class Grant(GrantText):
    """One grant, as the agent uses it.

    Args:
        content: the text.
        read_at: the moment before it was asked for.
        age: seconds between its writing and its being read.

    Raises:
        TransferError: it is not whole, or not one that this agent understands.

    Attributes:
        expires: the moment at which what is in it ends.
        following: URL of the next one.
        aws: key ID, secret and token, or nothing.
        google: a token, or nothing.
    """

    def __init__(self, content: bytes, read_at: float, age: float) -> None:
        try:
            super().__init__(content)
            self.renew = min(max(1.0, self.renew), DAY_SECONDS)
            self.following = ascii_url(os.fsencode(self.next))
            found = {key[0]: [each.decode("ascii") for each in key[1:]] for key in self.keys}
        except ValueError as error:
            text = str(error) if type(error) is ValueError else "it is damaged"
            raise TransferError(text) from None  # never say what is in it
        self.aws = tuple(found.get(b"aws", ()))
        self.google = "".join(found.get(b"google", ()))
        is_url = self.following.startswith(("https://", "http://"))
        if not is_url or len(self.aws) not in (0, len(("id", "secret", "token"))):
            raise TransferError("it is damaged")
        if not self.aws and not self.google:
            raise TransferError("it holds no keys")
        self.expires = read_at + self.lives - age

    def left(self, now: float) -> float:
        """Seconds that it is still good for."""
        return self.expires - now

    def is_alive(self, now: float) -> bool:
        """Whether it can be handed out: its end, named in whole seconds, is still to come."""
        return self.left(now) >= 1

    def is_fresh(self, now: float) -> bool:
        """Whether it can be handed out without looking for a newer one."""
        return self.left(now) >= max(self.lives / 4, self.renew)


class GrantReader:
    """Reads grants, each at the place that the one before it named.

    Args:
        url: of the first one.
        trust: what servers are verified with.
    """

    def __init__(self, url: str, trust: ssl.SSLContext) -> None:
        self.trust = trust
        self.url = ascii_url(url.encode("utf-8", "surrogateescape"))

    def read(self) -> Grant:
        """Read the grant that there is now.

        Raises:
            TransferError: why not, in one line without a URL's query.
        """
        read_at = time.monotonic()
        headers = {"Cache-Control": "no-cache"}
        try:
            request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 - the pod's URL
            answer = urllib.request.urlopen(  # noqa: S310
                request, timeout=STALL_SECONDS, context=self.trust
            )
            with answer:
                content = receive(answer, read_at + READ_SECONDS)
                age = age_of(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(error.code, error.read(2000)) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransferError(explain(error)) from None
        grant = Grant(content, read_at, age)
        self.url = grant.following
        return grant


def receive(answer: http.client.HTTPResponse, deadline: float) -> bytes:
    """Read a body, at most so much and so long."""
    content = b""
    while True:
        piece = answer.read1(MAX_BYTES)
        if not piece:
            return content
        content += piece
        if len(content) > MAX_BYTES:
            raise TransferError(f"it has more than {MAX_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TransferError("it came too slowly")


def age_of(headers: http.client.HTTPMessage) -> float:
    """Seconds since an object was written, by the clock of the store that answered; else 0."""
    try:
        answered, written = (
            email.utils.parsedate_to_datetime(headers[name]) for name in ("Date", "Last-Modified")
        )
        return max(0.0, (answered - written).total_seconds())
    except (TypeError, ValueError, LookupError, AttributeError):  # missing, or no dates
        return 0.0


class Access:
    """What the job may use now; a thread of its own reads the next grant in good time.

    Args:
        reader: has read the first grant.
        grant: the first grant.
    """

    def __init__(self, reader: GrantReader, grant: Grant) -> None:
        self.reader = reader
        self.grant = grant
        self.wanted = threading.Event()
        self.changed = threading.Condition()
        self.attempts = 0
        self.attempted_at = time.monotonic()
        self.problem = ""
        self.is_told = False

    def start(self) -> None:
        """Begin to renew."""
        threading.Thread(target=self.renew, name="renew", daemon=True).start()

    def current(self) -> "Grant | None":
        """What can be used now; None if it has expired.

        If what there is does not live long any more, the next grant is read first. That is waited
        for no longer than a client waits for its answer.
        """
        with self.changed:
            if not self.grant.is_fresh(time.monotonic()):
                before = self.attempts
                if time.monotonic() >= self.attempted_at + LEAST_PAUSE_SECONDS:
                    self.wanted.set()
                    self.changed.wait_for(lambda: self.attempts > before, PATIENCE_SECONDS)
            grant = self.grant
            alive = grant.is_alive(time.monotonic())
            tell = not alive and not self.is_told
            self.is_told = not alive
        if tell:
            say("access to the object store has expired: the pod that renews it is gone")
        return grant if alive else None

    def renew(self) -> None:
        """Read one grant after the other, for ever."""
        pause: float = self.grant.renew
        retry = FIRST_PAUSE_SECONDS
        while True:
            self.wanted.wait(pause)
            try:
                grant, problem = self.attempt()
            except Exception as error:  # noqa: BLE001 - whatever it is, access must be renewed
                grant, problem = None, f"the agent itself failed: {type(error).__name__}"
            self.tell(problem)
            pause, retry = (
                (grant.renew, FIRST_PAUSE_SECONDS)
                if grant
                else (retry, min(2 * retry, LONGEST_PAUSE_SECONDS))
            )

    def attempt(self) -> "tuple[Grant | None, str]":
        """Read a grant once. Returns it, or why there is none."""
        grant, problem = None, ""
        try:
            grant = self.reader.read()
        except TransferError as error:
            problem = str(error)
        finally:
            with self.changed:
                if grant:
                    self.grant = grant
                self.wanted.clear()
                self.attempts += 1
                self.attempted_at = time.monotonic()
                self.changed.notify_all()
        return grant, problem

    def tell(self, problem: str) -> None:
        """Say why access could not be renewed, once for each reason, and that it was again."""
        if problem and problem != self.problem:
            say(f"access to the object store could not be renewed: {problem}; trying again")
        elif self.problem and not problem:
            say("access to the object store has been renewed again")
        self.problem = problem
