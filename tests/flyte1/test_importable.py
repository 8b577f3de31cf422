"""A job finds its function by module and name: what it could not find is refused, before it rents.

The functions are in modules of a user's project, as those of test modules are never looked at.
"""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteEntities
from support.waiting import LONG_SECONDS

from perian_shim.errors import DefinitionError
from perian_shim.spec import FunctionWork, JobSpec

HEAD = """
import functools
from flytekit import task
from perian_shim import PerianConfig
ours = task(task_config=PerianConfig(cores=1, executor_image="e:1"), container_image="job:1")
"""

REGISTER = """
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteEntities
settings = SerializationSettings(ImageConfig(Image("d", "e", "1")), "p", "d", "v")

def register():
    for entity in FlyteEntities.entities:
        print("loads", *entity.get_custom(settings)["loader_args"][1::2])
"""

SETTINGS = SerializationSettings(ImageConfig(Image("d", "e", "1")), "p", "d", "v")

HELPERS = "def helper(x: int) -> int:\n    return x\n"

TOP_LEVEL = "@ours\ndef double(x: int) -> int:\n    return 2 * x\n"

LOUD = """
def loud(f):
    def inner(*a, **k):
        return f(*a, **k)
    return inner
"""

LOUD_WRAPPED = LOUD.replace("    def inner", "    @functools.wraps(f)\n    def inner")


class Project:
    """Modules of a user's, imported here, whose tasks are registered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("helpers.py", HELPERS)

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def registered(self, module: str = "project") -> list[tuple[str, str]]:
        """Import a module; return by which module and name jobs would load its tasks."""
        importlib.invalidate_caches()
        importlib.import_module(module)
        works = [
            JobSpec.from_custom(entity.get_custom(SETTINGS)).work
            for entity in FlyteEntities.entities
        ]
        return [(w.loader_args[1], w.loader_args[3]) for w in works if isinstance(w, FunctionWork)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(FlyteEntities, "entities", [])
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Project(tmp_path)
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")) + str(
            getattr(sys.modules[name], "__path__", "")
        ):
            del sys.modules[name]


@pytest.mark.parametrize(
    "source",
    [
        TOP_LEVEL,
        "def double(x: int) -> int:\n    return 2 * x\ndouble = ours(double)\n",
        LOUD_WRAPPED + TOP_LEVEL.replace("@ours", "@ours\n@loud"),
        "@ours\nasync def double(x: int) -> int:\n    return 2 * x\n",
        "if True:\n    @ours\n    def double(x: int) -> int:\n        return 2 * x\n",
    ],
    ids=["decorated", "rebound", "wrapped", "async", "in an if"],
)
def test_a_function_at_the_top_of_its_module_is_taken(project: Project, source: str) -> None:
    project.write("project.py", HEAD + source)
    assert project.registered() == [("project", "double")]


NESTED = """
def make():
    @ours
    def inner(x: int) -> int:
        return x
    return inner
made = make()
"""

IN_A_CLASS = """
class Tasks:
    @staticmethod
    @ours
    def inner(x: int) -> int:
        return x
"""

AN_OBJECT = """
class Callable:
    def __call__(self) -> None: ...
