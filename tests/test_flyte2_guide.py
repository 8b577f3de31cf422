"""What the guide to Flyte 2 shows can be pasted, and what it says is so."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import flyte
import pytest
from flyte.extend import TaskTemplate
from support.doors import BIN
from support.flyte2 import template_of
from support.waiting import LONG_SECONDS

from perian_shim import errors, settings, task_argument
from perian_shim.definition import task_pod
from perian_shim.definition.gpus import parse_gpu
from perian_shim.errors import DefinitionError
from perian_shim.flyte2 import PerianConfig, PerianContainerTask, in_job
from perian_shim.pod.action import HABITS
from perian_shim.sandbox import Sandbox
from perian_shim.sandbox.modules import imported
from perian_shim.work.backend import MEBIBYTE
from perian_shim.work.task_record import TaskRecord

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/flyte2.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


SQUARES, BOXES, TRAINING, EPOCHS = blocks("python")
FILES = {"squares.py": SQUARES, "boxes.py": BOXES, "epochs.py": EPOCHS}
SECRET, *RUNS = blocks("bash")
REFUSED = GUIDE.split("## Refused")[1].split("\n## ")[0]


# --- what is shown ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that are to be saved."""
    for name, source in FILES.items():
        assert f"`{name}`" in GUIDE
        (tmp_path / name).write_text(source)
    return tmp_path


def shell(command: str, folder: Path, **variables: str) -> str:
    """Run a command as a user would and return what it prints."""
    ended = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=folder,
        env={"PATH": os.pathsep.join([str(BIN), os.defpath]), "HOME": str(folder), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=3 * LONG_SECONDS,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "printed"),
    list(zip(RUNS, ["o0 = 1\n", "o0 = 4\n", "o0 = trained from epoch 3 on"], strict=True)),
    ids=["squares", "boxes", "epochs"],
)
def test_the_runs_shown_work(command: str, printed: str, folder: Path) -> None:
    if "epochs" in command and not hasattr(flyte.models.TaskContext, "checkpoint"):
        pytest.skip("this flyte has no checkpoints")
    assert printed in shell(command, folder)


@pytest.mark.slow
@pytest.mark.parametrize("remote", [False, True], ids=["in process", "through Perian"])
def test_local_runs_of_flyte_s_own_work(remote: bool, sandbox: Sandbox, folder: Path) -> None:
    # The tests' sandbox has this image only: this machine.
    here = SQUARES.replace("registry.example.org/team/squares:1", "python:3.12")
    (folder / "squares.py").write_text(here)
    flags, variables = "--local", dict[str, str]()
    if remote:
        assert "`--raw-data-path s3://bucket/folder`" in GUIDE
        flags += f" --raw-data-path s3://{sandbox.bucket}/guide"
        variables = dict(sandbox.environment())
    assert "flyte run --local FILE.py TASK" in GUIDE
    found = shell(f"flyte run {flags} squares.py square --x 7", folder, **variables)
    assert "49" in found
    assert ("[perian-shim]" in found) == remote


def module_of(source: str, name: str, folder: Path) -> ModuleType:
    """Import an example; once, for it has environments of its own."""
    if name in sys.modules:
        return sys.modules[name]
    file = folder / f"{name}.py"
    file.write_text(source)
    return imported(file).module


@pytest.fixture
def training(tmp_path: Path) -> ModuleType:
    return module_of(TRAINING, "flyte2_guide_training", tmp_path)


def deployed(task: Any) -> Any:
    """Return a task's template, as deployed from the folder of its module."""
    function = getattr(task, "func", test_the_runs_shown_work)
    return template_of(task, root_dir=Path(inspect.getfile(function)).parent)


def record_of(task: Any) -> TaskRecord:
    container = deployed(task).container
    return TaskRecord.from_template(task_argument.decode(container.args[2]))


def test_what_the_environment_and_the_task_name_is_the_job_s(training: ModuleType) -> None:
    record = record_of(training.train)
    config = record.spec.config
    assert (config.cores, config.memory, config.os_storage_size) == (8, "64", 200)
    assert (config.accelerators, config.accelerator_type) == (1, "NVIDIA_A100_40")
    assert (config.country_code, config.max_queued_seconds) == ("DE", 1800)
    assert record.timeout_seconds == 6 * 3600
    assert record.spec.environment == {"OMP_NUM_THREADS": "8"}
    assert [each.env_var for each in record.spec.secrets] == ["WANDB_API_KEY"]
    assert record.spec.deck
    template = deployed(training.train)
    assert template.metadata.retries.retries == 2
    assert template.metadata.discoverable


