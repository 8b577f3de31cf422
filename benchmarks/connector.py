"""The official contender: flytekit's connector service with the Perian plugin, driven over gRPC.

One service serves all jobs. It is driven as FlytePropeller drives it: ``CreateTask``, one
``GetTask`` at once, further ones at the ticks of a timer that all jobs share, so that a job begins
anywhere between two ticks. What FlytePropeller does after ``GetTask``'s answer (its next look at
the workflow, up to half a minute) is left out, in the connector's favour. Times are seconds.
"""

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc  # type: ignore[import-untyped]  # has no types
from flyteidl.admin.agent_pb2 import CreateTaskRequest, GetTaskRequest, TaskCategory
from flyteidl.core.execution_pb2 import TaskExecution
from flyteidl.core.literals_pb2 import LiteralMap
from flyteidl.core.tasks_pb2 import TaskTemplate
from flyteidl.service.agent_pb2_grpc import AsyncAgentServiceStub

from benchmarks.fronts import ApiFront, RecordedCall
from benchmarks.gate import Gate
from benchmarks.pods import PATIENCE_SECONDS, SETTLE_SECONDS, is_submission
from benchmarks.process import HOUR, Memory, running_cpu, watch
from benchmarks.records import OFFICIAL, Crowd, Run
from benchmarks.world import World

MODULE = "benchmarked_connector"
SIDE = Path(__file__).parent / "official"
"""What the service's environment imports beside its own packages."""

TICK_SECONDS = 30.0
"""FlytePropeller's default pause between two looks at the same job of a connector."""

