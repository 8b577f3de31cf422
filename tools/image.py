"""Builds the executor image and tells what came of it; collects wheels for building it offline.

    image.py build [--tag NAME] [--base IMAGE] [--wheelhouse FOLDER]
                   [--target flytekit | debug]
    image.py wheelhouse FOLDER [--base IMAGE]

``build`` prints size, layers and start-up time. What it sends to the builder is a copy of the few
files that the image is made of, so nothing else of the checkout can end in it. pip's configuration
file and the certificates that pip, requests or OpenSSL are told to trust here are passed on as
build secrets. Exits with 1 and a sentence if no container engine works, else with the builder's
code.
"""

import argparse
import os
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
PARTS = ["images", "requirements", "examples", "perian_shim", "pyproject.toml", "README.md"]
STARTS = 5


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
    arguments = {"VERSION": version(), "REVISION": git("rev-parse", "HEAD") or "unknown"}
    if base:
        arguments["BASE_IMAGE"] = base
    with context(wheelhouse) as root:
        engine.build(
            root,
            root / DOCKERFILE,
            tag,
            target=target,
            arguments=arguments,
            secrets=secrets(os.environ),
            timestamp=int(git("log", "-1", "--format=%ct") or 0),
            cache=cache,
        )


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
            count = fill_wheelhouse(engine, options.folder, options.base)
            print(f"{options.folder} has {count} wheels")
            return 0
        cache = not options.no_cache
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
