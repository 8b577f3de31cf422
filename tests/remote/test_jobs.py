"""A handle of a job, from plain code and from a running event loop."""

import asyncio
import json
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from perian.models.workload_status import WorkloadStatus
from rich.console import Console
from rich.pretty import pretty_repr
from support.answers import in_turn, reply
from support.api_front import FaultyServer
from support.command import Use
from support.front import Behaviour, Exchange
from support.sandbox_api import Api
from support.terminal import Terminal
from support.waiting import LONG_SECONDS

from perian_shim.api.errors import JobNotFound
from perian_shim.errors import JobCancelled, JobFailed, JobTimedOut, ResultMissing
from perian_shim.remote import Job, Phase, init
from perian_shim.sandbox.server.application import Response
from perian_shim.settings import EXECUTION_ID, JOB_KEY, JOB_OWNER, OUTAGE_SECONDS, TASK_NAME

UNKNOWN = "00000000-0000-4000-8000-000000000000"

OURS = {JOB_KEY: "k", EXECUTION_ID: "a1b2", TASK_NAME: "train", JOB_OWNER: "vision"}

SLEEP = "sh -c 'echo up; exec sleep 60'"


def running(api: Api, **variables: str) -> str:
    job_id = api.submit(SLEEP, environment=variables)
    api.running(job_id, "up")
    return job_id


def ended(api: Api, command: str, **options: object) -> Job:
    return Job.get(str(api.run(command, **options).id))


# --- what it shows ---


def test_it_tells_what_and_whose_a_job_is(api: Api) -> None:
    job = ended(api, "true", environment=OURS)
    assert job.id == job.name
    assert (job.status, job.phase, job.done()) == ("Done", Phase.SUCCEEDED, True)
    assert job.origin is not None
    assert (job.origin.execution, job.origin.task, job.origin.owner) == ("a1b2", "train", "vision")
    assert job.created_at is not None
    assert job.started_at is not None
    assert job.done_at is not None
    assert job.created_at <= job.started_at <= job.done_at


def test_a_job_that_is_not_of_a_flyte_task_has_no_origin(api: Api) -> None:
    assert ended(api, "true").origin is None


@pytest.mark.usefixtures("api")
def test_a_job_that_is_not_there_is_an_error() -> None:
    with pytest.raises(JobNotFound):
        Job.get(UNKNOWN)


def test_nothing_that_it_shows_is_secret(api: Api) -> None:
    variables = {**OURS, "PASSWORD": "hunter22"}
    job = ended(api, "echo hunter44", environment=variables, secrets={"A": "hunter33"})
    console = Console(width=200, record=True, quiet=True)
    console.print(job)
    shown = [repr(job), pretty_repr(job), console.export_text(), job.to_json(), str(job.to_dict())]
    assert not [text for text in shown if "hunter" in text]


def test_it_is_shown_by_its_names_and_values(api: Api) -> None:
    job = ended(api, "true", environment=OURS)
    assert repr(job).startswith(f"Job(id='{job.id}', status='Done', task='train', execution='a1b2'")


def test_it_is_json(api: Api) -> None:
    told = json.loads(ended(api, "true", environment=OURS).to_json())
    assert (told["phase"], told["origin"]["owner"]) == ("succeeded", "vision")


def test_its_machine_can_be_described(api: Api) -> None:
    job = ended(api, "true")
    machine = job.instance_type()
    assert (machine.id if machine else None) == job.machine


# --- listing ---


def test_jobs_are_listed_by_what_is_asked_for(api: Api) -> None:
    mine = {**OURS, JOB_OWNER: "lister"}
    first, second = ended(api, "true", environment=mine), ended(api, "false", environment=mine)
    third = running(api, **mine)

    def found(**which: object) -> list[str]:
        return [job.id for job in Job.listall(owner="lister", **which)]  # type: ignore[arg-type]

    assert found() == [third, second.id, first.id]
    assert found(limit=2) == [third, second.id]
    assert found(in_phase="failed") == [second.id]
    assert found(in_phase=[Phase.RUNNING, "succeeded"]) == [third, first.id]
    assert found(since=timedelta(hours=1), limit=None) == [third, second.id, first.id]
    assert found(since=second.created_at) == [third, second.id]
    assert found(execution="a1b2", task="train", key="k") == [third, second.id, first.id]
    assert found(project="another") == []


