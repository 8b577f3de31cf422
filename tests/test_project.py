"""The project's own papers agree with what they describe."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import release
import yaml
from matrix import PYTHONS

from perian_shim.version import __version__

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CI: Mapping[str, Any] = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
COMMITS: Mapping[str, Any] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def commands(job: str) -> list[str]:
    return [step["run"] for step in CI["jobs"][job]["steps"] if "run" in step]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    metadata = (ROOT / "pyproject.toml").read_text()
    assert '\nlicense = "Apache-2.0"\nlicense-files = ["LICENSE"]\n' in metadata
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_begins_with_this_version() -> None:
    found = release.sections((ROOT / "CHANGELOG.md").read_text())
    assert [each.name for each in found[:2]] == ["Unreleased", __version__]


def test_the_workflow_runs_what_ci_runs_and_the_matrix() -> None:
    assert any(command.endswith(".ci/run") for command in commands("test"))
    assert commands("matrix") == ["make matrix"]


def test_the_workflow_has_every_python_of_the_matrix() -> None:
    (versions,) = (
        step["with"]["python-version"]
        for step in CI["jobs"]["matrix"]["steps"]
        if "setup-python" in step.get("uses", "")
    )
    assert sorted(versions.split()) == sorted(PYTHONS)


def test_a_commit_is_looked_at_by_the_tools_of_make_check_without_a_network() -> None:
    (repository,) = COMMITS["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    recipe = MAKEFILE.split("\ncheck:")[1].split("\n\n")[0].replace("$(BIN)", ".venv/bin")
    for hook in hooks:
        assert hook["entry"].replace("format", "format --check") in recipe


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_github_asks_for(form: Path) -> None:
    read = yaml.safe_load(form.read_text())
    if form.stem == "config":
        assert set(read) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= set(read)
    fields = [part for part in read["body"] if part["type"] != "markdown"]
    names = [part["id"] for part in fields]
    assert fields
    assert len(set(names)) == len(names)
    assert all(part["attributes"]["label"] for part in fields)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.stem)
def test_an_image_is_shown_with_this_version(page: Path) -> None:
    shown = re.findall(r"perian-shim-(?:executor|cli):(\d[\d.]*\d)", page.read_text())
    assert set(shown) <= {__version__}


def test_every_target_says_what_it_does() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = set(re.findall(r"^  ([a-z-]+) +\S", done.stdout, re.MULTILINE))
    assert told == targets()


def test_every_target_that_is_no_file_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.replace("\\\n", " ").split()) == targets()


def test_contributors_are_told_targets_and_files_that_exist() -> None:
    assert set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING)) <= targets()
    for path in re.findall(r"`((?:perian_shim|tests)/[\w./]+)`", CONTRIBUTING):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", CONTRIBUTING):
        assert (ROOT / target).exists(), target