SECRETS = (
    "PERIAN_ORGANIZATION",
    "PERIAN_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
"""What the connector must have; it hands the last two to every job."""

STARTING_SECONDS = 60.0
STOPPING_SECONDS = 10.0


@dataclass
class Service:
    """A running connector service.

    Attributes:
        process: ``pyflyte serve connector``.
        stub: its client.
        api: the address that it calls.
        ready_after: from the start of the process until it answered.
    """

    process: "subprocess.Popen[bytes]"
    stub: AsyncAgentServiceStub
    api: ApiFront
    ready_after: float

    def create(self, template: TaskTemplate) -> bytes:
        """Submit a job and return what the service wants to be told of it later."""
        request = CreateTaskRequest(template=template, inputs=LiteralMap(), output_prefix="s3://-")
        return bytes(self.stub.CreateTask(request, timeout=PATIENCE_SECONDS).resource_meta)

    def succeeded(self, meta: bytes) -> bool:
        """Ask for a job.

        Raises:
            RuntimeError: it has failed.
        """
        category = TaskCategory(name="perian_task", version=0)
        request = GetTaskRequest(task_category=category, resource_meta=meta)
        phase = self.stub.GetTask(request, timeout=PATIENCE_SECONDS).resource.phase
        if phase in {TaskExecution.FAILED, TaskExecution.ABORTED, TaskExecution.RETRYABLE_FAILED}:
            raise RuntimeError(f"the official connector says {TaskExecution.Phase.Name(phase)}")
        return bool(phase == TaskExecution.SUCCEEDED)


@dataclass
class OfficialContender:
    """The official connector.

    Attributes:
        world: where it runs.
        bin_dir: of its environment.
        service: serves all jobs.
        tick: pause between two looks at a job.
        chance: a random number in [0, 1).
    """

    world: World
    bin_dir: Path
    service: Service
    tick: float = TICK_SECONDS
    chance: Callable[[], float] = random.random
    name: str = OFFICIAL

    def run(self, length: float) -> Run:
        """Run one task whose job sleeps for so many seconds."""
        template = self.template(f"sleep {length:g}")
        pid = self.service.process.pid
        before, called = running_cpu(pid), time.time()
        meta = self.service.create(template)
        [post] = self.posts(called, 1)
        cpu_to_post = running_cpu(pid) - before
        with self.following([meta]) as success:
            memory, waiting_cpu = watch(pid, post.answered, length)
            [succeeded] = success.result(length + 2 * self.tick + PATIENCE_SECONDS)
        return Run(
            contender=self.name,
            length=length,
            start_to_post=post.arrived - called,
            end_to_outputs=succeeded - self.world.job_end(post.target),
            cpu_to_post=cpu_to_post,
            outputs_to_exit=None,
            api_calls=self.service.api.recorder.counts(lambda call: call.arrived > called),
            storage_calls={},
            cpu=running_cpu(pid) - before,
            waiting_cpu=waiting_cpu,
            memory=memory,
        )

    def crowd(self, number: int) -> Crowd:
        """Run so many tasks at once."""
        pid = self.service.process.pid
        with Gate() as gate:
            template = self.template(gate.command)
            before, called = running_cpu(pid), time.time()
            metas = [self.service.create(template) for _ in range(number)]
            posts = self.posts(called, number)
            with self.following(metas) as success:
                gate.wait_for(number, PATIENCE_SECONDS + 10 * number)
                time.sleep(SETTLE_SECONDS)
                cpu = running_cpu(pid) - before
                begin, spent_before = time.time(), running_cpu(pid)
                time.sleep(self.tick)  # each job is asked for once
                spent = (running_cpu(pid) - spent_before) / (time.time() - begin) * HOUR
                memory = Memory.of(pid)
                gate.open()
                succeeded = success.result(2 * self.tick + PATIENCE_SECONDS)
        ended = max(self.world.job_end(post.target) for post in posts)
        return Crowd(
            contender=self.name,
            number=number,
            start_to_last_post=max(post.arrived for post in posts) - called,
            cpu=cpu,
            waiting_cpu=spent,
            memory=memory,
            end_to_last_outputs=max(succeeded) - ended,
        )

    def posts(self, since: float, number: int) -> list[RecordedCall]:
        """Wait for the submissions of this measurement."""
        return self.service.api.recorder.wait_for(
            lambda call: is_submission(call) and call.arrived > since, number, PATIENCE_SECONDS
        )

    @contextlib.contextmanager
    def following(self, metas: Sequence[bytes]) -> Iterator["Future[list[float]]"]:
        """Ask for jobs in a thread until all have succeeded; the result is when each did."""
        given_up = threading.Event()

        def follow() -> list[float]:
            next_tick = time.time() + self.chance() * self.tick
            pending, succeeded = list(metas), []
            while True:
                for meta in list(pending):
                    if self.service.succeeded(meta):
                        succeeded.append(time.time())
                        pending.remove(meta)
                if not pending or given_up.wait(max(0.0, next_tick - time.time())):
                    return succeeded
                next_tick += self.tick

        with ThreadPoolExecutor(1, "propeller") as pool:
            try:
                yield pool.submit(follow)
            finally:
                given_up.set()

    def template(self, command: str) -> TaskTemplate:
        """Return the plugin's template for a job that runs a shell command."""
        argv = ("sh", "-c", command)
        program = (self.bin_dir / "python", SIDE / f"{MODULE}.py", *argv)
        serialized = subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout
        return TaskTemplate.FromString(serialized)


@contextlib.contextmanager
def running_connector(
    world: World, bin_dir: Path, tick: float, chance: Callable[[], float]
) -> Iterator[OfficialContender]:
    """Start the service; it ends with the context.

    Args:
        world: where it runs.
        bin_dir: of its environment.
        tick: pause between two looks at a job.
        chance: a random number in [0, 1).

    Raises:
        TimeoutError: it did not serve in time.
    """
    variables = world.sandbox.environment()
    with world.api() as api, tempfile.TemporaryDirectory(prefix="perian-bench-") as folder:
        secrets = {name: variables[name] for name in SECRETS}
        environment = {
            "PATH": os.pathsep.join([str(bin_dir), os.defpath]),
            "HOME": folder,
            "PYTHONPATH": str(SIDE),
            "PERIAN_API_URL": api.url,
            **{f"_FSEC_{name}": value for name, value in secrets.items()},
        }
        port, metrics_port = free_port(), free_port()
        options = ("--port", str(port), "--prometheus_port", str(metrics_port))
        started = time.time()
        log = Path(folder) / "service.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [bin_dir / "pyflyte", "serve", "connector", *options, "--modules", MODULE],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                wait_until_serving(channel, log)
                ready_after = time.time() - started
                stub = AsyncAgentServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
                service = Service(process, stub, api, ready_after)
                yield OfficialContender(world, bin_dir, service, tick, chance)
        finally:
            process.terminate()
            try:
                process.wait(STOPPING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_serving(channel: grpc.Channel, log: Path) -> None:
    """Wait for a service.

    Raises:
        TimeoutError: it did not serve in time; with what it printed.
    """
    try:
        grpc.channel_ready_future(channel).result(STARTING_SECONDS)
    except grpc.FutureTimeoutError:
        raise TimeoutError(f"the connector service does not serve:\n{log.read_text()}") from None


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
