"""What a node's ``with_overrides`` asks for concerns that node, or is refused."""

import datetime
import re
import warnings
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from flytekit import PodTemplate, Resources, dynamic, map_task, task, workflow
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.node_creation import create_node
from flytekit.extras.accelerators import A100
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable
from support.flytekit_versions import needs_resources, needs_shared_memory, only

from perian_shim import PerianConfig, PerianContainerTask, PerianTask, PerianWarning
from perian_shim.definition.records import RetryStrategy, Timeout
from perian_shim.errors import DefinitionError
from perian_shim.spec import JobSpec

SETTINGS = SerializationSettings(
    image_config=ImageConfig(Image("default", "example.org/default", "1")),
    project="p",
    domain="d",
    version="v",
)
CONFIG = PerianConfig(cores=1, memory="2")
POD_TEMPLATE = PodTemplate(pod_spec=SimpleNamespace())  # V1PodSpec is in a package that is not here
BIG = PerianConfig(cores=8, accelerators=1)


def body(number: int) -> int:
    """Double a number."""
    return 2 * number


def function_task(**arguments: Any) -> PerianTask:
    given = {"task_config": CONFIG, "container_image": "python:3.12", **arguments}
    made = task(body, **given)
    assert isinstance(made, PerianTask)
    return made


def container_task(**arguments: Any) -> PerianContainerTask:
    return PerianContainerTask(
        "t",
        image="python:3.12",
        command=["true"],
        inputs={"number": int},
        outputs={"o0": int},
        **{"task_config": CONFIG, **arguments},
    )


AnyTask = PerianTask | PerianContainerTask
KINDS = pytest.mark.parametrize("make", [function_task, container_task])


def nodes(made: AnyTask, *overrides: dict[str, Any]) -> Any:
    """Return the compiled nodes of a workflow with a call for each of the overrides."""

    @workflow
    def flow() -> None:
        for given in overrides:
            promise: Any = made(number=1)
            if given:
                promise.with_overrides(**given)

    compiled: Any = flow
    return compiled.nodes


def registered(made: AnyTask, *overrides: dict[str, Any]) -> list[tuple[str, JobSpec]]:
    """Return the task's name and record of each node, as registering the workflow stores them."""
    found = []
    for node in nodes(made, *overrides):
        spec = get_serializable(OrderedDict(), SETTINGS, node.flyte_entity)
        assert isinstance(spec, TaskSpec)
        found.append((spec.template.id.name, JobSpec.from_custom(spec.template.custom)))
    return found


@KINDS
def test_a_nodes_config_is_that_nodes_alone(make: Any) -> None:
    made = make()
    before, other, after = registered(made, {}, {"task_config": BIG}, {})
    assert before == after
    assert (before[1].config, other[1].config) == (CONFIG, BIG)
    assert re.fullmatch(re.escape(made.name) + "_[0-9a-f]{8}", other[0])
    assert other[1].work == before[1].work


@KINDS
def test_it_is_that_nodes_alone_also_if_the_task_has_been_serialized_before(make: Any) -> None:
    made = make()
    get_serializable(OrderedDict(), SETTINGS, made)
    assert registered(made, {"task_config": BIG})[0][1].config == BIG
    assert made.task_config == CONFIG


@KINDS
def test_nodes_that_ask_for_the_same_share_one_task(make: Any) -> None:
    made = make()
    first, second, third = nodes(made, *[{"task_config": BIG}] * 2, {"task_config": CONFIG})
    assert first.flyte_entity is second.flyte_entity
    assert third.flyte_entity is made


@KINDS
def test_the_last_override_of_a_node_counts(make: Any) -> None:
    made = make()

    @workflow
    def flow() -> None:
        node = create_node(made, number=1)
        node.with_overrides(task_config=BIG)
        node.with_overrides(task_config=PerianConfig(cores=3))

    compiled: Any = flow
    entity = compiled.nodes[0].flyte_entity
    assert entity.task_config == PerianConfig(cores=3)
    assert entity.name == made.variant(PerianConfig(cores=3)).name


def test_what_flytekits_arguments_ask_for_fills_up_a_nodes_config_too() -> None:
    made = function_task(requests=Resources(mem="4Gi"))
    [(_, spec)] = registered(made, {"task_config": PerianConfig(cores=8)})
    assert spec.config == PerianConfig(cores=8, memory="4")


