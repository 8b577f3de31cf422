"""A release is rehearsed: what must agree is looked at, and the files are tried."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import release
from support.waiting import TEST_SECONDS

ROOT = Path(__file__).parent.parent
CHANGELOG = """# Changelog

## [Unreleased]

## [1.1.0] - 2026-02-03

### Added

- More.

## [1.0.0] - 2026-01-02

- The first.
"""


def test_the_notes_of_a_version_are_its_section() -> None:
    found = release.notes(CHANGELOG, "1.1.0")
    assert found == release.Section("1.1.0", "2026-02-03", "### Added\n\n- More.")


@pytest.mark.parametrize(
    ("changelog", "version", "problem"),
    [
        (CHANGELOG, "1.2.0", "says nothing of 1.2.0"),
        (CHANGELOG, "1.0.0", "newest version in CHANGELOG.md is 1.1.0"),
        (CHANGELOG.replace(" - 2026-02-03", ""), "1.1.0", "no date"),
        (CHANGELOG.replace("ed]\n", "ed]\n\n- New.\n"), "1.1.0", "unreleased changes: - New."),
    ],
)
def test_a_changelog_that_does_not_fit_is_a_problem(
    changelog: str, version: str, problem: str
) -> None:
    with pytest.raises(release.Problem, match=problem):
        release.notes(changelog, version)


@pytest.mark.parametrize("version", ["1.0.0", "0.2.0rc1"])
def test_a_version_that_can_be_released(version: str) -> None:
    assert release.stated_version(f'"""Doc."""\n\n__version__ = "{version}"\n') == version


@pytest.mark.parametrize("source", ["", '__version__ = "1.0"', '__version__ = "1.0.0.dev1"'])
def test_what_is_no_version_is_a_problem(source: str) -> None:
    with pytest.raises(release.Problem, match="states no version"):
        release.stated_version(source)


def test_what_an_archive_lacks_is_named() -> None:
    with pytest.raises(release.Problem, match=r"x\.whl has no licenses/LICENSE"):
        release.check_names(Path("x.whl"), ["a/py.typed"], ("py.typed", "licenses/LICENSE"))


def test_papers_of_another_image_are_a_problem(tmp_path: Path) -> None:
    for name in ("image.cdx.json", "image.licences.txt"):
        (tmp_path / name).write_text("of sha256:aa")
    names = [each.name for each in release.papers_of("sha256:aa", tmp_path)]
    assert names == ["image.cdx.json", "image.licences.txt"]
    with pytest.raises(release.Problem, match="papers of the image sha256:bb"):
        release.papers_of("sha256:bb", tmp_path)


def test_a_problem_is_told_and_does_not_hide_the_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> str:
        raise release.Problem("it is broken")

    rehearsal = release.Rehearsal()
    assert rehearsal.step("first", fail) == ""
    assert rehearsal.step("second", lambda: "fine") == "fine"
    assert rehearsal.problems == 1
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["problem", "first", "it", "is", "broken"],
        ["ok", "second", "fine"],
    ]


def test_every_line_of_a_rehearsal_is_in_the_checklist() -> None:
    page = (ROOT / "docs/release.md").read_text()
    for name in ("version", "committed", "tag", "changelog", "files", "sha256", "tried", "image"):
        assert f"`{name}`" in page
        assert f'step("{name}"' in (ROOT / "tools/release.py").read_text()


@pytest.mark.thorough
@pytest.mark.slow
def test_wheel_and_sdist_install_import_and_run_the_demo(tmp_path: Path) -> None:
    """Whether all is committed, and the changelog is ready, is not this test's matter."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools/release.py", "--dist", tmp_path],
        env={**os.environ, "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TEST_SECONDS,
    )
    told = {tuple(line.split()[:2]) for line in done.stdout.splitlines()}
    assert {("ok", "version"), ("ok", "files"), ("ok", "sha256"), ("ok", "tried")} <= told, (
        done.stdout + done.stderr
    )
