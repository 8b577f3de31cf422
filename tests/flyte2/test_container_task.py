"""A container task of Flyte 2: what its template says, and what may be changed of it."""

import flyte
import pytest
from flyte.io import File
from support.flyte2 import record_of, template_of
from support.flyte2_functions.values import Point

from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import PerianConfig, PerianContainerTask
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.spec import ContainerWork

COUNT = ["sh", "-c", "wc -w < /var/inputs/text > /var/outputs/words", "{{.inputs.factor}}"]


def counted(**changes: object) -> PerianContainerTask:
    given: dict[str, object] = {
        "name": "shop.count",
        "plugin_config": PerianConfig(cores=2),
        "image": "debian:12",
        "command": COUNT,
        "inputs": {"text": File, "factor": int},
        "outputs": {"words": int, "point": Point},
        **changes,
    }
    return PerianContainerTask(**given)  # type: ignore[arg-type]  # as users write it


def in_environment(*tasks: PerianContainerTask) -> flyte.TaskEnvironment:
    return flyte.TaskEnvironment.from_task("shop", *tasks)


def test_its_record_says_what_to_run() -> None:
    task = counted(env_vars={"A": "1"}, timeout=60, resources=flyte.Resources(gpu="T4:1"))
    in_environment(task)
    record = record_of(task)
    assert record.spec.work == ContainerWork(tuple(COUNT))
    assert record.spec.image == "debian:12"
    assert record.spec.environment == {"A": "1"}
    assert record.timeout_seconds == 60
    assert (record.spec.config.cores, record.spec.config.accelerator_type) == (2, "NVIDIA_T4_16")
    assert (set(record.inputs), set(record.outputs)) == ({"text", "factor"}, {"words", "point"})


def test_its_pod_is_ours() -> None:
    task = counted(env_vars={"A": "1"}, retries=2, report=True)
    in_environment(task)
    template = template_of(task)
    assert template.type == "perian_shim"
    assert template.container.image.startswith("perian-shim-executor:")
    assert not template.container.env
    assert template.metadata.retries.retries == 2
    filled = [w.replace("{{.", "s3://b/").replace("}}", "") for w in template.container.args]
    invocation = ActionInvocation.from_command(filled)
    assert invocation is not None
    assert invocation.options.code == ""
    assert record_of(task).spec.deck is True


def test_several_tasks_can_be_in_one_environment() -> None:
    environment = in_environment(counted(), counted(name="shop.other", image="alpine:3"))
    assert set(environment.tasks) == {"shop.count", "shop.other"}


def test_an_image_may_be_an_object() -> None:
    task = counted(image=flyte.Image.from_base("registry.example.org/x:1"))
    in_environment(task)
    assert record_of(task).spec.image == "registry.example.org/x:1"


def test_an_override_is_the_jobs() -> None:
    task = counted(env_vars={"A": "1"})
    in_environment(task)
    changed = task.override(env_vars={"B": "2"}, timeout=5, resources=flyte.Resources(disk="9Gi"))
    record = record_of(changed)
    assert record.spec.environment == {"B": "2"}
    assert (record.timeout_seconds, record.spec.config.os_storage_size) == (5, 9)
    assert record.spec.work == ContainerWork(tuple(COUNT))
    assert record_of(task).spec.environment == {"A": "1"}


def version_of(**changes: object) -> str:
    task = counted(cache="auto", **changes)
    in_environment(task)
    return str(template_of(task).metadata.discovery_version)


@pytest.mark.parametrize(
    "change", [{"image": "debian:13"}, {"command": ["true"]}, {"env_vars": {"A": "1"}}]
)
def test_a_cached_task_has_a_version_of_what_it_does(change: dict[str, object]) -> None:
    assert version_of(**change) != version_of()


@pytest.mark.parametrize("change", [{"plugin_config": PerianConfig(cores=9)}, {"retries": 3}])
def test_and_not_of_where_it_runs(change: dict[str, object]) -> None:
    assert version_of(**change) == version_of()


def test_a_plain_call_says_how_it_is_run() -> None:
    with pytest.raises(DefinitionError, match=r"a container is run by flyte\.run"):
        counted().forward()
