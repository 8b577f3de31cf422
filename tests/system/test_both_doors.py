"""Both doors lead to the same: ``outputs.pb`` byte for byte, ``error.pb`` field for field.

Everything else in this folder runs through each door by itself. Here one task is run through both,
in executions whose names are equally long, so that what differs by name can be put in place of the
other.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flyteidl.core import errors_pb2, literals_pb2
from flytekit import Secret
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.answers import reply
from support.api_faults import Spell
from support.api_front import FaultyApi
from support.doors import FLYTE_1, Door
from support.flyte import Harness, harness_on
from support.function_harness import FunctionHarness
from support.functions import failing, values
from support.plain_values import PLAIN, copying
from support.shell_task import shell
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.flyte.cluster import AnyTask, RunningPod

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

JOB_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
KEY = re.compile(rb"[0-9a-f]{40}")
SECONDS = re.compile(r"\d+(?:\.\d+)? s\b")
COST = re.compile(r" The job ran for .* and cost \S+ EUR\.")
"""Whether a job that is aborted has run by then, and where it was seen, is chance."""

Around = Callable[[Harness], AbstractContextManager[Harness]]
During = Callable[[RunningPod], None]


@dataclass(frozen=True)
class Left:
    """What one attempt left below its output prefix, names of its own taken out.

    Attributes:
        outputs: ``outputs.pb``.
        error: ``error.pb``, without the time.
        offloaded: the output ``all``, if it is an object of its own.
        exit_code: of the pod.
    """

    outputs: bytes | None
    error: dict[str, object] | None
    offloaded: bytes | None
    exit_code: int


@dataclass
class Doors:
    """One sandbox, and clusters whose pods go through one door and the other."""

    harness: Harness
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def of_functions(self) -> "Doors":
        """Return the same for function tasks."""
        return Doors(FunctionHarness(self.harness).of({}, {}), self.numbers)

    def through(self, door: Door) -> Harness:
        """Return a harness whose pods are started in earnest, through a door."""
        bin_dir = door.bin_dir(self.harness.folder / f"bin-{door.value}")
        cluster = replace(self.harness.cluster, bin_dir=bin_dir)
        return replace(self.harness, door=door, cluster=cluster)

    def left(
        self,
        number: int,
        door: Door,
        task: AnyTask,
        inputs: Mapping[str, object],
        around: Around = nullcontext,
        during: During = lambda _: None,
    ) -> Left:
        """Run one attempt and return what it left."""
        execution = f"both{number:04d}{door.value[0]}"
        with around(self.through(door)) as harness:
            template = harness.cluster.serialize(task)
            pod = harness.cluster.start(template, harness.literals(task, inputs), execution)
            during(pod)
            return read(pod, pod.wait().exit_code)

    def both(self, task: AnyTask, inputs: Mapping[str, object] | None = None, **how: Any) -> Left:
        """Run a task through both doors and expect the same; return that."""
        number = next(self.numbers)
        one, other = (self.left(number, door, task, inputs or {}, **how) for door in FLYTE_1)
        assert one == other
        return one


def read(pod: RunningPod, exit_code: int) -> Left:
    """Read what an attempt left."""
    prefix = pod.pod.output_prefix
    error = pod.store.read(f"{prefix}/error.pb")
    places = [str(pod.folder), pod.pod.raw_prefix, pod.pod.data_prefix]
    names = [*places, pod.pod.execution]
    outputs = pod.store.read(f"{prefix}/outputs.pb")
    return Left(
        outputs=None if outputs is None else neutral(outputs, names),
        error=None if error is None else fields(error, names),
        offloaded=pod.store.read(f"{prefix}/all_offloaded_metadata.pb"),
        exit_code=exit_code,
    )


def neutral(content: bytes, names: list[str]) -> bytes:
    """Take out names that differ by door; what comes in their place is as long."""
    for name in names:
        content = content.replace(name.encode(), b"_" * len(name))
    jobs: dict[bytes, bytes] = {}
    content = JOB_ID.sub(lambda match: jobs.setdefault(match[0], b"%036d" % len(jobs)), content)
    return KEY.sub(b"_" * 40, content)


def fields(content: bytes, names: list[str]) -> dict[str, object]:
    """Return the fields of an error document, without the time."""
    error = errors_pb2.ErrorDocument.FromString(content).error
    assert error.timestamp.seconds > 0
    message = neutral(error.message.encode(), names).decode()
    return {
        "code": error.code,
        "kind": error.kind,
        "origin": error.origin,
        "worker": error.worker,
        "message": SECONDS.sub("N s", COST.sub("", message)),
    }


@pytest.fixture(scope="module")
def doors(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with harness_on(sandbox, tmp_path_factory.mktemp("both"), Door.ENTRYPOINT) as harness:
        yield Doors(harness)


# --- outputs ---


def test_values_of_every_type(doors: Doors) -> None:
    types = {case.name: case.python_type for case in PLAIN}
    task = copying("test.both_plain", types)
    left = doors.both(task, {case.name: case.value for case in PLAIN})
    assert left.outputs is not None
    assert len(literals_pb2.LiteralMap.FromString(left.outputs).literals) == len(PLAIN)


def test_files_and_folders(doors: Doors) -> None:
    outputs: dict[str, Any] = {
        "file": FlyteFile,
        "folder": FlyteDirectory,
        "files": list[FlyteFile],
        "by_name": dict[str, FlyteFile],
        "none": FlyteFile | None,
    }
    script = (
        "cd /var/outputs; echo a >file; mkdir -p folder/deep files by_name; echo b >folder/deep/x;"
        "for n in 10 9 1; do echo $n >files/$n; done; echo c >by_name/key"
    )
    left = doors.both(shell(script, outputs=outputs))
    assert left.outputs is not None


def test_a_task_without_outputs(doors: Doors) -> None:
    assert doors.both(shell("true")).outputs == b""


def test_an_output_that_the_backend_offloads(doors: Doors) -> None:
    def offloading(harness: Harness) -> AbstractContextManager[Harness]:
        return nullcontext(harness.with_variables(_F_L_MIN_SIZE_MB="1", _F_L_MAX_SIZE_MB="5"))

    script = "head -c 2000000 /dev/zero | tr '\\0' x >/var/outputs/all"
    left = doors.both(shell(script, outputs={"all": str}), around=offloading)
    assert left.offloaded is not None
    assert len(left.offloaded) > 2_000_000


def test_what_a_function_returns(doors: Doors) -> None:
    left = doors.of_functions().both(values.unnamed, {"count": 3})
    assert left.outputs is not None


# --- errors ---


@contextmanager
def unreachable(harness: Harness) -> Iterator[Harness]:
    broken = Spell(reply(503, {"detail": "maintenance"}))
    with FaultyApi(harness.sandbox, broken) as api:
        yield harness.with_variables(**api.environment, PERIAN_OUTAGE_SECONDS="1")


def without_secret(harness: Harness) -> AbstractContextManager[Harness]:
    cluster = replace(harness.cluster, secrets={})
    return nullcontext(replace(harness, cluster=cluster))


ERRORS: dict[str, tuple[Callable[[], AnyTask], Around]] = {
    "PERIAN:JobFailed": (lambda: shell("echo last words; exit 3", retries=2), nullcontext),
    "PERIAN:OutputMissing": (lambda: shell("true", outputs={"x": int}), nullcontext),
    "PERIAN:OutputInvalid": (
        lambda: shell("echo abc >/var/outputs/x", outputs={"x": int}),
        nullcontext,
    ),
    "PERIAN:MissingSecret": (
        lambda: shell("true", secret_requests=[Secret("shop", "password")]),
        nullcontext,
    ),
    "PERIAN:Timeout": (lambda: shell("sleep 60", timeout=1), nullcontext),
    "PERIAN:SubmissionUnclear": (lambda: shell("true"), unreachable),
}


@pytest.mark.parametrize("code", ERRORS)
def test_an_error(code: str, doors: Doors) -> None:
    task, around = ERRORS[code]
    left = doors.both(task(), around=around)
    assert left.error is not None
    assert left.error["code"] == code
    assert (left.outputs, left.exit_code) == (None, 0)


def test_what_a_function_raises(doors: Doors) -> None:
    left = doors.of_functions().both(failing.value_error, {"cups": 2})
    assert left.error is not None
    assert str(left.error["code"]).startswith("USER:")


def test_an_abort(doors: Doors) -> None:
    def aborted(pod: RunningPod) -> None:
        wait_until(lambda: doors.harness.jobs(pod.pod.execution), LONG_SECONDS, "no job")
        pod.delete()

    left = doors.both(shell("sleep 60"), during=aborted)
    assert left.error is not None
    assert left.error["code"] == "PERIAN:Terminated"
