"""The command of a function task's job: its SDK's own entry point, with the job's own paths."""

import pytest
from flyte._bin import runtime

from perian_shim.resolver_options import ActionCall, Distribution
from perian_shim.spec import ActionWork, FunctionWork
from perian_shim.work.entry_points import A0, JobPaths, Pyflyte

PATHS = JobPaths("s3://b/given/inputs.pb", "s3://b/raw/_perian/function", "s3://b/raw", "s3://b/cp")
FUNCTION = FunctionWork("a.resolver", ("task-module", "shop"))
ACTION = ActionWork("flyte.resolver", ("mod", "shop"))
CALL = ActionCall(
    {"--version": "v1", "--run-name": "r1", "--name": "x", "--tgz": "s3://b/code.tgz"}
)
IN_POD = {
    "_U_ORG_NAME": "acme",
    "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
    "FLYTE_INTERNAL_EXECUTION_DOMAIN": "prod",
    "RUN_NAME": "from-the-environment",
    "ACTION_NAME": "too",
}


def options_of(command: list[str]) -> dict[str, str]:
    end = command.index("--resolver") if "--resolver" in command else len(command)
    return dict(zip(command[1:end:2], command[2:end:2], strict=True))


def test_flytekits_code_is_unpacked_where_it_was_to_be() -> None:
    command = Pyflyte(FUNCTION, Distribution("s3://b/code.tar.gz", "/root")).command(PATHS)
    assert command[:6] == [
        *("pyflyte-fast-execute", "--additional-distribution", "s3://b/code.tar.gz"),
        *("--dest-dir", "/root", "--"),
    ]
    assert command[6:] == Pyflyte(FUNCTION).command(PATHS)


def test_a0_is_told_what_the_pod_was_told_and_where_the_job_s_things_are() -> None:
    command = A0(ACTION, CALL, IN_POD).command(PATHS)
    assert command[0] == "a0"
    assert command[-4:] == ["--resolver", "flyte.resolver", "mod", "shop"]
    assert options_of(command) == {
        "--inputs": "s3://b/given/inputs.pb",
        "--outputs-path": "s3://b/raw/_perian/function",
        "--raw-data-path": "s3://b/raw",
        "--run-base-dir": "s3://b/raw",
        "--checkpoint-path": "s3://b/cp",
        "--version": "v1",
        "--run-name": "r1",
        "--name": "x",
        "--tgz": "s3://b/code.tgz",
        "--org": "acme",
        "--project": "shop",
        "--domain": "prod",
    }


@pytest.mark.parametrize("call", [{}, {"--run-name": "{{.runName}}", "--name": "{{.actionName}}"}])
def test_a_run_s_names_come_from_the_pod_s_environment_if_the_arguments_have_none(
    call: dict[str, str],
) -> None:
    options = options_of(A0(ACTION, ActionCall(call), IN_POD).command(PATHS))
    assert (options["--run-name"], options["--name"]) == ("from-the-environment", "too")


def test_a_pickled_task_has_no_resolver() -> None:
    assert "--resolver" not in A0(ActionWork(), CALL, IN_POD).command(PATHS)


def test_flyte_knows_all_options() -> None:
    known = {name for option in runtime.main.params for name in option.opts}
    assert set(options_of(A0(ACTION, CALL, IN_POD).command(PATHS))) <= known


@pytest.mark.parametrize(
    ("options", "code"),
    [({}, None), ({"--tgz": "s3://b/c.tgz"}, "s3://b/c.tgz"), ({"--pkl": "s3://b/p"}, "s3://b/p")],
)
def test_the_job_may_read_its_code(options: dict[str, str], code: str | None) -> None:
    assert A0(ACTION, ActionCall(options)).code == code
