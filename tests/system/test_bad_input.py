"""Bad input ends in a clear error of the right kind; read from the error.pb of a real process."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.answers import reply
from support.api_front import FaultyServer
from support.connections import unused_port
from support.declared import Point
from support.flyte import Harness
from support.shell_task import shell

from perian_shim import PerianConfig
from perian_shim.sandbox.flyte.cluster import NodeError

pytestmark = [pytest.mark.below_the_doors, pytest.mark.thorough]


def kind(error: NodeError) -> tuple[str, str, bool]:
    return error.code, error.kind, error.recoverable


def test_a_wrong_token_is_a_users_error_that_names_the_secret(harness: Harness) -> None:
    secrets = {**harness.cluster.secrets, ("perian", "perian_token"): "wrong-token-value"}
    other = replace(harness, cluster=replace(harness.cluster, secrets=secrets))
    error = other.error(shell())
    assert kind(error) == ("PERIAN:JobRejected", "USER", False)
    assert "perian_token" in error.message
    assert "wrong-token-value" not in error.message


def test_a_missing_secret_is_named(harness: Harness) -> None:
    other = replace(harness, cluster=replace(harness.cluster, secrets={}))
    error = other.error(shell())
    assert kind(error) == ("PERIAN:MissingSecret", "USER", False)
    assert "Flyte secret 'perian_organization' of group 'perian'" in error.message


def test_an_unknown_image_is_reported_with_perians_words(harness: Harness) -> None:
    error = harness.error(shell(image="example.org/no/such:1"))
    assert kind(error) == ("PERIAN:JobFailed", "USER", True)
    assert "example.org/no/such" in error.message


def with_api(harness: Harness, url: str) -> Harness:
    return harness.with_variables(PERIAN_API_URL=url, PERIAN_OUTAGE_SECONDS="1")


def test_an_unreachable_api_is_a_system_error_that_names_the_way_there(harness: Harness) -> None:
    port = unused_port()
    error = with_api(harness, f"http://127.0.0.1:{port}").error(shell())
    assert kind(error) == ("PERIAN:ApiUnavailable", "SYSTEM", True)
    assert str(port) in error.message


def test_malformed_json_after_a_submission_is_never_retried_blindly(harness: Harness) -> None:
    with FaultyServer(reply(200, b'{"id": "4f0')) as server:
        error = with_api(harness, server.url).error(shell())
    assert kind(error) == ("PERIAN:SubmissionUnclear", "SYSTEM", True)
    assert "perian-shim cancel --key" in error.message


def test_a_template_of_a_newer_version_is_refused(harness: Harness) -> None:
    template = harness.cluster.serialize(shell())
    template.custom["version"] = 99
    pod = harness.cluster.start(template, harness.literals(shell(), {}), harness.execution())
    error = pod.wait().error
    assert error is not None
    assert kind(error) == ("PERIAN:TemplateTooNew", "USER", False)
    assert "PERIAN_SHIM_IMAGE" in error.message


def test_no_machine_that_fits_is_a_users_error(harness: Harness) -> None:
    error = harness.error(shell(task_config=PerianConfig(cores=4096)))
    assert kind(error) == ("PERIAN:JobRejected", "USER", False)
    assert "asks for cores=4096. No machine at all has cores=4096: the most is" in error.message


@pytest.mark.parametrize(
    ("python_type", "content", "expected"),
    [
        (int, "many", ("int", "many")),
        (float, "", ("float",)),
        (bool, "perhaps", ("bool", "perhaps")),
        (list[int], '[1, "x"]', ("list[int]", "x")),
        (Point, '{"y": 1.0}', ("Point", "x")),
        (Point, "not json at all", ("Point", "not json at all")),
    ],
    ids=["int", "float", "bool", "list", "missing field", "no json"],
)
def test_a_wrong_output_names_file_type_and_content(
    harness: Harness, python_type: Any, content: str, expected: tuple[str, ...]
) -> None:
    error = harness.error(
        shell(f"printf %s '{content}' > /var/outputs/result", outputs={"result": python_type})
    )
    assert kind(error) == ("PERIAN:OutputInvalid", "USER", True)
    for part in ("/var/outputs/result", *expected):
        assert part in error.message


def test_a_missing_output_names_the_file(harness: Harness) -> None:
    error = harness.error(shell("echo busy", outputs={"result": int}))
    assert kind(error) == ("PERIAN:OutputMissing", "USER", True)
    assert "/var/outputs/result" in error.message
    assert "busy" in error.message


def test_a_directory_where_a_file_was_declared_is_refused(harness: Harness) -> None:
    error = harness.error(
        shell("mkdir /var/outputs/f && touch /var/outputs/f/x", outputs={"f": FlyteFile})
    )
    assert kind(error) == ("PERIAN:OutputInvalid", "USER", True)
    assert "expected a file" in error.message


def test_a_failing_program_is_reported_with_code_and_last_lines(harness: Harness) -> None:
    error = harness.error(shell("echo first; echo 'the reason' >&2; exit 3", outputs={"x": int}))
    assert kind(error) == ("PERIAN:JobFailed", "USER", True)
    assert "exited with code 3" in error.message
    assert "the reason" in error.message


@pytest.mark.parametrize("outputs", [{"x": int}, {}], ids=["with outputs", "without outputs"])
def test_an_error_file_fails_the_task_with_its_text(
    harness: Harness, outputs: dict[str, type]
) -> None:
    error = harness.error(shell("echo 'no convergence' > /var/outputs/_ERROR", outputs=outputs))
    assert kind(error) == ("PERIAN:JobFailed", "USER", True)
    assert "no convergence" in error.message


def test_a_failing_program_without_outputs_is_reported_too(harness: Harness) -> None:
    error = harness.error(shell("echo oops; exit 4"))
    assert kind(error) == ("PERIAN:JobFailed", "USER", True)
    assert "oops" in error.message


def test_a_timeout_names_the_limit(harness: Harness) -> None:
    error = harness.error(shell("sleep 60", timeout=1))
    assert kind(error) == ("PERIAN:Timeout", "USER", True)
    assert "limit of 1 s" in error.message


def test_no_secret_reaches_template_log_or_error(harness: Harness) -> None:
    token = harness.cluster.secrets[("perian", "perian_token")]
    template = harness.cluster.serialize(shell())
    attempt = harness.run(shell(f"echo {token}; exit 1"))
    assert attempt.error is not None
    assert token not in json.dumps(template.custom)
    assert token not in attempt.error.message
    assert not re.search(f"^{re.escape(token)}$", attempt.log, re.MULTILINE)


@pytest.mark.parametrize(
    ("odd", "element"),
    [
        ("ln -s /no/where fs/1", "fs/1"),
        ("mkfifo fs/1", "fs/1"),
        ("mkdir fs/1; echo x >fs/1/x", "fs/1"),
    ],
)
def test_what_is_no_file_in_a_list_of_files_is_never_left_out(
    harness: Harness, odd: str, element: str
) -> None:
    command = f"cd /var/outputs; mkdir fs; echo 0 >fs/0; {odd}; echo 2 >fs/2"
    error = harness.error(shell(command, outputs={"fs": list[FlyteFile]}))
    assert kind(error) == ("PERIAN:OutputInvalid", "USER", True)
    assert f"expected a file at /var/outputs/{element}" in error.message


def test_a_missing_directory_is_missing_and_not_empty(harness: Harness) -> None:
    error = harness.error(shell(outputs={"d": FlyteDirectory}))
    assert kind(error) == ("PERIAN:OutputMissing", "USER", True)


def test_an_input_that_is_not_there_is_reported_before_a_job_is_paid_for(harness: Harness) -> None:
    file: FlyteFile = FlyteFile(f"s3://{harness.sandbox.bucket}/no/such")
    attempt = harness.run(shell(inputs={"f": FlyteFile}), {"f": file})
    assert attempt.error is not None
    assert kind(attempt.error) == ("PERIAN:InvalidInput", "USER", False)
    assert "Input 'f': there is no object" in attempt.error.message
    assert "submitting" not in attempt.log


def test_an_argument_that_linux_cannot_take_is_refused_before_the_job(harness: Harness) -> None:
    long = shell("", inputs={"s": str}, arguments=["sh", "x{{.inputs.s}}"])
    attempt = harness.run(long, {"s": "y" * 131_071})
    assert attempt.error is not None
    assert kind(attempt.error) == ("PERIAN:InvalidCommand", "USER", False)
    assert "Element 5 of the command has 131072 bytes" in attempt.error.message
    assert "submitting" not in attempt.log


def test_a_name_that_is_not_utf_8_fails_the_upload(harness: Harness) -> None:
    command = "mkdir /var/outputs/d; echo a >/var/outputs/d/$(printf 'x\\377')"
    error = harness.error(shell(command, outputs={"d": FlyteDirectory}))
    assert kind(error) == ("PERIAN:TransferFailed", "USER", True)
    assert "a name is not UTF-8" in error.message
