"""Which image a task's own pod gets, and that nobody registers a task without one unawares."""

import warnings
from collections import OrderedDict
from typing import Any

import pytest
from flytekit import dynamic, task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.configuration.default_images import DefaultImages
from flytekit.core.context_manager import FlyteContextManager, FlyteEntities
from flytekit.models.task import TaskSpec
from flytekit.tools.translator import get_serializable

from perian_shim import PerianConfig, PerianContainerTask, PerianWarning
from perian_shim.definition import notices
from perian_shim.errors import ConfigError
from perian_shim.settings import EXECUTOR_IMAGE
from perian_shim.spec import JobSpec

CONFIG = PerianConfig(cores=1)
NAMED = PerianConfig(cores=1, executor_image="config:1")


def settings(env: dict[str, str] | None = None, image: str = "job:1") -> SerializationSettings:
    name, _, tag = image.rpartition(":")
    config = ImageConfig(Image("default", name, tag))
    return SerializationSettings(config, project="p", domain="d", version="v", env=env)


def body() -> None:
    """Do nothing."""


def function_task(**arguments: Any) -> Any:
    return task(body, **{"task_config": CONFIG, "container_image": "job:1", **arguments})


def container_task(**arguments: Any) -> PerianContainerTask:
    given = {"task_config": CONFIG, "image": "job:1", "command": ["true"], **arguments}
    return PerianContainerTask("t", **given)


KINDS = pytest.mark.parametrize("make", [function_task, container_task])


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process, on a machine that names no image."""
    monkeypatch.setattr(notices, "_said", set())
    monkeypatch.delenv(EXECUTOR_IMAGE, raising=False)
    # A dynamic asks for the images of all tasks that there are in the process.
    monkeypatch.setattr(FlyteEntities, "entities", [])


def warned(made: Any, given: SerializationSettings) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PerianWarning)
        made.get_container(given)
        made.get_custom(given)
    return [str(entry.message) for entry in caught if entry.category is PerianWarning]


@KINDS
def test_the_config_names_it_for_both_kinds(make: Any) -> None:
    assert make(task_config=NAMED).get_container(settings()).image == "config:1"


@KINDS
def test_the_first_that_is_named_counts(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR_IMAGE, "variable:1")
    by_registration = settings({EXECUTOR_IMAGE: "registration:1"})
    assert make(task_config=NAMED).get_container(by_registration).image == "config:1"
    assert make().get_container(by_registration).image == "registration:1"
    assert make().get_container(settings()).image == "variable:1"


def test_a_container_tasks_own_argument_counts_before_its_config() -> None:
    made = container_task(task_config=NAMED, executor_image="argument:1")
    assert made.get_container(settings()).image == "argument:1"


def test_an_executor_image_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="executor_image: expected an image reference"):
        PerianConfig(cores=1, executor_image="Not An Image")


@KINDS
def test_it_is_no_part_of_the_jobs_record(make: Any) -> None:
    custom = make(task_config=NAMED).get_custom(settings())
    assert custom == make().get_custom(settings())
    assert JobSpec.from_custom(custom).config == CONFIG


def test_it_is_no_part_of_the_cache_version() -> None:
    versions = {
        container_task(task_config=config, cache=True).metadata.cache_version
        for config in (CONFIG, NAMED)
    }
    assert len(versions) == 1


@KINDS
def test_a_registration_without_an_executor_image_is_warned_of_once(make: Any) -> None:
    made = make()
    [told] = warned(made, settings())
    assert f"{made.label}: no executor image is named" in told
    assert "perian-shim-executor:" in told
    assert "set PERIAN_SHIM_IMAGE when registering, or PerianConfig(executor_image=…)" in told
    assert warned(made, settings()) == warned(make(), settings()) == []


@KINDS
def test_a_registration_with_one_is_not_warned_of(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warned(make(task_config=NAMED), settings()) == []
    assert warned(make(), settings({EXECUTOR_IMAGE: "registration:1"})) == []
    monkeypatch.setenv(EXECUTOR_IMAGE, "variable:1")
    assert warned(make(), settings()) == []


@KINDS
def test_a_run_without_a_backend_is_not_warned_of(make: Any) -> None:
    made = make()
    assert warned(made, PerianContainerTask.SERIALIZE_SETTINGS) == []
    context = FlyteContextManager.current_context()
    state = context.new_execution_state()
    local = state.with_params(mode=state.Mode.LOCAL_TASK_EXECUTION)
    with FlyteContextManager.with_context(context.with_execution_state(local)):
        assert warned(made, settings(image=DefaultImages.default_image())) == []


def test_a_function_task_that_would_run_flytekits_own_image_is_warned_of_once() -> None:
    made = function_task(task_config=NAMED, container_image=None)
    given = settings(image=DefaultImages.default_image())
    [told] = warned(made, given)
    assert f"{made.label}: no image is named for the job" in told
    assert "Set container_image=, or --image when registering" in told
    assert warned(made, given) == []


def test_an_image_that_the_registration_names_for_a_function_is_not_warned_of() -> None:
    made = function_task(task_config=NAMED, container_image=None)
    assert warned(made, settings(image="example.org/mine:1")) == []


def fan_out() -> None:
    """Compile tasks in its own pod."""


@pytest.mark.parametrize("env", [None, {}, {"TEAM": "vision"}])
def test_a_dynamics_pod_is_told_the_executor_image_that_a_variable_names(
    env: dict[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(EXECUTOR_IMAGE, "variable:1")
    variables = dynamics_environment(settings(env))
    assert variables[EXECUTOR_IMAGE] == "variable:1"
    told = SerializationSettings.from_transport(variables["_F_SS_C"])
    assert container_task().get_container(told).image == "variable:1"


def dynamics_environment(given: SerializationSettings) -> dict[str, str]:
    made: Any = dynamic(fan_out)
    spec = get_serializable(OrderedDict(), given, made)
    assert isinstance(spec, TaskSpec)
    return dict(spec.template.container.env)


def test_a_dynamics_pod_is_told_nothing_where_nothing_is_named() -> None:
    assert EXECUTOR_IMAGE not in dynamics_environment(settings())


def test_what_the_registration_names_goes_before_the_variable_in_dynamics_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(EXECUTOR_IMAGE, "variable:1")
    assert dynamics_environment(settings({EXECUTOR_IMAGE: "r:1"}))[EXECUTOR_IMAGE] == "r:1"


def test_the_registrations_own_settings_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXECUTOR_IMAGE, "variable:1")
    given = settings({"TEAM": "vision"})
    dynamics_environment(given)
    assert given.env == {"TEAM": "vision"}
