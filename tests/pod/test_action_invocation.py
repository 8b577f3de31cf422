"""The container's command in Flyte 2: read exactly as ``a0`` reads it, left alone if not ours."""

import click
import pytest
from click.testing import CliRunner
from flyte._bin import runtime
from flyteidl.core.tasks_pb2 import TaskTemplate
from hypothesis import given
from hypothesis import strategies as st

from perian_shim import task_argument
from perian_shim.pod.action_invocation import ActionInvocation

TEMPLATE = TaskTemplate(type="perian_shim")
PLACES = {
    "--inputs": "s3://b/run/a0/inputs.pb",
    "--outputs-path": "s3://b/run/a0/1",
    "--raw-data-path": "s3://b/raw/run-a0-0",
    "--checkpoint-path": "s3://b/run/a0/1/_flytecheckpoints",
    "--prev-checkpoint": '""',
}
CALL = {
    "--version": "v1",
    "--run-name": "run",
    "--name": "a0",
    "--run-start-time": "2026-01-01T00:00:00Z",
    "--image-cache": "H4sI",
    "--tgz": "s3://b/code.tgz",
    "--dest": ".",
}
RESOLVER = ["--resolver", "flyte.resolver", "mod", "shop", "instance", "--inputs"]


def words_of(options: dict[str, str], resolver: list[str] = RESOLVER) -> list[str]:
    words = [word for pair in options.items() for word in pair]
    return ["a0", task_argument.OPTION, task_argument.encode(TEMPLATE), *words, *resolver]


def test_a_deployed_task_s_command_is_read() -> None:
    invocation = ActionInvocation.from_command(words_of({**PLACES, **CALL}))
    assert invocation is not None
    assert invocation.template == TEMPLATE
    assert (invocation.inputs, invocation.output_prefix, invocation.raw_prefix) == (
        "s3://b/run/a0/inputs.pb",
        "s3://b/run/a0/1",
        "s3://b/raw/run-a0-0",
    )
    assert invocation.checkpoint == "s3://b/run/a0/1/_flytecheckpoints"
    assert invocation.previous_checkpoint is None
    assert invocation.options.call.options == CALL
    assert invocation.options.code == "s3://b/code.tgz"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a0"],
        ["a1", *words_of(PLACES)[1:]],
        ["a0", *words_of(PLACES)[3:]],  # without our task: flyte's own
        words_of({"--inputs": "s3://b/i"}),
        [*words_of(PLACES, resolver=[]), "stray"],
        [*words_of(PLACES, resolver=[]), "--name"],
    ],
    ids=["nothing", "bare", "another", "flytes", "no output", "stray", "no value"],
)
def test_another_command_is_left_alone(words: list[str]) -> None:
    assert ActionInvocation.from_command(words) is None


def test_the_task_is_in_no_repr() -> None:
    assert task_argument.encode(TEMPLATE) not in repr(
        ActionInvocation.from_command(words_of(PLACES))
    )


def test_an_object_store_that_needs_an_sdk_is_named() -> None:
    invocation = ActionInvocation.from_command(words_of({**PLACES, "--inputs": "abfs://c/i.pb"}))
    assert invocation is not None
    assert invocation.foreign == ["abfs://c/i.pb"]


value = st.from_regex(r"[a-z0-9:/._]{1,12}", fullmatch=True)
SHORT = {"--inputs": "-i", "--outputs-path": "-o", "--version": "-v", "--raw-data-path": "-r"}


@given(
    st.fixed_dictionaries(
        dict.fromkeys((*PLACES, "--version"), value),
        optional=dict.fromkeys(("--name", "--run-name", "--tgz", "--dest"), value),
    ),
    st.randoms(use_true_random=False),
)
def test_every_spelling_is_read_as_flyte_reads_it(options: dict[str, str], random: object) -> None:
    words: list[str] = []
    for name, text in options.items():
        spelling = random.choice([0, 1, 2])  # type: ignore[attr-defined]
        if spelling == 1:
            words += [f"{name}={text}"]
        else:
            words += [SHORT.get(name, name) if spelling else name, text]
    seen: dict[str, object] = {}

    def parse(**params: object) -> None:
        seen.update(params)

    command = click.Command("a0", params=runtime.main.params, callback=parse)
    outcome = CliRunner().invoke(command, ["--run-base-dir", "b", *words])
    assert outcome.exit_code == 0, outcome.output
    ours = ActionInvocation.from_command(["a0", task_argument.OPTION, "x", *words])
    assert ours is not None
    assert ours.inputs == seen["inputs"]
    assert ours.output_prefix == seen["outputs_path"]
    assert ours.raw_prefix == seen["raw_data_path"]
    assert ours.checkpoint == seen["checkpoint_path"]
    for name, text in ours.call.options.items():
        assert text == seen[name.strip("-").replace("-", "_")]
