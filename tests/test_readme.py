"""What the README shows works as shown."""

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import image
import pytest
from flytekit.types.file import FlyteFile
from support.doors import BIN
from support.flyte import Harness
from support.waiting import LONG_SECONDS
from support.workflow_runs import run_workflow

from perian_shim import PerianConfig, PerianContainerTask, errors, settings
from perian_shim.cli.app import COMMANDS
from perian_shim.sandbox.flyte.source import Source

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_runs(harness: Harness, tmp_path: Path) -> None:
    example = blocks("python")[0]
    file = tmp_path / f"readme_example_{harness.door.value}.py"  # modules are imported once
    file.write_text(example)
    workflow = Source.load(file).find("main")
    uploaded = f"s3://{harness.sandbox.bucket}/readme/text"
    harness.store.write(uploaded, b"four words in here")
    outputs = run_workflow(harness, workflow, {"text": FlyteFile(uploaded)})
    assert harness.value(outputs["o0"], int) == 4


def test_the_function_example_runs(harness: Harness, tmp_path: Path) -> None:
    # The job's image is this machine: it finds Python and the code by two variables.
    image = "registry.example.org/team/train:1"
    found = {"PATH": f"{BIN}:/usr/bin:/bin", "PYTHONPATH": str(tmp_path)}
    example = blocks("python")[1].replace(
        f'container_image="{image}"', f'container_image="python:3.12", environment={found!r}'
    )
    file = tmp_path / f"readme_function_{harness.door.value}.py"
    file.write_text(example)
    workflow = Source.load(file).find("fit")
    keys = harness.sandbox.environment()
    secrets = {
        **harness.cluster.secrets,
        ("perian", "aws_access_key_id"): keys["AWS_ACCESS_KEY_ID"],
        ("perian", "aws_secret_access_key"): keys["AWS_SECRET_ACCESS_KEY"],
    }
    cluster = replace(harness.cluster, secrets=secrets)
    outputs = run_workflow(replace(harness, cluster=cluster), workflow, {"epochs": 10})
    assert harness.value(outputs["o0"], float) == 0.5


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for command in blocks("bash")[0].split("\n"):
        target = command.removeprefix("make ")
        assert not target or f"\n{target}:" in makefile


def test_every_make_target_shown_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    shown = {
        name for block in blocks("bash") for name in re.findall(r"^make (\w+)", block, re.MULTILINE)
    }
    assert {"demo", "test", "image", "wheelhouse"} <= shown
    for target in shown:
        assert f"\n{target}:" in makefile


def test_the_image_is_shown_with_the_version_and_the_entrypoint_that_it_has() -> None:
    assert set(re.findall(r"perian-shim-executor:(\d[\d.]*\d)", README)) == {image.version()}
    recipe = (ROOT / image.DOCKERFILE).read_text()
    plain = recipe.replace("/opt/perian-shim/bin/", "")
    (shown,) = re.findall(r'`(\["dumb-init".*?\])`', README)
    assert f"ENTRYPOINT {shown}" in plain


def test_the_commands_shown_exist() -> None:
    shown = {
        command for block in blocks("bash") for command in re.findall(r"perian-shim (\w+)", block)
    }
    assert {"run", "sandbox", "jobs", "cancel"} <= shown <= set(COMMANDS)
    assert shown <= set(COMMANDS)


@pytest.mark.slow
def test_the_run_command_shown_works(tmp_path: Path) -> None:
    (command,) = re.findall(r"^perian-shim run examples.*", "\n".join(blocks("bash")), re.MULTILINE)
    done = subprocess.run(
        ["/bin/sh", "-ec", command],
        cwd=ROOT,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=5 * LONG_SECONDS,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error_g = 392.16" in done.stdout


def test_every_setting_is_listed() -> None:
    assert set(settings.SETTINGS) <= set(re.findall(r"`([A-Z0-9_]+)`", README))


def test_every_field_of_the_config_is_listed() -> None:
    documented = set(re.findall(r"`(\w+)`", README))
    assert set(PerianConfig.__dataclass_fields__) <= documented


def test_every_code_listed_is_one_of_ours() -> None:
    codes = {
        leaf.code
        for leaf in vars(errors).values()
        if isinstance(leaf, type) and issubclass(leaf, errors.TaskError)
    }
    listed = set(re.findall(r"`(PERIAN:\w+)`", README))
    assert listed <= codes
    described = listed | {code for code in codes if code.startswith("PERIAN:Invalid")}
    assert codes - described == {"PERIAN:Task"}


def test_every_argument_listed_is_one_of_the_tasks() -> None:
    known = set(inspect.signature(PerianContainerTask.__init__).parameters)
    section = README.split("## Function tasks")[0].split("## Container tasks")[1]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert listed <= known
    assert len(listed) > 8


TRY_IT = README.split("## Try it without an account")[1].split("\n## ")[0]


@pytest.fixture
def newcomer(tmp_path: Path) -> Path:
    """A new user's home, with the program of the README in it."""
    (program,) = re.findall(r"```python\n(.*?)```", TRY_IT, re.DOTALL)
    (tmp_path / "first.py").write_text(program)
    return tmp_path


def line_of(beginning: str) -> str:
    """Return the one line of the section that begins so."""
    (line,) = re.findall(rf"^{re.escape(beginning)}.*", TRY_IT, re.MULTILINE)
    return str(line)


def in_a_shell(home: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run lines in a shell of the user's."""
    return subprocess.run(
        ["/bin/sh", "-ec", script],
        cwd=home,
        env={**variables_of(home), "PERIAN_POLL_MIN_SECONDS": "0.2"},
        capture_output=True,
        timeout=5 * LONG_SECONDS,
        text=True,
        check=False,
    )


def variables_of(home: Path) -> dict[str, str]:
    """Return what a user's shell has."""
    return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)}


@pytest.mark.thorough
@pytest.mark.slow
def test_a_new_user_runs_the_program_of_the_readme_as_a_cluster_would(newcomer: Path) -> None:
    done = in_a_shell(newcomer, line_of("perian-shim run first.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith('o0 = {"rows": 4, "mean": 2.5}')
    assert "Warning" not in done.stderr


@pytest.mark.thorough
@pytest.mark.slow
def test_a_new_user_gets_by_with_the_lines_of_the_readme(newcomer: Path) -> None:
    """Start the sandbox as shown, export what it prints, run the program as shown."""
    command = ["/bin/sh", "-ec", f"exec {line_of('perian-shim sandbox')}"]
    variables = variables_of(newcomer)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as server:
        try:
            assert server.stdout is not None
            exports = "".join(iter(server.stdout.readline, "\n"))
            done = in_a_shell(newcomer, f"{exports}\n{line_of('pyflyte run')}")
        finally:
            server.terminate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Summary(rows=4, mean=2.5)")
    assert done.stdout.count("-> Done") == 3
    assert "image registry.example.org/team/first:1 was not pulled" in done.stdout
    assert f"the Python environment {sys.prefix} stand for every image" in exports
    assert server.returncode == 0
    state = newcomer / ".local/state/perian-shim/sandbox"
    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("target", re.findall(r"\]\((docs/[^)#]+)[^)]*\)", README))
def test_every_link_to_a_page_of_ours_leads_there(target: str) -> None:
    assert (ROOT / target).is_file()
