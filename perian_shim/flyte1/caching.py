"""The cache arguments of a task, with a version derived from what the job does.

Flyte's cache knows a task by name, version and interface, not by image or command: without a
version that changes with them, an edited command would go on returning the old results. An
``ImageSpec`` counts with everything that goes into the image; what a ``{{.image…}}`` placeholder
stands for is known only when the task is registered, after the version, so that it needs a version
given by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flytekit import ImageSpec

from perian_shim.flyte1.arguments import Checker
from perian_shim.spec import JobSpec

if TYPE_CHECKING:
    from flytekit import Cache  # from flytekit 1.15 on


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
        image: str | ImageSpec,
        check: Checker,
    ) -> CacheSettings:
        """Read the arguments that flytekit's tasks take.

        Args:
            cache: whether to cache, or everything about it.
            version: version of the cached values.
            serialize: run identical tasks one after the other.
            ignored: inputs that do not matter.
            job: what the task does.
            image: the job's image as it was declared.
            check: makes errors that name the task.

        Raises:
            DefinitionError: no version is given and none can be derived: a ``Cache`` has policies
                that look at Python functions, a placeholder says nothing about the image.
        """
        if not isinstance(cache, bool):
            if version or serialize or ignored:
                raise check.wrong(
                    "cache: a Cache says everything at once, so leave out cache_version,"
                    " cache_serialize and cache_ignore_input_vars"
                )
            if cache.version is None:
                raise check.wrong(
                    "cache: expected True or Cache(version=…), since policies look at a function"
                )
            return cls(True, cache.version, cache.serialize, cache.get_ignored_inputs())
        if cache and not version:
            if isinstance(image, str) and "{{" in image:
                raise check.wrong(
                    f"cache: the image {image!r} is known only when the task is registered, so no"
                    " version can be derived from it; give a cache_version"
                )
            version = derived_version(job, image)
        return cls(cache, version or "", serialize, tuple(ignored))


def derived_version(job: JobSpec, image: str | ImageSpec) -> str:
    """Return a cache version that changes with what the job does, not with where it runs."""
    custom = job.to_custom()
    del custom["config"]
    custom["image"] = [image.id, image.tag] if isinstance(image, ImageSpec) else image
    return hashlib.sha256(json.dumps(custom, sort_keys=True).encode()).hexdigest()[:32]
