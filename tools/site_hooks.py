"""What mkdocs does for our site beside the usual: pages of files that stand beside ``docs/``.

The README is the front page; changelog, contributing, security policy, code of conduct and what is
said of ``deploy/`` are pages too, and the files there can be had from the site. Their links are
written as GitHub shows the files, and are rewritten for the site, in both directions. mkdocs calls
the functions by their names.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

CHECKOUT = Path(__file__).resolve().parent.parent

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "deploy/README.md": "deploy.md",
}
"""Files beside ``docs/``, and their pages."""

FILES = ("deploy/**/*.yaml", "deploy/**/Containerfile")
"""Files that pages link to, as they are."""

ANNOUNCED = {"guides/flyte2.md", "guides/environments.md"}
"""Pages that are left out of the navigation until they are there."""

LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")


def rewritten(markdown: str, page: str) -> str:
    """Return a page's text with its links as the site needs them.

    Args:
        markdown: with links as they are right where its file stands.
        page: its path within the site.
    """
    originals = {to: source for source, to in PAGES.items()}
    source = originals.get(page, f"docs/{page}")

    def target(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        there = PAGES.get(path) or (path.removeprefix("docs/") if path != source else page)
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{found[1]}{relative}{found[3]}"

    return LINK.sub(target, markdown)


def without_missing(nav: list[Any], docs: Path) -> list[Any]:
    """Return a navigation without the announced pages that are not there."""
    kept = []
    for item in nav:
        ((title, value),) = item.items()
        if isinstance(value, list):
            kept.append({title: without_missing(value, docs)})
        elif value not in ANNOUNCED or (docs / value).exists():
            kept.append(item)
    return kept


def on_config(config: Any) -> Any:
    """Leave out what is only announced."""
    config.nav = without_missing(config.nav, Path(config.docs_dir))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of files beside ``docs/``, and what they link to."""
    for source, page in PAGES.items():
        text = (CHECKOUT / source).read_text()
        files.append(File.generated(config, page, content=text))
    for path in sorted(path for files in FILES for path in CHECKOUT.glob(files)):
        name = path.relative_to(CHECKOUT).as_posix()
        files.append(File.generated(config, name, content=path.read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite a page's links."""
    return rewritten(markdown, page.file.src_uri)
