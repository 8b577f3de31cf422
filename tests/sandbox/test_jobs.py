"""Jobs really run, and end as the platform's jobs do, whatever isolates them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import PATIENCE_SECONDS, Api, running_api
from support.waiting import wait_until

from perian_shim.sandbox.supervisor.isolation import Isolation
from perian_shim.sandbox.supervisor.process_tree import parents


@pytest.fixture(scope="module", params=[Isolation.OVERLAY, Isolation.REWRITE])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state"), isolation=request.param) as running:
        yield running


def commands_containing(mark: str) -> list[str]:
    found = []
    for process in parents():
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in command:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_exit_code_zero_is_done(api: Api) -> None:
    job = api.run("true")
    assert (job.status, job.errors) == (WorkloadStatus.DONE, None)


def test_another_exit_code_is_a_user_error_that_names_it(api: Api) -> None:
    job = api.run("sh -c 'exit 3'")
    assert (job.status, job.errors) == (
        WorkloadStatus.USERERROR,
        "container exited with code 3",
    )


def test_death_by_a_signal_is_reported_as_a_shell_does(api: Api) -> None:
    job = api.run("sh -c 'sh -c \"kill -9 \\$\\$\"; exit $?'")
    assert job.errors == "container exited with code 137"


def test_both_output_streams_are_in_the_log_in_order(api: Api) -> None:
    job = api.run("sh -c 'echo one; echo two >&2; echo three > /dev/stderr; echo four'")
    assert job.logs == "one\ntwo\nthree\nfour\n"


def test_the_command_is_split_but_not_expanded(api: Api) -> None:
    job = api.run("""printf '<%s>\\n' 'a  b' "it's" $HOME '*' '' ';'""")
    assert job.logs == "<a  b>\n<it's>\n<$HOME>\n<*>\n<>\n<;>\n"


def test_the_job_has_the_requested_variables_and_nothing_of_the_servers(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "of the server")
    job = api.run("env", environment={"GREETING": "a=b c", "COUNT": 3}, secrets={"KEY": "s3cret"})
    variables = dict(line.split("=", 1) for line in (job.logs or "").splitlines())
    assert set(variables) == {"PATH", "HOME", "LANG", "GREETING", "COUNT", "KEY"}
    assert (variables["GREETING"], variables["COUNT"], variables["KEY"]) == ("a=b c", "3", "s3cret")


def test_secrets_are_not_shown_again(api: Api) -> None:
    job = api.run("true", secrets={"KEY": "s3cret"}, environment={"PLAIN": "shown"})
    assert job.docker_metadata is not None
    parameters = job.docker_metadata.docker_run_parameters
    assert parameters is not None
    assert parameters.secrets == {"KEY": "***"}
    assert parameters.env_variables == {"PLAIN": "shown"}


def test_container_files_are_where_they_were_asked_for(api: Api) -> None:
    job = api.run(
        "cat '/var/inputs/a b.txt' /perian-shim/deep/er/x",
        files={"/var/inputs/a b.txt": b"first\n", "/perian-shim/deep/er/x": b"second\n"},
    )
    assert job.logs == "first\nsecond\n"


def test_binary_container_files_arrive_unchanged(api: Api) -> None:
    content = bytes(range(256))
    job = api.run("od -An -v -tx1 /var/inputs/bin", files={"/var/inputs/bin": content})
    assert bytes.fromhex("".join((job.logs or "").split())) == content


def test_logs_grow_while_the_job_runs(api: Api) -> None:
    job_id = api.submit("sh -c 'echo first; sleep 300'")
    assert api.running(job_id, "first\n").logs == "first\n"
    api.jobs.cancel_job(job_id)
    api.finished(job_id)


def test_times_are_in_order_and_say_when_it_ran(api: Api) -> None:
    job = api.run("true")
    assert job.created_at is not None
    assert job.started_at is not None
    assert job.done_at is not None
    assert job.created_at <= job.started_at <= job.done_at
    assert job.created_at.utcoffset() is not None


def test_a_job_that_runs_too_long_times_out(api: Api) -> None:
    job = api.run("sleep 300", timeout_seconds=1)
    assert job.status == WorkloadStatus.TIMEOUT
    assert "timeout_seconds=1" in (job.errors or "")


def test_cancellation_ends_a_tree_that_ignores_sigterm(api: Api) -> None:
    mark = f"31{os.getpid()}"
    stubborn = (
        'sh -c \'trap "" TERM; (trap "" TERM; setsid sleep ' + mark + ") & "
        "sleep " + mark + " & echo up; wait; sleep " + mark + "'"
    )
    job_id = api.submit(stubborn)
    api.running(job_id, "up")
    wait_until(
        lambda: len([one for one in commands_containing(mark) if "sleep" in one]) >= 3,
        PATIENCE_SECONDS,
        "the tree is there",
    )
    api.jobs.cancel_job(job_id)
    assert api.finished(job_id).status == WorkloadStatus.CANCELLED
    assert commands_containing(mark) == []


def test_cancellation_gives_the_command_a_chance_to_tidy_up(api: Api) -> None:
    job_id = api.submit(
        "sh -c 'trap \"echo tidy; exit 0\" TERM; echo up; while :; do sleep 0.05; done'"
    )
    api.running(job_id, "up")
    api.jobs.cancel_job(job_id)
    job = api.finished(job_id)
    assert job.status == WorkloadStatus.CANCELLED
    assert "tidy" in (job.logs or "")


def test_what_the_command_leaves_running_ends_with_it(api: Api) -> None:
    mark = f"32{os.getpid()}"
    job = api.run(f"sh -c 'setsid sleep {mark} & exit 0'")
    assert job.status == WorkloadStatus.DONE
    assert commands_containing(mark) == []


def test_output_written_at_the_very_end_is_in_the_log(api: Api) -> None:
    job = api.run("sh -c 'seq 1 50000'")
    assert (job.logs or "").splitlines() == [str(number) for number in range(1, 50001)]


def test_a_command_that_does_not_exist_is_a_user_error(api: Api) -> None:
    job = api.run("no-such-program --flag")
    assert job.status == WorkloadStatus.USERERROR
    assert job.errors == (
        'container exited with code 127: exec: "no-such-program": '
        "executable file not found in $PATH"
    )


def test_a_command_that_is_not_executable_is_a_user_error(api: Api) -> None:
    job = api.run("/var/inputs/plain", files={"/var/inputs/plain": b"text"})
    assert job.status == WorkloadStatus.USERERROR
    assert "code 126" in (job.errors or "")


@pytest.mark.parametrize("command", [None, "", "echo 'unbalanced"])
def test_a_command_that_cannot_be_understood_is_a_user_error(api: Api, command: str | None) -> None:
    job = api.run(command)
    assert job.status == WorkloadStatus.USERERROR
    assert "command" in (job.errors or "")


def test_contradictory_container_files_are_a_user_error(api: Api) -> None:
    job = api.run("true", files={"/var/inputs/a": b"", "/var/inputs/a/b": b""})
    assert job.status == WorkloadStatus.USERERROR
    assert "/var/inputs/a/b" in (job.errors or "")


def test_an_unknown_image_is_accepted_and_then_fails_to_be_pulled(api: Api) -> None:
    job = api.run("true", image="registry.example:5000/team/app", tag="2")
    assert job.status == WorkloadStatus.USERERROR
    assert "pull access denied" in (job.errors or "")
    assert "registry.example:5000/team/app" in (job.errors or "")
    assert job.started_at is None


def test_statuses_can_be_observed_one_after_the_other(tmp_path: Path) -> None:
    with running_api(tmp_path, queued_seconds=0.3, initializing_seconds=0.3) as api:
        job_id = api.submit("sleep 0.3")
        seen: list[object] = []

        def observe() -> bool:
            status = api.view(job_id).status
            if status not in seen:
                seen.append(status)
            return status == WorkloadStatus.DONE

        wait_until(observe, PATIENCE_SECONDS, lambda: f"the job is done; seen {seen}")
    assert seen == [
        WorkloadStatus.QUEUED,
        WorkloadStatus.INITIALIZING,
        WorkloadStatus.RUNNING,
        WorkloadStatus.DONE,
    ]


def test_a_queued_job_can_be_cancelled(tmp_path: Path) -> None:
    with running_api(tmp_path, queued_seconds=3600) as api:
        job_id = api.submit("true")
        api.jobs.cancel_job(job_id)
        job = api.finished(job_id)
    assert (job.status, job.started_at) == (WorkloadStatus.CANCELLED, None)


def test_the_timeout_is_counted_from_running(tmp_path: Path) -> None:
    with running_api(tmp_path, initializing_seconds=1.5) as api:
        job = api.run("true", timeout_seconds=1)
    assert job.status == WorkloadStatus.DONE
