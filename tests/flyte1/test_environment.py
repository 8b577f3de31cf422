"""An environment makes of its settings the arguments of flytekit's tasks, and nothing else."""

import asyncio
import functools
import inspect
from collections import OrderedDict
from datetime import timedelta
from typing import Any

import flytekit
import pytest
from flytekit import Secret
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable
from support.functions import environments

from perian_shim import PerianConfig, PerianEnvironment, PerianTask, Resources, RetryStrategy
from perian_shim.definition.records import Timeout
from perian_shim.errors import ConfigError, DefinitionError
from perian_shim.spec import JobSpec

SETTINGS = SerializationSettings(
    ImageConfig(Image("default", "registry.example.org/default", "1")),
    project="p",
    domain="d",
    version="v",
)


def template_of(task: Any) -> Any:
    made: Any = get_serializable(OrderedDict(), SETTINGS, task)
    return made.template.to_flyte_idl()


def spec_of(task: Any) -> JobSpec:
    return JobSpec.from_custom(dict(task.get_custom(SETTINGS)))


def test_a_function_is_the_task_that_is_made_by_hand() -> None:
    made, by_hand = (
        template_of(each) for each in (environments.double, environments.double_by_hand)
    )
    name = by_hand.id.name
    assert made.id.name == name.removesuffix("_by_hand")
    for template in (made, by_hand):
        template.id.name = ""
        template.custom["loader_args"].values[-1].string_value = ""
    assert made == by_hand


def test_a_container_is_the_task_that_is_made_by_hand() -> None:
    assert template_of(environments.count) == template_of(environments.count_by_hand)


def test_a_function_stays_a_function() -> None:
    assert environments.double(x=2) == 4
    assert isinstance(environments.double, PerianTask)


def test_a_coroutine_function_is_one() -> None:
    assert asyncio.run(environments.late(x=2)) == 2


def test_what_a_task_names_wins_over_the_environment() -> None:
    spec, template = spec_of(environments.late), template_of(environments.late)
    assert spec.config.accelerator_type == "NVIDIA_T4_16"
    assert (spec.config.cores, spec.config.country_code) == (None, "DE")
    assert spec.environment == {}
    assert template.metadata.retries.retries == 0
    assert template.metadata.timeout.seconds == 300


def test_a_clone_inherits_what_it_does_not_name() -> None:
    other = environments.env.clone_with("other", env_vars={"A": "1"}, retries=5)
    assert (other.name, other.image, other.env_vars) == ("other", "python:3.12", {"A": "1"})
    assert (other.retries, other.limits) == (5, environments.env.limits)
    assert other.config() == environments.env.config()
    assert environments.env.env_vars == {"MODE": "fast"}


@pytest.mark.parametrize(
    ("given", "limits"),
    [(5, Timeout(5, 60)), (Timeout(5), Timeout(5)), (0, Timeout(None, 60)), (None, Timeout())],
)
def test_a_time_leaves_the_limit_of_the_queue_a_timeout_replaces_both(
    given: Any, limits: Timeout
) -> None:
    assert environments.env.clone_with("other", timeout=given).limits == limits


def test_it_stays_as_it_was_when_whoever_made_it_changes_their_dict() -> None:
    variables = {"A": "1"}
    env = PerianEnvironment("e", env_vars=variables)
    variables["A"] = "2"
    assert env.env_vars == {"A": "1"}


def test_the_config_of_a_node_differs_in_what_it_names() -> None:
    config = environments.env.config(resources=Resources(gpu="A100:2"))
    assert (config.accelerators, config.accelerator_type) == (2, "NVIDIA_A100_40")
    assert (config.cores, config.max_queued_seconds) == (None, 60)


def test_everything_of_a_config_can_be_set() -> None:
    assert PerianEnvironment(
        "all",
        resources=Resources(cpu=2, mem="4Gi", gpu=1, disk="100Gi"),
        country_code="DE",
        provider="OTC",
        max_price_per_hour=2,
        instance_type_id="1f0c1f4e-6a57-4c5e-8d9a-0f1e2d3c4b5a",
        on_terminate="detach",
        secret_group="team",
        executor_image="registry.example.org/x:1",
        storage_access="scoped",
        reads=["s3://b/r/"],
        writes=["s3://b/w/"],
        allow_short_access=True,
        timeout=Timeout(max_queued_time=timedelta(minutes=1)),
    ).config() == PerianConfig(
        cores=2,
        memory=4,
        accelerators=1,
        os_storage_size=100,
        country_code="DE",
        provider="OTC",
        max_price_per_hour=2,
        instance_type_id="1f0c1f4e-6a57-4c5e-8d9a-0f1e2d3c4b5a",
        on_terminate="detach",
        secret_group="team",
        executor_image="registry.example.org/x:1",
        storage_access="scoped",
        reads=("s3://b/r/",),
        writes=("s3://b/w/",),
        allow_short_access=True,
        max_queued_time=timedelta(minutes=1),
    )


