"""In the job a function finds what Flyte would have given it: context, secrets, places to write."""

import json
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.array_node_map_task import ArrayNodeMapTask
from flytekit.models.literals import Literal
from flytekit.models.task import TaskTemplate
from flytekit.tools.translator import get_serializable
from support.doors import BIN
from support.function_harness import FunctionHarness, Ran, requested
from support.functions import local, mapped, official_example, surroundings
from support.waiting import LONG_SECONDS
from support.workflow_runs import run_workflow

from perian_shim.sandbox.supervisor.isolation import Isolation

pytestmark = [pytest.mark.below_the_doors, pytest.mark.thorough]

CANARIES = {
    ("shop", "password"): "password-canary",
    ("shop", "pin"): "pin-canary",
    ("shop", "card"): "card-canary",
    ("shop", "voucher"): "voucher-canary",
    ("perian", "docker_registry_password"): "registry-canary",
}
REGISTRY = {
    ("perian", "docker_registry_url"): "registry.example:5000",
    ("perian", "docker_registry_username"): "puller",
}

SETTINGS = SerializationSettings(
    image_config=ImageConfig(Image("default", "example.org/default", "1")),
    project="flytesnacks",
    domain="development",
    version="v1",
)


def only(functions: FunctionHarness, literals: dict[str, Literal], kind: Any = str) -> object:
    (literal,) = literals.values()
    return functions.harness.value(literal, kind)


@pytest.fixture(scope="module")
def observation(functions: FunctionHarness) -> Ran:
    return functions.run(
        surroundings.observed, {"note": "deck canary"}, secrets={**CANARIES, **REGISTRY}
    )


@pytest.fixture(scope="module")
def seen(observation: Ran, functions: FunctionHarness) -> dict[str, str]:
    value = functions.harness.value(observation.literals["o0"], dict[str, str])
    assert isinstance(value, dict)
    return value


def test_the_execution_is_flytes_own(
    seen: dict[str, str], observation: Ran, functions: FunctionHarness
) -> None:
    name = observation.output_prefix.split("/flytesnacks-development-")[1].split("/")[0]
    assert seen["execution"] == f"flytesnacks:development:{name}"
    assert functions.harness.jobs(name) == observation.jobs


def test_the_task_is_the_registered_one(seen: dict[str, str]) -> None:
    assert seen["task"] == "flytesnacks:development:support.functions.surroundings.observed:v1"


def test_the_attempt_is_flytes_own(seen: dict[str, str]) -> None:
    assert seen["attempt"] == "0"


def test_the_tasks_environment_is_the_jobs(seen: dict[str, str]) -> None:
    assert seen["mode"] == "fast"


@pytest.mark.parametrize("name", ["password", "pin", "pin by variable", "voucher"])
def test_secrets_are_found_where_flyte_puts_them(name: str, seen: dict[str, str]) -> None:
    assert seen[name] == f"{name.split(maxsplit=1)[0]}-canary"


@pytest.mark.parametrize("name", ["card", "card by path"])
def test_a_secret_can_be_a_file(
    name: str, seen: dict[str, str], functions: FunctionHarness
) -> None:
    if functions.harness.sandbox.isolation.mode is not Isolation.OVERLAY:
        pytest.skip("without overlay isolation a job cannot have files at any path")
    assert seen[name] == "card-canary"


def test_a_perian_task_called_by_a_function_runs_within_the_job(
    seen: dict[str, str], observation: Ran
) -> None:
    assert seen["doubled"] == "42"
    assert len(observation.jobs) == 1


def test_the_deck_is_where_flyte_looks_for_it(observation: Ran, functions: FunctionHarness) -> None:
    deck = functions.harness.store.read(f"{observation.output_prefix}/deck.html")
    assert deck is not None
    assert b"<p>deck canary</p>" in deck


def test_files_go_below_the_attempts_raw_prefix(observation: Ran) -> None:
    assert observation.literals["o1"].scalar.blob.uri.startswith(observation.raw_prefix + "/")


def secrets_of(functions: FunctionHarness) -> list[str]:
    environment = functions.harness.sandbox.environment()
    keys = [environment["AWS_SECRET_ACCESS_KEY"], environment["AWS_ACCESS_KEY_ID"]]
    return [*keys, environment["PERIAN_TOKEN"], *CANARIES.values()]


def test_no_secret_is_a_visible_variable_or_in_the_command(
    observation: Ran, functions: FunctionHarness
) -> None:
    parameters = requested(observation.job)
    visible = json.dumps([parameters["env_variables"], parameters["command"]])
    assert [secret for secret in secrets_of(functions) if secret in visible] == []


def test_no_secret_is_in_the_template(functions: FunctionHarness) -> None:
    template = functions.of({}, {}).cluster.serialize(surroundings.observed)
    custom = json.dumps(template.custom)
    assert [secret for secret in secrets_of(functions) if secret in custom] == []


def test_no_secret_is_in_the_pods_log_even_if_the_function_prints_it(
    observation: Ran, functions: FunctionHarness
) -> None:
    log = observation.attempt.log
    assert "and I print it" in log
    assert [secret for secret in secrets_of(functions) if secret in log] == []


def test_the_registrys_credentials_reach_perian(observation: Ran) -> None:
    metadata: Any = observation.job.record.view["docker_metadata"]
    credentials = metadata["docker_registry_credentials"]
    assert credentials["url"] == "registry.example:5000"
    assert credentials["username"] == "puller"
    assert credentials["password"]


