"""Builds the executor image and tells what came of it; collects wheels for building it offline.

    image.py build [--tag NAME] [--base IMAGE] [--wheelhouse FOLDER]
                   [--target flytekit | debug] [--papers FOLDER]
    image.py verify [--image NAME] [--base IMAGE] [--target flytekit | debug]
    image.py wheelhouse FOLDER [--base IMAGE]

``build`` prints digest, size, layers and start-up time, and writes the bill of materials and the
licences of what is in the image (not for ``debug``, which nobody ships). ``verify`` builds without
a cache and compares what comes of it with an image that is here, or with a second build. What is
sent to the builder is a copy of the few files that the image is made of, so nothing else of the
checkout can end in it. With a wheelhouse nothing is fetched from anywhere: the base must be on this
machine, and the wheels must fit it; both is looked at before anything is built. ``wheelhouse``
collects wheels for the base's Python and what ``pip install perian-shim[flyte2]`` needs for the
Python that runs this. pip's configuration file and the certificates that pip, requests or OpenSSL
are told to trust here are passed on as build secrets. Exits with 1 and a sentence if no container
engine works or images differ, else with the builder's code.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import inventory
import sbom
from compare import compared
from container_engine import Engine, NoEngine, find_engine

CHECKOUT = Path(__file__).resolve().parent.parent
DOCKERFILE = Path("images/executor.Dockerfile")
LAST = "executor"
"""The stage that is built if none is named."""

PARTS = [
    *("images", "requirements", "examples", "perian_shim"),
    *("pyproject.toml", "README.md", "LICENSE"),
]
STARTS = 5
REGISTERING = "requirements/registering.txt"
"""What perian-shim needs where tasks are defined and registered: flytekit and flyte, all of it."""

NAME = "perian-shim-executor"
SHIPPED = {None: NAME, "executor": NAME, "flytekit": f"{NAME}-flytekit"}
"""Targets with papers, and what these are called."""

PAPERS = CHECKOUT / "dist/image"

FILES_TIME = 1580601600
"""Time of all files of the image, and of its making, in seconds since the epoch: 2020-02-02.

Not the commit's, which is a label: a builder's cache keeps what it made of an earlier commit, and
with it that one's time, so that the same files would make another image.
"""


@contextmanager
def context(wheelhouse: Path | None) -> Iterator[Path]:
    """Yield a folder with what the image is made of.

    Raises:
        ValueError: the wheelhouse has no wheels.
    """
    with tempfile.TemporaryDirectory(prefix="perian-shim-image-") as folder:
        root = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", "*.whl")
        for name in PARTS:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root / name)
        if wheelhouse is not None:
            wheels = list(wheelhouse.glob("*.whl"))
            if not wheels:
                raise ValueError(f"{wheelhouse} has no wheels: `make wheelhouse` fills one")
            for wheel in wheels:
                shutil.copy(wheel, root / "images/wheelhouse")
        yield root


def secrets(environ: Mapping[str, str]) -> dict[str, Path]:
    """Return the files that pip in the build needs as it does here."""
    candidates = {
        "pip.conf": [environ.get("PIP_CONFIG_FILE"), "~/.config/pip/pip.conf", "~/.pip/pip.conf"],
        "ca": [environ.get(name) for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")],
    }
    found = {}
    for name, paths in candidates.items():
        existing = [Path(p).expanduser() for p in paths if p and Path(p).expanduser().is_file()]
        if existing:
            found[name] = existing[0]
    return found


def git(*arguments: str) -> str:
    """Return what git says of the checkout, nothing if it is none."""
    command = ["git", "-C", str(CHECKOUT), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() if ended.returncode == 0 else ""


def version() -> str:
    """Return the version that the package states."""
    lines = (CHECKOUT / "perian_shim/version.py").read_text().splitlines()
    return next(line.split('"')[1] for line in lines if line.startswith("__version__ ="))


def stated(field: str) -> str:
    """Return a line's text in pyproject.toml, nothing if there is no such line."""
    # Python 3.10 has nothing that reads TOML.
    found = re.search(
        rf'^{field} = "(.*)"$', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE
    )
    return found[1] if found else ""


def commit_time() -> int:
    """Return when the commit was made, in seconds since the epoch; 0 if this is no checkout."""
    return int(git("log", "-1", "--format=%ct") or 0)


def labels(base: str, digest: str | None) -> dict[str, str]:
    """Return what the image says of itself, by OCI's names; what is not known is left out.

    Args:
        base: the image that Python comes from.
        digest: its digest, if that is known.
    """
    created = datetime.fromtimestamp(commit_time(), timezone.utc)
    revision = git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    found = {
        "version": version(),
        "revision": revision or "unknown",
        "created": created.isoformat().replace("+00:00", "Z") if revision else "",
        "licenses": stated("license"),
        "source": stated("Source"),
        "base.name": base.partition("@")[0],
        "base.digest": digest or "",
    }
    return {f"org.opencontainers.image.{name}": text for name, text in found.items() if text}