made = ours(Callable())
"""

CASES = {
    "another module's": (
        "import helpers\nmade = ours(helpers.helper)\n",
        "it comes from helpers, where 'helper' is the plain function and not this task",
    ),
    "imported by name": (
        "from helpers import helper\nhelper = ours(helper)\n",
        "called by one: `def my_helper(…): return helper(…)`",
    ),
    "patched": (
        "import helpers\nhelpers.helper = ours(helpers.helper)\n",
        "it comes from helpers",
    ),
    "nested": (NESTED, "it is inside make. In the job the module is imported"),
    "a class's": (IN_A_CLASS, "it is inside Tasks"),
    "lambda": ("made = ours(lambda: None)\n", "a lambda has no name"),
    "partial": (
        "from helpers import helper\nmade = ours(functools.partial(helper, x=1))\n",
        "a functools.partial has no name in a module",
    ),
    "object": (AN_OBJECT, "expected a function that is written with `def`"),
    "built-in": ("made = ours(len)\n", "expected a function that is written with `def`"),
    "under another name": (
        "def double(x: int) -> int:\n    return 2 * x\nother = ours(double)\n",
        "in project, 'double' stands for another function",
    ),
    "twice": (
        TOP_LEVEL + TOP_LEVEL.replace("2 * x", "3 * x"),
        "in project, 'double' stands for another PerianTask",
    ),
    "wrapped task": (
        LOUD + "@loud\n" + TOP_LEVEL,
        "in project, 'double' stands for another function",
    ),
    "gone": (TOP_LEVEL + "del double\n", "in project, 'double' stands for nothing"),
}


@pytest.mark.parametrize(("source", "told"), CASES.values(), ids=CASES)
def test_what_a_job_could_not_find_is_refused_with_the_form_that_is_right(
    project: Project, source: str, told: str
) -> None:
    project.write("project.py", HEAD + source)
    with pytest.raises(DefinitionError) as caught:
        project.registered()
    assert str(caught.value).startswith("PerianTask ")
    assert told in str(caught.value)


@pytest.mark.parametrize("inits", [("pack", "pack/inner"), ("pack",), ()])
def test_a_module_of_a_package_keeps_its_name(project: Project, inits: tuple[str, ...]) -> None:
    for folder in inits:
        project.write(f"{folder}/__init__.py", "")
    project.write("pack/inner/tasks.py", HEAD + TOP_LEVEL)
    assert project.registered("pack.inner.tasks") == [("pack.inner.tasks", "double")]


def test_a_module_of_a_src_layout_keeps_its_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project.folder / "src")
    project.write("src/laid/__init__.py", "")
    project.write("src/laid/tasks.py", HEAD + TOP_LEVEL)
    assert project.registered("laid.tasks") == [("laid.tasks", "double")]


def test_a_module_that_another_of_its_name_has_replaced_is_refused(project: Project) -> None:
    project.write("project.py", HEAD + TOP_LEVEL)
    project.write("elsewhere/project.py", "")
    importlib.import_module("project")
    other = ModuleType("project")
    other.__file__ = str(project.folder / "elsewhere" / "project.py")
    sys.modules["project"] = other
    with pytest.raises(DefinitionError, match=r"but `import project` gives .*elsewhere"):
        project.registered()


MAIN = (
    TOP_LEVEL
    + "\nif __name__ == '__main__':\n    import register_all\n    register_all.register()\n"
)


def said_by(folder: Path, *command: str) -> str:
    """Run Python in a folder; return what it says, without the frame around a traceback."""
    (folder / "register_all.py").write_text(REGISTER)
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )
    return " ".join(ended.stdout.split())


def test_a_script_registers_its_own_tasks(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(HEAD + MAIN)
    assert "loads script double" in said_by(tmp_path, "script.py")


def test_a_script_that_has_the_name_of_another_module_is_refused(tmp_path: Path) -> None:
    first = "import sys; here = sys.path.pop(0); import colorsys; sys.path.insert(0, here)\n"
    (tmp_path / "colorsys.py").write_text(first + HEAD + MAIN)
    assert "but `import colorsys` gives" in said_by(tmp_path, "colorsys.py")


def test_a_script_whose_name_has_a_dot_is_refused_with_a_name_that_works(tmp_path: Path) -> None:
    (tmp_path / "my.tasks.py").write_text(HEAD + MAIN)
    assert "Name the file my_tasks.py" in said_by(tmp_path, "my.tasks.py")


NOTEBOOK = """
import linecache, register_all
cell = {cell!r}
name = "<ipython-input-1-0123456789ab>"
linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
exec(compile(cell, name, "exec"), globals())
register_all.register()
"""


def test_a_notebook_is_refused_with_what_to_do_but_runs_here(tmp_path: Path) -> None:
    cell = HEAD + TOP_LEVEL + "print('doubled', double(x=4))\n"
    said = said_by(tmp_path, "-c", NOTEBOOK.format(cell=cell))
    assert "doubled 8" in said
    assert "in a notebook or an interactive session" in said
    assert "Put the function into a module of its own (a .py file beside the notebook)" in said