def test_an_override_and_a_cloned_environment_ask_for_other_machines(training: ModuleType) -> None:
    assert record_of(training.larger).spec.config.accelerator_type == "NVIDIA_H100_80"

    @training.small_env.task  # type: ignore[untyped-decorator]  # of a module that is not looked at
    def small() -> int:
        return 1

    assert record_of(small).spec.config.accelerator_type == "NVIDIA_T4_16"


def test_the_pod_runs_the_image_that_the_module_names(tmp_path: Path) -> None:
    square = module_of(SQUARES, "flyte2_guide_squares", tmp_path).square
    container = deployed(square).container
    assert container.image == square.plugin_config.executor_image
    assert record_of(square).spec.image == "registry.example.org/team/squares:1"


def test_every_task_shown_can_be_deployed(tmp_path: Path) -> None:
    module = module_of(BOXES, "flyte2_guide_boxes", tmp_path)
    tasks = [each for each in vars(module).values() if isinstance(each, TaskTemplate)]
    assert len(tasks) == 3
    for task in tasks:
        assert deployed(task).container.image


# --- what is said ---


def rows() -> list[str]:
    found = re.findall(r"^\| `([^|]+)` \|", REFUSED, re.MULTILINE)
    has_deadlines = "deadline" in flyte.Timeout.__dataclass_fields__  # from flyte 2.5 on
    return [row for row in found if has_deadlines or "deadline" not in row]


def settings_of(row: str) -> dict[str, Any]:
    names = {"flyte": flyte, "PerianConfig": PerianConfig}
    given: dict[str, Any] = eval(f"dict({row})", names)
    return {"plugin_config": PerianConfig(cores=1), **given}


@pytest.mark.parametrize("row", rows())
def test_what_is_named_as_refused_is_for_functions(row: str) -> None:
    given = settings_of(row)
    for_task = {key: given.pop(key) for key in ("timeout",) if key in given}
    # That an environment for reuse has no plugins is said by flyte itself.
    error = ValueError if "reusable" in given else DefinitionError
    with pytest.raises(error):
        flyte.TaskEnvironment(name="guide", **given).task(**for_task)(square)


@pytest.mark.parametrize("row", rows())
def test_what_is_named_as_refused_is_for_containers(row: str) -> None:
    with pytest.raises(DefinitionError):
        PerianContainerTask("guide", image="debian:12", command=["true"], **settings_of(row))


def square(x: int) -> int:
    return x * x


def test_every_row_of_what_is_refused_is_tried() -> None:
    assert REFUSED.count("\n| `") - len(rows()) in {0, 1}


def test_names_of_gpus_become_perian_s() -> None:
    ((written, perians),) = re.findall(r'`gpu="([\w:]+)"` rents two `(\w+)`', GUIDE)
    assert parse_gpu(flyte.Resources(gpu=written).gpu).kind == perians
    (other,) = re.findall(r"`(PerianConfig\(accelerators=1, [^`]*\))`", GUIDE)
    assert eval(other, {"PerianConfig": PerianConfig}).accelerator_type


def test_numbers_and_names_are_those_of_the_code() -> None:
    assert (task_pod.CPU, task_pod.MEMORY) == ("100m", "200Mi")
    assert "asks for 0.1 CPU and\n200 MiB" in GUIDE
    assert HABITS.max_output_bytes == 10 * MEBIBYTE
    assert "may have 10 MB" in GUIDE
    assert task_pod.DEFAULT_EXECUTOR_IMAGE.startswith("perian-shim-executor:")
    assert set(re.findall(r"PERIAN:\w+", GUIDE)) == {in_job.CODE}
    assert set(re.findall(r"\bPERIAN_[A-Z_]+[A-Z]\b", GUIDE)) - {settings.JOB_KEY} <= set(
        settings.SETTINGS
    )
    assert hasattr(errors, "DefinitionError")


def test_the_secret_shown_has_keys_that_a_pod_reads() -> None:
    shown = set(re.findall(r"--from-literal=(\w+)=", SECRET))
    assert shown
    assert shown <= set(task_pod.SECRET_KEYS)


def heads(page: Path) -> set[str]:
    """The anchors of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in found}


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https:)([^)]+)\)", GUIDE))
def test_every_link_leads_somewhere(target: str) -> None:
    page, _, anchor = target.partition("#")
    file = ROOT / "docs/guides" / (page or "flyte2.md")
    assert file.exists()
    assert not anchor or anchor in heads(file)
