"""A guard before an S3 application: no request gets to it without a good signature.

What is refused is answered in S3's own form. Nothing is ever allowed to pages of other origins: a
page that the user happens to look at must not reach a server on the user's machine.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import unquote
from xml.sax.saxutils import escape

from perian_shim.sandbox.s3.policies import check_policy
from perian_shim.sandbox.s3.signatures import (
    STREAMING,
    UNSIGNED,
    Denied,
    Keyring,
    Signed,
    access_denied,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

IN_MEMORY_BYTES = 8 << 20
PIECE_BYTES = 1 << 20

FORM = "multipart/form-data"


class Guard:
    """A WSGI application that lets through what is signed.

    Args:
        application: answers what is let through.
        keys: what requests must be signed with.
    """

    def __init__(self, application: "WSGIApplication", keys: Keyring) -> None:
        self.application = application
        self.keys = keys

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [each for each in headers if not each[0].lower().startswith("access-control-")]
            return start_response(status, kept, *more)

        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as spool:
            body = cast("IO[bytes]", spool)
            try:
                self.check(environ, body)
            except Denied as denied:
                drain(environ)
                return refusal(denied, environ, start)
            # At once: the application reads the body until it has answered.
            return list(closing(self.application(environ, start)))

    def check(self, environ: "WSGIEnvironment", body: IO[bytes]) -> None:
        """Check a request, and put its body back to where the application reads it.

        Raises:
            Denied: it is refused; the body may be unread.
        """
        request = signed(environ)
        kind = request.headers.get("content-type", "")
        is_form = request.method == "POST" and kind.lower().startswith(FORM)
        if is_form and "authorization" not in request.headers and not request.query:
            receive(environ, body)
            self.check_form(environ, request)
            body.seek(0)
            return
        said = self.keys.check(request)
        digest = receive(environ, body)
        if said not in {UNSIGNED, digest} and not said.startswith(STREAMING):
            message = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise Denied("XAmzContentSHA256Mismatch", message, 400)

    def check_form(self, environ: "WSGIEnvironment", request: Signed) -> None:
        """Check a form by the policy in it."""
        from werkzeug.formparser import FormDataParser  # noqa: PLC0415 - the sandbox extra

        _, form, files = FormDataParser(silent=False).parse_from_environ(environ)
        fields = {name.lower(): value for name, value in form.items()}
        uploads = [upload for _, upload in files.items(multi=True)]
        try:
            if "policy" not in fields:
                raise access_denied()
            if len(uploads) != 1 or len(fields) != len(list(form.items(multi=True))):
                message = "POST requires exactly one file upload per request."
                raise Denied("IncorrectNumberOfFilesInPostRequest", message, 400)
            self.keys.check_policy(fields)
            size = uploads[0].stream.seek(0, 2)
            bucket = unquote(request.path).strip("/").partition("/")[0]
            name = (uploads[0].filename or "").rpartition("/")[2]
            fields["key"] = fields.get("key", "").replace("${filename}", name)
            check_policy(fields, bucket, size, self.keys.now())
        finally:
            for upload in uploads:
                upload.close()


def signed(environ: "WSGIEnvironment") -> Signed:
    """Return what of a request a signature covers."""
    headers = {
        name[5:].replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = str(environ[name])
    # As it was sent: PATH_INFO is decoded, and not always to what it was made of.
    path, _, query = str(environ["RAW_URI"]).partition("?")
    return Signed(str(environ["REQUEST_METHOD"]), path, query, headers)


def receive(environ: "WSGIEnvironment", body: IO[bytes]) -> str:
    """Read a request's body and put it back; return its SHA-256 in hexadecimal."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(environ):
        digest.update(piece)
        body.write(piece)
        size += len(piece)
    body.seek(0)
    environ["wsgi.input"] = body
    environ["CONTENT_LENGTH"] = str(size)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    return digest.hexdigest()


def pieces(environ: "WSGIEnvironment") -> Iterator[bytes]:
    """Yield a request's body."""
    chunked = bool(environ.get("wsgi.input_terminated"))
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while chunked or left > 0:
        piece = environ["wsgi.input"].read(PIECE_BYTES if chunked else min(left, PIECE_BYTES))
        if not piece:
            return
        left -= len(piece)
        yield piece


def drain(environ: "WSGIEnvironment") -> None:
    """Read what nobody wants: an answer to a client that still sends may not arrive."""
    for _ in pieces(environ):
        pass


def refusal(
    denied: Denied, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> list[bytes]:
    """Answer as S3 does when it refuses."""
    words = {400: "Bad Request", 403: "Forbidden"}[denied.status]
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{denied.code}</Code><Message>{escape(denied.message)}</Message></Error>"
    ).encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{denied.status} {words}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def closing(answer: Iterable[bytes]) -> Iterator[bytes]:
    """Yield an answer's pieces, then close it."""
    try:
        yield from answer
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
