"""Every way a run can end badly, as Flyte learns of it: read from ``error.pb`` of real processes.

One row for each error that ``test_bad_input`` does not reach already; a test at the end keeps the
two together complete.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from flyteidl.core import errors_pb2
from flytekit import Secret
from flytekit.models.task import TaskTemplate
from flytekit.types.file import FlyteFile
from support.answers import reply
from support.api_calls import Call
from support.api_faults import Bend, Spell, bent, showing
from support.api_front import FaultyApi, FaultyServer
from support.container_errors import AGAIN, FATAL, SYSTEM, USER
from support.flyte import Harness
from support.front import Behaviour
from support.function_harness import FunctionHarness
from support.functions import verbose
from support.shell_task import shell
from support.storage_front import Answer, StorageFront, s3_error
from support.waiting import wait_until

from perian_shim import PerianConfig, PerianContainerTask, errors
from perian_shim.api.errors import PerianError
from perian_shim.sandbox.flyte.cluster import RunningPod
from perian_shim.sandbox.records import Status
from perian_shim.sandbox.server.application import Response
from perian_shim.sandbox.server.store import JobSnapshot

pytestmark = [pytest.mark.slow, pytest.mark.below_the_doors, pytest.mark.thorough]


LARGEST = 1_000_000
"""Bytes of an ``error.pb``; Flyte's default bound of what it reads is twice that."""

OUTAGE = {"PERIAN_OUTAGE_SECONDS": "1"}


def task(script: str = "echo 'last words'", **arguments: Any) -> PerianContainerTask:
    return shell(script, **arguments)


SLEEPER = "echo 'last words'; sleep 60"

Surroundings = Callable[[Harness], AbstractContextManager[Harness]]


@dataclass(frozen=True)
class Row:
    """A way to end, and what Flyte is to be told of it.

    Attributes:
        error: the class.
        kind: of the container error.
        origin: of the container error.
        task: what is run.
        says: parts of the message.
        inputs: of the task.
        around: what surrounds the pod.
        damage: done to the template.
        meanwhile: done while the pod runs.
        job: what has become of the job, None if there is to be none.
        remedy: part of what is to be done next; default is the class's.
    """

    error: type[PerianError]
    kind: int
    origin: int
    task: Callable[[], PerianContainerTask]
    says: tuple[str, ...] = ()
    inputs: Callable[[], Mapping[str, object]] = dict
    around: Surroundings = nullcontext
    damage: Callable[[TaskTemplate], None] = lambda _: None
    meanwhile: Callable[[Harness, RunningPod], None] = lambda _harness, _pod: None
    job: Status | None = None
    remedy: str = ""


@dataclass(frozen=True)
class Told:
    """What Flyte was told of one attempt, and what became of its jobs."""

    document: bytes = field(repr=False)
    log: str = field(repr=False)
    exit_code: int
    jobs: list[JobSnapshot] = field(repr=False)

    @property
    def error(self) -> errors_pb2.ContainerError:
        return errors_pb2.ErrorDocument.FromString(self.document).error

    @property
    def message(self) -> str:
        return str(self.error.message)


def run(
    harness: Harness,
    what: PerianContainerTask,
    inputs: Mapping[str, object] | None = None,
    *,
    damage: Callable[[TaskTemplate], None] = lambda _: None,
    meanwhile: Callable[[Harness, RunningPod], None] = lambda _harness, _pod: None,
) -> Told:
    """Run one attempt and read what it left."""
    template = harness.cluster.serialize(what)
    damage(template)
    pod = harness.cluster.start(template, harness.literals(what, inputs or {}), harness.execution())
    meanwhile(harness, pod)
    ended = pod.wait()
    document = pod.store.read(f"{pod.pod.output_prefix}/error.pb")
    assert document is not None, ended.log
    return Told(document, ended.log, ended.exit_code, harness.jobs(pod.pod.execution))


# --- surroundings ---


@contextmanager
def keys_of_a_session(harness: Harness) -> Iterator[Harness]:
    """Pods whose keys somebody has exported from a session of theirs."""
    folder = harness.folder / "session"
    folder.mkdir(exist_ok=True)
    program = (
        "import os\n"
        "for name in ('ACCESS_KEY_ID', 'SECRET_ACCESS_KEY'):\n"
        "    os.environ['AWS_' + name] = os.environ.pop('FLYTE_AWS_' + name)\n"
        "os.environ['AWS_SESSION_TOKEN'] = 'of a session'\n"
    )
    (folder / "sitecustomize.py").write_text(program)
    yield harness.with_variables(PYTHONPATH=str(folder))


