"""The agent runs a function task's command as if it were not there, in an old Python too."""

import ast
import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from support.agent import OLDEST, PLAIN, Agent, ended, line_of, python_of
from support.grants import CANARY, GrantServer, aws_keys
from support.pid_one import inner_process
from support.tools import require_tool
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.job import AGENT_ASSETS, read_asset

pytestmark = pytest.mark.sampled("agent")

HEAD = """
import os, signal, sys
def say(text):
    os.write(1, f"{text}\\n".encode())
"""
DIES = HEAD + "signal.signal(signal.SIGINT, signal.SIG_DFL); say('ready'); signal.pause()"
ENDS_WITH_7 = HEAD + (
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); say('ready'); signal.pause()"
)
LEAVES_AN_ORPHAN = """
import os, sys
read, write = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        os.close(write)
        os.read(read, 1)  # until the command has closed the other end: its parent has gone by then
        os._exit(55)
    os._exit(0)
os.wait()
os.close(write)
while any(name.isdigit() and int(name) not in (1, os.getpid()) for name in os.listdir('/proc')):
    pass
sys.exit(9)
"""
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
NAMES = HEAD + f"mine = {{getattr(signal, name) for name in {SIGNALS}}}\n"
NAMES += """
signal.pthread_sigmask(signal.SIG_BLOCK, mine)
say('ready')
number = None
while number != signal.SIGTERM:
    number = signal.Signals(signal.sigwait(mine))
    say(number.name)
"""


@pytest.fixture(params=["", OLDEST], ids=["own-python", f"python-{OLDEST}"])
def agent(request: pytest.FixtureRequest, tmp_path: Path) -> Agent:
    return Agent(tmp_path, python_of(request.param))


def ready(agent: Agent, script: str, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    process = agent.start(*PLAIN, "-c", script, prefix=prefix)
    assert line_of(process) == "ready", ended(process).err
    return process


# ---- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AGENT_ASSETS)
def test_every_file_of_the_agent_is_in_the_package(name: str) -> None:
    assert read_asset(name)


@pytest.mark.parametrize("name", AGENT_ASSETS)
def test_every_file_of_the_agent_is_for_python_3_6(name: str) -> None:
    ast.parse(read_asset(name), feature_version=(3, 6))


@pytest.mark.every_variant
@pytest.mark.parametrize("code", [0, 1, 64, 126, 255])
def test_the_exit_code_is_the_commands(agent: Agent, code: int) -> None:
    assert agent.shell(f"exit {code}").code == code


def test_on_success_nothing_is_said(agent: Agent) -> None:
    ended = agent.shell("echo out; echo err >&2")

    assert (ended.out, ended.err) == ("out\n", "err\n")


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "PIPE", "XFSZ"])
def test_a_command_that_dies_of_a_signal_has_a_shells_exit_code(agent: Agent, name: str) -> None:
    ended = agent.shell(f"ulimit -c 0; kill -{name} $$")

    assert ended.code == 128 + signal.Signals[f"SIG{name}"]


def test_arguments_arrive_as_they_are(agent: Agent) -> None:
    odd = ["", " ", "two words", "-x", "$HOME", "ünï\udcff", "a\nb"]

    ended = agent.run("/usr/bin/printf", "%s\\0", *odd)

    assert ended.out.split("\0")[:-1] == odd


def test_the_command_is_looked_for_in_its_path(agent: Agent, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "program").write_text("#!/bin/sh\nexit 5\n")
    (folder / "program").chmod(0o755)
    agent.give(PATH=f"/no/such:{folder}")

    assert agent.run("program").code == 5


