"""What a door hands in: where a run happens, and how it reaches secrets and object stores.

A door is a way into this package: flytekit's ``pyflyte-execute`` (``perian_shim.executor``), or our
image's entry point (``pod.execute``), which loads no SDK.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.storage import ObjectStore
from perian_shim.work.task_run import Place

OpenStore: TypeAlias = Callable[[str], ObjectStore]
"""Returns the store that holds a URI; may raise ``InvalidInput``."""


Upload: TypeAlias = Callable[[Path, str], None]
"""Copies a local file or folder to a URI."""


@dataclass(frozen=True)
class RunContext:
    """Everything around one run.

    Attributes:
        raw_prefix: ``{{.rawOutputDataPrefix}}``, or what a run without a backend was given for it.
        place: the attempt's place, None for a run without a backend.
        environ: the process's environment.
        secrets: reads Flyte secrets.
        open_store: opens object stores.
        upload: copies local inputs of a run without a backend to where a job can fetch them.
    """

    raw_prefix: str
    place: Place | None
    environ: Mapping[str, str] = field(repr=False)
    secrets: FlyteSecrets = field(repr=False)
    open_store: OpenStore = field(repr=False)
    upload: Upload | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.place is not None and self.place.output_prefix is None:
            message = "a place in Flyte has an output prefix"
            raise ValueError(message)

    @property
    def output_prefix(self) -> str | None:
        """``{{.outputPrefix}}``, None without a backend."""
        return self.place.output_prefix if self.place else None


def opened_once(open_store: OpenStore) -> OpenStore:
    """Return what opens one store for each scheme, when it is first needed."""
    stores: dict[str, ObjectStore] = {}

    def opened(uri: str) -> ObjectStore:
        scheme = uri.partition(":")[0]
        if scheme not in stores:
            stores[scheme] = open_store(uri)
        return stores[scheme]

    return opened
