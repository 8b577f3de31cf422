"""Telling Flyte how a run failed, exactly.

``pyflyte-execute`` derives code, kind and origin from the class of an exception, and has no class
for most of our outcomes; its message is a traceback of our own code. So ``error.pb`` is written
here, and flytekit is then told to write nothing: that is what its ``IgnoreOutputs`` means inside a
``FlyteUserRuntimeException``. If writing fails, that failure is raised instead, so that a missing
``error.pb`` can never pass for success.
"""

import time
from typing import NoReturn

from flyteidl.core import errors_pb2, execution_pb2
from flytekit.core.base_task import IgnoreOutputs
from flytekit.core.context_manager import FlyteContext
from flytekit.core.utils import write_proto_to_file
from flytekit.exceptions.user import FlyteUserRuntimeException

from perian_shim.api.errors import ApiError, PerianError
from perian_shim.errors import SYSTEM_RETRY, USER_FATAL, FunctionFailed, Outcome, TaskError
from perian_shim.lifecycle.console import Console, printable

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
    parts = [f"[{error.code}] {cut(error.message)} {error.remedy}".strip()]
    if isinstance(error, TaskError):
        if error.job_id and error.job_id not in parts[0]:
            parts.append(f"Perian job: {error.job_id}")
        if error.log_tail:
            lines = [cut(line, MAX_LINE_BYTES) for line in error.log_tail.split("\n")]
            parts.append("\n".join(["Last log lines:", *lines]))
    return cut("\n".join(parts), MAX_MESSAGE_BYTES)


def cut(text: str, limit: int = MAX_MESSAGE_BYTES // 2) -> str:
    """Return text that can be encoded, at most ``limit`` bytes: without its middle if need be."""
    encoded = printable(text).encode()
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
    """Return the ``ErrorDocument`` for an error; a function's own is passed on as it is."""
    if isinstance(error, FunctionFailed):
        document = errors_pb2.ErrorDocument.FromString(error.document)
        if len(error.document) > MAX_DOCUMENT_BYTES:
            document.error.message = cut(document.error.message)
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


def report(context: FlyteContext, error: PerianError) -> NoReturn:
    """Write ``error.pb`` for a failed run.

    Raises:
        FlyteUserRuntimeException: written; flytekit is to write nothing more.
        PerianError: the error itself, when there is no backend that reads ``error.pb``.
    """
    state = context.execution_state
    parameters = state.user_space_params if state else None
    prefix = parameters.output_metadata_prefix if parameters else None
    if not prefix:
        raise error
    Console()(f"[perian-shim] failed: {headline(error)}")
    path = context.file_access.get_random_local_path("error.pb")
    write_proto_to_file(error_document(error), path)
    context.file_access.put_data(path, f"{str(prefix).rstrip('/')}/error.pb")
    if isinstance(error, TaskError):
        error.after_report()
    # Without a cause: flytekit would print that as well, a third time.
    raise FlyteUserRuntimeException(IgnoreOutputs("error.pb says why the task failed")) from None
