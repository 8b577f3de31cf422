"""The site: it is built without a warning, has every page, and fetches nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.browser import picture_of
from support.pages import DOCS, ROOT
from support.waiting import LONG_SECONDS

ENVIRONMENTS = (Path(sys.prefix, "docs"), ROOT / ".venv" / "docs")
HOOKS = (ROOT / "tools/site_hooks.py").read_text()
BESIDE = dict(re.findall(r'"((?:deploy/)?[A-Z_]+\.md)": "([a-z-]+\.md)"', HOOKS))
(ANNOUNCED,) = (
    set(re.findall(r'"([^"]+)"', found)) for found in re.findall(r"ANNOUNCED = (.*)", HOOKS)
)


def mkdocs() -> Path:
    """The program; skips the calling test without it, but fails it in CI."""
    for environment in ENVIRONMENTS:
        if (program := environment / "bin" / "mkdocs").exists():
            return program
    reason = "needs mkdocs: `make docs` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def pages_of(nav: object) -> list[str]:
    """Return the pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    items = nav if isinstance(nav, list) else list(nav.values()) if isinstance(nav, dict) else []
    return [page for item in items for page in pages_of(item)]


def navigation() -> list[str]:
    found = re.search(r"^nav:\n.*", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return pages_of(yaml.safe_load(found[0])["nav"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [mkdocs(), "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * LONG_SECONDS,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def test_every_page_is_in_the_navigation_once() -> None:
    here = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} | set(BESIDE.values())
    named = navigation()
    assert len(named) == len(set(named))
    assert set(named) - ANNOUNCED == here - ANNOUNCED


def test_every_file_beside_the_pages_is_there() -> None:
    assert BESIDE
    assert all((ROOT / name).is_file() for name in BESIDE)


@pytest.mark.slow
def test_it_is_built_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    assert (site / "tutorial.html").is_file()


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?(https?:[^\s\">]+)"
    )
    styles = re.compile(r"(?:@import|url\()\s*[\"']?(https?:[^\"')\s]+)")
    for file in site.rglob("*.html"):
        found = fetched.findall(file.read_text())
        assert found == [], file.name
    for file in site.rglob("*.css"):
        assert styles.findall(file.read_text()) == [], file.name


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("page", ["index", "guides/checkpoints"])
def test_a_picture_is_left(site: Path, page: str) -> None:
    file = site / f"{page}.html"
    picture_of(file, f"site-{page.replace('/', '-')}", width=1300, height=1400)
