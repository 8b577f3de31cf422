"""Contenders that are a pod per task: perian-shim and the floor.

All run ``pyflyte-execute`` as Flyte's container plugin would start it, without a container around
it: perian-shim through its image's entry point, where that name leads to our own program, and again
in the floor's environment, where it is flytekit's. A pod that fails, or does not get as far as it
must in time, ends the benchmark with ``RuntimeError`` or ``TimeoutError``.
"""

import contextlib
import itertools
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flytekit.configuration import SerializationSettings
from flytekit.core.interface import Interface
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask
from flytekit.models.literals import LiteralMap
from flytekit.models.task import TaskTemplate

from benchmarks.floor import ANSWER, FloorExecutor
from benchmarks.fronts import SUBMISSION, RecordedCall, Recorder
from benchmarks.gate import Gate
from benchmarks.process import (
    HOUR,
    NOTHING,
    Memory,
    running_cpu,
    total_cpu,
    wait_for_end,
    watch,
)
from benchmarks.records import FLOOR, OURS, OURS_FLYTEKIT, Crowd, Run
from benchmarks.world import ANSWER_FILE, IMAGE, TimedCluster, World
from perian_shim import PerianConfig, PerianContainerTask
from perian_shim.sandbox.flyte.cluster import AnyTask, RunningPod

PATIENCE_SECONDS = 120.0
"""How much longer than its job, or per pod of a crowd, anything may take."""

LOOK_SECONDS = 2.0
"""How soon it is noticed that a pod has failed."""

SETTLE_SECONDS = 3.0
"""From the last pod's submission until memory is read: what submitting needed is let go by then."""

CROWD_WINDOW_SECONDS = 15.0
"""How long the CPU time of a crowd is watched."""

MakeTask = Callable[[str], AnyTask]
executions = itertools.count(1)


def our_task(command: str) -> AnyTask:
    """Return a container task of perian-shim with a text output."""
    return PerianContainerTask(
        name="benchmarks.ours",
        task_config=PerianConfig(cores=1),
        image=IMAGE,
        command=["sh", "-c", f"{command} && printf {ANSWER} > {ANSWER_FILE}"],
        outputs={"word": str},
    )


class FloorTask(PythonCustomizedContainerTask[None]):
    """A task whose executor is the floor's.

    Args:
        command: shell command of the job.
    """

    def __init__(self, command: str) -> None:
        super().__init__(
            name="benchmarks.floor",
            task_config=None,
            container_image=IMAGE,
            executor_type=FloorExecutor,
            interface=Interface(outputs={"word": str}),
        )
        self.command = command

    def get_custom(self, settings: SerializationSettings) -> dict[str, object]:  # noqa: ARG002 - flytekit's signature
        """Return the request's body."""
        name, _, tag = IMAGE.partition(":")
        return {
            "job": {
                "auto_failover_instance_type": True,
                "requirements": {"cpu": {"cores": 1}},
                "docker_run_parameters": {
                    "image_name": name,
                    "image_tag": tag,
                    "command": shlex.join(["sh", "-c", self.command]),
                },
            }
        }


TASKS: Mapping[str, MakeTask] = {OURS: our_task, OURS_FLYTEKIT: our_task, FLOOR: FloorTask}
"""What makes the task of each contender."""


