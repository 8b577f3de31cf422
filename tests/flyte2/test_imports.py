"""What is imported, and what is said if Flyte 2's SDK cannot be; each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.function_harness import TESTS
from support.waiting import LONG_SECONDS

ROOT = TESTS.parent

WITHOUT_FLYTEKIT = """\
import sys
sys.modules["flytekit"] = None  # whoever imports it fails
"""

NESTED = f"""
import pathlib
import flyte
from support.flyte2_functions import shop
from perian_shim.flyte2 import sdk
from flyte.models import SerializationContext

context = SerializationContext(
    version="v1", project="p", domain="d", org="o", root_dir=pathlib.Path({str(TESTS)!r})
)
for task in (shop.double, shop.late, shop.total):
    template = sdk.template_of(task, context)
    print(task.name, template.type, template.container.image)
"""

BOTH = """
import flytekit
import perian_shim, perian_shim.flyte2
from support.flyte2_functions import shop

@flytekit.task(task_config=perian_shim.PerianConfig(cores=1), container_image="debian:12")
def old(x: int) -> int:
    return x

print(type(old).__name__, type(shop.late).__name__)
print(perian_shim.PerianConfig is perian_shim.flyte2.PerianConfig)
print(old(x=2), shop.double(2, "b"))
"""


def python(code: str, *before: Path, image: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program whose path begins with these folders."""
    path = [str(each) for each in (*before, ROOT, TESTS)]
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path[:0] = {path!r}\n{code}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONG_SECONDS,
        check=False,
        env={"PERIAN_SHIM_IMAGE": image} if image else {},
    )


def printed(ended: subprocess.CompletedProcess[str]) -> list[str]:
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.splitlines()


@pytest.mark.parametrize(
    ("module", "other"), [("perian_shim.flyte2", "flytekit"), ("perian_shim", "flyte")]
)
def test_one_sdk_does_not_bring_the_other(module: str, other: str) -> None:
    code = f"import {module}; [getattr({module}, name) for name in {module}.__all__]\n"
    assert printed(python(f"{code}print({other!r} in sys.modules)")) == ["False"]


def test_a_parent_in_the_cluster_serializes_its_children_without_flytekit() -> None:
    lines = printed(python(WITHOUT_FLYTEKIT + NESTED, image="registry.example.org/e:1"))
    assert lines == [
        "shop.double perian_shim registry.example.org/e:1",
        "shop.late perian_shim registry.example.org/e:1",
        "cluster.total python debian:12",
    ]


def test_without_an_executor_image_that_is_said_once() -> None:
    text = python(WITHOUT_FLYTEKIT + NESTED).stdout
    assert text.count("no executor image is named") == 1
    assert "set PERIAN_SHIM_IMAGE when registering" in text


def test_both_sdks_work_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(BOTH)  # flytekit reads the source of a function
    ended = python("import both", tmp_path, image="registry.example.org/e:1")
    assert printed(ended)[-3:] == [
        "PerianTask PerianFunctionTask",
        "True",
        "2 (4, 'bb')",
    ]


def test_a_missing_sdk_is_named_with_what_brings_it() -> None:
    text = python("sys.modules['flyte'] = None\nimport perian_shim.flyte2").stdout
    assert "ImportError: perian_shim.flyte2 needs Flyte 2's SDK, which is not installed" in text
    assert 'pip install "perian-shim[flyte2]"' in text


def test_a_run_of_a_file_for_it_says_so_as_well(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flyte\n")
    arguments = ["run", str(tmp_path / "shop.py"), "main"]
    code = f"sys.modules['flyte'] = None\nfrom perian_shim.cli.app import main\nmain({arguments})"
    (line,) = printed(python(code))
    assert line.startswith("perian-shim run: perian_shim.flyte2 needs Flyte 2's SDK, which is not")
    assert line.endswith('pip install "perian-shim[flyte2]"')


@pytest.mark.parametrize("other", ["1.9.0", "3.0.0"])
def test_another_flyte_is_named_with_its_version(other: str, tmp_path: Path) -> None:
    installed = tmp_path / f"flyte-{other}.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flyte\nVersion: {other}\n")
    text = python("import perian_shim.flyte2", tmp_path).stdout
    assert f"needs flyte 2, but flyte {other} is installed" in text
    assert 'pip install "perian-shim[flyte2]"' in text


def test_a_folder_of_that_name_is_told_from_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "flyte").mkdir()
    code = (
        "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\nimport perian_shim.flyte2"
    )
    text = python(code, tmp_path).stdout
    assert "the package flyte that is found is another, or a folder of that name" in text


def test_warnings_point_to_the_user_s_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import flyte\n"
        "from perian_shim.flyte2 import PerianConfig\n"
        "env = flyte.TaskEnvironment('e', image='debian:12', plugin_config=PerianConfig(cores=1),\n"
        "                            env_vars={'PATH': '$PATH:/x'})\n"
        "@env.task\n"
        "def one() -> int:\n"
        "    return 1\n"
    )
    text = python(f"import runpy; runpy.run_path({str(program)!r})").stdout
    assert f"{program}:5: PerianWarning: PerianFunctionTask 'e.one'" in text