@pytest.mark.usefixtures("api")
def test_a_phase_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="asleep"):
        list(Job.listall(in_phase="asleep"))


# --- waiting ---


def test_it_is_waited_for_to_its_end(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job.get(api.submit("sleep 0.5"))
    assert job.wait(timeout=LONG_SECONDS).phase is Phase.SUCCEEDED
    printed = capsys.readouterr()
    assert printed.err.splitlines()[-1] == f"job {job.id}: Done"
    assert not printed.out


def test_on_a_terminal_a_wait_is_shown_and_leaves_nothing_to_read(api: Api) -> None:
    job_id = api.submit(SLEEP)
    script = f"from perian_shim.remote import Job; Job.get('{job_id}').wait()"
    with Terminal(sys.executable, "-c", script) as terminal:
        terminal.wait_for(f"job {job_id}: Running")
        api.jobs.cancel_job(job_id)
        assert terminal.wait() == 0
    assert terminal.printed.rstrip().endswith("\x1b[2K") or "\x1b[1A" in terminal.printed


def test_it_is_waited_for_until_it_runs(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job.get(api.submit(SLEEP))
    assert job.wait(quiet=True, wait_for="running", timeout=LONG_SECONDS).phase is Phase.RUNNING
    assert not capsys.readouterr().err


def test_a_wait_has_an_end(api: Api) -> None:
    job = Job.get(running(api))
    with pytest.raises(TimeoutError, match=r"goes on after 0\.3 s"):
        job.wait(quiet=True, timeout=0.3)


def test_each_change_is_told_once_while_it_is_watched(api: Api) -> None:
    job = Job.get(running(api))
    seen = []
    for now in job.watch():
        seen.append(now.status)
        if now.phase is Phase.RUNNING:
            api.jobs.cancel_job(job.id)
    assert seen == ["Running", "Cancelled"]
    assert job.done()


def test_what_may_pass_is_ridden_out(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    good = reply(body={"jobs": [{"id": "j1", "status": "Done", "docker_metadata": None}]})
    with FaultyServer(in_turn(reply(503), reply(429), good)) as server:
        use(server.url)
        monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", "20")
        assert Job.get("j1").done()


# --- logs ---


def test_lines_come_each_once_while_a_job_runs(api: Api) -> None:
    job = Job.get(api.submit("sh -c 'for i in 1 2 3 4; do echo $i; sleep 0.2; done; printf end'"))
    assert list(job.logs(follow=True)) == ["1", "2", "3", "4", "end"]
    assert list(job.logs(follow=True, tail=2)) == ["4", "end"]
    assert list(job.logs(tail=1)) == ["end"]
    assert list(job.logs(tail=0)) == []


def test_only_the_last_lines_that_are_there_come_first(api: Api) -> None:
    job_id = api.submit("sh -c 'printf \"1\\n2\\n3\\nup\\n\"; sleep 1; echo 4'")
    api.running(job_id, "up")
    assert list(Job.get(job_id).logs(follow=True, tail=1)) == ["up", "4"]


# --- its end ---


def test_a_job_is_aborted_and_seen_ended(api: Api) -> None:
    job = Job.get(running(api))
    assert job.abort("not needed")
    assert job.phase is Phase.CANCELLED
    assert job.abort()
    assert api.view(job.id).status == WorkloadStatus.CANCELLED


def test_aborting_a_job_that_is_not_there_any_more_is_no_fault(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OUTAGE_SECONDS, "1")
    there = {"jobs": [{"id": "j1", "status": "Running", "docker_metadata": None}]}
    gone = reply(404, {"detail": "No job found"})
    with FaultyServer(in_turn(reply(body=there), gone)) as server:
        use(server.url)
        assert Job.get("j1").abort()


@pytest.mark.parametrize("look", [reply(503, {"detail": "busy"}), reply(404, {"detail": "No job"})])
def test_a_job_that_cannot_be_seen_for_a_moment_is_not_taken_for_gone(
    use: Use, monkeypatch: pytest.MonkeyPatch, look: Behaviour
) -> None:
    monkeypatch.setenv(OUTAGE_SECONDS, "30")
    there = reply(body={"jobs": [{"id": "j1", "status": "Running", "docker_metadata": None}]})
    gone = reply(404, {"detail": "No job found"})
    began: list[float] = []

    def answer(exchange: Exchange) -> Response | None:
        if not began:
            began.append(time.monotonic())
            return there(exchange)
        if exchange.request.method == "PATCH":
            return gone(exchange)
        return (look if time.monotonic() - began[0] < 4 else there)(exchange)

    with FaultyServer(answer) as server:
        use(server.url)
        assert not Job.get("j1").abort(timeout=6)


@pytest.mark.parametrize(
    ("command", "options", "error"),
    [
        ("sh -c 'echo why; exit 3'", {}, JobFailed),
        ("sleep 60", {"timeout_seconds": 1}, JobTimedOut),
    ],
)
def test_a_failure_is_raised(
    api: Api, command: str, options: dict[str, object], error: type[Exception]
) -> None:
    job = ended(api, command, **options)
    with pytest.raises(error, match=job.id) as raised:
        job.raise_for_status()
    assert "why" in getattr(raised.value, "log_tail", "") or error is JobTimedOut


def test_a_cancellation_is_raised(api: Api) -> None:
    job = Job.get(running(api))
    job.raise_for_status()
    job.abort()
    with pytest.raises(JobCancelled):
        job.raise_for_status()


def test_a_job_that_ended_well_raises_nothing(api: Api) -> None:
    ended(api, "true").raise_for_status()


def test_outputs_are_those_of_jobs_of_tasks_that_have_ended(api: Api) -> None:
    with pytest.raises(ResultMissing, match="no outputs yet"):
        Job.get(running(api)).outputs()
    with pytest.raises(ResultMissing, match="not of a Flyte task"):
        ended(api, "true").outputs()
    with pytest.raises(JobFailed):
        ended(api, "false", environment=OURS).outputs()
    with pytest.raises(ResultMissing, match="does not say where"):
        ended(api, "true", environment=OURS).outputs()


# --- from an event loop ---


def test_everything_can_be_awaited(api: Api) -> None:
    async def follow(job_id: str) -> tuple[list[str], list[str], bool]:
        job = await Job.get.aio(job_id)
        lines = [line async for line in job.logs.aio(follow=True)]
        await job.wait.aio(quiet=True)
        found = [each.id async for each in Job.listall.aio(limit=1)]
        return lines, found, await job.abort.aio()

    job_id = api.submit("sh -c 'sleep 0.3; echo done'")
    assert asyncio.run(follow(job_id)) == (["done"], [job_id], True)


def test_several_jobs_are_waited_for_at_once(api: Api) -> None:
    async def all_of(ids: list[str]) -> list[Phase]:
        jobs = await asyncio.gather(*(Job.get.aio(each) for each in ids))
        return [job.phase for job in await asyncio.gather(*(j.wait.aio(quiet=True) for j in jobs))]

    ids = [api.submit("sleep 0.3") for _ in range(3)]
    assert asyncio.run(all_of(ids)) == [Phase.SUCCEEDED] * 3


def test_a_plain_script_needs_no_more_than_the_environment(api: Api) -> None:
    job_id = str(api.run("true").id)
    script = f"from perian_shim.remote import Job; print(Job.get('{job_id}').wait().status)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        text=True,
        timeout=LONG_SECONDS,
    )
    assert ended.stdout == "Done\n"


def test_the_process_can_say_who_asks(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = api.submit("true")
    monkeypatch.setenv("PERIAN_API_URL", "http://127.0.0.1:1")
    init(url=api.server.url)
    assert Job.get(job_id).id == job_id
