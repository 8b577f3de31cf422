"""What the job may use to reach its data now, and how it gets the next one: its grant.

The newest one is kept as a file in a directory that is private
to the job's user; whoever fetches the next one replaces it. Needs nothing but Python >= 3.6, and
transfer.py.
"""

import contextlib
import os
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from perian_shim.job.grant_text import GrantText
from perian_shim.job.transfer import (
    Limits,
    TransferError,
    Transfers,
    ascii_url,
    explain,
    say,
    shown,
)

VARIABLE = "PERIAN_SHIM_GRANT"
"""Names where the first grant is read."""

EXPIRED = re.compile("expired", re.IGNORECASE)
"""What S3 and Google say of access that has ended, of URLs, policies and keys alike."""

LONGEST_RETRY = 30.0
"""Longest pause after a grant could not be fetched, in seconds."""


class Grant(GrantText):
    """One grant, as the wrapper uses it. Raises ValueError if it is not whole."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.renew = max(self.renew, 0.1)


class Grants:
    """The newest grant of a job.

    Args:
        folder: the private directory.
        limits: of each fetch.
        url: where the first one is read.
        patience: for how many seconds a new one is waited for when access has expired: the pod
            that writes it may be starting again.
    """

    def __init__(self, folder: Path, limits: Limits, url: str, patience: float) -> None:
        self.file = folder / "grant"
        self.limits = limits
        self.url = url
        self.patience = patience
        self.lock = threading.Lock()
        self.waiting = threading.Lock()
        self.used = threading.local()
        self.said = ""
        self.next = ""

    def current(self) -> "Grant | None":
        """The newest one that is here."""
        try:
            return Grant(self.file.read_bytes())
        except (OSError, ValueError):
            return None

    def use(self) -> Grant:
        """The newest one that is here, to be used by this thread. Raises TransferError."""
        found = self.current()
        if found is None:
            raise TransferError("the private copy of the grant is gone", final=True)
        self.used.content = found.content
        return found

    def renewed(self, error: TransferError) -> bool:
        """Whether there is another one than that with which this thread was refused.

        If access has expired, it is waited for. Raises TransferError if none comes.
        """
        with self.waiting:
            began = time.time()
            while True:
                if self.is_other():
                    return True
                failure = None
                try:
                    if self.fetch() or self.is_other():
                        return True
                except TransferError as refusal:
                    failure = refusal
                if not EXPIRED.search(str(error)):
                    return False
                if time.time() - began >= self.patience or (failure and failure.refused):
                    why = f"; the next grant {failure}" if failure else ", and nobody renews it"
                    raise TransferError(f"access expired{why}: {error}", final=True)
                time.sleep(min(self.use().renew, LONGEST_RETRY))

    def is_other(self) -> bool:
        """Whether the newest one here is not that which this thread has used."""
        found = self.current()
        return found is not None and found.content != getattr(self.used, "content", None)

    def is_due(self) -> bool:
        """Whether the next one is to be fetched, or should have been."""
        found = self.current()
        try:
            return found is None or time.time() - self.file.stat().st_mtime >= found.renew
        except OSError:
            return True

    def fetch(self) -> bool:
        """Fetch the next one; whether it says anything new. Raises TransferError."""
        with self.lock:
            before = self.current()
            urls = [before.next if before else self.next, self.url]
            error = None
            for url in filter(None, dict.fromkeys(urls)):
                try:
                    return self.keep(self.received(ascii_url(os.fsencode(url))), before)
                except (OSError, ValueError, TransferError) as failure:
                    text = explain(failure)
                    refused = getattr(failure, "refused", False)
                    said = f"could not be read from {shown(url)}: {text}"
                    error = TransferError(said, final=refused, refused=refused)
            assert error is not None
            raise error

    def begin(self) -> None:
        """Fetch the first one. Raises TransferError."""
        self.fetch()

    def received(self, url: str) -> bytes:
        """Read what is at a URL."""
        request = urllib.request.Request(url)  # noqa: S310  # the pod's URL
        with Transfers(self.limits).open(request) as answer:
            content = answer.read()
            announced = answer.getheader("Content-Length")
        if announced is not None and len(content) != int(announced):
            raise TransferError("the answer broke off")
        return bytes(content)

    def keep(self, content: bytes, before: "Grant | None") -> bool:
        """Keep it in place of the one before."""
        found = Grant(content)
        self.next = found.next
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # a program may clean up
        beside = self.file.with_name(f"grant.{os.getpid()}.{threading.get_ident()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(str(beside), flags, 0o600), "wb") as file:
            file.write(content)
        beside.replace(self.file)
        return before is None or found.content != before.content

    def follow(self, stopped: threading.Event) -> None:
        """Fetch each next one in time, until stopped; say once for each reason that it cannot.

        It ends as well when the process has lost its parent: the wrapper was killed.
        """
        failures, parent = 0, os.getppid()
        while True:
            found = self.current()
            pause = 1.0 if found is None else found.renew
            if failures:
                pause = min(pause, self.limits.pause * 2 ** min(failures, 10), LONGEST_RETRY)
            until = time.monotonic() + max(pause, 0.1)
            while time.monotonic() < until:
                if stopped.wait(min(max(until - time.monotonic(), 0.0), 5.0)):
                    return
                if os.getppid() != parent:
                    return
            try:
                self.fetch()
            except TransferError as error:
                failures += 1
                if str(error) != self.said:
                    self.said = str(error)
                    say(f"the next grant {error}; trying again")
            else:
                failures, self.said = 0, ""

    @contextlib.contextmanager
    def kept(self) -> "Iterator[None]":
        """Keep the grant fresh meanwhile."""
        stopped = threading.Event()
        keeper = threading.Thread(target=self.follow, args=(stopped,), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            stopped.set()
            keeper.join(5.0)  # a thread that is cut off at the end needs more of the image