def build(
    engine: Engine,
    tag: str,
    base: str | None = None,
    wheelhouse: Path | None = None,
    target: str | None = None,
    *,
    cache: bool = True,
) -> None:
    """Build the image.

    Args:
        engine: what builds it.
        tag: its name.
        base: the image that Python comes from, the recipe's own if None.
        wheelhouse: folder of wheels to use instead of the package index.
        target: another stage than the last.
        cache: whether what earlier builds have made of the same input may be used.
    """
    name = base or default_base()
    if engine.digest(name) is None and not engine.exists(name) and wheelhouse is None:
        engine.pull(name)  # the builder would, but only after it is told the labels
    arguments = {"BASE_IMAGE": base} if base else {}
    with context(wheelhouse) as root:
        recipe = root / DOCKERFILE
        said = labels(name, engine.digest(name))
        recipe.write_text(recipe.read_text() + labelled(target or LAST, said))
        engine.build(
            root,
            recipe,
            tag,
            arguments=arguments,
            secrets=secrets(os.environ),
            timestamp=FILES_TIME,
            cache=cache,
        )


def labelled(target: str, said: Mapping[str, str]) -> str:
    """Return a last stage that is another one with labels.

    A builder's cache goes by the text of a recipe: labels that are build arguments, or options of
    buildah's, may keep the values of an earlier build.
    """
    pairs = " \\\n    ".join(f"{name}={json.dumps(value)}" for name, value in sorted(said.items()))
    return f"\nFROM {target} AS labelled\nLABEL {pairs}\n"


def default_base() -> str:
    """Return the base image that the recipe names."""
    lines = (CHECKOUT / DOCKERFILE).read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("ARG BASE_IMAGE="))


