"""The structure: imports run downwards only, modules stay small."""

import ast
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


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_is_short(module: str) -> None:
    assert len(MODULES[module].read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_says_what_it_means(module: str) -> None:
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


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


def test_the_api_knows_nothing_above_it() -> None:
    above = {name for m, names in GRAPH.items() if area(m) == "api" for name in names}
    assert {area(name) for name in above} <= {"api"}


def test_what_runs_in_a_container_job_imports_nothing_of_ours() -> None:
    used = {name for m, names in GRAPH.items() if area(m) == "job" for name in names}
    assert used == set()


def test_no_run_time_module_imports_the_sandbox() -> None:
    users = {m for m, names in GRAPH.items() if "sandbox" in {area(name) for name in names}}
    assert {area(user) for user in users} <= {"sandbox", "cli"}


def test_the_lower_layers_import_nothing_of_the_upper_ones() -> None:
    upper = {"task", "executor", "run", "lifecycle", "cli", "report"}
    lower = {"config", "spec", "storage", "request", "staging", "outputs", "status", "values"}
    wrong = {
        (module, imported)
        for module, names in GRAPH.items()
        if area(module) in lower
        for imported in names
        if area(imported) in upper
    }
    assert wrong == set()
