"""Builds the executor image and tells what came of it; collects wheels for building it offline.

    image.py build [--tag NAME] [--base IMAGE] [--wheelhouse FOLDER]
                   [--target flytekit | debug]
    image.py wheelhouse FOLDER [--base IMAGE]

``build`` prints size, layers and start-up time. What it sends to the builder is a copy of the few
files that the image is made of, so nothing else of the checkout can end in it. With a wheelhouse
nothing is fetched from anywhere: the base must be on this machine, and the wheels must fit it; both
is looked at before anything is built. ``wheelhouse`` collects wheels for the base's Python and what
``pip install perian-shim`` needs for the Python that runs this. pip's configuration
file and the certificates that pip, requests or OpenSSL are told to trust here are passed on as
build secrets. Exits with 1 and a sentence if no container engine works, else with the builder's
code.
"""

import argparse
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
from pathlib import Path

from container_engine import Engine, NoEngine, find_engine

CHECKOUT = Path(__file__).resolve().parent.parent
DOCKERFILE = Path("images/executor.Dockerfile")
PARTS = [
    *("images", "requirements", "examples", "perian_shim"),
    *("pyproject.toml", "README.md", "LICENSE"),
]
STARTS = 5
REGISTERING = "requirements/executor-flytekit.txt"
"""What perian-shim needs where tasks are defined and registered: flytekit, all of it."""


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
    labels = {
        "org.opencontainers.image.version": version(),
        "org.opencontainers.image.revision": git("rev-parse", "HEAD") or "unknown",
    }
    arguments = {"BASE_IMAGE": base} if base else {}
    with context(wheelhouse) as root:
        engine.build(
            root,
            root / DOCKERFILE,
            tag,
            target=target,
            arguments=arguments,
            labels=labels,
            secrets=secrets(os.environ),
            timestamp=int(git("log", "-1", "--format=%ct") or 0),
            cache=cache,
        )


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


def describe(engine: Engine, tag: str) -> str:
    """Return what there is to say of an image, a line each."""
    lines = [f"{tag}"]
    size, packed = engine.size(tag) / 1e6, engine.packed_size(tag) / 1e6
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
    building.add_argument("--no-cache", action="store_true", help="make everything anew")
    collecting = commands.add_parser("wheelhouse", help="collect the wheels for an offline build")
    collecting.add_argument("folder", type=Path)
    for each in (building, collecting):
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
        cache = not options.no_cache
        if options.wheelhouse is not None:
            check_offline(engine, options.base, options.wheelhouse)
        say(f"{options.tag} from {options.base or default_base()}: one to three minutes")
        build(engine, options.tag, options.base, options.wheelhouse, options.target, cache=cache)
        print(describe(engine, options.tag))
    except (NoEngine, ValueError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
