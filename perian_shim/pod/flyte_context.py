"""Where in Flyte a run happens, read once from flytekit's context and the environment."""

from collections.abc import Mapping

from flytekit.core.context_manager import ExecutionParameters, FlyteContext

from perian_shim import settings
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.task_run import Place


def place_in_flyte(context: FlyteContext, environ: Mapping[str, str]) -> Place | None:
    """Return the place, None for a run without a backend (``pyflyte run`` on one's own machine)."""
    state = context.execution_state
    parameters = state.user_space_params if state else None
    output_prefix = parameters.output_metadata_prefix if parameters else None
    if output_prefix is None:
        return None
    node = NodeIdentity.from_output_prefix(
        environ.get(settings.EXECUTION_PROJECT, ""),
        environ.get(settings.EXECUTION_DOMAIN, ""),
        environ.get(settings.EXECUTION_ID, ""),
        output_prefix,
    )
    saved, previous = checkpoint_paths(parameters)
    return Place(node, raw_prefix_of(context), output_prefix, saved, previous, environ)


def raw_prefix_of(context: FlyteContext) -> str:
    """Return ``{{.rawOutputDataPrefix}}``, or what a local run was given in its place."""
    return str(context.file_access.raw_output_prefix).rstrip("/")


def checkpoint_paths(parameters: ExecutionParameters | None) -> tuple[str | None, str | None]:
    """Return where this attempt saves checkpoints and where the one before did."""
    try:
        checkpoint = parameters.checkpoint if parameters else None
    except NotImplementedError:  # flytekit's way to say that it got no checkpoint path
        checkpoint = None
    # flytekit has no public names for what it was given on the command line.
    saved = getattr(checkpoint, "_checkpoint_dest", None)
    previous = getattr(checkpoint, "_checkpoint_src", None)
    return saved or None, previous or None
