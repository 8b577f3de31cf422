"""What is wrong with a container task is said where it is defined."""

import datetime
from dataclasses import dataclass
from typing import Any

import pytest
from flytekit import Cache, ImageSpec, Resources, Secret
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import TaskMetadata

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import DefinitionError

SETTINGS = SerializationSettings(
    image_config=PerianContainerTask.SERIALIZE_SETTINGS.image_config,
    project="p",
    domain="d",
    version="v",
)


def make(**arguments: Any) -> PerianContainerTask:
    given: dict[str, Any] = {
        "name": "t",
        "task_config": PerianConfig(cores=1),
        "image": "debian:12",
        "command": ["true"],
    }
    return PerianContainerTask(**{**given, **arguments})


def requests_of(task: PerianContainerTask) -> list[Secret]:
    assert task.security_context is not None
    return task.security_context.secrets or []


class Opaque:
    """A class that Flyte would pickle."""


@dataclass
class OtherConfig:
    cores: int = 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"command": ["echo", "{{.inputs.nmae}}"], "inputs": {"name": str}},
            "{{.inputs.nmae}}",
        ),
        ({"command": ["{{ inputs.nmae }}"], "inputs": {"name": str}}, "nmae"),
        ({"command": ["{{.outputPrefix}}"]}, "{{.outputPrefix}}"),
        ({"command": "echo hello"}, 'command: expected a list of texts like ["python"'),
        ({"command": []}, "command: expected at least one text"),
        ({"command": ["echo", 3]}, "command: expected a list of texts"),
        ({"arguments": "x"}, "arguments: expected a list of texts"),
        ({"image": ""}, "image: expected an image reference or an ImageSpec, got ''"),
        ({"image": "Debian 12"}, "image:"),
        ({"task_config": OtherConfig()}, "task_config: expected a perian_shim.PerianConfig, got"),
        ({"task_config": None}, "task_config: expected a perian_shim.PerianConfig, got"),
        ({"inputs": {"a/b": int}}, "inputs: 'a/b' cannot be a file name"),
        ({"outputs": {"..": int}}, "outputs: '..' cannot be a file name"),
        ({"outputs": {"x": Opaque}}, "outputs: 'x' has a type that Flyte would pickle"),
        ({"input_data_dir": "data"}, "input_data_dir: expected an absolute path"),
        ({"output_data_dir": "/var/../x"}, "output_data_dir: expected an absolute path"),
        ({"output_data_dir": "/"}, "output_data_dir: expected an absolute path"),
        ({"output_data_dir": "/var/inputs/out"}, "overlap"),
        ({"environment": {"A": 1}}, "environment: expected texts, got int for 'A'"),
        ({"environment": {"PERIAN_SHIM_KEY": "x"}}, "PERIAN_SHIM_KEY is set by perian-shim"),
        ({"secret_requests": [Secret(group="g")]}, "secret_requests: expected Secret(group"),
        ({"secret_requests": ["token"]}, "secret_requests: expected Secret(group"),
    ],
)
def test_a_wrong_argument_is_refused_naming_task_and_argument(
    arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(**arguments)
    assert "'t'" in str(caught.value)
    assert expected in str(caught.value)


def test_a_typo_in_a_template_names_the_known_inputs() -> None:
    with pytest.raises(DefinitionError) as caught:
        make(command=["{{.inputs.nmae}}"], inputs={"name": str, "size": int})
    assert "name" in str(caught.value)
    assert "size" in str(caught.value)


def test_the_task_type_is_one_that_no_connector_claims() -> None:
    assert make().task_type == "perian_shim"


def test_the_container_runs_pyflyte_execute_with_our_resolver_and_checkpoints() -> None:
    assert make().get_command(SETTINGS) == [
        "pyflyte-execute",
        "--inputs",
        "{{.input}}",
        "--output-prefix",
        "{{.outputPrefix}}",
        "--raw-output-data-prefix",
        "{{.rawOutputDataPrefix}}",
        "--checkpoint-path",
        "{{.checkpointOutputPrefix}}",
        "--prev-checkpoint",
        "{{.prevCheckpointPrefix}}",
        "--resolver",
        "perian_shim.executor.template_resolver",
        "--",
        "{{.taskTemplatePath}}",
        "perian_shim.executor.PerianExecutor",
    ]


def test_environment_goes_to_the_job_and_not_to_the_pod() -> None:
    task = make(environment={"MODE": "fast"})
    settings = SETTINGS.new_builder().build()
    settings.env = {"TEAM": "vision", "PERIAN_API_URL": "https://perian.example"}
    assert task.get_container(settings).env == settings.env
    assert task.job_spec(settings).environment == {"TEAM": "vision", "MODE": "fast"}


def test_settings_without_environment_do_not_crash() -> None:
    task = make(environment={"MODE": "fast"})
    assert task.get_container(PerianContainerTask.SERIALIZE_SETTINGS).env == {}


def test_the_credentials_are_requested_once() -> None:
    mine = Secret(group="perian", key="perian_token")
    task = make(secret_requests=[mine, Secret(group="g", key="k")])
    requested = [(secret.group, secret.key) for secret in requests_of(task)]
    assert requested == [
        ("perian", "perian_token"),
        ("g", "k"),
        ("perian", "perian_organization"),
    ]


def test_the_secret_group_can_be_another() -> None:
    task = make(task_config=PerianConfig(cores=1, secret_group="team-a"))
    assert {secret.group for secret in requests_of(task)} == {"team-a"}


def test_the_executor_image_is_argument_variable_or_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert make().get_image(SETTINGS).startswith("perian-shim-executor:")
    monkeypatch.setenv("PERIAN_SHIM_IMAGE", "registry:5000/shim:1")
    assert make().get_image(SETTINGS) == "registry:5000/shim:1"
    assert make(executor_image="mine:2").get_image(SETTINGS) == "mine:2"


def test_the_pod_asks_for_little_unless_told_otherwise() -> None:
    assert make().resources.requests.mem == "200Mi"
    assert make(requests=Resources(mem="1Gi")).resources.requests.mem == "1Gi"


def test_metadata_is_taken_as_other_flytekit_tasks_take_it() -> None:
    task = make(
        retries=3, timeout=60, interruptible=True, deprecated="use u", pod_template_name="p"
    )
    assert task.metadata == TaskMetadata(
        retries=3,
        timeout=datetime.timedelta(seconds=60),
        interruptible=True,
        deprecated="use u",
        pod_template_name="p",
    )


def test_metadata_can_be_given_as_a_whole() -> None:
    metadata = TaskMetadata(retries=7)
    assert make(metadata=metadata).metadata is metadata


def test_a_cache_version_is_taken_as_given() -> None:
    assert make(cache=True, cache_version="7").metadata.cache_version == "7"
    assert make(cache=Cache(version="8", serialize=True)).metadata.cache_serialize


def test_a_cache_without_version_changes_with_command_and_image_but_not_with_the_machine() -> None:
    def version(**arguments: Any) -> str:
        found = make(cache=True, **arguments).metadata.cache_version
        assert isinstance(found, str)
        return found

    assert version() == version(task_config=PerianConfig(cores=8))
    assert len({version(), version(command=["false"]), version(image="debian:13")}) == 3


def test_an_image_placeholder_is_resolved_when_serialized() -> None:
    task = make(image="{{.image.job.fqn}}:{{.image.job.version}}")
    images = ImageConfig(images=[Image("job", "example.org/job", "7")])
    settings = SerializationSettings(image_config=images, project="p", domain="d", version="v")
    assert task.job_spec(settings).image == "example.org/job:7"


def test_an_image_spec_that_is_built_already_is_used() -> None:
    spec = ImageSpec(name="example.org/job", base_image="example.org/base:1")
    images = ImageConfig(images=[Image(spec.id, "example.org/job", "built")])
    settings = SerializationSettings(image_config=images, project="p", domain="d", version="v")
    assert make(image=spec).job_spec(settings).image == "example.org/job:built"
