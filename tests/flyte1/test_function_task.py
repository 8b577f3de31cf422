"""What ``@task(task_config=PerianConfig(…))`` makes of its arguments, and what it refuses."""

import asyncio
import datetime
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from flytekit import (
    Documentation,
    ImageSpec,
    PodTemplate,
    Resources,
    Secret,
    dynamic,
    task,
)
from flytekit.configuration import (
    FastSerializationSettings,
    Image,
    ImageConfig,
    SerializationSettings,
)
from flytekit.core.context_manager import FlyteEntities
from flytekit.core.python_function_task import PythonFunctionTask
from flytekit.core.task import TaskPlugins
from flytekit.extras.accelerators import A100, T4, GPUAccelerator
from flytekit.models.task import TaskTemplate
from support.flytekit_versions import (
    needs_decks_in_templates,
    needs_resources,
    needs_runtime_packages,
    needs_shared_memory,
    only,
)

from perian_shim import PerianConfig, PerianTask
from perian_shim.errors import DefinitionError
from perian_shim.sandbox.flyte.cluster import Cluster
from perian_shim.secret_keys import ACCESS_KEYS, REGISTRY_KEYS, REQUIRED_KEYS
from perian_shim.spec import FunctionWork, JobSpec

SETTINGS = SerializationSettings(
    image_config=ImageConfig(Image("default", "example.org/default", "1")),
    project="p",
    domain="d",
    version="v",
)
"""Without ``env``: it is None, as it is without ``--env``."""

CONFIG = PerianConfig(cores=1)

POD_TEMPLATE = PodTemplate(pod_spec=SimpleNamespace())  # V1PodSpec is in a package that is not here


def body(number: int) -> int:
    """Double a number."""
    return 2 * number


def make(**arguments: Any) -> PerianTask:
    made = task(body, **{"task_config": CONFIG, "container_image": "python:3.12", **arguments})
    assert isinstance(made, PerianTask)
    return made


def template_of(made: PerianTask) -> TaskTemplate:
    return Cluster(bucket="b", environment={}).serialize(made)


def spec_of(made: PerianTask) -> JobSpec:
    return JobSpec.from_custom(made.get_custom(SETTINGS))


def test_flytekits_decorator_makes_a_perian_task_of_the_config() -> None:
    assert TaskPlugins.find_pythontask_plugin(PerianConfig) is PerianTask
    assert isinstance(make(), PerianTask)


def test_the_task_type_is_one_that_no_connector_claims() -> None:
    assert template_of(make()).type == "perian_shim"


def test_the_job_loads_the_function_by_its_module_and_name() -> None:
    work = spec_of(make()).work
    assert isinstance(work, FunctionWork)
    assert work.resolver == "flytekit.core.python_auto_container.default_task_resolver"
    assert work.loader_args == ("task-module", __name__, "task-name", "body")


def test_a_task_is_one_entity_in_flytekits_registry() -> None:
    before = len(FlyteEntities.entities)
    made = make()
    assert FlyteEntities.entities[before:] == [made]


