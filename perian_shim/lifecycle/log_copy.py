"""The copy of a job's log that is kept: in a folder of the node's own, out of every job's reach."""

from collections.abc import Callable
from dataclasses import dataclass

from perian_shim.api.jobs import Job
from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectStore, join_uri


@dataclass(frozen=True)
class LogCopy:
    """Keeps logs. Never fails: it warns.

    Attributes:
        store: where they are kept; must not be waited for.
        folder: URI of the folder; "" to keep none.
        redact: takes confidential values out of text.
        warn: prints a line of ours.
    """

    store: ObjectStore
    folder: str
    redact: Callable[[str], str]
    warn: Callable[[str], None]

    def keep(self, job: Job) -> None:
        """Keep the whole log of a job."""
        if not job.logs or not self.folder:
            return
        content = self.redact(job.logs).encode("utf-8", "backslashreplace")
        try:
            self.store.write(join_uri(self.folder, f"{job.id}.log"), content)
        except StorageFailed as error:
            self.warn(f"the log was not kept: {error.message}")