def check_offline(engine: Engine, base: str | None, wheelhouse: Path) -> None:
    """See that all is here that a build without a network needs.

    Raises:
        ValueError: something is not; says what, and how to get it.
    """
    name = base or default_base()
    if not engine.exists(name):
        raise ValueError(
            f"the base image {name} is not on this machine, and a build from a wheelhouse pulls"
            f" nothing. Where there is a network: `{engine.program} pull {name}` and"
            f" `{engine.program} save {name} | gzip > base.tar.gz`; here:"
            f" `{engine.program} load < base.tar.gz`. Or name one that is here: BASE_IMAGE="
        )
    code = "import platform, sys; print('%d.%d' % sys.version_info[:2], platform.machine())"
    asked = engine.run_command(name, "python3", "-c", code)
    ended = subprocess.run(asked, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise ValueError(f"the base image {name} has no python3 that runs: {ended.stderr.strip()}")
    python, machine = ended.stdout.split()
    wheels = [wheel.name for wheel in wheelhouse.glob("*.whl")]
    if not fitting(wheels, python, machine):
        raise ValueError(
            f"the wheels in {wheelhouse} are not for the base image {name}, which has Python"
            f" {python} on {machine}: collect them with `make wheelhouse BASE_IMAGE={name}` on a"
            " machine of that architecture"
        )


def fitting(wheels: Sequence[str], python: str, machine: str) -> bool:
    """Whether compiled wheels are there for a Python; true where none is compiled.

    Args:
        wheels: file names.
        python: its version, as 3.12.
        machine: its architecture, as x86_64.
    """
    minor = int(python.partition(".")[2])
    compiled = [name.removesuffix(".whl").split("-")[-3:] for name in wheels]
    compiled = [tags for tags in compiled if tags[1] != "none"]

    def fits(tag: str, abi: str, platform: str) -> bool:
        versions = [int(each[3:]) for each in tag.split(".") if re.fullmatch(r"cp3\d+", each)]
        right = minor in versions or (abi == "abi3" and any(each <= minor for each in versions))
        return right and platform.endswith(machine)

    return not compiled or any(fits(*tags) for tags in compiled)


def fill_for_registering(folder: Path) -> None:
    """Collect what ``pip install perian-shim`` needs, for this Python, and perian-shim itself."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    for lock in (REGISTERING, "requirements/build.txt"):
        command = [*pip, "download", *hashed, "-d", str(folder), "-r", str(CHECKOUT / lock)]
        subprocess.run(command, check=True)
    # The build tools come from there too, into an environment of their own.
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder.resolve())}
    command = [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, env=offline)


def say(text: str) -> None:
    """Tell what comes next, before it is waited for."""
    print(f"# {text}", flush=True)


def fill_wheelhouse(engine: Engine, folder: Path, base: str | None = None) -> int:
    """Download the wheels that an image needs, for the base's Python; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    tag = f"localhost/perian-shim-wheelhouse:{version()}"
    build(engine, tag, base, target="wheelhouse")
    with tempfile.TemporaryDirectory() as unpacked:
        engine.extract(tag, Path(unpacked))
        for wheel in Path(unpacked).glob("*.whl"):
            shutil.copy(wheel, folder)
    engine.remove(tag)
    return len(list(folder.glob("*.whl")))


def start_seconds(engine: Engine, image: str) -> list[float]:
    """Return how long loading all that a task's pod needs took some times, after one to warm up."""
    command = engine.run_command(image, "python", "-c", "import perian_shim.pod.execute")
    taken = []
    for _ in range(1 + STARTS):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return taken[1:]


def write_papers(engine: Engine, tag: str, target: str | None, folder: Path) -> str:
    """Write the bill of materials and the licences of an image, and return what to say of them.

    Args:
        engine: what has the image.
        tag: its name.
        target: one that is shipped.
        folder: where to; made if need be.
    """
    known = engine.labels(tag)
    image = sbom.Image(SHIPPED[target], version(), stated("license"), engine.identity(tag), known)
    with tempfile.TemporaryDirectory() as unpacked:
        engine.extract_some(tag, inventory.is_wanted, Path(unpacked))
        components = inventory.components(Path(unpacked))
    folder.mkdir(parents=True, exist_ok=True)
    bill, licences = folder / f"{image.name}.cdx.json", folder / f"{image.name}.licences.txt"
    bill.write_text(sbom.cyclonedx(image, components))
    licences.write_text(sbom.licence_list(image, components))
    lines = [f"  contents  {len(components)} components: {bill}", f"  licences  {licences}"]
    if nameless := sbom.unknown(components):
        lines.append(f"  unknown   licences of {', '.join(nameless)}")
    return "\n".join(lines)


def verify(engine: Engine, image: str | None, base: str | None, target: str | None) -> int:
    """Build without a cache, compare with an image or a second build, and return an exit code."""
    again, other = (f"localhost/{NAME}-{name}:{version()}" for name in ("again", "twice"))
    try:
        for tag in [again] if image else [again, other]:
            say(f"{tag} from {base or default_base()}, without a cache: one to three minutes")
            build(engine, tag, base, target=target, cache=False)
        same, text = compared(engine, image or other, again)
        print(text)
        return 0 if same else 1
    finally:
        engine.remove(again, other)


def describe(engine: Engine, tag: str) -> str:
    """Return what there is to say of an image, a line each."""
    lines = [f"{tag}"]
    size, packed = engine.size(tag) / 1e6, engine.packed_size(tag) / 1e6
    lines.append(f"  digest    {engine.identity(tag)}, of its configuration")
    lines.append(f"  size      {size:.0f} MB, about {packed:.0f} MB to pull")
    lines += [
        f"  layer     {layer.size / 1e6:6.1f} MB  {layer.made_by[:70]}"
        for layer in engine.layers(tag)
    ]
    taken = start_seconds(engine, tag)
    middle, low, high = statistics.median(taken), min(taken), max(taken)
    lines.append(f"  start-up  {middle:.2f} s ({low:.2f} to {high:.2f}), container included")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run the command and return a process exit code."""
    parser = argparse.ArgumentParser(description="Build the executor image.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the image")
    building.add_argument("--tag", default=f"perian-shim-executor:{version()}")
    building.add_argument("--wheelhouse", type=Path, help="build from these wheels, offline")
    building.add_argument("--target", help="`flytekit`: with it; `debug`: with a shell")
    building.add_argument("--papers", type=Path, default=PAPERS, help="folder for what is in it")
    building.add_argument("--no-cache", action="store_true", help="make everything anew")
    verifying = commands.add_parser("verify", help="build anew and compare")
    verifying.add_argument("--image", help="what to compare with, instead of a second build")
    verifying.add_argument("--target", help="the stage that it was made of")
    collecting = commands.add_parser("wheelhouse", help="collect the wheels for an offline build")
    collecting.add_argument("folder", type=Path)
    for each in (building, verifying, collecting):
        each.add_argument("--base", help="image with Python 3.10 or newer and pip")
    options = parser.parse_args(arguments)
    try:
        engine = find_engine()
        if options.command == "wheelhouse":
            say(f"wheels for {options.base or default_base()}: a minute or two, pulled if need be")
            fill_wheelhouse(engine, options.folder, options.base)
            say("wheels for Python {}.{} here: about a minute".format(*sys.version_info))
            fill_for_registering(options.folder)
            count = len(list(options.folder.glob("*.whl")))
            print(f"{options.folder} has {count} wheels")
            return 0
        if options.command == "verify":
            return verify(engine, options.image, options.base, options.target)
        cache = not options.no_cache
        if options.wheelhouse is not None:
            check_offline(engine, options.base, options.wheelhouse)
        say(f"{options.tag} from {options.base or default_base()}: one to three minutes")
        build(engine, options.tag, options.base, options.wheelhouse, options.target, cache=cache)
        print(describe(engine, options.tag))
        if options.target in SHIPPED:
            print(write_papers(engine, options.tag, options.target, options.papers))
    except (NoEngine, ValueError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
