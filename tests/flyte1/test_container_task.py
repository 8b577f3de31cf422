"""What is wrong with a container task is said where it is defined."""

import datetime
from dataclasses import dataclass
from typing import Any

import flytekit
import pytest
from flytekit import ImageSpec, Resources, Secret
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.base_task import TaskMetadata
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from pydantic import BaseModel
from support.flytekit_versions import needs_cache

from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.errors import DefinitionError
from perian_shim.flyte1.resolver_container import job_environment

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


@dataclass
class Inner:
    file: FlyteFile


@dataclass
class WithFile:
    inner: Inner
    count: int = 0


@dataclass
class WithFolders:
    folders: list[FlyteDirectory]


class Model(BaseModel):
    file: FlyteFile


def secret(key: str, variable: str) -> Secret:
    by_variable = Secret.MountType.ENV_VAR
    return Secret(group="g", key=key, env_var=variable, mount_requirement=by_variable)


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
        ({"outputs": {"x": list[Opaque]}}, "outputs: 'x' has a type that Flyte would pickle"),
        ({"outputs": {"x": dict[str, Opaque]}}, "'x' has a type that Flyte would pickle"),
        ({"outputs": {"x": Opaque | None}}, "outputs: 'x' has a type that Flyte would pickle"),
        (
            {"outputs": {"x": WithFile}},
            "outputs: 'x' has a FlyteFile inside a dataclass, at inner.file",
        ),
        ({"outputs": {"x": list[WithFile]}}, "a FlyteFile inside a dataclass, at inner.file"),
        ({"inputs": {"x": WithFile | None}}, "inputs: 'x' has a FlyteFile inside a dataclass"),
        ({"inputs": {"x": WithFolders}}, "a FlyteDirectory inside a dataclass, at folders[]"),
        ({"inputs": {"x": Model}}, "a FlyteFile inside a dataclass, at file"),
        ({"outputs": {"x": list[FlyteFile | None]}}, "could not show which elements are None"),
        ({"input_data_dir": "data"}, "input_data_dir: expected an absolute path"),
        ({"output_data_dir": "/var/../x"}, "output_data_dir: expected an absolute path"),
        ({"output_data_dir": "/"}, "output_data_dir: expected an absolute path"),
        ({"output_data_dir": "/var/inputs/out"}, "overlap"),
        ({"input_data_dir": "/perian-shim"}, "input_data_dir: '/perian-shim' is within"),
        ({"output_data_dir": "/perian-shim/out"}, "is within /perian-shim"),
        ({"input_data_dir": "/proc/x"}, "is within /proc"),
        ({"input_data_dir": "/sys"}, "is within /sys"),
        ({"output_data_dir": "/dev/shm/out"}, "is within /dev"),
        ({"environment": {"A": 1}}, "environment: expected texts, got int for 'A'"),
        ({"environment": {"A=B": "x"}}, "expected a name without '=' and NUL, got 'A=B'"),
        ({"environment": {"": "x"}}, "expected a name without '=' and NUL, got ''"),
        ({"environment": {"A\0": "x"}}, "expected a name without '=' and NUL"),
        ({"environment": {"A": "x\0"}}, "A has a NUL or half a surrogate pair"),
        ({"environment": {"A": "\ud800"}}, "A has a NUL or half a surrogate pair"),
        ({"environment": {"PERIAN_SHIM_KEY": "x"}}, "PERIAN_SHIM_KEY is set by perian-shim"),
        ({"environment": {"PERIAN_SHIM_OWNER": "x"}}, "PERIAN_SHIM_OWNER is set by perian-shim"),
        ({"environment": {"FLYTE_ATTEMPT_NUMBER": "1"}}, "ATTEMPT_NUMBER is set by perian-shim"),
        ({"secret_requests": [Secret(group="g")]}, "secret_requests: expected Secret(group"),
        ({"secret_requests": ["token"]}, "secret_requests: expected Secret(group"),
        ({"secret_requests": [secret("k", "PERIAN_SHIM_KEY")]}, "are perian-shim's own"),
        (
            {"secret_requests": [secret("k", "FLYTE_INTERNAL_TASK_NAME")]},
            "FLYTE_INTERNAL_TASK_NAME is set by perian-shim",
        ),
        (
            {"environment": {"PW": "x"}, "secret_requests": [secret("k", "PW")]},
            "env_var 'PW' of g/k: environment= sets the same variable",
        ),
        (
            {"secret_requests": [secret("k", "PW"), secret("other", "PW")]},
            "env_var 'PW' of g/other: g/k has the same variable",
        ),
        ({"timeout": 0}, "timeout: expected whole seconds or a timedelta, above 0, got 0"),
        ({"timeout": -5}, "timeout: expected whole seconds"),
        ({"timeout": 1.5}, "timeout: expected whole seconds"),
        ({"timeout": datetime.timedelta(0)}, "timeout: expected whole seconds"),
        ({"metadata": TaskMetadata(timeout=-1)}, "timeout: expected whole seconds"),
        (
            {"metadata": TaskMetadata(), "retries": 3, "timeout": 5},
            "metadata: it says everything at once, so leave out ['retries', 'timeout']",
        ),
        ({"metadata": TaskMetadata(), "cache": True}, "leave out ['cache']"),
        ({"metadata": TaskMetadata(), "interruptible": False}, "leave out ['interruptible']"),
        ({"requests": Resources(cpu="much")}, "cpu: expected a quantity like 2, 500m"),
        (
            {"requests": Resources(mem="2Gi"), "limits": Resources(mem="1Gi")},
            "requests: mem='2Gi' is above the limit of '1Gi'",
        ),
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


