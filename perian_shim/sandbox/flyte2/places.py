"""Where Flyte 2 puts what: the paths and templates of an action and its pods.

An action is a call of a task in a run. Its attempts are numbered from 1 in their prefixes; after a
failure of the platform a pod is started again within its attempt, in the same place.
"""

from dataclasses import dataclass, replace

from perian_shim.sandbox.flyte.places import Pod

METADATA = "metadata/v2"

NO_CHECKPOINT = '""'


@dataclass(frozen=True)
class ActionPod(Pod):
    """One started pod of an action; ``number`` counts pods, ``execution`` is the run.

    Attributes:
        flyte_attempt: Flyte's number of the attempt, 0-based.
    """

    flyte_attempt: int = 0

    @classmethod
    def of(
        cls, bucket: str, folder: str, run: str, action: str, *, pods: int, attempt: int
    ) -> "ActionPod":
        """Return a pod.

        Args:
            bucket: of metadata and raw data.
            folder: the action's metadata folder (URI).
            run: name of the run.
            action: name of the action.
            pods: how many of the action's pods were started before.
            attempt: Flyte's number of its attempt, 0-based.
        """
        return cls(run, action, pods, bucket, folder, flyte_attempt=attempt)

    @property
    def name(self) -> str:
        """The pod's name."""
        return f"{self.execution}-{self.node}-{self.flyte_attempt}"

    @property
    def output_prefix(self) -> str:
        """``{{.outputPrefix}}``, which ends in the attempt, counted from 1."""
        return f"{self.data_prefix}/{self.flyte_attempt + 1}"

    @property
    def templates(self) -> dict[str, str]:
        """Every template variable of the backend and its value, names in lower case."""
        before = replace(self, flyte_attempt=self.flyte_attempt - 1).output_prefix
        previous = f"{before}/_flytecheckpoints" if self.flyte_attempt else NO_CHECKPOINT
        return {
            **super().templates,
            "checkpointoutputprefix": f"{self.output_prefix}/_flytecheckpoints",
            "prevcheckpointprefix": previous,
            "runname": self.execution,
            "actionname": self.node,
            "runstarttime": "1970-01-01T00:00:00Z",
        }
