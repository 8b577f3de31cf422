"""Moves files by presigned URLs inside the job's image, with nothing but Python's standard library.

Loaded by stages.py when the image has a working Python >= 3.6; also the reason why nothing here may
use newer syntax. Paths and keys are bytes at heart: they reach Python's file functions through
os.fsdecode, which gives back the same bytes in any locale. Sizes are in bytes, times in seconds.

Files are streamed, several at a time. A download is written beside its target and renamed when it
is complete. A file that changes while it is uploaded is uploaded again. On the first file that
fails for good the others are stopped. No message shows a URL's query.
"""

import concurrent.futures
import http.client
import io
import os
import re
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, TypeAlias

THREADS = 8
CHUNK = 256 * 1024
SHOWN = 300
SERVER_ERRORS = 500
RETRIED = (408, 429)

# For type checkers only: Python 3.6 cannot subscript these.
Record: "TypeAlias" = "list[bytes]"
Fields: "TypeAlias" = "list[tuple[bytes, bytes]]"
Jobs: "TypeAlias" = "list[tuple[str, Callable[[], None]]]"


class TransferError(Exception):
    """One attempt failed.

    Attributes:
        final: whether another one would fail as well.
        refused: whether the server did not accept the access that it was given.
    """

    def __init__(self, text: str, final: bool = False, refused: bool = False) -> None:
        super().__init__(text)
        self.final = final
        self.refused = refused


class Piece:
    """A part of a file, as what is uploaded."""

    def __init__(self, path: str, start: int, size: int, state: "tuple[int, ...]") -> None:
        self.path = path
        self.start = start
        self.size = size
        self.state = state


Source: "TypeAlias" = "str | bytes | Piece"


class Limits:
    """How often and how long to try: a count of attempts, and seconds for all else."""

    def __init__(self, attempts: str, pause: str, connect: str, stall: str) -> None:
        self.attempts = int(attempts)
        self.pause = float(pause)
        self.connect = float(connect)
        self.stall = float(stall)


class AnsweringMixin(http.client.HTTPConnection):
    """A connection that lets a server refuse a body before it has read all of it.

    The server's answer, with the reason, would otherwise be lost behind a broken pipe. After the
    connection is made, the timeout becomes that for a stall.
    """

    stall = 120.0

    def connect(self) -> None:
        """Connect with the connect timeout, go on with the one for stalls."""
        super().connect()
        self.sock.settimeout(self.stall)

    def endheaders(self, message_body: object = None, **options: object) -> None:
        """Send headers and body; a refusal to take the body is left to the answer to explain."""
        try:
            super().endheaders(message_body, **options)  # type: ignore[arg-type]  # passed through
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:
                raise


class AnsweringHTTP(AnsweringMixin):
    """The mixin over plain HTTP."""


class AnsweringHTTPS(AnsweringMixin, http.client.HTTPSConnection):
    """The mixin over TLS."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body: report the redirect instead."""

    def redirect_request(self, *_args: object) -> None:
        """Refuse: urllib then raises the answer as an HTTPError."""
        return


class HTTPHandler(urllib.request.HTTPHandler):
    """urllib's http handler with our connection."""

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a plain connection."""
        return self.do_open(AnsweringHTTP, req)


class HTTPSHandler(urllib.request.HTTPSHandler):
    """urllib's https handler with our connection."""

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a TLS connection that verifies the server's certificate."""
        return self.do_open(AnsweringHTTPS, req, context=ssl.create_default_context())


class Body:
    """The bytes of a multipart form around one file, as chunks, with their exact total length."""

    def __init__(self, fields: "Fields", source: "Source", stopped: threading.Event) -> None:
        self.source = source
        self.stopped = stopped
        self.size = size_of(source)
        self.boundary = b"perian-shim-" + os.urandom(16).hex().encode()
        self.head = b"".join(self.part(name, b"") + value + b"\r\n" for name, value in fields)
        # S3 replaces ${filename} in a key by the file's name; with that very name, a key that
        # contains it stays as it is.
        self.head += self.part(
            b"file", b'; filename="${filename}"\r\nContent-Type: application/octet-stream'
        )
        self.tail = b"\r\n--" + self.boundary + b"--\r\n"

    def part(self, name: bytes, rest: bytes) -> bytes:
        """The header of one part."""
        head = b"--" + self.boundary + b'\r\nContent-Disposition: form-data; name="'
        return head + name + b'"' + rest + b"\r\n\r\n"

    def __len__(self) -> int:
        return len(self.head) + self.size + len(self.tail)

    def __iter__(self) -> "Iterator[bytes]":
        yield self.head
        left = self.size
        with self.open() as file:
            while left:
                chunk = file.read(min(CHUNK, left))
                if not chunk:
                    raise TransferError("the file shrank while it was read")
                if self.stopped.is_set():
                    raise TransferError("another upload failed", final=True)
                left -= len(chunk)
                yield chunk
        yield self.tail

    def open(self) -> "BinaryIO":
        """The content, from its beginning."""
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        if isinstance(self.source, str):
            return Path(self.source).open("rb")
        file = Path(self.source.path).open("rb")  # noqa: SIM115 - who asks closes it
        file.seek(self.source.start)
        return file