def test_names_in_flytekits_registry_are_unique() -> None:
    from support.functions import surroundings  # noqa: PLC0415 - loading it registers its tasks

    names = Counter(
        entity.name
        for entity in FlyteEntities.entities
        if getattr(entity, "name", "").startswith(surroundings.__name__)
    )
    assert names
    assert set(names.values()) == {1}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pod_template": POD_TEMPLATE}, "pod_template: cannot be honoured: a job is no pod"),
        *only(
            needs_shared_memory,
            [
                ({"shared_memory": True}, "shared_memory: cannot be honoured"),
                ({"shared_memory": "1Gi"}, "shared_memory: cannot be honoured"),
            ],
        ),
        ({"accelerator": A100.partition_1g_5gb}, "Perian rents whole GPUs, not '1g.5gb'"),
        ({"accelerator": GPUAccelerator("abacus")}, "got 'abacus'"),
        ({"requests": Resources(cpu="two")}, "cpu: expected a quantity like 2, 500m"),
        pytest.param(
            {"resources": Resources(cpu="1"), "requests": Resources(cpu="1")},
            "resources: expected no requests and no limits beside it",
            marks=needs_resources,
        ),
        ({"task_config": PerianConfig()}, "task_config: expected at least one of"),
        ({"environment": {"A": 1}}, "environment: expected texts, got int for 'A'"),
        ({"environment": {"PERIAN_SHIM_KEY": "x"}}, "PERIAN_SHIM_KEY is set by perian-shim"),
        ({"environment": {"PERIAN_SHIM_OWNER": "x"}}, "PERIAN_SHIM_OWNER is set by perian-shim"),
        ({"environment": {"FLYTE_ATTEMPT_NUMBER": "1"}}, "ATTEMPT_NUMBER is set by perian-shim"),
        ({"secret_requests": [Secret(group="g")]}, "secret_requests: expected Secret(group"),
    ],
)
def test_what_cannot_be_honoured_is_refused_naming_task_and_argument(
    arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(**arguments)
    assert "'body'" in str(caught.value)
    assert expected in str(caught.value)


def test_a_dynamic_function_is_refused() -> None:
    with pytest.raises(DefinitionError, match="runs in the cluster"):
        dynamic(body, task_config=CONFIG, container_image="python:3.12")


def test_settings_without_environment_do_not_crash() -> None:
    made = make(environment={"MODE": "fast"})
    assert SETTINGS.env is None
    assert made.get_container(SETTINGS).env == {}
    assert spec_of(made).environment == {"MODE": "fast"}


def test_the_registrations_environment_is_the_pods_and_the_jobs() -> None:
    made = make(environment={"MODE": "fast"})
    settings = SETTINGS.new_builder().build()
    settings.env = {"TEAM": "vision", "PERIAN_API_URL": "https://perian.example"}
    assert made.get_container(settings).env == settings.env
    spec = JobSpec.from_custom(made.get_custom(settings))
    assert spec.environment == {"TEAM": "vision", "MODE": "fast"}


def test_requirements_are_taken_from_flytekits_arguments_where_the_config_leaves_them_open() -> (
    None
):
    made = make(
        task_config=PerianConfig(memory="64"),
        requests=Resources(cpu="3500m", mem="1Gi", gpu="2"),
        accelerator=T4,
    )
    assert spec_of(made).config == PerianConfig(
        cores=4, memory="64", accelerators=2, accelerator_type="NVIDIA_T4_16"
    )


def test_the_pod_stays_small_whatever_the_job_asks_for() -> None:
    made = make(requests=Resources(cpu="64", mem="512Gi", gpu="8"), accelerator=A100)
    template = template_of(made)
    asked = {entry.name: entry.value for entry in template.container.resources.requests}
    assert set(asked.values()) == {"100m", "200Mi"}
    assert not template.extended_resources


def test_flytes_own_arguments_stay_flytes() -> None:
    made = make(
        cache=True,
        cache_version="1",
        retries=3,
        timeout=datetime.timedelta(minutes=5),
        docs=Documentation(short_description="Doubles."),
    )
    metadata = template_of(made).metadata
    assert metadata.discoverable
    assert metadata.discovery_version == "1"
    assert metadata.retries.retries == 3
    assert metadata.timeout == datetime.timedelta(minutes=5)
    assert made.docs is not None


@needs_decks_in_templates
def test_whether_there_is_a_deck_stays_flytes() -> None:
    assert template_of(make(enable_deck=True)).metadata.generates_deck


def test_the_jobs_image_is_the_tasks_and_the_pods_is_ours() -> None:
    made = make()
    assert spec_of(made).image == "python:3.12"
    assert made.get_container(SETTINGS).image.startswith("perian-shim-executor:")


def test_without_an_image_the_registrations_default_is_the_jobs() -> None:
    assert spec_of(make(container_image=None)).image == "example.org/default:1"


def test_an_image_by_flytekits_template_is_filled_in() -> None:
    made = make(container_image="{{.image.default.fqn}}:{{.image.default.version}}")
    assert spec_of(made).image == "example.org/default:1"


@needs_runtime_packages
def test_packages_of_an_image_spec_that_are_installed_at_run_time_reach_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = ImageSpec(name="x", base_image="python:3.12", runtime_packages=["a", "b"])
    made = make(container_image=image)
    monkeypatch.setattr(made, "get_image", lambda _settings: "example.org/built:1")
    assert "a b" in spec_of(made).environment.values()


def test_the_storages_keys_are_requested_beside_perians() -> None:
    template = template_of(make(secret_requests=[Secret(group="shop", key="pin")]))
    requested = [(secret.group, secret.key) for secret in template.security_context.secrets]
    keys = [*REQUIRED_KEYS, *REGISTRY_KEYS, *ACCESS_KEYS]
    assert requested == [("shop", "pin"), *(("perian", key) for key in keys)]


def test_only_the_users_own_secrets_are_forwarded() -> None:
    made = make(secret_requests=[Secret(group="shop", key="pin")])
    assert [(secret.group, secret.key) for secret in spec_of(made).secrets] == [("shop", "pin")]


def test_custom_is_the_same_for_the_same_task() -> None:
    assert make().get_custom(SETTINGS) == make().get_custom(SETTINGS)


FAST = FastSerializationSettings(
    enabled=True, destination_dir="/app", distribution_location="s3://b/code.tar.gz"
)


@pytest.mark.parametrize(
    ("fast", "expected"),
    [
        (None, []),
        (FAST, ["distribution", "s3://b/code.tar.gz", "destination", "/app"]),
        (
            FastSerializationSettings(enabled=True),
            ["distribution", "{{ .remote_package_path }}", "destination", "{{ .dest_dir }}"],
        ),
        (FastSerializationSettings(enabled=False, distribution_location="s3://b/x"), []),
    ],
    ids=["in the image", "fast", "packaged", "off"],
)
def test_where_the_code_is_stands_in_the_containers_arguments(
    fast: FastSerializationSettings | None, expected: list[str]
) -> None:
    settings = SETTINGS.new_builder().with_fast_serialization_settings(fast).build()
    arguments = make().get_container(settings).args
    assert arguments[arguments.index("perian_shim.executor.PerianExecutor") + 1 :] == expected


def test_a_call_without_a_backend_runs_the_function_here() -> None:
    assert make()(number=4) == 8


def test_a_call_of_a_coroutine_function_is_awaited_as_with_flytekit() -> None:
    async def later(number: int) -> int:
        return 2 * number

    made: Any = task(later, task_config=CONFIG, container_image="python:3.12")
    assert asyncio.run(made(number=4)) == 8


def test_the_function_can_be_had_and_called_as_it_is() -> None:
    made = make()
    assert isinstance(made, PythonFunctionTask)
    assert made.task_function is body


def test_a_job_that_outlives_its_pod_needs_a_timeout() -> None:
    detaching = PerianConfig(cores=1, on_terminate="detach")
    with pytest.raises(DefinitionError, match=r"on_terminate='detach': expected a timeout="):
        make(task_config=detaching)
    assert make(task_config=detaching, timeout=60) is not None