ANY: dict[Any, Any] = {each: each for each in (Resources, Timeout, RetryStrategy)}
"""The records, for arguments of wrong types."""

ENV = PerianEnvironment("e", image="debian:12", resources=Resources(cpu=1))


def test_a_cached_function_has_a_version_of_its_source() -> None:
    def one(x: int) -> int:
        return x

    def two(x: int) -> int:
        return x + 1

    versions = set()
    for function in (one, two):
        made: Any = ENV.task(cache="auto", task_resolver=environments.double.task_resolver)(  # type: ignore[attr-defined]  # it is a task
            function
        )
        assert made.metadata.cache
        versions.add(made.metadata.cache_version)
    assert len(versions) == 2


def test_a_cached_container_has_a_version_of_what_it_does() -> None:
    first, second = (
        ENV.container_task("c", command=[word], cache="auto").metadata for word in ("a", "b")
    )
    assert first.cache
    assert first.cache_version != second.cache_version


def test_other_arguments_of_a_task_are_passed_on() -> None:
    task = ENV.container_task("c", command=["a"], input_data_dir="/in", deprecated="old")
    assert spec_of(task).work.input_data_dir == "/in"  # type: ignore[union-attr]  # a container
    assert task.metadata.deprecated == "old"


def test_a_description_documents_what_has_no_docstring() -> None:
    task = ENV.container_task("c", command=["a"], description="Counts.")
    assert task.docs is not None
    assert task.docs.short_description == "Counts."


@pytest.mark.parametrize(
    ("settings", "message", "is_type"),
    [
        ({"reusable": True}, "reusable: cannot be honoured: a job is one container", False),
        ({"queue": "q"}, "queue: cannot be honoured", False),
        ({"triggers": ()}, "triggers: cannot be honoured", False),
        ({"pod_template": object()}, "pod_template: cannot be honoured: a job is no pod", False),
        ({"depends_on": []}, "depends_on: cannot be honoured", False),
        ({"shm": "1Gi"}, "shm: cannot be honoured", False),
        ({"resource": 1}, "unknown setting 'resource'; did you mean 'resources'?", True),
        ({"zzz": 1}, "unknown setting 'zzz'; there are name, image", True),
        ({"image": 3}, "image: expected an image reference or an ImageSpec, got int", True),
        (
            {"resources": flytekit.Resources(cpu="1")},
            "resources: expected a perian_shim.Resources",
            True,
        ),
        ({"env_vars": ["A"]}, "env_vars: expected a dict of texts, got list", True),
        ({"secrets": Secret("g", "k")}, "secrets: expected a list of flytekit.Secret", True),
        ({"secrets": ["k"]}, "secrets: expected a list of flytekit.Secret, got str", True),
        ({"retries": "3"}, "retries: expected a number or a RetryStrategy, got str", True),
        ({"retries": True}, "retries: expected a number or a RetryStrategy, got bool", True),
        ({"retries": -1}, "retries: expected 0 or more, got -1", False),
        ({"timeout": "1h"}, "timeout: expected seconds, a timedelta or a Timeout, got str", True),
        ({"cache": 3}, "cache: expected 'auto', 'disable' or a flytekit.Cache", True),
        ({"report": "yes"}, "report: expected True or False, got str", True),
        ({"country_code": "Germany"}, "country_code: expected two letters", False),
        ({"on_terminate": "stop"}, "on_terminate: expected 'cancel' or 'detach'", False),
        ({"country_code": 49}, "country_code: expected two letters", True),
        ({"provider": 1}, "provider: expected text", True),
        ({"max_price_per_hour": [1]}, "max_price_per_hour: expected a price", True),
        ({"allow_short_access": 1}, "allow_short_access: expected True or False", True),
        ({"reads": 3}, "reads: expected URIs of folders", True),
        ({"executor_image": 3}, "executor_image: expected an image reference", True),
        ({"on_terminate": ["cancel"]}, "on_terminate: expected 'cancel' or 'detach'", True),
        ({"cache": flytekit.Cache}, "cache: expected 'auto', 'disable' or a flytekit.Cache", True),
        ({"image": "BAD IMAGE"}, "image: ", False),
        ({"container_image": "x"}, "container_image is not a setting of environments: write", True),
        ({"accelerator": 1}, "write resources=Resources(gpu=…)", True),
        ({"cache_serialize": True}, "write cache=flytekit.Cache(serialize=…)", True),
        ({"max_inline_io_bytes": 3}, "tasks' pods: PERIAN_MAX_OUTPUT_BYTES", False),
    ],
)
def test_what_cannot_work_is_refused_naming_environment_setting_and_reason(
    settings: dict[str, Any], message: str, is_type: bool
) -> None:
    kind: Any = PerianEnvironment
    for make in (kind, ENV.clone_with):
        with pytest.raises(DefinitionError) as caught:
            make("shop", **settings)
        assert str(caught.value).startswith("PerianEnvironment 'shop': ")
        assert message in str(caught.value)
        assert isinstance(caught.value, TypeError) == is_type


