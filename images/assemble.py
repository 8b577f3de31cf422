"""Collects and installs what the executor image holds; runs in the image's build, on its base.

    assemble.py wheels DESTINATION LOCK      the wheels: those given in ./wheelhouse, or downloaded
    assemble.py packages WHEELS PREFIX LOCK  the locked packages' environment, pruned and compiled
    assemble.py shim WHEELS PREFIX ROOT      perian-shim for that environment, below the folder ROOT

LOCK is ``executor`` or ``executor-flytekit``, a file of requirements/. Only wheels whose hashes are
there are installed, and only from a folder: nothing but ``wheels`` uses the network. Needs nothing
beyond the standard library and pip 22.3. Ends with the exit code of what failed.
"""

import compileall
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from symbols import strip_libraries

LOCKS = Path("requirements")
BUILD = Path("requirements/build.txt")
OMITTED = Path("images/omitted.txt")
GIVEN = Path("wheelhouse")
SECRETS = Path("/run/secrets")

SUMS = "wheels.sha256"
"""File of the environment that says which wheels it was made of: for the bill of materials."""

LEAN = Path("executor")
"""The lock without flytekit."""

CREDENTIALS = {"sts", "sso", "sso-oidc", "signin"}
"""What botocore needs to get credentials."""

FLYTE_TYPES = {"core", "__init__.py"}
"""What of flyteidl a task's pod speaks; the rest is spoken to Flyte's control plane."""

GOOGLE_TYPES = {"protobuf", "_upb", "auth", "oauth2"}
"""What of Google's namespace is no message of a service's API."""

UNUSED_DIRECTORIES = {"tests", "test", "include"}
UNUSED_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".h", ".hpp", ".cpp", ".exe"}

LEXERS = {"__init__.py", "_mapping.py", "python.py", "special.py", "text.py"}
"""What rich needs to show a traceback; the others are a third of pygments."""

UNUSED_OF_OURS = tuple(
    f"perian_shim/{name}" for name in ("sandbox", "examples", "checkup", "cli", "remote")
)
"""What is for people; it needs packages that are not here."""


