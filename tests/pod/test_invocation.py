"""The container's command: read exactly as flytekit reads it, and left alone if it is not ours."""

import click
import pytest
from click.testing import CliRunner
from flytekit.bin.entrypoint import execute_task_cmd
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.executor import PerianExecutor, template_resolver
from perian_shim.flyte1.resolver_container import resolver_arguments
from perian_shim.pod.invocation import EXECUTOR, RESOLVER, Invocation

OPTIONS = {
    "--inputs": "s3://b/data/inputs.pb",
    "--output-prefix": "s3://b/data/0",
    "--raw-output-data-prefix": "s3://b/raw/x-n0-0",
    "--checkpoint-path": "s3://b/raw/x-n0-0/_flytecheckpoints",
    "--prev-checkpoint": '""',
    "--resolver": RESOLVER,
}
LOADER = ["s3://b/data/task.pb", EXECUTOR]


def command(options: dict[str, str] = OPTIONS, loader: list[str] = LOADER) -> list[str]:
    words = [word for pair in options.items() for word in pair]
    return ["pyflyte-execute", *words, "--", *loader]


def changed(**options: str) -> list[str]:
    return command(
        OPTIONS | {f"--{name.replace('_', '-')}": each for name, each in options.items()}
    )


def test_a_registered_task_s_command_is_read() -> None:
    assert Invocation.from_command(command()) == Invocation(
        inputs="s3://b/data/inputs.pb",
        output_prefix="s3://b/data/0",
        raw_prefix="s3://b/raw/x-n0-0",
        template="s3://b/data/task.pb",
        checkpoint="s3://b/raw/x-n0-0/_flytecheckpoints",
    )


def test_the_names_are_those_that_tasks_are_registered_with() -> None:
    assert template_resolver.location == RESOLVER
    assert f"{PerianExecutor.__module__}.{PerianExecutor.__name__}" == EXECUTOR
    filled = [word.replace("{{.", "s3://").replace("}}", "") for word in resolver_arguments({})]
    assert Invocation.from_command(filled) is not None


def test_the_attempt_before_is_known_by_its_checkpoints() -> None:
    invocation = Invocation.from_command(changed(prev_checkpoint="s3://b/raw/x-n0-0/_fly"))
    assert invocation is not None
    assert invocation.previous_checkpoint == "s3://b/raw/x-n0-0/_fly"


def test_what_follows_the_executor_are_options() -> None:
    invocation = Invocation.from_command(command(loader=[*LOADER, "mapped", "a,b"]))
    assert invocation is not None
    assert invocation.options == ("mapped", "a,b")


def test_a_path_to_the_program_is_as_good_as_its_name() -> None:
    assert Invocation.from_command(["/opt/bin/pyflyte-execute", *command()[1:]]) is not None


@pytest.mark.parametrize(
    "other",
    [
        [],
        ["sh", "-c", "true"],
        ["pyflyte-execute"],
        ["pyflyte-execute", "--help"],
        ["pyflyte-fast-execute", *command()[1:]],
        ["pyflyte-map-execute", *command()[1:]],
        changed(resolver="flytekit.core.python_auto_container.default_task_resolver"),
        changed(dynamic_addl_distro="s3://b/code.tar.gz"),
        changed(raw_output_data_prefix="{{.rawOutputDataPrefix}}"),
        command(loader=["s3://b/data/task.pb", "acme.executors.MyExecutor"]),
        command(loader=["s3://b/data/task.pb"]),
        command({name: OPTIONS[name] for name in OPTIONS if name != "--inputs"}),
        [word for word in command() if word != "--"],
        [*command()[:1], "--test", *command()[1:]],
        [*command()[:1], "stray", *command()[1:]],
    ],
    ids=lambda words: " ".join(words)[:40] or "nothing",
)
def test_another_command_is_left_alone(other: list[str]) -> None:
    assert Invocation.from_command(other) is None


values = st.text(st.characters(categories=["L", "N", "P"]), min_size=1).filter(
    lambda text: not text.startswith("-") and "{{" not in text and text != '""'
)


@given(
    texts=st.tuples(values, values, values, values),
    order=st.permutations([*OPTIONS]),
    assigned=st.sets(st.sampled_from([*OPTIONS])),
)
def test_it_is_read_as_flytekit_reads_it(
    texts: tuple[str, ...], order: list[str], assigned: set[str]
) -> None:
    given_options = dict(zip(OPTIONS, texts, strict=False)) | {
        "--prev-checkpoint": texts[0],
        "--resolver": RESOLVER,
    }
    words: list[str] = []
    for name in order:
        value = given_options[name]
        words += [f"{name}={value}"] if name in assigned else [name, value]
    words += ["--", *LOADER]
    seen: dict[str, object] = {}

    @click.command(params=execute_task_cmd.params)
    def spy(**parameters: object) -> None:
        seen.update(parameters)

    result = CliRunner().invoke(spy, words)
    assert result.exit_code == 0, result.output
    invocation = Invocation.from_command(["pyflyte-execute", *words])
    assert invocation is not None
    assert (
        invocation.inputs,
        invocation.output_prefix,
        invocation.raw_prefix,
        invocation.checkpoint,
        invocation.previous_checkpoint,
    ) == (
        seen["inputs"],
        seen["output_prefix"],
        seen["raw_output_data_prefix"],
        seen["checkpoint_path"],
        seen["prev_checkpoint"],
    )