def test_a_node_within_a_dynamic_is_compiled_with_its_own_config() -> None:
    made = function_task()

    def fan_out() -> None:
        promise: Any = made(number=1)
        promise.with_overrides(task_config=BIG)

    context = FlyteContextManager.current_context()
    settings = context.with_serialization_settings(SETTINGS)
    mode = context.new_execution_state().Mode.TASK_EXECUTION
    with FlyteContextManager.with_context(settings) as ready:
        state = ready.new_execution_state().with_params(mode=mode)
        with FlyteContextManager.with_context(ready.with_execution_state(state)) as inside:
            made_dynamic: Any = dynamic(fan_out)
            job = made_dynamic.compile_into_workflow(inside, fan_out)
    [template] = job.tasks
    assert JobSpec.from_custom(template.custom).config == BIG


@KINDS
@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (PerianConfig(), "task_config: expected at least one of"),
        (PerianConfig(cores=1, secret_group="other"), "secret_group cannot be overridden"),
        (PerianConfig(cores=1, on_terminate="detach"), "expected a timeout="),
        ("big", "expected a perian_shim.PerianConfig, got builtins.str"),
    ],
)
def test_a_nodes_config_that_cannot_be_honoured_is_refused(
    make: Any, config: object, expected: str
) -> None:
    with pytest.raises(DefinitionError, match=expected):
        nodes(make(), {"task_config": config})


def test_a_map_tasks_node_is_refused_instead_of_changing_all() -> None:
    made = function_task()

    @workflow
    def flow() -> list[int]:
        promise: Any = map_task(made)(number=[1, 2])
        result: list[int] = promise.with_overrides(task_config=BIG)
        return result

    compiled: Any = flow
    with pytest.raises(DefinitionError, match="Define a second task for it"):
        len(compiled.nodes)
    assert made.task_config == CONFIG


@KINDS
@pytest.mark.parametrize(
    ("override", "right"),
    [
        ({"container_image": "python:3.13"}, "PerianConfig(executor_image=…)"),
        ({"pod_template": POD_TEMPLATE}, "the job is no pod"),
        ({"accelerator": A100}, "PerianConfig(accelerator_type=…)"),
        *only(needs_shared_memory, [({"shared_memory": True}, "Perian has no such setting")]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_change_the_pod_instead_of_the_job_is_refused(
    make: Any, override: dict[str, Any], right: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        nodes(make(), override)
    assert f"with_overrides({next(iter(override))}=…) is refused" in str(caught.value)
    assert right in str(caught.value)


@KINDS
@pytest.mark.parametrize(
    ("override", "why"),
    [
        ({"image": "x"}, "would be ignored: a node can override node_name, aliases"),
        ({"env_vars": {}}, "would be ignored"),
        ({"timeout": Timeout(10)}, "not a Timeout of perian_shim"),
        ({"retries": RetryStrategy(1)}, "not a RetryStrategy of perian_shim"),
        ({"retries": -1}, "takes a number from 0, got -1"),
        ({"retries": "a"}, "takes a number from 0, got 'a'"),
        ({"timeout": -1}, "takes no negative time: -1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_flytekit_would_swallow_or_misread_is_refused(
    make: Any, override: dict[str, Any], why: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        nodes(make(), override)
    assert f"with_overrides({next(iter(override))}=…)" in str(caught.value)
    assert why in str(caught.value)


REQUESTS = {"requests": Resources(cpu="2")}


@pytest.mark.parametrize(
    ("override", "pod"),
    [
        (REQUESTS, True),
        ({"limits": Resources(cpu="2")}, True),
        *only(needs_resources, [({"resources": Resources(cpu="2")}, True)]),
    ],
)
def test_resources_of_a_function_tasks_node_are_said_to_be_the_pods(
    override: Any, pod: bool
) -> None:
    with pytest.warns(PerianWarning, match="concerns the task's own small pod, not the job"):
        [node] = nodes(function_task(), override)
    assert (node._resources is not None) is pod


def test_resources_of_a_container_tasks_node_are_the_pods_as_the_tasks_own_are() -> None:
    [node] = nodes(container_task(), REQUESTS)
    assert node._resources is not None


@KINDS
def test_flytes_own_overrides_stay_flytes(make: Any) -> None:
    override = {"retries": 3, "timeout": 60, "interruptible": True, "node_name": "mine"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [node] = nodes(make(timeout=60), override)
    assert (node.metadata.retries.retries, node.metadata.interruptible) == (3, True)
    assert (node.metadata.timeout, node.id) == (datetime.timedelta(minutes=1), "mine")


@KINDS
def test_a_nodes_timeout_that_the_job_does_not_get_is_warned_of(make: Any) -> None:
    with pytest.warns(PerianWarning, match="longer than the task's own timeout of 0:01:00"):
        nodes(make(timeout=60), {"timeout": 61})


def test_a_run_without_a_backend_says_that_it_knows_no_nodes() -> None:
    made = function_task()
    nodes(made, {"task_config": BIG})
    with pytest.warns(PerianWarning, match="not for that of a node's with_overrides"):
        made.warn_of_variants()
