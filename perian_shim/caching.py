"""The cache arguments of a task, with a version derived from what the job does.

Flyte's cache knows a task by name, version and interface, not by image or command: without a
version that changes with them, an edited command would go on returning the old results.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from flytekit import Cache

from perian_shim.errors import DefinitionError
from perian_shim.spec import JobSpec


@dataclass(frozen=True)
class CacheSettings:
    """What ``TaskMetadata`` takes about caching.

    Attributes:
        enabled: whether results are cached.
        version: version of the cached values, "" when not enabled.
        serialize: whether identical tasks run one after the other.
        ignored: inputs that do not matter.
    """

    enabled: bool = False
    version: str = ""
    serialize: bool = False
    ignored: tuple[str, ...] = ()

    @classmethod
    def from_arguments(
        cls,
        cache: bool | Cache,
        version: str | None,
        serialize: bool,
        ignored: Sequence[str],
        job: JobSpec,
    ) -> "CacheSettings":
        """Read the arguments that flytekit's tasks take.

        Raises:
            DefinitionError: a ``Cache`` without version: its policies look at Python functions.
        """
        if not isinstance(cache, Cache):
            derived = derived_version(job) if cache else ""
            return cls(cache, version or derived, serialize, tuple(ignored))
        if cache.version is None:
            message = "cache: expected True or Cache(version=…), since policies look at a function"
            raise DefinitionError(message)
        return cls(True, cache.version, cache.serialize, cache.get_ignored_inputs())


def derived_version(job: JobSpec) -> str:
    """Return a cache version that changes with what the job does, not with where it runs."""
    custom = job.to_custom()
    del custom["config"]
    return hashlib.sha256(json.dumps(custom, sort_keys=True).encode()).hexdigest()[:32]
