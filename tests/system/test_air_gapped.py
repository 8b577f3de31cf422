"""What docs/guides/air-gapped.md has one type is all that is needed where there is no network.

Its commands are run as they stand there, but for the name of the base. Left out are docker's own:
the base is on this machine already, and there is no registry to push to.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import image as recipe
import pytest
from compare import compared
from support.containers import (
    BUILD_SECONDS,
    BuiltImage,
    folder_of_the_run,
    one_at_a_time,
    require_base,
)
from support.tools import require_tool
from support.waiting import LONG_SECONDS

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

PAGE = (recipe.CHECKOUT / "docs/guides/air-gapped.md").read_text()
TAG = f"registry.internal/flyte/perian-shim-executor:{recipe.version()}"
BASE = "python:3.12-slim"


def commands(section: str, base: str) -> list[str]:
    """The commands of a section of the page, those of docker apart."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [line.replace(BASE, base) for line in lines if not line.startswith("docker ")]


def run(
    lines: list[str], folder: Path, environment: Mapping[str, str], *before: str
) -> subprocess.CompletedProcess[str]:
    """Run lines of shell to the first that fails."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [*before, "sh", "-euxc", "\n".join(lines)],
        cwd=folder,
        env={**environment, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )


def clone(destination: Path) -> None:
    """Make a clone of this checkout, with what was changed since the commit."""
    command = ["git", "clone", "--quiet", str(recipe.CHECKOUT), str(destination)]
    subprocess.run(command, check=True, timeout=LONG_SECONDS)
    listed = recipe.git("ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        source = recipe.CHECKOUT / name
        if source.is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, destination / name)


@pytest.fixture(scope="session")
def carried(image: BuiltImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is carried over, unpacked on the other side; made once for all processes of a run."""
    require_tool("make")
    shared = folder_of_the_run(tmp_path_factory)
    far = shared / "far"
    lines = commands("Carry over", require_base(image.engine))
    with one_at_a_time(shared):
        if not (far / "done").exists():
            clone(shared / "near/clone")
            collected = run(lines, shared / "near/clone", os.environ)
            assert collected.returncode == 0, collected.stderr[-2000:]
            shutil.copytree(shared / "near", far, ignore=shutil.ignore_patterns("clone"))
            unpacked = run(commands("Unpack", ""), far, os.environ)
            assert unpacked.returncode == 0, unpacked.stderr[-2000:]
            (far / "done").touch()
    return far / "perian-shim"


def offline() -> list[str]:
    """Return what cuts a command off from every network, if that can be done here."""
    command = ["unshare", "--net"]
    probe = subprocess.run(
        [*command, "true"], capture_output=True, check=False, timeout=LONG_SECONDS
    )
    return command if probe.returncode == 0 else []


def test_the_image_is_built_and_is_the_very_same_as_one_built_with_a_network(
    carried: Path, image: BuiltImage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing of an earlier build is used: two builds of one commit make one image."""
    engine = image.engine
    (line,) = (each for each in commands("Build", require_base(engine)) if each.startswith("make"))
    assert TAG in line
    with one_at_a_time(folder_of_the_run(tmp_path_factory)):
        # Make hands these on as if they stood in the line.
        built = run([line], carried, {**os.environ, "MAKEFLAGS": "NO_CACHE=1"}, *offline())
        try:
            assert built.returncode == 0, built.stderr[-2000:]
            assert "the package index is not asked" in built.stdout + built.stderr
            assert "start-up" in built.stdout
            assert compared(engine, image.tag, TAG)[1].startswith("identical")
        finally:
            engine.remove(TAG)


def test_perian_shim_is_installed_for_either_sdk(carried: Path) -> None:
    """As a rehearsal, which resolves all there is to install."""
    lines = [each for each in commands("Build", BASE) if each.startswith("pip install")]
    assert [line.split()[-1] for line in lines] == ["perian-shim", "'perian-shim[flyte2]'"]
    plain = {name: text for name, text in os.environ.items() if not name.startswith("PIP_")}
    rehearsal = {"PIP_DRY_RUN": "1", "PIP_IGNORE_INSTALLED": "1", "PIP_CONFIG_FILE": os.devnull}
    ended = run(lines, carried, {**plain, **rehearsal}, *offline())
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.count(f"perian-shim-{recipe.version()}") == len(lines)
    assert " flyte-2" in ended.stdout
