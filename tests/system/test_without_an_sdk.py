"""The whole core in an environment that has neither flytekit nor Flyte 2 nor boto3.

The environment is a real one: what ``requirements/executor.txt`` pins, installed by pip, as the
executor image has it; boto3's place beside it is empty, and botocore's is made so.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.doors import Door
from support.flyte import Harness, harness_on
from support.flyte2 import Flyte2Harness
from support.flyte2_functions import shop
from support.function_harness import FunctionHarness
from support.functions import values
from support.shell_task import shell
from support.waiting import LONG_SECONDS

import perian_shim
from perian_shim.sandbox import Sandbox

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

CHECKOUT = Path(perian_shim.__file__).parent.parent
LOCK = CHECKOUT / "requirements/executor.txt"

ABSENT = ("flytekit", "flyte", "boto3", "s3fs", "fsspec", "pandas", "grpc")

IMPORT_ALL = """\
import importlib, pkgutil, sys
DOORS = {"flyte1", "flyte2", "executor", "sandbox", "cli", "task"}
import perian_shim
for module in pkgutil.walk_packages(perian_shim.__path__, "perian_shim."):
    if module.name.split(".")[1] not in DOORS and module.name != "perian_shim.storage.fsspec":
        importlib.import_module(module.name)
print(len(sys.modules))
"""

PIP_SECONDS = 300.0


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment without an SDK, that has perian-shim itself."""
    folder = tmp_path_factory.mktemp("without-sdk") / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    locked = ["--require-hashes", "--no-deps", "-r", str(LOCK)]
    subprocess.run([*pip, *locked], check=True, timeout=PIP_SECONDS)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "perian_shim.pth").write_text(f"{CHECKOUT}\n")
    return python


@pytest.fixture(scope="module")
def lean(
    python: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    """A cluster whose pods run in that environment."""
    with leaning(Door.ENTRYPOINT, python, sandbox, tmp_path_factory.mktemp("lean")) as harness:
        yield harness


@pytest.fixture(scope="module")
def lean_flyte2(
    python: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    """The same with a backend of Flyte 2."""
    with leaning(Door.A0, python, sandbox, tmp_path_factory.mktemp("lean")) as harness:
        yield harness


@contextmanager
def leaning(door: Door, python: Path, sandbox: Sandbox, folder: Path) -> Iterator[Harness]:
    script = folder / door.program
    script.write_text(f'#!/bin/sh\nexec {python} -m perian_shim.entrypoint {door.program} "$@"\n')
    script.chmod(0o755)
    with harness_on(sandbox, folder, door) as harness:
        environment = {k: v for k, v in harness.cluster.environment.items() if k != "PYTHONPATH"}
        cluster = replace(harness.cluster, bin_dir=folder, environment=environment)
        yield replace(harness, cluster=cluster)


def test_the_environment_has_none_of_them(python: Path) -> None:
    code = (
        "import importlib.util\n"
        f"print([name for name in {ABSENT} if importlib.util.find_spec(name)])"
    )
    ended = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True, timeout=LONG_SECONDS
    )
    assert ended.stdout.strip() == "[]"


def test_every_module_of_the_core_can_be_imported(python: Path) -> None:
    ended = subprocess.run(
        [python, "-c", IMPORT_ALL],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
        env={"PATH": os.defpath},
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


def test_a_container_task_runs_from_end_to_end(lean: Harness) -> None:
    task = shell("echo $(( $1 * 2 )) >/var/outputs/x".replace("$1", "{{.inputs.n}}"),
                 inputs={"n": int}, outputs={"x": int})  # fmt: skip
    assert lean.value(lean.outputs(task, {"n": 21})["x"], int) == 42


def test_a_function_task_runs_from_end_to_end(lean: Harness) -> None:
    ran = FunctionHarness(lean).run(values.unnamed, {"count": 2})
    assert set(ran.literals) == {"o0", "o1", "o2"}


def test_a_failure_is_reported(lean: Harness) -> None:
    assert lean.error(shell("exit 3")).code == "PERIAN:JobFailed"


def test_a_container_task_of_flyte_2_runs_from_end_to_end(lean_flyte2: Harness) -> None:
    task = shell("echo 42 >/var/outputs/x", outputs={"x": int})
    assert lean_flyte2.value(lean_flyte2.outputs(task)["x"], int) == 42


def test_a_function_task_of_flyte_2_runs_from_end_to_end(lean_flyte2: Harness) -> None:
    assert Flyte2Harness(lean_flyte2, {("mine", "key"): "sesame"}).run(shop.late, x=3).value == 3