@contextmanager
def behind(harness: Harness, *behaviours: Behaviour, **variables: str) -> Iterator[Harness]:
    """Give a harness whose pods reach the API through a front that behaves so."""
    with FaultyApi(harness.sandbox, *behaviours) as api:
        yield harness.with_variables(**api.environment, **variables)


def shown_as(fields: Mapping[str, object], *, once: str = "", **variables: str) -> Surroundings:
    return lambda harness: behind(harness, showing(fields, once=once), **variables)


def cancelled_by_hand(harness: Harness) -> AbstractContextManager[Harness]:
    def change(bend: Bend) -> None:
        assert harness.sandbox.store is not None
        if bend.view["status"] == "Running" and bend.view["logs"]:
            harness.sandbox.store.cancel(bend.view["id"])

    return behind(harness, bent(change))


def done_too_early(harness: Harness) -> AbstractContextManager[Harness]:
    return behind(harness, showing({"status": "Done"}, logged=True))


def vanishing(harness: Harness) -> AbstractContextManager[Harness]:
    return once_logged(harness, Response.of(400, {"detail": "No job found with specified ID"}))


def failing_reads(harness: Harness) -> AbstractContextManager[Harness]:
    return once_logged(harness, Response.of(503, {"detail": "maintenance"}))


def once_logged(harness: Harness, answer: Response) -> AbstractContextManager[Harness]:
    """Answer so about a job whose log has been seen."""
    seen = threading.Event()

    def change(bend: Bend) -> Response | None:
        if seen.is_set():
            return answer
        if bend.view["logs"]:
            seen.set()
        return None

    return behind(harness, bent(change), **OUTAGE)


def breaking_submissions(harness: Harness) -> AbstractContextManager[Harness]:
    broken = Spell(reply(500, {"detail": "the database is gone"}), Call.SUBMIT)
    expired = Spell(reply(401, {"detail": "The token has expired"}), Call.LIST)
    return behind(harness, broken, expired, **OUTAGE)


@contextmanager
def broken_python(harness: Harness) -> Iterator[Harness]:
    """Pods in which a function of the standard library fails, as after an incompatible upgrade."""
    token = harness.cluster.secrets[("perian", "perian_token")]
    folder = harness.folder / "broken"
    folder.mkdir(exist_ok=True)
    program = f"import shlex\ndef join(_words): raise KeyError('surprise {token}')\n"
    (folder / "sitecustomize.py").write_text(program + "shlex.join = join\n")
    yield harness.with_variables(PYTHONPATH=str(folder))


@contextmanager
def refusing_storage(harness: Harness) -> Iterator[Harness]:
    """Pods that may not write where the launch records are."""
    refused = Answer(403, s3_error("AccessDenied", "Not yours"))
    spell = Spell(refused, re.compile(r"^PUT .*/_perian/"))
    with StorageFront(harness.sandbox.s3_endpoint, spell) as front:
        yield harness.with_variables(FLYTE_AWS_ENDPOINT=front.url, AWS_ENDPOINT_URL_S3=front.url)


WORDS_SEEN = threading.Event()


def announcing(harness: Harness) -> AbstractContextManager[Harness]:
    """Tell when a pod has printed what its job said: when it asks for the next time."""
    WORDS_SEEN.clear()  # the other door's pod may have said them in this process
    shown = threading.Event()
    WORDS_SEEN.clear()  # another door's pod may have set it

    def change(bend: Bend) -> None:
        if shown.is_set():
            WORDS_SEEN.set()
        if bend.view["logs"]:
            shown.set()

    return behind(harness, bent(change))


def ask_to_end(_harness: Harness, pod: RunningPod) -> None:
    assert WORDS_SEEN.wait(60)
    pod.delete()


def missing_download() -> Mapping[str, object]:
    return {"data": FlyteFile("http://127.0.0.1:1/data.bin")}


FILE_INPUT: dict[str, Any] = {"inputs": {"data": FlyteFile}}

