"""What ``pyflyte package`` and ``pyflyte serialize`` make of the example."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from flyteidl.admin import task_pb2
from google.protobuf import json_format
from support.waiting import LONG_SECONDS

from perian_shim.secret_keys import ACCESS_KEYS, REGISTRY_KEYS, REQUIRED_KEYS

ROOT = Path(__file__).parent.parent.parent
PYFLYTE = str(Path(sys.executable).parent / "pyflyte")


def packaged(folder: Path, *options: str) -> dict[str, task_pb2.TaskSpec]:
    """Run ``pyflyte package`` on the examples and return its task specs by name."""
    command = [PYFLYTE, "-k", "examples", "package", "--image", "example.org/default:1"]
    command += ["--output", str(folder / "package.tgz"), "--force", *options]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LONG_SECONDS)
    with tarfile.open(folder / "package.tgz") as archive:
        archive.extractall(folder, filter="data")
    specs = [
        task_pb2.TaskSpec.FromString(path.read_bytes()) for path in sorted(folder.glob("*_1.pb"))
    ]
    return {spec.template.id.name: spec for spec in specs}


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, task_pb2.TaskSpec]:
    return packaged(tmp_path_factory.mktemp("package"))


def test_each_task_is_packaged_once(specs: dict[str, task_pb2.TaskSpec]) -> None:
    assert sorted(specs) == ["birds.fit", "birds.prepare", "penguins.fit", "penguins.prepare"]


@pytest.mark.parametrize("name", ["penguins.prepare", "penguins.fit"])
def test_a_template_has_our_type(specs: dict[str, task_pb2.TaskSpec], name: str) -> None:
    assert specs[name].template.type == "perian_shim"


@pytest.mark.parametrize("name", ["penguins.prepare", "penguins.fit"])
def test_custom_is_small_and_has_no_secret(specs: dict[str, task_pb2.TaskSpec], name: str) -> None:
    custom = json_format.MessageToDict(specs[name].template.custom)
    assert len(json.dumps(custom)) < 8 * 1024
    assert custom["version"] == 1
    assert custom["secrets"] == []
    assert "token" not in json.dumps({**custom, "command": []})


def test_the_arguments_carry_the_templates_that_the_backend_fills(
    specs: dict[str, task_pb2.TaskSpec],
) -> None:
    arguments = list(specs["penguins.fit"].template.container.args)
    assert arguments[0] == "pyflyte-execute"
    assert [argument for argument in arguments if argument.startswith("{{")] == [
        "{{.input}}",
        "{{.outputPrefix}}",
        "{{.rawOutputDataPrefix}}",
        "{{.checkpointOutputPrefix}}",
        "{{.prevCheckpointPrefix}}",
        "{{.taskTemplatePath}}",
    ]


def test_the_secrets_are_requested_by_name(specs: dict[str, task_pb2.TaskSpec]) -> None:
    secrets = specs["penguins.fit"].template.security_context.secrets
    keys = (*REQUIRED_KEYS, *REGISTRY_KEYS, *ACCESS_KEYS)
    assert {(secret.group, secret.key) for secret in secrets} == {("perian", key) for key in keys}


def test_timeout_and_retries_are_in_the_template(specs: dict[str, task_pb2.TaskSpec]) -> None:
    metadata = specs["penguins.fit"].template.metadata
    assert (metadata.timeout.seconds, metadata.retries.retries) == (600, 1)


def test_packaging_twice_gives_the_same_bytes(
    specs: dict[str, task_pb2.TaskSpec], tmp_path: Path
) -> None:
    def customs(found: dict[str, task_pb2.TaskSpec]) -> dict[str, bytes]:
        return {
            name: spec.template.custom.SerializeToString(deterministic=True)
            for name, spec in found.items()
        }

    assert customs(packaged(tmp_path)) == customs(specs)


def test_packaging_with_code_copied_changes_neither_command_nor_custom(
    specs: dict[str, task_pb2.TaskSpec], tmp_path: Path
) -> None:
    fast = packaged(tmp_path, "--copy", "all")
    for name, spec in specs.items():
        assert list(fast[name].template.container.args) == list(spec.template.container.args)
        assert fast[name].template.custom == spec.template.custom


def test_pyflyte_serialize_gives_the_same_custom(
    specs: dict[str, task_pb2.TaskSpec], tmp_path: Path
) -> None:
    command = [PYFLYTE, "-k", "examples", "serialize", "--image", "example.org/default:1"]
    command += ["workflows", "-f", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=LONG_SECONDS)
    serialized = [
        task_pb2.TaskSpec.FromString(path.read_bytes()) for path in tmp_path.glob("*_1.pb")
    ]
    assert {spec.template.id.name: spec.template.custom for spec in serialized} == {
        name: spec.template.custom for name, spec in specs.items()
    }


FUNCTION_MODULE = """
from flytekit import task
from perian_shim import PerianConfig

@task(task_config=PerianConfig(cores=1), container_image="example.org/job:1")
def double(x: int) -> int:
    return 2 * x
"""


def packaged_function(folder: Path, *options: str) -> task_pb2.TaskSpec:
    """Run ``pyflyte package`` on a module with a function task."""
    source = folder / "code"
    source.mkdir()
    (source / "__init__.py").touch()
    (source / "functions.py").write_text(FUNCTION_MODULE)
    command = [PYFLYTE, "-k", "code", "package", "--image", "example.org/default:1"]
    command += ["--output", str(folder / "package.tgz"), *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=LONG_SECONDS)
    with tarfile.open(folder / "package.tgz") as archive:
        archive.extractall(folder, filter="data")
    (spec,) = [task_pb2.TaskSpec.FromString(path.read_bytes()) for path in folder.glob("*_1.pb")]
    return spec


def test_a_package_leaves_the_codes_place_to_be_filled_in(tmp_path: Path) -> None:
    template = packaged_function(tmp_path, "--copy", "all").template
    options = list(template.container.args)[-4:]
    assert options[:3] == ["distribution", "{{ .remote_package_path }}", "destination"]
    assert options[3].startswith("/")  # flytekit's own default: where images have their code
    assert template.container.args[0] == "pyflyte-execute"


def test_a_package_with_the_code_in_the_image_says_nothing_of_it(tmp_path: Path) -> None:
    template = packaged_function(tmp_path).template
    assert template.container.args[-1] == "perian_shim.executor.PerianExecutor"
    custom = json_format.MessageToDict(template.custom)
    assert custom["loader_args"] == ["task-module", "code.functions", "task-name", "double"]
