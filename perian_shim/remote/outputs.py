"""What a job of a Flyte task left in the object store, as far as this machine may read it."""

from typing import Any, TypeAlias

from flyteidl.core.literals_pb2 import Literal

from perian_shim.errors import FunctionFailed, ResultMissing, StorageFailed
from perian_shim.owners import JobOrigin
from perian_shim.storage import join_uri, open_store
from perian_shim.values.literals import InputNotRenderable, literal_to_python
from perian_shim.values.serialized import split_literal_map
from perian_shim.work.entry_points import ERROR_NAME, OUTPUTS_NAME
from perian_shim.work.error_document import function_failed
from perian_shim.work.function_job import MAX_DOCUMENT_BYTES, documents_of
from perian_shim.work.outputs import MISSING, Harvest
from perian_shim.work.staging import OUTPUT_FOLDER

Outputs: TypeAlias = dict[str, Any]

NO_ACCESS = "Give this machine credentials that may read there (docs/storage.md)."


def outputs_of(job_id: str, origin: JobOrigin) -> Outputs:
    """Return what a job that has ended left.

    Args:
        job_id: for messages.
        origin: whose it is, which says where.

    Returns:
        Of a container task the URI of each output, of a function task the values: files,
        directories and dataframes are URIs, a value that cannot be read is its ``Literal``.

    Raises:
        FunctionFailed: the function raised.
        JobFailed: the program failed, as the job's own record says; ``TransferFailed`` too.
        ResultMissing: it left nothing.
        StorageFailed: it cannot be read from here.
        InvalidInput: it lies in a store that cannot be reached from here.
    """
    if not origin.output:
        message = f"Job {job_id} does not say where it leaves its outputs."
        raise ResultMissing(message, job_id=job_id, remedy="")
    store = open_store(origin.output)
    harvest = Harvest(store, origin.output, "", job_id)
    document = join_uri(documents_of(origin.output), OUTPUTS_NAME)
    try:
        result = harvest.result()
        content = None if result else store.read(document, MAX_DOCUMENT_BYTES)
    except StorageFailed as error:
        error.remedy = NO_ACCESS
        raise
    if result is not None:
        harvest.check(result)
        return {
            name: join_uri(origin.output, OUTPUT_FOLDER, name)
            for name, kind in sorted(result.kinds.items())
            if kind != MISSING
        }
    raised = function_error(job_id, origin)
    if raised is not None:
        raise raised
    if content is None:
        message = f"Job {job_id} left nothing below {origin.output}."
        raise ResultMissing(message, job_id=job_id, remedy="Read its log.")
    return {name: value_of(literal) for name, literal in split_literal_map(content).items()}


def function_error(job_id: str, origin: JobOrigin) -> FunctionFailed | None:
    """Return what the function of a job raised, None if nothing.

    Raises:
        StorageFailed: that cannot be read from here.
        InvalidInput: it lies in a store that cannot be reached from here.
    """
    store = open_store(origin.output)
    try:
        document = store.read(join_uri(documents_of(origin.output), ERROR_NAME), MAX_DOCUMENT_BYTES)
    except StorageFailed as error:
        error.remedy = NO_ACCESS
        raise
    return None if document is None else function_failed(document, job_id)


def value_of(serialized: bytes) -> Any:
    """Return the value of a literal; of one that lies elsewhere its URI."""
    literal = Literal.FromString(serialized)
    if literal.HasField("offloaded_metadata"):
        return literal.offloaded_metadata.uri
    try:
        return literal_to_python(literal)
    except (InputNotRenderable, ValueError):
        return literal