def names_in(path: Path) -> set[str]:
    """Return the names in a list with comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return {line for line in lines if line}


def without(requirements: str, omitted: set[str]) -> str:
    """Return a file of requirements without some distributions.

    Args:
        requirements: in pip's format, continued lines and all.
        omitted: names, normalized.

    Raises:
        ValueError: a name is not among the requirements: the list is out of date.
    """
    logical = re.sub(r"\\\n", "\\\n\0", requirements).replace("\n\0", "\0").splitlines()
    kept = [line for line in logical if line.partition("==")[0].strip() not in omitted]
    missing = omitted - {line.partition("==")[0].strip() for line in logical}
    if missing:
        raise ValueError(f"{OMITTED} names what is not required: {sorted(missing)}")
    return "\n".join(line.replace("\0", "\n") for line in kept) + "\n"


def wanted(lock: Path) -> Path:
    """Write the requirements of the image that a lock is for, and return where."""
    path = Path(f"wanted-{lock}.txt")
    locked = (LOCKS / f"{lock}.txt").read_text()
    path.write_text(without(locked, set() if lock == LEAN else names_in(OMITTED)))
    return path


def pip(*arguments: str | Path, python: Path | None = None) -> None:
    """Run pip, for another interpreter if one is given."""
    environ = dict(os.environ)
    if (SECRETS / "pip.conf").exists():
        environ["PIP_CONFIG_FILE"] = str(SECRETS / "pip.conf")
    if (SECRETS / "ca").exists():
        environ["PIP_CERT"] = str(SECRETS / "ca")
    target = ["--python", str(python)] if python else []
    options = ["--no-cache-dir", "--disable-pip-version-check", "--quiet", *target]
    run(sys.executable, "-m", "pip", *options, *arguments, environ=environ)


def run(*command: str | Path, environ: dict[str, str] | None = None) -> None:
    """Run a command; end with its exit code if it fails."""
    code = subprocess.call([str(part) for part in command], env=environ)
    if code:
        sys.exit(code)


def wheels(destination: Path, lock: Path) -> None:
    """Collect the wheels."""
    given = sorted(GIVEN.glob("*.whl"))
    if given:
        destination.mkdir(parents=True)
        for wheel in given:
            shutil.copy(wheel, destination)
        print(f"{len(given)} wheels were given: the package index is not asked")
        return
    hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    pip("download", *hashed, "-d", destination, "-r", wanted(lock), "-r", BUILD)


def install(wheels: Path, python: Path, requirements: Path, *options: str | Path) -> None:
    """Install locked requirements from a folder of wheels."""
    source = ["--no-index", "--find-links", str(wheels), "--require-hashes", "--no-deps"]
    pip("install", *source, "--no-compile", *options, "-r", requirements, python=python)


def sums(report: Path) -> str:
    """Return the SHA-256 and name of each wheel that was installed, a line each.

    Args:
        report: pip's, of that installation.
    """
    lines = []
    for each in json.loads(report.read_text())["install"]:
        info = each["download_info"]
        digest = info["archive_info"]["hash"].removeprefix("sha256=")
        wheel = unquote(info["url"].rpartition("/")[2])
        lines.append((wheel, digest))
    return "".join(f"{digest}  {wheel}\n" for wheel, digest in sorted(lines))


def packages(wheels: Path, prefix: Path, lock: Path) -> None:
    """Make the environment."""
    venv.create(prefix, symlinks=True)
    report = Path("report.json")
    install(wheels, prefix / "bin/python", wanted(lock), "--report", report)
    (prefix / SUMS).write_text(sums(report))
    before = size(prefix)
    site = next(prefix.glob("lib/python*/site-packages"))
    for path in [*unused(site), *(unused_without_flytekit(site) if lock == LEAN else ())]:
        remove(path)
    for path in site.glob("botocore/data/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), separators=(",", ":")))
    strip_libraries(prefix)
    for script in prefix.glob("bin/[Aa]ctivate*"):
        script.unlink()
    precompile(prefix)
    print(f"{prefix}: {before >> 20} MiB installed, {size(prefix) >> 20} MiB pruned and compiled")


def unused(site: Path) -> Iterator[Path]:
    """Yield what is never read at run time."""
    services = site / "botocore/data"
    kept = {*CREDENTIALS, "s3"}
    yield from (p for p in services.iterdir() if p.is_dir() and p.name not in kept)
    yield from (p for p in site.glob("pygments/lexers/*.py") if p.name not in LEXERS)
    for path in sorted(site.rglob("*")):
        if path.name in UNUSED_DIRECTORIES if path.is_dir() else path.suffix in UNUSED_SUFFIXES:
            yield path


def unused_without_flytekit(site: Path) -> Iterator[Path]:
    """Yield what only flytekit, or a client of AWS, would read at run time."""
    yield site / "botocore/data/s3"
    yield from (p for p in site.glob("flyteidl/*") if p.name not in FLYTE_TYPES)
    yield from (p for p in site.glob("google/*") if p.name not in GOOGLE_TYPES)
    yield from site.glob("flyteidl/core/*_grpc.py")
    yield from site.glob("google/protobuf/internal/*benchmark*")
    yield site / "protoc_gen_openapiv2"
    yield from site.glob("dateutil/zoneinfo/*.tar.gz")


def shim(wheels: Path, prefix: Path, root: Path) -> None:
    """Build perian-shim and install it below a folder of its own."""
    builder = Path("builder")
    venv.create(builder, symlinks=True)
    python = builder.absolute() / "bin/python"
    install(wheels, python, BUILD)
    only = ["--no-index", "--no-deps"]
    pip("wheel", *only, "--no-build-isolation", "--wheel-dir", "dist", ".", python=python)
    wheel = next(Path("dist").glob("*.whl"))
    venv.create(prefix, symlinks=True)
    target = prefix / "bin/python"
    pip("install", *only, "--no-compile", "--root", root, wheel, python=target)
    below = root / prefix.relative_to("/")
    shutil.rmtree(below / "bin")
    for name in UNUSED_OF_OURS:
        remove(next(below.glob(f"lib/python*/site-packages/{name}")))
    precompile(below, root)


def precompile(folder: Path, root: Path | None = None) -> None:
    """Write bytecode that is never checked against its source: neither can change in an image."""
    compileall.compile_dir(
        folder,
        maxlevels=100,
        quiet=2,  # a package may carry a file for another Python
        workers=0,
        stripdir=root,
        prependdir="/" if root else None,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def remove(path: Path) -> None:
    """Remove a file or a folder, if its folder has not gone before it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size(folder: Path) -> int:
    """Return the size of all files, in bytes."""
    return sum(p.lstat().st_size for p in folder.rglob("*") if not p.is_dir())


def main(arguments: Sequence[str]) -> None:
    """Do one of the steps."""
    steps: dict[str, Callable[..., None]] = {"wheels": wheels, "packages": packages, "shim": shim}
    steps[arguments[0]](*map(Path, arguments[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