def test_its_settings_can_be_seen_in_its_signature() -> None:
    parameters = inspect.signature(PerianEnvironment).parameters
    assert parameters["timeout"].annotation == "int | timedelta | Timeout | None"
    assert parameters["timeout"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["name"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image": "other:2"}, "config(image=…) would be lost: define another task"),
        ({"env_vars": {}}, "config(env_vars=…) would be lost"),
        ({"retries": 2}, "config(retries=…) would be lost: write with_overrides(retries=…)"),
        ({"timeout": 77}, "config(timeout=…): expected Timeout(max_queued_time=…)"),
        ({"timeout": Timeout(7, 6)}, "is said by with_overrides(timeout=…)"),
        ({"name": "x"}, "unknown setting 'name'"),
    ],
)
def test_what_the_config_of_a_node_cannot_carry_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        environments.env.config(**settings)
    assert message in str(caught.value)


def test_the_config_of_a_node_can_limit_its_wait() -> None:
    config = environments.env.config(timeout=Timeout(max_queued_time=5))
    assert config.max_queued_seconds == 5


@pytest.mark.parametrize("name", ["", "a b", "ü", "a/b", "1"])
def test_names_are_such_that_flyte_can_use_them(name: str) -> None:
    with pytest.raises(DefinitionError, match="expected letters, digits"):
        PerianEnvironment(name)
    with pytest.raises(DefinitionError, match="expected letters, digits"):
        ENV.container_task(name, command=["a"])


@pytest.mark.parametrize("function", [len, functools.partial(len, ""), int, 3])
def test_only_functions_are_made_tasks(function: Any) -> None:
    with pytest.raises(DefinitionError, match="task: expected a function"):
        ENV.task(cache="auto")(function)


@pytest.mark.parametrize("settings", [{"reusable": True}, {"retry": 1}, {"timeout": "1h"}])
def test_a_task_s_own_settings_are_checked_as_well(settings: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        ENV.task(**settings)(environments.double_by_hand.task_function)
    with pytest.raises(DefinitionError):
        ENV.container_task("c", command=["a"], **settings)


def test_a_container_needs_an_image() -> None:
    with pytest.raises(DefinitionError, match="c: image: expected an image reference, got none"):
        PerianEnvironment("e", resources=Resources(cpu=1)).container_task("c", command=["a"])


@pytest.mark.parametrize(
    ("make", "message", "is_type"),
    [
        (lambda: ANY[Resources](cpu=(1, 2)), "cpu: cannot be honoured: a machine is rented", False),
        (lambda: ANY[Resources](mem=("1Gi", "2Gi")), "mem: cannot be honoured", False),
        (lambda: ANY[Resources](cpu="many"), "cpu: expected a quantity", False),
        (
            lambda: ANY[Resources](cpu=True),
            "cpu: expected a quantity like 2 or '16Gi', got bool",
            True,
        ),
        (lambda: ANY[Resources](mem=16), "mem: 16 is in bytes; for gigabytes write '16Gi'", False),
        (lambda: ANY[Resources](shm="1Gi"), "shm: cannot be honoured", False),
        (lambda: ANY[Resources](disk="0Gi"), "disk: expected more than nothing", False),
        (lambda: ANY[Resources](gpu="A1000"), "did you mean 'A100'", False),
        (lambda: ANY[Resources](gpu=1.5), "gpu: expected a number or text", True),
        (lambda: ANY[Timeout](deadline=5), "deadline: cannot be honoured", False),
        (lambda: ANY[Timeout](max_runtime=0), "max_runtime: expected a time above 0", False),
        (lambda: ANY[Timeout](max_queued_time="1h"), "expected whole seconds or a timedelta", True),
        (lambda: ANY[RetryStrategy](3, backoff=10), "backoff: cannot be honoured", False),
        (lambda: ANY[RetryStrategy](1.5), "count: expected a whole number, got float", True),
        (lambda: ANY[RetryStrategy](-1), "count: expected 0 or more", False),
    ],
)
def test_a_record_says_what_it_cannot_be(make: Any, message: str, is_type: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert message in str(caught.value)
    assert isinstance(caught.value, TypeError) == is_type


@pytest.mark.parametrize(
    ("resources", "cores", "memory"),
    [
        (Resources(cpu=0.5, mem="512Mi"), 1, 1),
        (Resources(cpu="1500m", mem=3 * 1024**3), 2, 3),
        (Resources(cpu="2", mem="16GiB"), 2, 16),
    ],
)
def test_quantities_are_rounded_up_to_what_can_be_rented(
    resources: Resources, cores: int, memory: int
) -> None:
    assert (resources.cores, resources.memory) == (cores, memory)