TABLE = [
    Row(
        errors.InvalidTemplate,
        FATAL,
        USER,
        task,
        says=("custom.kind", "'balloon'"),
        damage=lambda template: template.custom.update(kind="balloon"),
    ),
    Row(
        errors.InvalidInput,
        FATAL,
        USER,
        lambda: task(**FILE_INPUT),
        says=("Input 'data'", "abfs://elsewhere/data.bin"),
        inputs=lambda: {"data": FlyteFile("abfs://elsewhere/data.bin")},
        remedy="object store",
    ),
    Row(
        errors.AccessTooShort,
        FATAL,
        USER,
        lambda: task(outputs={"x": int}),
        says=("at a time that nobody knows", "nothing bounds the job"),
        around=keys_of_a_session,
        remedy="allow_short_access=True",
    ),
    Row(
        errors.InvalidCommand,
        FATAL,
        USER,
        lambda: task(inputs={"number": int | None}, command=["echo", "{{.inputs.number}}"]),
        says=("number",),
        inputs=lambda: {"number": None},
    ),
    Row(
        errors.StorageFailed,
        AGAIN,
        SYSTEM,
        task,
        says=("_perian/attempts", "AccessDenied"),
        around=refusing_storage,
    ),
    Row(
        errors.ApiUnavailable,
        AGAIN,
        SYSTEM,
        lambda: task(SLEEPER),
        says=("No good answer", "maintenance", "perian-shim cancel"),
        around=failing_reads,
        remedy="Try again later",
        job=Status.RUNNING,
    ),
    Row(
        errors.SubmissionUnclear,
        AGAIN,
        SYSTEM,
        task,
        says=("the database is gone", "The token has expired", "key "),
        around=breaking_submissions,
    ),
    Row(
        errors.JobFailed,
        AGAIN,
        USER,
        lambda: task("echo 'last words'; exit 3"),
        says=("exited with code 3",),
        job=Status.USER_ERROR,
    ),
    Row(
        errors.JobKilled,
        AGAIN,
        USER,
        lambda: task("echo 'last words'; sh -c 'kill -9 $$'"),
        says=("137", "memory"),
        job=Status.USER_ERROR,
    ),
    Row(
        errors.TransferFailed,
        AGAIN,
        USER,
        lambda: task(**FILE_INPUT),
        says=("data",),
        inputs=missing_download,
        job=Status.USER_ERROR,
    ),
    Row(
        errors.JobUnsuitable,
        FATAL,
        USER,
        lambda: task(outputs={"x": int}, output_data_dir="/etc/passwd/outputs"),
        says=("/etc/passwd/outputs", "output_data_dir"),
        job=Status.USER_ERROR,
    ),
    Row(
        errors.OutputTooLarge,
        FATAL,
        USER,
        lambda: task("head -c 3000000 /dev/zero | tr '\\0' x >/var/outputs/x", outputs={"x": str}),
        says=("Flyte takes 2097152", "'x' has 3000"),
        job=Status.DONE,
        remedy="Declare a file for large data",
    ),
    Row(
        errors.ResultMissing,
        FATAL,
        USER,
        lambda: task(SLEEPER, outputs={"x": int}),
        says=("is Done, but left no result",),
        around=done_too_early,
        job=Status.RUNNING,
    ),
    Row(
        errors.QueuedTooLong,
        AGAIN,
        USER,
        lambda: task(SLEEPER, task_config=PerianConfig(cores=1, max_queued_time=1)),
        says=("for a machine", "max_queued_time is 1 s", "It was cancelled"),
        around=shown_as({"status": "Queued"}, once="Running"),
        job=Status.CANCELLED,
    ),
    Row(
        errors.JobCancelled,
        FATAL,
        USER,
        lambda: task(SLEEPER),
        says=("was cancelled, and not by this run",),
        around=cancelled_by_hand,
        job=Status.CANCELLED,
    ),
    Row(
        errors.JobVanished,
        AGAIN,
        SYSTEM,
        lambda: task(SLEEPER),
        says=("does not know job", "perian-shim cancel"),
        around=vanishing,
        job=Status.RUNNING,
    ),
    Row(
        errors.Terminating,
        AGAIN,
        SYSTEM,
        lambda: task(SLEEPER),
        says=("SIGTERM", "cancelled"),
        around=announcing,
        meanwhile=ask_to_end,
        job=Status.CANCELLED,
    ),
    Row(
        errors.InternalError,
        FATAL,
        SYSTEM,
        task,
        says=("perian-shim itself failed", "KeyError", "surprise [redacted]", "shlex"),
        around=broken_python,
    ),
    Row(
        errors.PlatformFailed,
        AGAIN,
        SYSTEM,
        task,
        says=("Perian could not run job", "the machine burned down"),
        around=shown_as(
            {"status": "ServerError", "errors": "the machine burned down"}, once="Done"
        ),
        job=Status.DONE,
    ),
    Row(
        errors.StatusUnknown,
        AGAIN,
        SYSTEM,
        lambda: task(SLEEPER),
        says=("has had the status 'Hibernating'",),
        around=shown_as({"status": "Hibernating"}, once="Running", **OUTAGE),
        job=Status.RUNNING,
    ),
    Row(
        errors.DefinitionError,
        FATAL,
        USER,
        task,
        says=("A Perian job tried to submit another",),
        around=lambda harness: nullcontext(harness.with_variables(PERIAN_SHIM_KEY="a key")),
        remedy="only within a workflow",
    ),
    Row(
        errors.ConfigError,
        FATAL,
        USER,
        task,
        says=("PERIAN_POLL_MIN_SECONDS", "'soon'"),
        around=lambda harness: nullcontext(harness.with_variables(PERIAN_POLL_MIN_SECONDS="soon")),
    ),
]

