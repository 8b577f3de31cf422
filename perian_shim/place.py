"""Where in Flyte a run happens: its execution, node, attempt and the prefixes that are its own.

Read once from flytekit's context and the environment; everything below works on this record. A run
by ``pyflyte run`` on somebody's machine has no node: it gets a fresh prefix and a fresh identity,
so that it is never mistaken for another one's work.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from flytekit.core.context_manager import FlyteContext

from perian_shim import environment
from perian_shim.identity import NodeIdentity
from perian_shim.storage import join_uri


@dataclass(frozen=True)
class Place:
    """One attempt's place.

    Attributes:
        node: whose piece of work it is.
        raw_prefix: ``{{.rawOutputDataPrefix}}``: a URI prefix that only this attempt writes to.
        output_prefix: ``{{.outputPrefix}}``, None when run without a backend.
        handed_on: Flyte's variables for the job.
    """

    node: NodeIdentity
    raw_prefix: str
    output_prefix: str | None
    handed_on: Mapping[str, str] = field(default_factory=dict)

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
        handed_on = {name: environ[name] for name in environment.HANDED_ON if name in environ}
        if output_prefix is None:
            name = "local-" + uuid.uuid4().hex[:12]
            prefix = join_uri(raw_prefix, name)
            return cls(NodeIdentity("", "", name, prefix), prefix, None, handed_on)
        node = NodeIdentity.from_output_prefix(
            environ.get(environment.EXECUTION_PROJECT, ""),
            environ.get(environment.EXECUTION_DOMAIN, ""),
            environ.get(environment.EXECUTION_ID, ""),
            output_prefix,
        )
        return cls(node, raw_prefix, output_prefix, handed_on)
