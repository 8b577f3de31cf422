"""``perian-shim sandbox``: where it listens, where things are kept, what it says if it cannot."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.doors import BIN
from support.waiting import LONG_SECONDS

from perian_shim.sandbox import Sandbox, SandboxError
from perian_shim.sandbox.server.images import ImageCatalogue
from perian_shim.sandbox.state import default_state_dir

COMMAND = str(BIN / "perian-shim")


def variables(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), **more}


def refused(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Run a command that is expected to fail; return its one line."""
    ended = subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"perian-shim {arguments[0]}: ")
    return line.partition(": ")[2]


def without(package: str, folder: Path) -> dict[str, str]:
    """Return the environment of a machine where a package is not installed."""
    message = f"No module named {package!r}"
    text = f"raise ModuleNotFoundError({message!r}, name={package!r})\n"
    (folder / f"{package}.py").write_text(text)
    return variables(folder, PYTHONPATH=str(folder))


@pytest.mark.parametrize(
    ("command", "package"),
    [("sandbox", "moto"), ("sandbox", "flask"), ("demo", "moto"), ("demo", "flytekit")],
)
def test_a_package_that_is_missing_is_one_line_with_what_installs_it(
    command: str, package: str, tmp_path: Path
) -> None:
    line = refused([command], without(package, tmp_path))
    assert package in line
    assert "pip install 'perian-shim[sandbox]'" in line


@pytest.mark.parametrize("option", ["--port", "--s3-port"])
def test_a_port_in_use_is_one_line(option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused(["sandbox", option, port], variables(tmp_path))
    assert f"127.0.0.1:{port}: the port is in use; name another one, or 0 for a free one" in line


def free_ports() -> list[int]:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        return [one.getsockname()[1], other.getsockname()[1]]


def test_ports_can_be_fixed_and_the_announcement_is_what_a_shell_evaluates(tmp_path: Path) -> None:
    api, s3 = free_ports()
    command = [COMMAND, "sandbox", "--port", str(api), "--s3-port", str(s3)]
    environment = variables(tmp_path, XDG_STATE_HOME=str(tmp_path / "xdg"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            said = "".join(iter(server.stdout.readline, "\n"))
        finally:
            server.terminate()
    assert server.returncode == 0
    script = f"{said}\necho $PERIAN_API_URL $AWS_ENDPOINT_URL_S3"
    echoed = subprocess.run(
        ["/bin/sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=LONG_SECONDS,
        check=True,
    ).stdout
    assert echoed.split() == [f"http://127.0.0.1:{api}", f"http://127.0.0.1:{s3}"]
    assert "# images: none is pulled" in said
    assert f"the Python environment {sys.prefix} stand for every image" in said
    state = tmp_path / "xdg/perian-shim/sandbox"
    assert f"jobs in {state};" in said
    assert [path.stat().st_mode & 0o077 for path in (state, state / "jobs")] == [0, 0]


def test_the_state_directory_is_the_users_and_not_where_it_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    assert default_state_dir() == tmp_path / ".local/state/perian-shim/sandbox"


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o710, 0o701])
def test_a_state_directory_that_others_may_enter_is_refused(mode: int, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(SandboxError, match=f"mode {mode:o}.*chmod 700 {state}"):
        Sandbox(state).start()
    assert list(state.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_state_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    with pytest.raises(SandboxError, match="belongs to another user"):
        Sandbox(state).start()


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(SandboxError, match="is not a directory"):
        Sandbox(tmp_path / "state").start()


def test_a_state_directory_serves_one_sandbox_at_a_time(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "state"):
        other = Sandbox(tmp_path / "state")
        with pytest.raises(SandboxError, match="another sandbox uses"):
            other.start()
        assert other.storage.process is None
    with Sandbox(tmp_path / "state"):
        pass


def test_a_job_on_an_image_that_this_machine_only_stands_for_says_so() -> None:
    images = ImageCatalogue(host_images=["*"])
    assert "registry.example.org/team/app:1 was not pulled" in images.notice(
        "registry.example.org/team/app:1"
    )
    assert images.notice("python:3.12") == images.notice("debian") == ""