ELSEWHERE: dict[type[PerianError], str] = {
    errors.TemplateTooNew: "test_bad_input.py",
    errors.MissingSecret: "test_bad_input.py",
    errors.JobRejected: "test_bad_input.py",
    errors.OutputMissing: "test_bad_input.py",
    errors.OutputInvalid: "test_bad_input.py",
    errors.JobTimedOut: "test_bad_input.py",
    errors.FunctionFailed: "test_function_errors.py",
    errors.WrongMachine: "test_one_live_job.py",
    errors.ImageUnavailable: "test_one_live_job.py",
    errors.CreditExhausted: "test_one_live_job.py",
    errors.Superseded: "test_one_live_job.py",
    errors.AgainstPolicy: "test_platform_rules.py",
    errors.TooManyJobs: "test_turns.py",
}
"""Errors that other tests read from ``error.pb``; a function's own error has a code of its own."""


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.error.__name__)
def test_flyte_learns_what_happened_whose_fault_it_is_and_what_to_do(
    row: Row, harness: Harness
) -> None:
    with ExitStack() as stack:
        surrounded = stack.enter_context(row.around(harness))
        told = run(surrounded, row.task(), row.inputs(), damage=row.damage, meanwhile=row.meanwhile)
    assert told.exit_code == 0, told.log
    assert (told.error.code, told.error.kind, told.error.origin) == (
        row.error.code,
        row.kind,
        row.origin,
    ), told.message
    for words in (*row.says, row.remedy or row.error.remedy, f"[{row.error.code}]"):
        assert words in told.message
    check_job(harness, row, told)
    assert harness.cluster.secrets[("perian", "perian_token")] not in told.message + told.log


def check_job(harness: Harness, row: Row, told: Told) -> None:
    """Compare what became of the job, and what is said of it."""
    if row.job is None:
        assert told.jobs == []
        return
    (job,) = told.jobs
    store = harness.sandbox.store
    assert store is not None
    assert job.record.job_id in told.message
    if "last words" in job.log:
        assert "Last log lines:\n" in told.message
        assert "last words" in told.message.partition("Last log lines:\n")[2]

    def status() -> Status | None:
        found = store.get(job.record.job_id)
        return found.state.status if found else None

    wait_until(lambda: status() is row.job, 30, lambda: f"{status()}")
    store.cancel(job.record.job_id)


def subclasses(kind: type[PerianError]) -> set[type[PerianError]]:
    direct = set(kind.__subclasses__())
    return direct.union(*map(subclasses, direct)) if direct else set()


def test_every_error_of_a_run_has_a_row() -> None:
    ours = {kind for kind in subclasses(errors.TaskError) if kind.__module__ == errors.__name__}
    assert ours == ({row.error for row in TABLE} | set(ELSEWHERE)) & ours
    assert not {row.error for row in TABLE} & set(ELSEWHERE)
    for error, name in ELSEWHERE.items():
        text = (Path(__file__).parent / name).read_text()
        assert error.code in text or error is errors.FunctionFailed


def test_every_code_is_an_errors_own() -> None:
    codes: dict[str, str] = {}
    for kind in subclasses(PerianError):
        if kind.__module__.startswith("perian_shim."):
            code = str(vars(kind).get("code", kind.__name__))
            assert codes.setdefault(code, kind.__name__) == kind.__name__


# --- sizes, encodings, secrets ---


def test_a_huge_log_leaves_room_for_what_happened(harness: Harness) -> None:
    command = (
        "for n in 1 2 3 4 5 6 7 8; do head -c 300000 /dev/zero | tr '\\0' x; echo; done; exit 3"
    )
    told = run(harness, task(command))
    assert len(told.document) < LARGEST
    assert "exited with code 3" in told.message
    assert errors.JobFailed.remedy in told.message


def test_a_huge_reason_of_perians_leaves_room_for_the_remedy(harness: Harness) -> None:
    reason = "begin " + "é" * 2_000_000 + " end"
    with behind(
        harness, showing({"status": "ServerError", "errors": reason}, once="Done")
    ) as bent_one:
        told = run(bent_one, task())
    assert len(told.document) < LARGEST
    for words in ("begin é", "é end", errors.PlatformFailed.remedy, "last words"):
        assert words in told.message


