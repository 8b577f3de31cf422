"""A copy of a task: by ``override``, by pickling, of a task that was not ours before."""

import copy
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # ships no type information
import flyte
import pytest
from flyte.models import CodeBundle
from support.flyte2 import record_of, template_of
from support.flyte2_functions import shop

from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import PerianConfig, PerianContainerTask

box = PerianContainerTask(
    "shop.box", PerianConfig(cores=2), "debian:12", ["true"], env_vars={"MODE": "fast"}
)
boxes = flyte.TaskEnvironment.from_task("boxes", box)

PICKLE = CodeBundle(computed_version="v7", pkl="s3://b/code.pkl.gz", destination=".")


def pickled(task: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(task))


@pytest.mark.parametrize("task", [shop.double, box], ids=lambda task: task.name)
@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
def test_an_override_of_a_copy_leaves_what_is_the_job_s(
    task: Any, copied: Callable[[Any], Any]
) -> None:
    changed = copied(task).override(retries=1)
    assert record_of(changed, PICKLE).spec == record_of(task, PICKLE).spec
    assert template_of(changed, PICKLE).metadata.retries.retries == 1


@pytest.mark.parametrize("task", [shop.double, box], ids=lambda task: task.name)
def test_an_override_of_a_copy_is_the_job_s(task: Any) -> None:
    changed = pickled(task).override(env_vars={"A": "1"}, secrets="other")
    spec = record_of(changed, PICKLE).spec
    assert spec.environment == {"A": "1"}
    assert [secret.key for secret in spec.secrets] == ["other"]
    assert spec.image == record_of(task).spec.image


@pytest.mark.parametrize("task", [shop.double, box], ids=lambda task: task.name)
def test_an_override_may_name_another_config(task: Any) -> None:
    config = PerianConfig(cores=9, secret_group="mine", executor_image="registry.example.org/e:1")
    changed = task.override(plugin_config=config, env_vars={"A": "1"})
    assert type(changed) is type(task)
    assert record_of(changed).spec.config.cores == 9
    assert record_of(changed).spec.environment == {"A": "1"}
    template = template_of(changed)
    assert template.container.image == "registry.example.org/e:1"
    assert ("mine", "perian_token") in {(s.group, s.key) for s in template.security_context.secrets}


@pytest.mark.parametrize("task", [shop.double, box], ids=lambda task: task.name)
def test_an_override_is_checked(task: Any) -> None:
    with pytest.raises(DefinitionError, match="timeout: expected a time above 0, got -1"):
        task.override(timeout=-1)
    with pytest.raises(DefinitionError, match="shm: cannot be honoured"):
        task.override(resources=flyte.Resources(shm="1Gi"))


@pytest.mark.skipif(version("flyte").startswith("2.0."), reason="flyte 2.0 has no such override")
def test_a_plain_task_can_become_one_of_perian_s() -> None:
    changed = shop.total.override(plugin_config=PerianConfig(cores=3), env_vars={"A": "1"})
    spec = record_of(changed).spec
    assert (spec.config.cores, spec.image, spec.environment) == (3, "debian:12", {"A": "1"})
    assert template_of(changed).type == "perian_shim"


def version_of(task: Any) -> str:
    return str(template_of(task).metadata.discovery_version)


def test_a_cached_container_has_another_version_if_its_override_does_something_else() -> None:
    cached = box.override(cache="auto")
    assert version_of(cached.override(env_vars={"MODE": "slow"})) != version_of(cached)
    assert version_of(cached.override(retries=3)) == version_of(cached)
    assert version_of(cached.override(plugin_config=PerianConfig(cores=9))) == version_of(cached)


def test_two_containers_that_an_override_caches_have_versions_of_their_own() -> None:
    other = PerianContainerTask("shop.box", PerianConfig(cores=2), "debian:12", ["false"])
    flyte.TaskEnvironment.from_task("others", other)
    assert version_of(other.override(cache="auto")) != version_of(box.override(cache="auto"))


def test_what_is_shown_of_a_container_is_no_part_of_its_version() -> None:
    made = [
        PerianContainerTask(
            "shop.box", PerianConfig(cores=2), "debian:12", ["true"], cache="auto", report=report
        )
        for report in (True, False)
    ]
    flyte.TaskEnvironment.from_task("reports", *made[:1])
    flyte.TaskEnvironment.from_task("plain", *made[1:])
    assert version_of(made[0]) == version_of(made[1])


def test_a_version_that_is_given_by_hand_counts() -> None:
    assert version_of(box.override(cache=flyte.Cache("override", "v3"))) == "v3"
