"""What Flyte is told of a failed run: an ``ErrorDocument``, exactly.

``pyflyte-execute`` derives code, kind and origin from the class of an exception, and has no class
for most of our outcomes; its message is a traceback of our own code. So the document is made here.
It is read on terminals and in browsers: nothing in it steers them, whatever the job printed. Pure.
"""

import time

from flyteidl.core import errors_pb2, execution_pb2

from perian_shim.api.errors import ApiError, PerianError
from perian_shim.api.server_text import inert, printable
from perian_shim.errors import SYSTEM_RETRY, USER_FATAL, FunctionFailed, Outcome, TaskError

_ORIGINS = {
    "USER": execution_pb2.ExecutionError.USER,
    "SYSTEM": execution_pb2.ExecutionError.SYSTEM,
}

MAX_DOCUMENT_BYTES = 1_000_000
"""Flyte reads no ``error.pb`` above 2 MB, and then never learns why the task failed."""

MAX_MESSAGE_BYTES = 100_000
"""Flyte cuts an event's message at 102,400 bytes, whatever is there; we cut before it does."""

MAX_LINE_BYTES = 2000

CUT = " … (cut) … "


def outcome_of(error: PerianError) -> Outcome:
    """Return what Flyte is to make of an error."""
    if isinstance(error, TaskError):
        return error.outcome
    if isinstance(error, ApiError) and error.retryable:
        return SYSTEM_RETRY
    return USER_FATAL


def message_of(error: PerianError) -> str:
    """Return the text for people: what happened, to which job, what to do, the last log lines."""
    parts = [error.advised(f"[{error.code}] {cut(error.message)}")]
    if isinstance(error, TaskError):
        if error.job_id and error.job_id not in parts[0]:
            parts.append(f"Perian job: {error.job_id}")
        if error.log_tail:
            lines = [cut(line, MAX_LINE_BYTES) for line in error.log_tail.split("\n")]
            parts.append("\n".join(["Last log lines:", *lines]))
    return cut("\n".join(parts), MAX_MESSAGE_BYTES)


def cut(text: str, limit: int = MAX_MESSAGE_BYTES // 2) -> str:
    """Return text that can be shown anywhere, at most ``limit`` bytes: if need be the two ends."""
    encoded = inert(printable(text)).encode()
    if len(encoded) <= limit:
        return encoded.decode()
    half = (limit - len(CUT.encode())) // 2
    return CUT.join(part.decode(errors="ignore") for part in (encoded[:half], encoded[-half:]))


def headline(error: PerianError) -> str:
    """Return what the pod's log is to say; the job's own log stands above it already."""
    if isinstance(error, FunctionFailed):
        return "the function raised; its error goes to Flyte as the job wrote it"
    return f"[{error.code}] {error}"


def error_document(error: PerianError) -> errors_pb2.ErrorDocument:
    """Return the ``ErrorDocument`` for an error; a function's own is passed on, made inert."""
    if isinstance(error, FunctionFailed):
        document = errors_pb2.ErrorDocument.FromString(error.document)
        message = inert(document.error.message)
        if message != document.error.message:
            document.error.message = message
        if len(error.document) > MAX_DOCUMENT_BYTES:
            document.error.message = cut(message)
        return document
    outcome = outcome_of(error)
    document = errors_pb2.ErrorDocument()
    document.error.code = error.code
    document.error.message = message_of(error)
    document.error.kind = (
        errors_pb2.ContainerError.RECOVERABLE
        if outcome.recoverable
        else errors_pb2.ContainerError.NON_RECOVERABLE
    )
    document.error.origin = _ORIGINS[outcome.origin]
    document.error.timestamp.FromNanoseconds(time.time_ns())
    return document


def function_failed(document: bytes, job_id: str) -> FunctionFailed:
    """Return the error for a document that a function's job wrote."""
    error = errors_pb2.ErrorDocument.FromString(document).error
    return FunctionFailed(f"{error.code}: {error.message}", document=document, job_id=job_id)