def test_a_huge_error_file_leaves_room_for_the_remedy(harness: Harness) -> None:
    command = "echo 'last words'; head -c 3000000 /dev/zero | tr '\\0' x > /var/outputs/_ERROR"
    told = run(harness, task(command, outputs={"x": int}))
    assert len(told.document) < LARGEST
    for words in ("left an error: xxx", errors.JobFailed.remedy, "last words"):
        assert words in told.message


def test_a_functions_error_that_is_too_long_for_flyte_is_cut(harness: Harness) -> None:
    ran = FunctionHarness(harness).run(verbose.endless_message, {"size": 3_000_000})
    assert ran.error.ByteSize() < LARGEST
    assert (ran.error.code, ran.error.kind) == ("USER:RuntimeError", FATAL)
    assert "ValueError: begin xxx" in ran.error.message or "begin xxx" in ran.error.message


def test_what_no_terminal_can_show_fails_no_run(harness: Harness) -> None:
    log = 'ein Gr\u00f6\u00dfe \u2603 \ud800 "quoted"\n'
    view = {"status": "UserError", "logs": log, "errors": "exit code 3: \udfff \u2603"}
    with behind(harness, showing(view, once="Done"), PYTHONIOENCODING="ascii") as bent_one:
        told = run(bent_one, task())
    assert told.exit_code == 0
    assert told.error.code == errors.JobFailed.code
    assert 'ein Größe ☃ \\ud800 "quoted"' in told.message
    assert "exit code 3: \\udfff ☃" in told.message
    assert rb"Gr\xf6\xdfe".decode() in told.log


KEY = "-----BEGIN KEY-----\nMIIabcdefghijkl\nmnopqrstuvwx==\n-----END KEY-----"
PASSWORD = 'p<ss&w"rd \u00e9 with spaces'


def with_secrets(harness: Harness) -> Harness:
    secrets = {
        **harness.cluster.secrets,
        ("mine", "key"): KEY,
        ("mine", "password"): PASSWORD,
    }
    return replace(harness, cluster=replace(harness.cluster, secrets=secrets))


def careless_task(command: str, **arguments: Any) -> PerianContainerTask:
    requests = [
        Secret(group="mine", key=name, mount_requirement=Secret.MountType.ENV_VAR)
        for name in ("key", "password")
    ]
    return task(command, secret_requests=requests, **arguments)


SHOW = 'printf "%s\\n" "$_FSEC_MINE_KEY" "$_FSEC_MINE_PASSWORD"'


def leaks(told: Told) -> list[str]:
    return [
        part for part in (*KEY.splitlines(), PASSWORD) if part in told.message or part in told.log
    ]


@pytest.mark.parametrize(
    "command",
    [f"{SHOW}; exit 3", f"{SHOW} > /var/outputs/_ERROR", f"{SHOW} | tr '\\n' ' '; exit 3"],
    ids=["log", "error file", "one line"],
)
def test_no_secret_that_a_program_shows_reaches_flyte(harness: Harness, command: str) -> None:
    told = run(with_secrets(harness), careless_task(command, outputs={"x": int}))
    assert told.error.code == errors.JobFailed.code
    assert leaks(told) == []
    assert "[redacted]" in told.message


@pytest.mark.parametrize(
    "echo",
    [str, json.dumps, lambda text: text.replace("\n", "\r\n")],
    ids=["plain", "json", "crlf"],
)
def test_no_secret_that_perian_shows_reaches_flyte(
    harness: Harness, echo: Callable[[str], str]
) -> None:
    token = harness.cluster.secrets[("perian", "perian_token")]
    reason = f"cannot start with {echo(KEY)} and {echo(PASSWORD)} and {token}"
    view = {"status": "ServerError", "errors": reason, "logs": f"{echo(KEY)}\n{token}\n"}
    with behind(with_secrets(harness), showing(view, once="Done")) as bent_one:
        told = run(bent_one, careless_task("true"))
    assert told.error.code == errors.PlatformFailed.code
    assert leaks(told) == []
    assert token not in told.message + told.log


def test_a_proxys_page_in_place_of_an_answer_is_named(harness: Harness) -> None:
    page = b"<html><head><title>Login</title></head><body>Please log in.</body></html>"
    with FaultyServer(reply(404, page)) as proxy:
        told = run(harness.with_variables(PERIAN_API_URL=proxy.url), task())
    assert told.error.code == errors.JobRejected.code
    assert "Please log in." in told.message
    assert "<html>" not in told.message
