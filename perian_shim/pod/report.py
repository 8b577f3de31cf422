"""The end of a run in a pod: ``outputs.pb`` or ``error.pb``, the same through every door.

Where a pod may be started again within an attempt, there may be two at the same place: the one
before is gone, or alive on a node that is lost. Flyte reads ``error.pb`` first. So a pod takes an
error of one before it away, and one that a later pod has superseded leaves none.
"""

from collections.abc import Mapping, Sequence

from flyteidl.core.interface_pb2 import Variable

from perian_shim.errors import StorageFailed, Superseded, Terminating
from perian_shim.lifecycle.console import Console
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import PatientStore, Retrier
from perian_shim.pod.run import LAST_SECONDS, Finished
from perian_shim.pod.run_context import RunContext
from perian_shim.storage import join_uri
from perian_shim.work.entry_points import ERROR_NAME
from perian_shim.work.error_document import error_document, headline
from perian_shim.work.offloading import output_documents


def report(
    context: RunContext,
    finished: Finished,
    declared: Mapping[str, Variable],
    order: Sequence[str] = (),
) -> None:
    """Write what a run came to, for Flyte to read.

    Args:
        context: where the run happened; it has an output prefix.
        finished: what it came to.
        declared: the task's outputs.
        order: their names in the order in which they are to be, if that counts.

    Raises:
        StorageFailed: it could not be written. The process must then fail: without ``error.pb``
            Flyte would take the end of a task without outputs for success.
        Superseded: a later pod has the work and this place. The process must fail as well.
    """
    prefix = context.output_prefix
    assert prefix is not None, "a run without a backend has nobody to report to"
    console = Console()
    error, outputs, deck = finished.error, finished.outputs, finished.deck
    shared = context.place is not None and context.place.backend.restarts
    if shared and isinstance(error, Superseded):
        raise error
    if error is None:
        assert outputs is not None
        if deck is not None:  # Flyte looks for it as soon as the outputs are there
            deck.end(outputs, None)
        documents = output_documents(outputs, declared, prefix, context.environ, order)
    else:
        console(f"[perian-shim] failed: {headline(error)}")
        documents = {ERROR_NAME: error_document(error).SerializeToString(deterministic=True)}
    hurried = isinstance(error, Terminating)
    policy = RetryPolicy.hurried(LAST_SECONDS) if hurried else RetryPolicy.from_environment()
    warn = lambda text: console(f"[perian-shim] {text}")  # noqa: E731 - a name for an argument
    store = PatientStore(context.open_store(prefix), Retrier(policy, warn=warn))
    if shared and error is None:
        store.delete(join_uri(prefix, ERROR_NAME))
    for name, content in documents.items():
        store.write(join_uri(prefix, name), content)
    if error is not None:
        # Not after success: if this pod is lost now, the next attempt reads the outputs again.
        finished.reported()
        if deck is not None:
            deck.end(None, error)


def forget_error(context: RunContext) -> None:
    """Take away the error of a pod that was there before this one; a failure is said.

    Raises nothing: before outputs are written, it is tried once more.
    """
    prefix = context.output_prefix
    if prefix is None:
        return
    try:
        context.open_store(prefix).delete(join_uri(prefix, ERROR_NAME))
    except StorageFailed as error:
        Console().ours(f"an error that an earlier pod may have left is still there: {error}")