def test_a_script_without_an_interpreter_is_run_by_the_shell(agent: Agent, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('exit "$1"\n')
    script.chmod(0o755)

    assert agent.run(str(script), "6").code == 6


def test_a_command_that_does_not_exist_ends_with_127(agent: Agent) -> None:
    ended = agent.run("no-such-program")

    assert ended.code == 127
    assert ended.err == (
        "[perian-shim] the command no-such-program cannot be run: No such file or directory\n"
    )


def test_a_command_that_is_not_executable_ends_with_126(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")

    ended = agent.run(str(tmp_path / "data"))

    assert ended.code == 126
    assert ended.err == (
        f"[perian-shim] the command {tmp_path}/data cannot be run: Permission denied\n"
    )


def test_without_a_command_it_says_so(agent: Agent) -> None:
    ended = agent.run()

    assert (ended.code, ended.err) == (64, "[perian-shim] no command was given; exit code 64\n")


def test_the_input_is_the_commands(agent: Agent) -> None:
    with agent.start("cat") as process:
        out, _ = process.communicate("some\nlines\n", timeout=LONG_SECONDS)

    assert out == "some\nlines\n"


def test_the_command_finds_signals_as_a_program_expects_them(agent: Agent) -> None:
    ended = agent.run("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")

    names, masks = ended.out.split()[::2], ended.out.split()[1::2]
    # Signals 32 and 33 are the C library's own: who started these tests may have them ignored.
    own = 0b11 << 31
    assert names == ["SigBlk:", "SigIgn:"]
    assert [int(mask, 16) & ~own for mask in masks] == [0, 0]


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LANG": "de_DE.UTF-8"}])
def test_without_a_grant_the_environment_is_the_one_that_was_given(
    agent: Agent, locale: "dict[str, str]"
) -> None:
    given = {"PATH": "/usr/bin:/bin", "HOME": "/no/such/home", "ODD": "a=b\n\udcffü", **locale}
    agent.give(**given)

    ended = agent.run("env", "-0")

    assert dict(line.split("=", 1) for line in ended.out.split("\0")[:-1]) == given


def test_the_command_holds_no_file_of_the_agents(agent: Agent) -> None:
    with GrantServer(aws_keys()) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        ended = agent.run("ls", "/proc/self/fd")

    assert ended.out.split() == ["0", "1", "2", "3"]  # 3 is the folder that ls reads


# ---- signals -------------------------------------------------------------------------------------


def test_every_signal_arrives_as_it_is(agent: Agent) -> None:
    names = ["SIGUSR1", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGUSR1", "SIGTERM"]
    with ready(agent, NAMES) as process:
        for name in names:
            process.send_signal(signal.Signals[name])
            assert line_of(process) == name
        assert ended(process).code == 0


@pytest.mark.parametrize("name", SIGNALS)
def test_a_command_that_does_not_mind_a_signal_dies_of_it(agent: Agent, name: str) -> None:
    with ready(agent, DIES) as process:
        process.send_signal(signal.Signals[name])
        assert ended(process).code == 128 + signal.Signals[name]


def test_the_exit_code_after_a_signal_is_the_commands(agent: Agent) -> None:
    with ready(agent, ENDS_WITH_7) as process:
        process.terminate()
        assert ended(process).code == 7


def test_a_signal_before_the_command_is_started_ends_the_job(agent: Agent) -> None:
    with GrantServer(aws_keys()) as server:
        server.listen(False)
        agent.give(PERIAN_SHIM_GRANT=server.first_url, PERIAN_SHIM_PAUSE="1000")
        with agent.start("echo", "ran") as process:
            caught = Path(f"/proc/{process.pid}/status")
            wait_until(lambda: catches_term(caught.read_text()), LONG_SECONDS, "not yet waiting")
            process.terminate()
            end = ended(process)

    assert (end.code, end.out) == (143, "")
    assert "stopped by TERM before the command was started; exit code 143" in end.err


def catches_term(status: str) -> bool:
    """Whether a process has a handler for SIGTERM, and does not block it."""
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    term = 1 << (signal.SIGTERM - 1)
    return bool(int(masks["SigCgt"], 16) & term) and not int(masks["SigBlk"], 16) & term


def test_a_user_signal_before_the_command_is_started_is_kept_for_it(agent: Agent) -> None:
    with GrantServer(aws_keys()) as server:
        server.listen(False)
        agent.give(PERIAN_SHIM_GRANT=server.first_url, PERIAN_SHIM_PAUSE="0.5")
        with agent.start("sleep", "1000") as process:
            caught = Path(f"/proc/{process.pid}/status")
            wait_until(lambda: catches_term(caught.read_text()), LONG_SECONDS, "not yet waiting")
            process.send_signal(signal.SIGUSR1)
            server.listen(True)
            assert ended(process).code == 128 + signal.SIGUSR1


# ---- process 1 -----------------------------------------------------------------------------------


@pytest.fixture
def namespace() -> tuple[str, ...]:
    """What makes the agent process 1."""
    prefix = (require_tool("unshare"), "--pid", "--fork", "--mount-proc", "--kill-child")
    probe = subprocess.run(
        [*prefix, "true"], capture_output=True, check=False, timeout=LONG_SECONDS
    )
    if probe.returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    return prefix


def test_as_process_1_it_passes_signals_on(agent: Agent, namespace: tuple[str, ...]) -> None:
    with GrantServer(aws_keys(), renew=1) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        with ready(agent, ENDS_WITH_7, namespace) as process:
            wait_until(lambda: len(server.reads) > 1, LONG_SECONDS, "not renewed")
            os.kill(inner_process(process.pid), signal.SIGTERM)
            assert ended(process).code == 7


def test_as_process_1_it_reaps_orphans_and_keeps_the_commands_exit_code(
    agent: Agent, namespace: tuple[str, ...]
) -> None:
    with agent.start(*PLAIN, "-c", LEAVES_AN_ORPHAN, prefix=namespace) as process:
        assert ended(process).code == 9


def test_processes_that_outlive_the_command_do_not_hold_it_up(agent: Agent) -> None:
    end = agent.shell("sleep 1000 >/dev/null 2>&1 </dev/null & echo $!; exit 4")

    os.kill(int(end.out), signal.SIGKILL)
    assert end.code == 4


# ---- files and the environment -------------------------------------------------------------------


def test_secret_files_hold_their_values_byte_for_byte(agent: Agent, tmp_path: Path) -> None:
    values = {"A": "line\n\nend\n", "B_ü": "\udcff\udc80ünï \t", "EMPTY": ""}
    files = {name: str(tmp_path / "deep" / "wörk" / name) for name in values}
    agent.give(PERIAN_SHIM_FILES=json.dumps(files), LC_ALL="C", **values)

    assert agent.run("true").code == 0

    found = {name: os.fsdecode(Path(path).read_bytes()) for name, path in files.items()}
    assert found == values
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in files.values()} == {0o600}


def test_a_file_that_was_there_becomes_secret(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("something long from the image")
    path.chmod(0o644)
    agent.give(PERIAN_SHIM_FILES=json.dumps({"A": str(path)}), A="short")

    assert agent.run("true").code == 0

    assert path.read_text() == "short"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ('{"A": "/proc/no/file"}', "cannot write /proc/no/file, from A: "),
        ('{"A": "/proc"}', "cannot write /proc, from A: Is a directory"),
        ('{"A": "a\\u0000b"}', "the path of a file begins with /"),
        ('{"A": "/a\\u0000b"}', "null"),
        ('{"B": "/tmp/x"}', "cannot write /tmp/x: B is not set"),
        ('{"A": "relative"}', "cannot write relative: the path of a file begins with /"),
        ('{"A": 5}', "PERIAN_SHIM_FILES is not a JSON object of variables and paths"),
        ("[]", "PERIAN_SHIM_FILES is not a JSON object of variables and paths"),
        ("{", "PERIAN_SHIM_FILES is not a JSON object of variables and paths"),
    ],
)
def test_a_file_that_cannot_be_written_is_said_and_nothing_is_run(
    agent: Agent, files: str, text: str
) -> None:
    agent.give(PERIAN_SHIM_FILES=files, A="SECRET-CANARY")

    ended = agent.run("echo", "ran")

    assert (ended.code, ended.out) == (64, "")
    assert text in ended.err
    assert ended.err.count("\n") == 1
    assert "CANARY" not in ended.err


def test_the_command_sees_nothing_of_what_the_agent_was_given(agent: Agent, tmp_path: Path) -> None:
    with GrantServer(aws_keys()) as server:
        agent.give(
            PERIAN_SHIM_FILES=json.dumps({"MINE": str(tmp_path / "file")}),
            PERIAN_SHIM_GRANT=server.first_url,
            MINE="FILE-CANARY",
            OTHER="stays",
        )
        with agent.telling() as telling:
            environment = telling.environment

    names = {"PERIAN_SHIM_FILES", "PERIAN_SHIM_GRANT", "PERIAN_SHIM_PAUSE", "MINE"}
    assert not names & set(environment)
    assert "CANARY" not in json.dumps(environment)
    assert environment["OTHER"] == "stays"


def test_the_list_of_processes_shows_no_secret(agent: Agent, tmp_path: Path) -> None:
    with GrantServer(aws_keys()) as server:
        agent.give(
            PERIAN_SHIM_FILES=json.dumps({"MINE": str(tmp_path / "file")}),
            PERIAN_SHIM_GRANT=server.first_url,
            MINE="FILE-CANARY",
        )
        with agent.telling() as telling:
            pid = telling.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            lines = [Path(f"/proc/{each}/cmdline").read_text() for each in (pid, *children)]

    assert len(lines) == 2
    assert not [line for line in lines if "CANARY" in line]


# ---- the first grant -----------------------------------------------------------------------------


def test_without_a_grant_nothing_is_run(agent: Agent) -> None:
    with GrantServer(aws_keys()) as server:
        server.listen(False)
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        ended = agent.run("echo", "ran")

    assert (ended.code, ended.out) == (65, "")
    assert ended.err == (
        "[perian-shim] no access to the object store: the job's grant could not be read:"
        " [Errno 111] Connection refused (tried 5 times); exit code 65\n"
    )
    assert CANARY not in ended.err