class Transfers:
    """Moves many files; the first that fails for good stops the rest.

    Args:
        limits: of each.
        renewed: whether there is other access now than that which was refused; may wait for it.
    """

    def __init__(
        self, limits: Limits, renewed: "Callable[[TransferError], bool]" = lambda _: False
    ) -> None:
        self.limits = limits
        self.renewed = renewed
        self.stopped = threading.Event()

    def run(self, jobs: "Jobs") -> None:
        """Run all, `THREADS` at a time. Raises TransferError with the first final failure."""
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(self.persist, what, job) for what, job in jobs]
            for future in concurrent.futures.as_completed(futures):
                error = future.exception()
                if error is not None:
                    self.stopped.set()
                    for other in futures:
                        other.cancel()
                    raise error

    def persist(self, what: str, job: "Callable[[], None]") -> None:
        """Try `job` up to the limit, with pauses that double."""
        attempt = 0
        while not self.stopped.is_set():
            attempt += 1
            try:
                job()
            except TransferError as error:
                try:
                    if error.refused and self.renewed(error):
                        attempt -= 1
                        continue
                except TransferError as expired:
                    error = expired
                problem = f"{what}: {error}"
                final = error.final
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = f"{what}: {explain(error)}"
                final = isinstance(error, (PermissionError, ValueError))
            else:
                return
            if final or attempt == self.limits.attempts or self.stopped.is_set():
                raise TransferError(problem)
            pause = self.limits.pause * 2 ** (attempt - 1)
            say(f"{problem} (attempt {attempt} of {self.limits.attempts}, the next in {pause:g} s)")
            self.stopped.wait(pause)

    def open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """The answer to a request. Raises TransferError unless it is a success."""
        opener = urllib.request.build_opener(
            HTTPHandler, HTTPSHandler, *([NoRedirect] if request.data is not None else [])
        )
        try:
            answer = opener.open(request, timeout=self.limits.connect)
        except urllib.error.HTTPError as error:
            with error:
                raise refusal(error.code, error.read(2000)) from None
        assert isinstance(answer, http.client.HTTPResponse)
        return answer

    def get(self, url: str, target: Path, part: Path) -> None:
        """Download one file. A broken or short one leaves nothing under its name."""
        make_parent(target)
        if target.is_dir():
            raise TransferError("there is a directory of that name", final=True)
        try:
            with self.open(urllib.request.Request(url)) as answer:  # noqa: S310  # the plan's URL
                self.receive(answer, part)
            part.replace(target)
        finally:
            if part.exists():
                part.unlink()

    def receive(self, answer: http.client.HTTPResponse, part: Path) -> None:
        """Write the answer to `part` and compare its length with the announced one."""
        received = 0
        announced = answer.getheader("Content-Length")
        with part.open("wb") as file:
            while not self.stopped.is_set():
                chunk = answer.read(CHUNK)
                if not chunk:
                    break
                received += len(chunk)
                file.write(chunk)
        if announced is not None and received != int(announced):
            raise TransferError(f"received {received} bytes of {announced}")

    def put(self, url: str, fields: "Fields", source: "Source") -> None:
        """Upload one file, or bytes, by a form; `fields` include its key."""
        before = source.state if isinstance(source, Piece) else state_of(source)
        body = Body(fields, source, self.stopped)
        kind = "multipart/form-data; boundary=" + body.boundary.decode()
        headers = {"Content-Type": kind, "Content-Length": str(len(body))}
        request = urllib.request.Request(url, body, headers)  # noqa: S310  # the plan's URL
        with self.open(request) as answer:
            answer.read(CHUNK)
        if state_of(source) != before:
            raise TransferError(
                "it was written to while it was uploaded: is something still running?"
            )


def size_of(source: "Source") -> int:
    """How many bytes are uploaded."""
    if isinstance(source, Piece):
        return source.size
    return len(source) if isinstance(source, bytes) else Path(source).stat().st_size


def state_of(source: "Source") -> "tuple[int, ...]":
    """What changes when a file is written to."""
    if isinstance(source, bytes):
        return ()
    found = Path(source.path if isinstance(source, Piece) else source).stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def make_parent(target: Path) -> None:
    """Make the directory that `target` is to be in."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TransferError(f"cannot make its directory: {error.strerror}", final=True) from None


def refusal(status: int, body: bytes) -> TransferError:
    """What an HTTP status and the head of its body say, and whether trying again is of use."""
    text = body.decode("utf-8", "replace")
    s3 = re.search(r"<Code>([^<]*)</Code>.*<Message>([^<]*)</Message>", text, re.DOTALL)
    # S3 repeats the signature in other elements of the body: only these two are shown.
    text = f"{s3.group(1)}: {s3.group(2)}" if s3 else re.sub(r"<[^>]*>", " ", text)
    again = status >= SERVER_ERRORS or status in RETRIED or text.startswith("RequestTimeout")
    text = scrub(text)
    said = f"HTTP status {status}" + (f" ({text})" if text else "")
    return TransferError(said, final=not again, refused=not again)


def explain(error: Exception) -> str:
    """What went wrong, without a URL's query."""
    text = scrub(str(getattr(error, "reason", None) or error) or type(error).__name__)
    return text + (" (does the image have ca-certificates?)" if "ertificate" in text else "")


def scrub(text: str) -> str:
    """One bounded line without URL queries and the parameters of a signature."""
    text = re.sub(r"\?[^ \"'<>]*", "?(hidden)", text)
    text = re.sub(r"(?i)x-(amz|goog)-[a-z-]*=[^&\s]*", "(hidden)", text)
    return " ".join(text.split())[:SHOWN]


def shown(url: str) -> str:
    """A URL without query, fragment and password."""
    return re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", url)[0])


def ascii_url(url: bytes) -> str:
    """A URL as http.client wants it: what is not ASCII, percent-encoded."""
    return urllib.parse.quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def say(text: str) -> None:
    """One line to the job's log."""
    sys.stderr.write(f"[perian-shim] {text}\n")
    sys.stderr.flush()


def read_records(path: str) -> "list[Record]":
    """The lines of a file, split at tabs."""
    return [line.split(b"\t") for line in Path(path).read_bytes().split(b"\n") if line]
