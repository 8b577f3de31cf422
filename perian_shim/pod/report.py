"""The end of a run under ``pyflyte-execute``: ``error.pb`` is ours, ``outputs.pb`` is flytekit's.

flytekit has no exception class for most of our outcomes. So ``error.pb`` is written here, and
flytekit is then told to write nothing: that is what its ``IgnoreOutputs`` means inside a
``FlyteUserRuntimeException``. If writing fails, that failure is raised instead, so that a missing
``error.pb`` can never pass for success.
"""

from flytekit.core.base_task import IgnoreOutputs
from flytekit.core.context_manager import FlyteContext
from flytekit.core.utils import write_proto_to_file
from flytekit.exceptions.user import FlyteUserRuntimeException
from flytekit.models.literals import LiteralMap

from perian_shim.lifecycle.console import Console
from perian_shim.pod.run import Finished
from perian_shim.work.error_document import error_document, headline


def hand_over(context: FlyteContext, finished: Finished) -> LiteralMap:
    """Return the outputs of a run, or report its failure to Flyte.

    Raises:
        FlyteUserRuntimeException: the run failed and ``error.pb`` has been written; flytekit is to
            write nothing more.
        PerianError: the run failed, and there is no backend that reads ``error.pb``.
    """
    state = context.execution_state
    parameters = state.user_space_params if state else None
    prefix = parameters.output_metadata_prefix if parameters else None
    error = finished.error
    if error is None:
        assert finished.outputs is not None
        if not prefix:  # with a backend it is told when outputs.pb has been written
            finished.reported()
        return finished.outputs
    if not prefix:
        finished.reported()
        raise error
    Console()(f"[perian-shim] failed: {headline(error)}")
    path = context.file_access.get_random_local_path("error.pb")
    write_proto_to_file(error_document(error), path)
    context.file_access.put_data(path, f"{str(prefix).rstrip('/')}/error.pb")
    finished.reported()
    # Without a cause: flytekit would print that as well, a third time.
    raise FlyteUserRuntimeException(IgnoreOutputs("error.pb says why the task failed")) from None
