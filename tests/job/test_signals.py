"""Signals reach the command, and its own exit code comes back, however `wait` is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.s3 import Bucket
from support.storage_front import Answer, Seen, faulty_server
from support.tools import require_tool
from support.waiting import LONG_SECONDS
from support.wrapper import Job, make_image, result_of

pytestmark = pytest.mark.sampled("job")

PYTHON = str(Path(sys.executable).resolve())
HEAD = """
import os, signal, sys
def on(name, action):
    signal.signal(getattr(signal, "SIG" + name), action)
def say(text):
    os.write(1, f"{text}\\n".encode())  # print may not be interrupted by a handler that prints
"""
DIES = HEAD + "say('ready'); signal.pause()"
ENDS_WITH_7 = HEAD + "on('TERM', lambda *_: sys.exit(7)); say('ready'); signal.pause()"
# These wait for signals instead of having handlers: one that comes just before a pause is not lost.
WAITS = HEAD + (
    "mine = {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}\n"
    "signal.pthread_sigmask(signal.SIG_BLOCK, mine)\n"
    "say('ready')\n"
)
COUNTS_TO_2 = WAITS + (
    "for count in (1, 2):\n    signal.sigwait(mine)\n    say(f'seen {count}')\nsys.exit(9)\n"
)
NAMES = WAITS + (
    "number = None\n"
    "while number != signal.SIGTERM:\n"
    "    number = signal.Signals(signal.sigwait(mine))\n"
    "    say(number.name)\n"
)


@pytest.fixture(params=["dash", "busybox", "bash"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    return Job(tmp_path, make_image(tmp_path, "curl", request.param))


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ready(job: Job, script: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The wrapper, when its command has said that it is ready."""
    process = job.start(PYTHON, "-I", "-S", "-c", script, prefix=prefix)
    assert line_of(process) == "ready", process.communicate(timeout=30)[1]
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_a_request_to_stop_ends_the_command(job: Job, bucket: Bucket, name: str) -> None:
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)
    (job.work / "x").write_text("half")

    with ready(job, DIES) as process:
        process.send_signal(signal.Signals[name])
        _, err = process.communicate(timeout=30)

    assert process.returncode == 143
    assert bucket.keys() == {"run/_perian/result.json"}
    result = result_of(bucket)
    assert result["exit_code"] == 143
    assert result["outputs"] == {}
    assert result["problem"] == f"stopped by {name[3:]}"
    assert f"stopped by {name[3:]}" in err


def test_the_commands_own_exit_code_is_kept(job: Job, bucket: Bucket) -> None:
    job.post_to(bucket)

    with ready(job, ENDS_WITH_7) as process:
        process.terminate()
        process.communicate(timeout=30)

    assert process.returncode == 7
    assert result_of(bucket)["exit_code"] == 7


def test_a_second_signal_reaches_a_command_that_outlived_the_first(job: Job) -> None:
    with ready(job, COUNTS_TO_2) as process:
        process.terminate()
        assert line_of(process) == "seen 1"
        process.terminate()
        assert line_of(process) == "seen 2"
        process.communicate(timeout=30)

    assert process.returncode == 9


def test_user_signals_are_passed_on_as_they_are(job: Job) -> None:
    with ready(job, NAMES) as process:
        for name in ("SIGUSR1", "SIGUSR2", "SIGUSR1", "SIGTERM"):
            process.send_signal(signal.Signals[name])
            assert line_of(process) == name
        process.communicate(timeout=30)

    assert process.returncode == 0


def test_no_storm_of_signals_is_taken_for_the_commands_end(job: Job) -> None:
    with ready(job, NAMES) as process:
        for _ in range(200):
            process.send_signal(signal.SIGUSR1)
            process.send_signal(signal.SIGUSR2)
        process.terminate()
        out, _ = process.communicate(timeout=30)

    assert out.splitlines()[-1] == "SIGTERM"
    assert process.returncode == 0


def test_a_command_that_ends_well_after_a_signal_leaves_no_outputs(
    job: Job, bucket: Bucket
) -> None:
    job.add("output", "x", job.work / "x")
    job.post_to(bucket)
    (job.work / "x").write_text("half")

    with ready(job, NAMES) as process:
        process.terminate()
        process.communicate(timeout=30)

    assert process.returncode == 0
    assert bucket.keys("run/outputs/") == set()


def test_the_command_does_not_outlive_the_wrapper(job: Job) -> None:
    script = HEAD + "say('ready'); say(os.getpid()); signal.pause()"
    with ready(job, script) as process:
        command = int(line_of(process))
        process.terminate()
        process.communicate(timeout=30)

    with pytest.raises(ProcessLookupError):
        os.kill(command, 0)


def test_a_signal_while_an_input_is_downloaded_ends_the_download(job: Job) -> None:
    started = os.pipe()

    def stall(_: Seen) -> Answer:
        os.write(started[1], b"x")
        return Answer(body=b"half", announced=1000, hold=True)

    with faulty_server(stall) as server:
        job.add("get", job.work / "in", server.url + "/in")
        with job.start("/bin/echo", "ran") as process:
            os.read(started[0], 1)
            process.terminate()
            out, err = process.communicate(timeout=30)
    for descriptor in started:
        os.close(descriptor)

    assert (process.returncode, out) == (143, "")
    assert "stopped by TERM" in err
    assert list(job.work.iterdir()) == []


def test_after_a_signal_the_result_is_tried_once(job: Job) -> None:
    with faulty_server(lambda _: Answer(503)) as server:
        job.post_with(server.url + "/bucket", {})
        with ready(job, DIES) as process:
            process.terminate()
            process.communicate(timeout=30)

    assert process.returncode == 143
    assert len(server.seen) == 1


def test_it_does_all_of_that_as_process_1(job: Job, bucket: Bucket) -> None:
    unshare = require_tool("unshare")
    prefix = (unshare, "--pid", "--fork", "--mount-proc")
    probe = subprocess.run(
        [*prefix, "true"], capture_output=True, check=False, timeout=LONG_SECONDS
    )
    if probe.returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    job.post_to(bucket)

    script = ENDS_WITH_7.replace("say('ready')", "say('ready'); say(os.getppid())")
    with ready(job, script, prefix) as process:
        assert line_of(process) == "1"
        wrapper = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        os.kill(int(wrapper), signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 7
    assert result_of(bucket)["exit_code"] == 7