@dataclass(frozen=True)
class StartedPod:
    """A pod and when its process started, in seconds since the epoch."""

    running: RunningPod
    started: float

    @property
    def pid(self) -> int:
        """The process."""
        return self.running.process.pid

    def stored_outputs(self, call: RecordedCall) -> bool:
        """Whether a request to the object store wrote this pod's ``outputs.pb``."""
        uri = f"{self.running.pod.output_prefix}/outputs.pb"
        return call.name == "PUT" and call.target == uri.removeprefix("s3:/")

    def asked(self, call: RecordedCall) -> bool:
        """Whether a request to the object store was this pod's own.

        Its job uploads by form, whose address names no object.
        """
        name = rf"\b{self.running.pod.execution}\b"
        return call.arrived >= self.started and re.search(name, call.target) is not None

    def submission(self, recorder: Recorder) -> RecordedCall:
        """Wait for the submission of this pod's job.

        Raises:
            RuntimeError: the pod has ended without one.
            TimeoutError: it did not come in time.
        """
        deadline = time.time() + PATIENCE_SECONDS
        while time.time() < deadline:
            if found := recorder.look_for(is_submission, 1, LOOK_SECONDS):
                return found[0]
            if self.ended():
                self.finish()
        raise TimeoutError(f"no submission came within {PATIENCE_SECONDS:g} s")

    def ended(self) -> bool:
        """Whether the process has ended; it may not have been waited for."""
        try:
            wait_for_end(self.pid, 0)
        except TimeoutError:
            return False
        return True

    def finish(self) -> None:
        """Wait for the end of the process and expect the answer."""
        attempt = self.running.wait()
        word = attempt.outputs.literals["word"].scalar if attempt.outputs else None
        if word is None or word.primitive.string_value != ANSWER:
            raise RuntimeError(f"the pod failed: {attempt.error}\n{attempt.log}")

    def kill(self) -> None:
        """End the process if it still runs."""
        process = self.running.process
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@dataclass
class PodContender:
    """A contender whose tasks are pods.

    Attributes:
        name: its name.
        world: where it runs.
        bin_dir: folder that holds ``pyflyte-execute``.
    """

    name: str
    world: World
    bin_dir: Path

    def make_task(self, command: str) -> AnyTask:
        """Return its task, given the job's shell command."""
        return TASKS[self.name](command)

    def run(self, length: float) -> Run:
        """Run one task whose job sleeps for so many seconds."""
        with self.world.api() as api:
            cluster = self.world.cluster(api, self.bin_dir)
            template = cluster.serialize(self.make_task(f"sleep {length:g}"))
            with self.started(cluster, template, 1) as [pod]:
                post = pod.submission(api.recorder)
                cpu_to_post = total_cpu(pod.pid)
                memory, waiting_cpu = watch(pod.pid, post.answered, length)
                wait_for_end(pod.pid, length + PATIENCE_SECONDS)
                ended = time.time()
                requests = self.world.storage.recorder
                storage_calls = requests.counts(pod.asked)
                cpu = total_cpu(pod.pid)
                pod.finish()
            [stored] = requests.select(pod.stored_outputs)
            return Run(
                contender=self.name,
                length=length,
                start_to_post=post.arrived - pod.started,
                end_to_outputs=stored.answered - self.world.job_end(post.target),
                cpu_to_post=cpu_to_post,
                outputs_to_exit=ended - stored.answered,
                api_calls=api.recorder.counts(),
                storage_calls=storage_calls,
                cpu=cpu,
                waiting_cpu=waiting_cpu,
                memory=memory,
            )

    def crowd(self, number: int) -> Crowd:
        """Run so many tasks at once."""
        patience = PATIENCE_SECONDS + 10 * number
        with self.world.api() as api, Gate() as gate:
            cluster = self.world.cluster(api, self.bin_dir)
            template = cluster.serialize(self.make_task(gate.command))
            with self.started(cluster, template, number) as pods:
                posts = api.recorder.wait_for(is_submission, number, patience)
                gate.wait_for(number, patience)
                time.sleep(SETTLE_SECONDS)
                cpu = sum(total_cpu(pod.pid) for pod in pods)
                memory = sum((Memory.of(pod.pid) for pod in pods), start=NOTHING)
                before = sum(running_cpu(pod.pid) for pod in pods)
                time.sleep(CROWD_WINDOW_SECONDS)
                spent = sum(running_cpu(pod.pid) for pod in pods) - before
                gate.open()
                for pod in pods:
                    wait_for_end(pod.pid, patience)
                    pod.finish()
            requests = self.world.storage.recorder
            stored = [requests.select(pod.stored_outputs)[0].answered for pod in pods]
            ended = max(self.world.job_end(post.target) for post in posts)
            return Crowd(
                contender=self.name,
                number=number,
                start_to_last_post=max(post.arrived for post in posts) - pods[0].started,
                cpu=cpu,
                waiting_cpu=spent / CROWD_WINDOW_SECONDS * HOUR,
                memory=memory,
                end_to_last_outputs=max(stored) - ended,
            )

    @contextlib.contextmanager
    def started(
        self, cluster: TimedCluster, template: TaskTemplate, number: int
    ) -> Iterator[Sequence[StartedPod]]:
        """Start so many pods at once; none is left at the end."""
        pods: list[StartedPod] = []
        try:
            for _ in range(number):
                running = cluster.start(template, LiteralMap({}), f"bench{next(executions)}x")
                pods.append(StartedPod(running, cluster.started))
            yield pods
        finally:
            for pod in pods:
                pod.kill()


def is_submission(call: RecordedCall) -> bool:
    """Whether a call submits a job."""
    return call.name == SUBMISSION
