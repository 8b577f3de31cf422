"""A derived cache version changes with everything that the job does, the image above all."""

from typing import Any

import flytekit
import pytest
from flytekit import ImageSpec
from support.flytekit_versions import needs_cache

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import DefinitionError


def version(image: str | ImageSpec = "debian:12", **arguments: Any) -> str:
    task = PerianContainerTask(
        name="t",
        task_config=PerianConfig(cores=1),
        image=image,
        cache=True,
        **{"command": ["true"], **arguments},
    )
    found = task.metadata.cache_version
    assert isinstance(found, str)
    return found


def test_image_specs_that_differ_give_versions_that_differ() -> None:
    one = ImageSpec(name="a", packages=["pandas==1"], registry="r")
    other = ImageSpec(name="a", packages=["pandas==2"], registry="r")
    same = ImageSpec(name="a", packages=["pandas==1"], registry="r")
    assert len({version(one), version(other), version("a")}) == 3
    assert version(one) == version(same)


@pytest.mark.parametrize("image", ["{{.image.default.fqn}}:{{.image.default.version}}"])
def test_a_placeholder_for_an_image_needs_a_version(image: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        version(image)
    assert "'t': cache: the image" in str(caught.value)
    assert "give a cache_version" in str(caught.value)
    assert version(image, cache_version="3") == "3"


def test_without_a_cache_a_placeholder_needs_no_version() -> None:
    PerianContainerTask("t", PerianConfig(cores=1), "{{.image.default.fqn}}:1", ["true"])


class ByFunction:
    """A policy as flytekit's are: it looks at a Python function."""

    def get_version(self, salt: str, params: object) -> str:
        raise NotImplementedError


@needs_cache
def test_a_cache_with_policies_only_is_refused_naming_the_task() -> None:
    cache = flytekit.Cache(policies=[ByFunction()])
    with pytest.raises(DefinitionError, match="'t': cache: expected True or Cache"):
        PerianContainerTask("t", PerianConfig(cores=1), "a", ["true"], cache=cache)
