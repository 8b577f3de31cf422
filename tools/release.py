"""Rehearses a release: looks at what must agree, builds the files, tries them in a fresh place.

    release.py [--image NAME] [--dist FOLDER] [--tag]

Nothing is published. Each step prints ``ok`` or ``problem`` and what was found; the exit code is 1
if there is a problem. With ``--tag`` the annotated tag is made, once all went well and everything
is committed; pushing it and uploading the files is left to whoever releases (docs/release.md).

The fresh environment gets the hash-locked packages of ``requirements/sandbox.txt`` from the package
index, then the wheel, then the sdist in its place, and each is imported; the wheel runs
``perian-shim demo``.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from container_engine import NoEngine, find_engine

CHECKOUT = Path(__file__).resolve().parent.parent
LOCK = CHECKOUT / "requirements/sandbox.txt"
VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
SECTION = re.compile(r"^## \[(?P<name>[^]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?\n", re.MULTILINE)
STEP_SECONDS = 900.0
IN_WHEEL = ("py.typed", "examples/penguins.py", "job/run.sh", "licenses/LICENSE")
IN_SDIST = (
    "LICENSE",
    "CHANGELOG.md",
    "README.md",
    "pyproject.toml",
    "perian_shim/version.py",
    "deploy/pod-template.yaml",
)


class Problem(Exception):
    """A step shows that this cannot be released."""


@dataclass(frozen=True)
class Section:
    """One version's part of the changelog.

    Attributes:
        name: the version, or ``Unreleased``.
        date: ISO date, empty if there is none.
        text: what stands below the heading, without blank lines around it.
    """

    name: str
    date: str
    text: str


def sections(changelog: str) -> list[Section]:
    """Return the versions of a changelog, in its order."""
    found = list(SECTION.finditer(changelog))
    ends = [each.start() for each in found[1:]] + [len(changelog)]
    return [
        Section(each["name"], each["date"] or "", changelog[each.end() : end].strip())
        for each, end in zip(found, ends, strict=True)
    ]


def notes(changelog: str, version: str) -> Section:
    """Return what the changelog says of a version that is to be released.

    Raises:
        Problem: it says nothing, gives no date, or something is still unreleased.
    """
    found = sections(changelog)
    mine = next((each for each in found if each.name == version), None)
    if mine is None or not mine.text:
        raise Problem(f"CHANGELOG.md says nothing of {version}: move what is unreleased below it")
    if not mine.date:
        raise Problem(f"CHANGELOG.md has no date for {version}")
    left = next((each.text for each in found if each.name == "Unreleased"), "")
    if left:
        raise Problem(f"CHANGELOG.md has unreleased changes: {left.splitlines()[0]} …")
    newest = next(each.name for each in found if each.name != "Unreleased")
    if newest != version:
        raise Problem(f"the newest version in CHANGELOG.md is {newest}, not {version}")
    return mine


def stated_version(source: str) -> str:
    """Return the version that a ``version.py`` states.

    Raises:
        Problem: it is none that can be released.
    """
    stated = re.search(r'^__version__ = "([^"]*)"$', source, re.MULTILINE)
    if stated is None or not VERSION.fullmatch(stated[1]):
        raise Problem(f"perian_shim/version.py states no version: {stated and stated[1]!r}")
    return stated[1]


def run(*command: str | Path, cwd: Path = CHECKOUT) -> str:
    """Run a program and return what it printed.

    Raises:
        Problem: it failed, or took too long; with its last lines.
    """
    try:
        ended = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=STEP_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise Problem(f"{command[0]} took longer than {STEP_SECONDS:.0f} s") from None
    if ended.returncode != 0:
        said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-10:])
        raise Problem(f"{' '.join(map(str, command))} failed:\n{said}")
    return ended.stdout.strip()


def built(dist: Path, version: str) -> tuple[Path, Path]:
    """Build wheel and sdist, look into them, and return both.

    Raises:
        Problem: they cannot be built, or something is missing in them.
    """
    run(sys.executable, "-m", "hatchling", "build", "-d", str(dist), "-t", "sdist", "-t", "wheel")
    wheel = dist / f"perian_shim-{version}-py3-none-any.whl"
    sdist = dist / f"perian_shim-{version}.tar.gz"
    with zipfile.ZipFile(wheel) as archive:
        check_names(wheel, archive.namelist(), IN_WHEEL)
    with tarfile.open(sdist) as archive_:
        check_names(sdist, archive_.getnames(), IN_SDIST)
    return wheel, sdist


def check_names(file: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    """See that an archive has what it must.

    Raises:
        Problem: it has not.
    """
    missing = [each for each in wanted if not any(name.endswith(each) for name in names)]
    if missing:
        raise Problem(f"{file.name} has no {', '.join(missing)}")


def tried(wheel: Path, sdist: Path, version: str) -> str:
    """Install both into a fresh environment and use them; return what the demo ended with.

    Raises:
        Problem: something does not work.
    """
    with tempfile.TemporaryDirectory(prefix="perian-shim-release-") as folder:
        home = Path(folder)
        run(sys.executable, CHECKOUT / "tools/make_venv.py", home / "venv")
        python = home / "venv/bin/python"
        pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        run(*pip, "--require-hashes", "-r", LOCK, cwd=home)
        ends = []
        for file in (wheel, sdist):
            again = ("--no-deps", "--no-build-isolation", "--force-reinstall")
            run(*pip, *again, file.resolve(), cwd=home)
            code = "import perian_shim; print(perian_shim.__version__, perian_shim.PerianConfig)"
            found, *_ = run(python, "-c", code, cwd=home).split()
            if found != version:
                raise Problem(f"{file.name} has version {found}")
            ends.append(run(home / "venv/bin/perian-shim", "demo", cwd=home))
        end = [line for line in ends[0].splitlines() if line.startswith("succeeded")]
        if not end:
            raise Problem(f"perian-shim demo did not succeed:\n{ends[0][-500:]}")
        return end[0].rstrip(":").partition(",")[0]


def image_told(name: str, papers: Path) -> str:
    """Return the digest of an image that was built, and the names of its papers.

    Args:
        name: the image's.
        papers: folder with bills of materials and licences, which name the image that they are of.

    Raises:
        Problem: there is no engine, or no such image; it is of another commit, or has no papers.
    """
    try:
        engine = find_engine()
    except NoEngine as error:
        raise Problem(str(error)) from None
    if not engine.exists(name):
        raise Problem(f"there is no image {name}: make image TAG={name}")
    revision = engine.labels(name).get("org.opencontainers.image.revision")
    if revision != run("git", "rev-parse", "HEAD"):
        raise Problem(f"{name} is of commit {revision}: make image TAG={name}")
    identity = engine.identity(name)
    return ", ".join([identity, *(each.name for each in papers_of(identity, papers))])


def papers_of(identity: str, folder: Path) -> list[Path]:
    """Return the papers of an image.

    Raises:
        Problem: one of the two is missing.
    """
    found = [path for path in sorted(folder.glob("*.*.*")) if identity in path.read_text()]
    if [path.suffix for path in found] != [".json", ".txt"]:
        raise Problem(f"{folder} has not the papers of the image {identity}: make image")
    return found


def check_tag(version: str) -> str:
    """See that the tag is free, or this very commit's; return its name.

    Raises:
        Problem: another commit has it.
    """
    tag = f"v{version}"
    tagged = run("git", "tag", "--list", tag) and run("git", "rev-list", "-n", "1", tag)
    if tagged and tagged != run("git", "rev-parse", "HEAD"):
        raise Problem(f"the tag {tag} is another commit's: raise the version")
    return tag


def check_committed() -> str:
    """See that what is built is what is committed.

    Raises:
        Problem: it is not.
    """
    if changed := run("git", "status", "--porcelain"):
        raise Problem(f"{len(changed.splitlines())} files are not committed")
    return run("git", "rev-parse", "--short", "HEAD")


def sums(*files: Path) -> Iterator[str]:
    """Yield name and SHA-256 of each file."""
    for file in files:
        yield f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}"


class Rehearsal:
    """Steps one after another, each told as it ends."""

    def __init__(self) -> None:
        self.problems = 0

    def step(self, name: str, action: Callable[[], str]) -> str:
        """Take a step and say what came of it; return that, empty if it failed."""
        try:
            said = action()
        except Problem as problem:
            self.problems += 1
            print(f"problem  {name:<10} {problem}", flush=True)
            return ""
        print(f"ok       {name:<10} {said}", flush=True)
        return said


def main(arguments: Sequence[str]) -> int:
    """Rehearse; return a process exit code."""
    parser = argparse.ArgumentParser(description="Rehearse a release.")
    parser.add_argument("--image", help="an executor image that was built, to tell its digest")
    parser.add_argument("--dist", type=Path, default=CHECKOUT / "dist", help="folder of the files")
    parser.add_argument("--tag", action="store_true", help="make the tag if all went well")
    options = parser.parse_args(arguments)
    # The files are the same whenever they are built of a commit.
    os.environ.setdefault("SOURCE_DATE_EPOCH", run("git", "log", "-1", "--format=%ct"))
    source = (CHECKOUT / "perian_shim/version.py").read_text()
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()
    rehearsal = Rehearsal()
    version = rehearsal.step("version", lambda: stated_version(source))
    if not version:
        return 1
    rehearsal.step("committed", check_committed)
    tag = rehearsal.step("tag", lambda: check_tag(version))
    rehearsal.step("changelog", lambda: f"{notes(changelog, version).date}, and nothing unreleased")
    files: list[Path] = []

    def build() -> str:
        files.extend(built(options.dist, version))
        return ", ".join(file.name for file in files)

    if rehearsal.step("files", build):
        for line in sums(*files):
            rehearsal.step("sha256", line.__str__)
        wheel, sdist = files
        rehearsal.step("tried", lambda: f"installed, imported, demo {tried(wheel, sdist, version)}")
    if options.image:
        rehearsal.step("image", lambda: image_told(options.image, options.dist / "image"))
    if rehearsal.problems:
        return 1
    if options.tag:
        run("git", "tag", "--annotate", tag, "--message", f"perian-shim {version}")
        print(f"tagged {tag}; nothing was pushed or uploaded")
    else:
        print(f"all is well; --tag makes the tag {tag}. Nothing was pushed or uploaded")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
