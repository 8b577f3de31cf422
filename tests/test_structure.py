"""The structure: imports run downwards only, by one table; modules stay small; names stay."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import perian_shim

PACKAGE = Path(perian_shim.__file__).parent

LONGEST_MODULE = 400


def modules() -> dict[str, Path]:
    return {
        ".".join(("perian_shim", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
        if "examples" not in path.parts
    }


MODULES = modules()


def imports(path: Path, *, at_top: bool = False) -> set[str]:
    """Return the modules of ours that a module imports, also within functions unless at_top."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_top else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.split(".")[0] == "perian_shim"}


GRAPH = {name: imports(path) for name, path in MODULES.items()}


def area(module: str) -> str:
    """Return the part of the package that a module belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


# One test for all modules each: there are hundreds of them.


def test_every_module_is_short() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_every_module_says_what_it_means() -> None:
    silent = [
        n for n, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_there_is_no_cycle() -> None:
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module in done:
            return
        path.append(module)
        for imported in sorted(GRAPH.get(module, ())):
            if imported != "perian_shim":
                visit(imported)
        path.pop()
        done.add(module)

    for module in sorted(GRAPH):
        visit(module)


ARROWS: dict[str, set[str]] = {
    # what everything may use
    "version": set(),
    "errors": {"api"},
    "settings": {"errors"},
    "image_reference": set(),
    "owners": {"api", "settings"},
    # the record of what to run
    "pyflyte": {"api"},
    "config": {"api", "errors", "image_reference", "pyflyte"},
    "spec": {"config", "errors"},
    "secret_keys": {"spec"},
    "resolver_options": {"errors"},
    "task_argument": {"errors"},
    # what knows one thing each
    "wire": set(),
    "api": {"version", "wire"},
    "values": set(),
    "template": {"values"},
    "storage": {"errors", "settings", "wire"},
    "job": set(),
    # the deck is HTML made of texts; only a pod that shows its run loads it
    "deck": set(),
    # the core
    "work": {
        *("api", "config", "errors", "image_reference", "job", "resolver_options", "secret_keys"),
        *("settings", "spec", "storage", "template", "values"),
    },
    "lifecycle": {"api", "errors", "settings", "storage"},
    "pod": {
        *("api", "config", "deck", "errors", "lifecycle", "resolver_options", "secret_keys"),
        *("settings", "spec", "storage", "task_argument", "values", "work"),
    },
    # the doors
    "": {"api", "config", "definition", "executor", "flyte1", "version"},
    "executor": {
        "api",
        "errors",
        "lifecycle",
        "pod",
        "resolver_options",
        "pyflyte",
        "storage",
        "values",
        "work",
    },
    "entrypoint": {"api", "lifecycle", "pod"},
    # the names of flytekitplugins.perian_job.task
    "task": {"config", "flyte1"},
    # tasks when they are defined
    "definition": {
        *("config", "errors", "image_reference", "pyflyte", "secret_keys", "settings", "spec"),
        *("template", "values", "version"),
    },
    "flyte1": {
        *("config", "definition", "errors", "executor", "pyflyte", "resolver_options", "settings"),
        *("spec",),
    },
    "flyte2": {
        *("config", "definition", "errors", "pod", "pyflyte", "settings", "spec", "storage"),
        *("task_argument", "values"),
    },
    # for people
    "remote": {
        *("api", "config", "errors", "lifecycle", "owners", "pod", "secret_keys", "settings"),
        *("storage", "values", "work"),
    },
    "checkup": {
        *("api", "errors", "image_reference", "job", "pod", "remote", "secret_keys", "settings"),
        *("storage", "version", "wire", "work"),
    },
    "cli": {
        *("api", "checkup", "config", "lifecycle", "remote", "sandbox", "settings", "version"),
    },
    # a Perian, an S3 and a Flyte for this machine; only the command line and tests use it
    "sandbox": {"flyte2", "pod", "task_argument", "values"},
}
"""Which area may import which; docs/architecture.md draws it. An arrow that is missing is
forbidden. A key is a folder or a module of the package, "" the package itself."""

OUTSIDE: dict[str, set[str]] = {
    "flytekit": {"entrypoint", "executor", "flyte1", "remote", "sandbox"},
    "flyte": {"flyte2", "sandbox"},
    "flyteidl2": {"flyte2"},
    "flyteidl": {
        *(
            "definition",
            "executor",
            "flyte1",
            "flyte2",
            "pod",
            "remote",
            "sandbox",
            "task_argument",
        ),
        *("template", "values", "work"),
    },
    "click": {"cli", "pyflyte", "sandbox"},
    "rich": {"cli", "remote"},
    # Heavy: a pod that waits does without, where it can.
    "requests": set(),
    "urllib3": set(),
    "certifi": {"wire"},
    "boto3": {"sandbox"},
    "botocore": set(),
    "fsspec": {"storage"},
    "flask": {"sandbox"},
    "moto": {"sandbox"},
}
"""Which areas may import a package of somebody else's that decides what an area is."""


def third_parties(path: Path) -> set[str]:
    """Return the top-level packages that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.partition(".")[0] for name in found}


def test_every_area_is_in_the_table() -> None:
    assert {area(module) for module in MODULES} == set(ARROWS)


def test_every_module_imports_only_what_the_table_allows_its_area() -> None:
    used = {name: {area(each) for each in GRAPH[name]} - {area(name)} for name in MODULES}
    forbidden = {name: areas - ARROWS[area(name)] for name, areas in used.items()}
    assert {name: areas for name, areas in forbidden.items() if areas} == {}


def test_every_arrow_of_the_table_is_used() -> None:
    used = {(area(module), area(name)) for module, names in GRAPH.items() for name in names}
    allowed = {(user, name) for user, names in ARROWS.items() for name in names}
    assert allowed <= used


@pytest.mark.parametrize("package", sorted(OUTSIDE))
def test_a_package_of_others_stays_where_it_belongs(package: str) -> None:
    users = {area(m) for m, path in MODULES.items() if package in third_parties(path)}
    assert users <= OUTSIDE[package]


def test_the_supervisor_of_a_sandbox_job_needs_the_standard_library_only() -> None:
    supervisor = {
        m: p for m, p in MODULES.items() if m.startswith("perian_shim.sandbox.supervisor")
    }
    used = {name for path in supervisor.values() for name in third_parties(path)}
    assert used - {"perian_shim"} <= set(sys.stdlib_module_names)


def test_the_public_names() -> None:
    assert set(perian_shim.__all__) == {
        "PerianConfig",
        "PerianContainerTask",
        "PerianEnvironment",
        "PerianError",
        "PerianExecutor",
        "PerianTask",
        "PerianWarning",
        "Resources",
        "RetryStrategy",
        "Timeout",
        "__version__",
    }
    assert all(getattr(perian_shim, name) is not None for name in perian_shim.__all__)


def test_the_names_for_who_comes_from_the_official_plugin() -> None:
    task = importlib.import_module("perian_shim.task")
    assert set(task.__all__) == {"PerianConfig", "PerianContainerTask", "PerianTask"}


def test_the_names_in_registered_templates_stay() -> None:
    executor = importlib.import_module("perian_shim.executor")
    assert executor.template_resolver.location == "perian_shim.executor.template_resolver"
    assert executor.PerianExecutor.__module__ == "perian_shim.executor"
    assert executor.PerianExecutor is perian_shim.PerianExecutor
