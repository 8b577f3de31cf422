"""The user's file: found and imported as ``pyflyte run`` does it."""

import tarfile
from pathlib import Path

import pytest

from perian_shim.sandbox.flyte.source import Source, SourceError

TEXT = """
from flytekit import LaunchPlan, task, workflow
{more}

@task
def one(n: int) -> int:
    return n

@workflow
def flow(n: int) -> int:
    return one(n=n)

plan = LaunchPlan.get_or_create(flow, name="{name}.daily")
assert __name__ != "__main__"
"""


def write(folder: Path, name: str, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(TEXT.format(more=more, name=name))
    return file


def test_workflows_tasks_and_launch_plans_are_found_by_name(tmp_path: Path) -> None:
    source = Source.load(write(tmp_path, "plain_source"))
    assert source.root == tmp_path
    assert source.find("flow").name == "plain_source.flow"
    assert source.find("one").name == "plain_source.one"
    assert source.find("plan") is source.find("plain_source.daily")


def test_a_package_is_imported_from_its_root(tmp_path: Path) -> None:
    package = tmp_path / "src" / "team_source"
    file = write(package, "flows", "from .helper import value")
    (package / "__init__.py").touch()
    (package / "helper.py").write_text("value = 1")
    source = Source.load(file)
    assert source.root == tmp_path / "src"
    assert source.find("flow").name == "team_source.flows.flow"


@pytest.mark.parametrize(("copy", "packed"), [("auto", {"m"}), ("all", {"m", "data", "beside"})])
def test_the_code_is_packed_as_registration_packs_it(
    copy: str, packed: set[str], tmp_path: Path
) -> None:
    file = write(tmp_path / "code", f"packed_{copy}")
    for beside in ("data.txt", "beside.py"):
        (tmp_path / "code" / beside).touch()
    archive = Source.load(file).archive(tmp_path, copy)  # type: ignore[arg-type]  # a choice
    with tarfile.open(archive) as content:
        names = {Path(name).stem for name in content.getnames()} - {"__pycache__", "."}
    names = {"m" if name == f"packed_{copy}" else name for name in names}
    assert {name for name in names if "cpython" not in name} == packed


@pytest.mark.parametrize("name", [None, "flwo"])
def test_a_wrong_name_lists_what_there_is(name: str | None, tmp_path: Path) -> None:
    source = Source.load(write(tmp_path, f"listed_{name}"))
    with pytest.raises(SourceError) as wrong:
        source.find(name)
    for each in ("workflows: flow", "tasks: one", "launch plans:"):
        assert each in str(wrong.value)


def test_a_file_that_cannot_be_imported_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="ModuleNotFoundError: No module named 'nowhere_source'"):
        Source.load(write(tmp_path, "broken_source", "import nowhere_source"))


def test_a_file_whose_name_is_taken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is taken by"):
        Source.load(write(tmp_path, "queue"))


def test_only_a_python_file_will_do(tmp_path: Path) -> None:
    (tmp_path / "text.txt").touch()
    with pytest.raises(SourceError, match="expected a Python file"):
        Source.load(tmp_path / "text.txt")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no such file"):
        Source.load(tmp_path / "absent.py")


def test_a_file_that_ends_the_process_when_imported_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be imported: SystemExit: 4"):
        Source.load(write(tmp_path, "ending_source", "raise SystemExit(4)"))
