"""The code that a run without a backend ships: what is loaded from the project, by its content."""

import importlib
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flytekit.configuration import SerializationSettings
from flytekit.core.context_manager import FlyteContext, FlyteContextManager
from flytekit.core.data_persistence import FileAccessProvider
from flytekit.core.python_customized_container_task import PythonCustomizedContainerTask

from perian_shim.flyte1.local_code import project_root, shipped_code

PLAIN = PythonCustomizedContainerTask.SERIALIZE_SETTINGS


@pytest.fixture
def context(tmp_path: Path) -> FlyteContext:
    access = FileAccessProvider(str(tmp_path / "own"), str(tmp_path / "store"))
    return FlyteContextManager.current_context().with_file_access(access).build()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project of the layout that has its packages in ``src``."""
    source = tmp_path / "project" / "src"
    package = source / "shipped" / "inner"
    package.mkdir(parents=True)
    for name in ("shipped/__init__.py", "shipped/inner/__init__.py", "shipped/unused.py"):
        (source / name).touch()
    (source / "shipped/inner/tasks.py").write_text("from shipped.helpers import ONE\n")
    (source / "shipped/helpers.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(str(source))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.import_module("shipped.inner.tasks")
    yield source
    for name in [name for name in sys.modules if name.split(".")[0] == "shipped"]:
        del sys.modules[name]


def names(location: str) -> set[str]:
    with tarfile.open(location) as archive:
        return set(archive.getnames())


def test_the_projects_loaded_modules_are_shipped_from_its_root(
    context: FlyteContext, project: Path
) -> None:
    shipped = shipped_code(context, PLAIN, "shipped.inner.tasks")
    assert shipped["destination"] == "."
    assert project_root("shipped.inner.tasks") == str(project)
    assert names(shipped["distribution"]) == {
        "shipped/__init__.py",
        "shipped/inner/__init__.py",
        "shipped/inner/tasks.py",
        "shipped/helpers.py",
    }


def test_the_root_that_the_run_names_is_taken(context: FlyteContext, project: Path) -> None:
    settings = SerializationSettings(PLAIN.image_config, source_root=str(project / "shipped"))
    location = shipped_code(context, settings, "shipped.inner.tasks")["distribution"]
    assert "inner/tasks.py" in names(location)


def test_the_same_code_has_the_same_place_and_other_code_another(
    context: FlyteContext, project: Path
) -> None:
    first = shipped_code(context, PLAIN, "shipped.inner.tasks")
    assert shipped_code(context, PLAIN, "shipped.inner.tasks") == first
    (project / "shipped/helpers.py").write_text("ONE = 1.0\n")
    assert shipped_code(context, PLAIN, "shipped.inner.tasks") != first


@pytest.mark.parametrize("module", ["flytekit.core.task", "json", "no.such.module", "builtins"])
def test_what_is_installed_or_in_no_file_is_not_shipped(context: FlyteContext, module: str) -> None:
    assert shipped_code(context, PLAIN, module) == {}
