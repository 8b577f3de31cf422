"""Where in Flyte a run happens: its execution, node, attempt and the prefixes that are its own.

Read once from flytekit's context and the environment; everything below works on this record. A run
by ``pyflyte run`` on somebody's machine has no node: it gets a fresh prefix and a fresh identity,
so that it is never mistaken for another one's work.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from flytekit.core.context_manager import ExecutionParameters, FlyteContext

from perian_shim import settings
from perian_shim.storage import join_uri
from perian_shim.work.idempotency import NodeIdentity


@dataclass(frozen=True)
class Place:
    """One attempt's place.

    Attributes:
        node: whose piece of work it is.
        raw_prefix: ``{{.rawOutputDataPrefix}}``: a URI prefix that only this attempt writes to.
        output_prefix: ``{{.outputPrefix}}``, None when run without a backend.
        checkpoint: ``{{.checkpointOutputPrefix}}``, None when run without a backend.
        previous_checkpoint: the one of the attempt before, if there is one.
        environ: the resolver container's environment.
    """

    node: NodeIdentity
    raw_prefix: str
    output_prefix: str | None
    checkpoint: str | None = None
    previous_checkpoint: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 0; a run without a backend is always the first."""
        number = self.environ.get(settings.ATTEMPT_NUMBER, "")
        return int(number) if number.isdecimal() and self.output_prefix else 0

    @property
    def previous_prefix(self) -> str | None:
        """The raw prefix of the attempt before: its checkpoints are one folder below."""
        return self.previous_checkpoint and self.previous_checkpoint.rstrip("/").rpartition("/")[0]

    @property
    def earlier_reports(self) -> tuple[str, ...]:
        """Where the attempts before may have told Flyte of their failure, the last one first."""
        return tuple(
            join_uri(self.node.node_prefix, str(number), "error.pb")
            for number in reversed(range(self.attempt))
        )

    @property
    def handed_on(self) -> dict[str, str]:
        """Flyte's variables for the job."""
        return {name: self.environ[name] for name in settings.HANDED_ON if name in self.environ}

    @property
    def per_retry_unique_key(self) -> str:
        """``{{.perRetryUniqueKey}}``, made of the pod's name, in which the raw prefix ends."""
        name = self.raw_prefix.rstrip("/").rpartition("/")[2]
        return re.sub(r"[^a-zA-Z0-9_]+", "_", re.sub(r"^[^a-zA-Z_]+", "a", name))

    @classmethod
    def from_flyte(cls, context: FlyteContext, environ: Mapping[str, str]) -> "Place":
        """Read the place from flytekit's context and the container's environment."""
        state = context.execution_state
        parameters = state.user_space_params if state else None
        output_prefix = parameters.output_metadata_prefix if parameters else None
        raw_prefix = str(context.file_access.raw_output_prefix).rstrip("/")
        if output_prefix is None:
            name = "local-" + uuid.uuid4().hex[:12]
            prefix = join_uri(raw_prefix, name)
            return cls(NodeIdentity("", "", name, prefix), prefix, None, environ=environ)
        node = NodeIdentity.from_output_prefix(
            environ.get(settings.EXECUTION_PROJECT, ""),
            environ.get(settings.EXECUTION_DOMAIN, ""),
            environ.get(settings.EXECUTION_ID, ""),
            output_prefix,
        )
        saved, previous = checkpoint_paths(parameters)
        return cls(node, raw_prefix, output_prefix, saved, previous, environ)


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