def test_an_attempt_goes_on_from_the_checkpoint_of_the_one_before(
    functions: FunctionHarness,
) -> None:
    harness = functions.of({}, {})
    template = harness.cluster.serialize(surroundings.resumed)
    literals = harness.literals(surroundings.resumed, {"note": "half way"})
    execution = harness.execution()
    first, second = harness.cluster.run(template, literals, execution=execution)
    assert first.error is not None
    assert second.outputs is not None, second.log
    assert only(functions, second.outputs.literals) == "half way, attempt 1"
    assert len(functions.harness.jobs(execution)) == 2


def test_a_coroutine_function_is_awaited(functions: FunctionHarness) -> None:
    literals = functions.run(surroundings.awaited, {"number": 1}).literals
    assert only(functions, literals, int) == 2


def test_a_large_output_passes_where_flyte_takes_it(functions: FunctionHarness) -> None:
    limit = {"PERIAN_MAX_OUTPUT_BYTES": "6000000"}
    ran = functions.run(surroundings.large, {"megabytes": 5}, environment=limit)
    (literal,) = ran.literals.values()
    assert len(literal.scalar.primitive.string_value) == 5 * 1024**2


def test_a_large_output_is_offloaded_where_flyte_does_so(functions: FunctionHarness) -> None:
    ran = functions.run(surroundings.large, {"megabytes": 5}, environment={"_F_L_MIN_SIZE_MB": "1"})
    (literal,) = ran.literals.values()
    assert literal.offloaded_metadata is not None
    assert literal.offloaded_metadata.uri.startswith(ran.raw_prefix + "/")
    assert only(functions, ran.literals) == "x" * (5 * 1024**2)


def test_the_official_plugins_example_runs(functions: FunctionHarness) -> None:
    harness = functions.of({}, {})
    workflow: Any = official_example.my_wf
    outputs = run_workflow(harness, workflow, {"name": "world"})
    assert only(functions, outputs) == "hello world!"


def item_template(
    workflow: Any, functions: FunctionHarness
) -> tuple[ArrayNodeMapTask, TaskTemplate]:
    """Return the map task of a workflow, and its template as Flyte hands it to each item."""
    (node,) = workflow.nodes
    entity = node.flyte_entity
    assert isinstance(entity, ArrayNodeMapTask)
    message = functions.of({}, {}).cluster.serialize(entity).to_flyte_idl()
    for variable in message.interface.outputs.variables.values():
        variable.type.CopyFrom(variable.type.collection_type)  # one item's output, not the list
    template: TaskTemplate = TaskTemplate.from_flyte_idl(message)
    return entity, template


@pytest.mark.parametrize(
    ("workflow", "prefix", "item", "expected"),
    [
        (mapped.over_items, "p-", 1, "p-p-p-second"),
        (mapped.over_all, ["p-", "q-"], 0, "p-first"),
    ],
    ids=["one input bound", "none bound"],
)
def test_an_item_of_a_map_task_gets_its_own_element(
    workflow: Any, prefix: object, item: int, expected: str, functions: FunctionHarness
) -> None:
    entity, template = item_template(workflow, functions)
    ran = functions.run(
        entity,
        {"item": ["first", "second"], "times": [1, 3], "prefix": prefix},
        template=template,
        node=f"n0-{item}",
        environment={
            "BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX",
            "FLYTE_K8S_ARRAY_INDEX": str(item),
        },
    )
    assert only(functions, ran.literals) == expected


def test_a_map_tasks_container_is_the_small_resolver(functions: FunctionHarness) -> None:
    _entity, template = item_template(mapped.over_items, functions)
    assert template.container.args[0] == "pyflyte-execute"
    assert template.type == "perian_shim"


def test_a_launch_plan_of_a_perian_task_can_be_mapped() -> None:
    workflow: Any = mapped.over_launch_plans
    spec: Any = get_serializable(OrderedDict(), SETTINGS, workflow)
    (node,) = spec.template.nodes
    assert node.array_node is not None
    assert node.array_node.node.workflow_node.launchplan_ref.name == "support.functions.mapped.one"


def pyflyte_run(functions: FunctionHarness, file: Path, *options: str) -> str:
    """Run the example of ``pyflyte run`` and return what it prints."""
    variables = functions.harness.sandbox.environment()
    command = [str(BIN / "pyflyte"), "run", *options, str(Path(local.__file__)), "where"]
    completed = subprocess.run(
        [*command, "--file", str(file)],
        cwd=file.parent,
        env={
            **variables,
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(file.parent),
            "PERIAN_POLL_MIN_SECONDS": "0.2",
        },
        capture_output=True,
        timeout=2 * LONG_SECONDS,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.mark.parametrize(
    ("remote", "expected"), [(False, "the text read here"), (True, "the text read in a job")]
)
def test_pyflyte_run_goes_through_perian_with_a_remote_prefix_only(
    remote: bool, expected: str, functions: FunctionHarness, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("the text")
    prefix = f"s3://{functions.harness.sandbox.bucket}/local"
    options = ["--raw-output-data-prefix", prefix] if remote else []
    assert expected in pyflyte_run(functions, tmp_path / "note.txt", *options)
