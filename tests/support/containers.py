"""The executor images, each built once for all tests, and pods that run in them.

The base is what ``PERIAN_SHIM_BASE_IMAGE`` names, or a Debian made by debootstrap, so that no
registry is needed. Without an engine, or the right to make a base, the calling test is skipped;
with CI=true it fails.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import image as recipe
import pytest
from container_engine import Engine, NoEngine, find_engine
from support.tools import require_tool
from support.waiting import LONG_SECONDS

BASE = "localhost/perian-shim-base:bookworm"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BUILD_SECONDS = 600.0
"""Bound of making an image."""

TAG = f"localhost/perian-shim-executor:test-{os.getuid()}"

POD = """\
#!{python} -IS
# Runs a pod's command in a container: the pod's variables and its own folder, nothing else.
import os, sys
for folder, _, files in os.walk("."):  # secrets, which any user may read in a pod
    os.chmod(folder, 0o755)
    for name in files:
        os.chmod(os.path.join(folder, name), 0o444)
variables = [f"--env={{name}}" for name in os.environ if name not in {{"PATH", "HOME"}}]
volume = f"--volume={{os.getcwd()}}:{{os.getcwd()}}:ro"
command = {command!r}
at = command.index({image!r})
command[at:at] = [*variables, volume]
os.environ["PATH"] += os.pathsep + {path!r}
os.execvp(command[0], [*command, "pyflyte-execute", *sys.argv[1:]])
"""


def require_engine() -> Engine:
    """Return the machine's container engine."""
    try:
        return find_engine()
    except NoEngine as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


def require_base(engine: Engine) -> str:
    """Return the image to build upon; make one if there is none."""
    given = os.environ.get("PERIAN_SHIM_BASE_IMAGE")
    if given:
        return given
    if not engine.exists(BASE):
        debootstrap = require_tool("debootstrap")
        if os.getuid() != 0:
            pytest.skip("debootstrap needs root: name an image in PERIAN_SHIM_BASE_IMAGE")
        with tempfile.TemporaryDirectory(prefix="perian-shim-base-") as root:
            command = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", "bookworm", root]
            subprocess.run(command, check=True, capture_output=True, timeout=BUILD_SECONDS)
            left_out = ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"]
            pack = ["tar", "-c", "-C", root, *left_out, "."]
            with subprocess.Popen(pack, stdout=subprocess.PIPE) as packed:
                importing = [engine.program, "import", "-", BASE]
                subprocess.run(
                    importing,
                    stdin=packed.stdout,
                    check=True,
                    capture_output=True,
                    timeout=BUILD_SECONDS,
                )
    return BASE


def folder_of_the_run(factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of the test run share."""
    base = factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other processes of the test run out."""
    with (folder / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class BuiltImage:
    """The executor image.

    Attributes:
        engine: what built it.
        tag: its name.
    """

    engine: Engine
    tag: str

    def run(self, *command: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a command in a container to its end."""
        full = self.engine.run_command(self.tag, *command, options=options)
        return subprocess.run(full, capture_output=True, text=True, check=False, timeout=120)

    def bin_dir(self, folder: Path, options: Sequence[str] = ()) -> Path:
        """Return a folder whose ``pyflyte-execute`` runs in a container of this image.

        Args:
            folder: to be made.
            options: further ones of the engine's ``run``.
        """
        folder.mkdir()
        command = self.engine.run_command(self.tag, options=options)
        text = POD.format(
            python=sys.executable, command=command, image=self.tag, path=os.environ["PATH"]
        )
        script = folder / "pyflyte-execute"
        script.write_text(text)
        script.chmod(0o755)
        return folder


def build_image(folder: Path, target: str | None = None) -> BuiltImage:
    """Build an executor image, or find that another process of the test run has.

    Args:
        folder: the same for all processes of one run.
        target: None for the one without flytekit, which is the recipe's own choice.
    """
    engine = require_engine()
    tag = f"{TAG}-{target}" if target else TAG
    with one_at_a_time(folder):
        done = folder / f"image-{target}.built"
        if not done.exists():
            # One of them anew, as a build on another machine is: it is compared with such a one.
            recipe.build(engine, tag, require_base(engine), target=target, cache=bool(target))
            done.touch()
    return BuiltImage(engine, tag)


@contextmanager
def closed_network(name: str, host_address: str, inner_address: str) -> Iterator[Path]:
    """Yield a network namespace from which only one address of this machine can be reached.

    Args:
        name: of the namespace, up to 8 characters.
        host_address: this machine's address on the link.
        inner_address: the namespace's.
    """
    ip = require_tool("ip")
    outer = f"{name}-out"

    def configure(*arguments: str) -> None:
        subprocess.run([ip, *arguments], check=True, capture_output=True, timeout=LONG_SECONDS)

    added = subprocess.run(
        [ip, "netns", "add", name], capture_output=True, check=False, timeout=LONG_SECONDS
    )
    if added.returncode != 0:
        pytest.skip("needs the right to make a network namespace")
    try:
        configure("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
        configure("addr", "add", f"{host_address}/30", "dev", outer)
        configure("link", "set", outer, "up")
        for device in ("lo", "eth0"):
            configure("-n", name, "link", "set", device, "up")
        configure("-n", name, "addr", "add", f"{inner_address}/30", "dev", "eth0")
        yield Path("/run/netns", name)
    finally:
        configure("netns", "del", name)


def without_network_choice(engine: Engine) -> Engine:
    """Return the engine without its own choice of a network."""
    kept = [option for option in engine.run_options if option not in {"--network", "host"}]
    return Engine(engine.program, engine.builder, tuple(kept))
