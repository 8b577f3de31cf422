"""A function of a Perian environment: its pod is ours, its job is the function's."""

import asyncio
from importlib.metadata import version
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # ships no type information
import flyte
import pytest
from flyte.extend import ImageBuildEngine
from flyte.models import CodeBundle
from flyteidl2.core import tasks_pb2
from support.flyte2 import record_of, template_of
from support.flyte2_functions import shop

from perian_shim.definition import notices
from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import PerianConfig, PerianFunctionTask, PerianWarning
from perian_shim.flyte2.local import built_images
from perian_shim.pod.action_invocation import ActionInvocation
from perian_shim.spec import ActionWork, ForwardedSecret, JobSpec

TGZ = CodeBundle(computed_version="v7", tgz="s3://b/code.tgz", destination="/code")
PICKLE = CodeBundle(computed_version="v7", pkl="s3://b/code.pkl.gz", destination=".")


def test_its_pod_is_the_small_one_and_runs_our_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_SHIM_IMAGE", "registry.example.org/executor:2")
    container = template_of(shop.double.override(retries=3)).container
    assert container.image == "registry.example.org/executor:2"
    assert not container.env
    asked = {each.name: each.value for each in container.resources.requests}
    assert asked == {
        tasks_pb2.Resources.CPU: "100m",
        tasks_pb2.Resources.MEMORY: "200Mi",
    }


@pytest.mark.parametrize(
    "task", [shop.double, shop.double.override(env_vars={"A": "1"}), shop.double.override()]
)
def test_its_pod_takes_as_large_outputs_as_the_task_says(task: Any) -> None:
    container = template_of(task.override(max_inline_io_bytes=30_000_000)).container
    assert {each.key: each.value for each in container.env} == {
        "PERIAN_MAX_OUTPUT_BYTES": "30000000"
    }


def test_an_image_that_the_config_names_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_SHIM_IMAGE", "registry.example.org/executor:2")
    config = PerianConfig(cores=1, executor_image="registry.example.org/mine:1")
    task = shop.double.override(plugin_config=config)
    assert template_of(task).container.image == "registry.example.org/mine:1"


def test_the_job_is_what_the_environment_says() -> None:
    record = record_of(shop.double, TGZ)
    assert (record.name, record.version, record.timeout_seconds) == ("shop.double", "v7", 60)
    spec = record.spec
    assert spec.image == "python:3.12"
    assert spec.environment == {"MODE": "fast"}
    assert spec.secrets == (ForwardedSecret("mine", "key", "MY_KEY"),)
    assert (spec.config.cores, spec.config.memory, spec.config.max_queued_seconds) == (1, "2", 30)
    assert set(record.inputs) == {"x", "name"}
    assert set(record.outputs) == {"o0", "o1"}


def test_the_pod_asks_for_the_user_s_secrets_and_for_ours() -> None:
    asked = {
        (each.group, each.key): each.env_var
        for each in template_of(shop.double).security_context.secrets
    }
    assert asked["mine", "key"] == "MY_KEY"
    assert asked["perian", "perian_token"] == "PERIAN_PERIAN_TOKEN"
    assert ("perian", "aws_role_arn") in asked


def test_secrets_of_a_group_that_is_no_variable_are_files() -> None:
    config = PerianConfig(cores=1, secret_group="arn:aws:x/y")
    task = shop.late.override(plugin_config=config)
    (one,) = [
        each
        for each in template_of(task).security_context.secrets
        if (each.group, each.key) == ("arn:aws:x/y", "perian_token")
    ]
    assert not one.env_var


@pytest.mark.parametrize("bundle", [None, TGZ])
def test_what_the_job_is_to_load_is_in_the_record(bundle: CodeBundle | None) -> None:
    work = record_of(shop.double, bundle).spec.work
    assert isinstance(work, ActionWork)
    assert work.resolver == "flyte._internal.resolvers.default.DefaultTaskResolver"
    assert work.loader_args[-1] == "double"


def test_a_pickled_task_is_loaded_without_a_resolver() -> None:
    assert record_of(shop.double, PICKLE).spec.work == ActionWork()


def test_the_pod_s_command_is_read_by_our_door() -> None:
    filled = [
        word.replace("{{.", "s3://b/").replace("}}", "")
        for word in template_of(shop.double, TGZ).container.args
    ]
    invocation = ActionInvocation.from_command(filled)
    assert invocation is not None
    assert invocation.options.code == "s3://b/code.tgz"
    assert invocation.call.options["--dest"] == "/code"


def test_flyte_keeps_what_is_its_own() -> None:
    template = template_of(shop.double)
    assert template.type == "perian_shim"
    assert template.metadata.retries.retries == 2
    assert template.metadata.generates_deck.value is False
    assert template_of(shop.shown).metadata.generates_deck.value is True
    assert record_of(shop.shown).spec.deck is True


def test_called_outside_of_a_run_it_is_the_function() -> None:
    assert shop.double(2, "b") == (4, "bb")