THE_PODS = {
    "FLYTE_AWS_ENDPOINT": "http://minio.flyte:9000",
    "FLYTE_AWS_SECRET_ACCESS_KEY": "bucket-key",
    "AWS_ACCESS_KEY_ID": "bucket-id",
    "AWS_CA_BUNDLE": "/etc/ca.pem",
    "GOOGLE_APPLICATION_CREDENTIALS": "/etc/google.json",
    "AZURE_STORAGE_ACCOUNT_KEY": "azure-key",
    "_FSEC_PERIAN_PERIAN_TOKEN": "token",
    "_F_SS_C": "settings",
    "HTTPS_PROXY": "http://user:password@proxy:3128",
    "no_proxy": "10.0.0.0/8",
    "REQUESTS_CA_BUNDLE": "/etc/ca.pem",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "PERIAN_API_URL": "https://perian.example",
    "PERIAN_TOKEN": "token",
}


def registered_with(env: dict[str, str]) -> SerializationSettings:
    """The settings of ``pyflyte register --env``."""
    settings = SETTINGS.new_builder().build()
    settings.env = env
    return settings


def test_environment_goes_to_the_job_and_that_of_the_registration_to_the_pod() -> None:
    task = make(environment={"MODE": "fast"})
    settings = registered_with({"TEAM": "vision", **THE_PODS})
    assert task.get_container(settings).env == settings.env
    assert task.job_spec(settings).environment == {"MODE": "fast"}
    for value in ("bucket-key", "password", "ca.pem", "vision"):
        assert value not in str(task.get_custom(settings))


def test_of_the_registration_a_functions_job_gets_what_is_not_the_pods() -> None:
    settings = registered_with({"TEAM": "vision", "MODE": "slow", **THE_PODS})
    assert job_environment(settings, {"MODE": "fast"}) == {"TEAM": "vision", "MODE": "fast"}


def test_settings_without_environment_do_not_crash() -> None:
    task = make(environment={"MODE": "fast"})
    assert task.get_container(PerianContainerTask.SERIALIZE_SETTINGS).env == {}


def test_the_credentials_are_requested_once() -> None:
    mine = Secret(group="perian", key="perian_token")
    task = make(secret_requests=[mine, Secret(group="g", key="k")])
    requested = [(secret.group, secret.key) for secret in requests_of(task)]
    assert requested[:3] == [
        ("perian", "perian_token"),
        ("g", "k"),
        ("perian", "perian_organization"),
    ]
    assert len(set(requested)) == len(requested)


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


@pytest.mark.parametrize(
    ("arguments", "requests", "limits"),
    [
        ({}, ("100m", "200Mi"), ("1", "500Mi")),
        ({"requests": Resources(cpu="2", mem="2Gi")}, ("2", "2Gi"), ("2", "2Gi")),
        ({"requests": Resources(cpu=0.5)}, (0.5, "200Mi"), ("1", "500Mi")),
        ({"limits": Resources(cpu="50m", mem="100Mi")}, ("50m", "100Mi"), ("50m", "100Mi")),
        ({"limits": Resources(mem="1Gi")}, ("100m", "200Mi"), ("1", "1Gi")),
        (
            {"requests": Resources(cpu="1"), "limits": Resources(cpu="4", mem="1Gi")},
            ("1", "200Mi"),
            ("4", "1Gi"),
        ),
    ],
)
def test_no_request_of_the_pod_is_above_its_limit(
    arguments: dict[str, Any], requests: tuple[object, ...], limits: tuple[object, ...]
) -> None:
    found = make(**arguments).resources
    assert (found.requests.cpu, found.requests.mem) == requests
    assert (found.limits.cpu, found.limits.mem) == limits


def test_a_gpu_of_the_pod_is_requested_and_limited_alike() -> None:
    found = make(requests=Resources(gpu="1")).resources
    assert (found.requests.gpu, found.limits.gpu) == ("1", "1")
    assert make().resources.limits.gpu is None


def test_a_secret_may_be_requested_twice_under_its_variable() -> None:
    make(secret_requests=[secret("k", "PW"), secret("k", "PW")])


def test_a_plain_dataclass_is_taken() -> None:
    make(inputs={"x": OtherConfig}, outputs={"x": list[OtherConfig]})


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


@needs_cache
def test_what_a_cache_says_is_taken_as_given() -> None:
    made = make(cache=flytekit.Cache(version="8", serialize=True))
    assert made.metadata.cache_version == "8"
    assert made.metadata.cache_serialize


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


DETACHING = PerianConfig(cores=1, on_terminate="detach")


@pytest.mark.parametrize("more", [{}, {"metadata": TaskMetadata()}], ids=["plain", "metadata"])
def test_a_job_that_outlives_its_pod_needs_a_timeout(more: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"on_terminate='detach': expected a timeout="):
        make(task_config=DETACHING, **more)


@pytest.mark.parametrize("more", [{"timeout": 60}, {"metadata": TaskMetadata(timeout=60)}])
def test_a_job_that_is_bounded_may_outlive_its_pod(more: dict[str, Any]) -> None:
    assert make(task_config=DETACHING, **more).metadata.timeout == datetime.timedelta(minutes=1)