def spec_of(task: object) -> JobSpec:
    return record_of(task).spec


def test_an_override_is_the_jobs() -> None:
    changed = shop.double.override(
        resources=flyte.Resources(cpu=3, gpu="A100:2"),
        env_vars={"MODE": "slow"},
        secrets="other",
        timeout=5,
    )
    record = record_of(changed)
    config = record.spec.config
    # The config names the cores itself, so it wins; the environment's memory is no longer asked.
    assert (config.cores, config.memory, config.accelerators) == (1, None, 2)
    assert config.accelerator_type == "NVIDIA_A100_40"
    assert record.spec.environment == {"MODE": "slow"}
    assert record.spec.secrets == (ForwardedSecret("", "other", "OTHER"),)
    assert record.timeout_seconds == 5
    assert record.spec.image == "python:3.12"


def test_an_override_of_one_thing_leaves_the_others() -> None:
    assert spec_of(shop.double.override(retries=1)) == spec_of(shop.double)
    twice = shop.double.override(env_vars={"A": "1"}).override(retries=1)
    assert spec_of(twice).environment == {"A": "1"}
    assert twice.secrets == shop.double.secrets


def test_the_task_it_was_made_of_stays_as_it_was() -> None:
    before = spec_of(shop.late)
    shop.late.override(env_vars={"A": "1"}, resources=flyte.Resources(cpu=4))
    assert spec_of(shop.late) == before


def test_a_cloned_environment_makes_tasks_of_its_own() -> None:
    other = shop.perian.clone_with(
        "other", image="registry.example.org/other:1", resources=flyte.Resources(gpu=2)
    )

    @other.task
    def one() -> int:
        return 1

    spec = spec_of(one)
    assert spec.image == "registry.example.org/other:1"
    assert (spec.config.accelerators, spec.config.memory) == (2, None)


def image_cache(built: dict[str, str]) -> object:
    """Return what flyte knows of the images that it has built."""
    try:
        from flyte._internal.image_cache import ImageCache  # noqa: PLC0415 - from 2.9 on
    except ImportError:
        from flyte._internal.imagebuild.image_builder import (  # type: ignore[attr-defined]  # noqa: PLC0415 - before
            ImageCache,
        )
    return ImageCache(image_lookup=built)


def with_image(image: flyte.Image | str) -> PerianFunctionTask[..., int, Any]:
    """Return a task of an environment with this image."""
    environment = flyte.TaskEnvironment(
        name="built", image=image, plugin_config=PerianConfig(cores=1)
    )

    @environment.task
    def one() -> int:
        return 1

    assert isinstance(one, PerianFunctionTask)
    return one


LAYERED = flyte.Image.from_debian_base(name="built").with_pip_packages("numpy")


def test_a_built_image_is_the_jobs() -> None:
    one = with_image(LAYERED)
    cache = image_cache({"built": "registry.example.org/built:7"})
    assert record_of(one, image_cache=cache).spec.image == "registry.example.org/built:7"
    assert template_of(one, image_cache=cache).container.image.startswith("perian-shim-executor:")


def test_a_local_run_builds_an_image_that_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(image: flyte.Image) -> str:
        return f"registry.example.org/{image.name}:7"

    monkeypatch.setattr(ImageBuildEngine, "image_exists", found)
    flyte.init()
    one = with_image(LAYERED)
    cache = asyncio.run(built_images(one))
    assert record_of(one, image_cache=cache).spec.image == "registry.example.org/built:7"
    assert asyncio.run(built_images(with_image("debian:12"))) is None


def test_an_image_without_perian_shim_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", {"executor image"})
    one = with_image("auto")
    with pytest.warns(PerianWarning, match=r"flyte:py3.* is Flyte's own, without perian-shim"):
        template_of(one)


def test_what_is_kubernetes_is_the_pod_s() -> None:
    changed = shop.late.override(queue="mine", pod_template="mine", interruptible=True)
    metadata = template_of(changed).metadata
    assert changed.queue == "mine"
    assert metadata.pod_template_name == "mine"
    assert metadata.interruptible


@pytest.mark.skipif(version("flyte").startswith("2.0."), reason="flyte 2.0 has none of a task's")
def test_a_service_account_is_the_pod_s() -> None:
    changed = shop.late.override(service_account="mine")
    assert template_of(changed).security_context.run_as.k8s_service_account == "mine"


def test_a_task_can_be_pickled() -> None:
    copy = cloudpickle.loads(cloudpickle.dumps(shop.late))
    assert isinstance(copy, PerianFunctionTask)
    assert copy.job_image.uri == "python:3.12"


@pytest.mark.parametrize("key", ["PERIAN_SHIM_KEY", "FLYTE_ATTEMPT_NUMBER"])
def test_a_variable_of_ours_is_refused(key: str) -> None:
    with pytest.raises(DefinitionError, match=f"env_vars: {key} is set by perian-shim itself"):
        shop.late.override(env_vars={key: "x"})
