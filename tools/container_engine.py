"""The container engine at hand: docker where its daemon answers, else podman with buildah.

Everything goes through ``Engine``: building, running, inspecting. Where namespaces are restricted
(inside another container, say) buildah's chroot isolation builds, and runc with modest limits runs,
what the defaults cannot; ``find_engine`` tries that out once. A failed command raises
``subprocess.CalledProcessError``; that there is no engine is ``NoEngine``, with what to install.
"""

import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMITS = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=1000:1000"]

RESTRICTED = [[], LIMITS, ["--runtime", "runc", *LIMITS]]
"""Options of podman to be tried in turn."""

COMMAND_NOT_FOUND = 127


class NoEngine(Exception):
    """No container engine works here."""


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    Attributes:
        size: in bytes, unpacked.
        made_by: the instruction that made it.
    """

    size: int
    made_by: str


@dataclass(frozen=True)
class Engine:
    """A container engine.

    Attributes:
        program: ``docker`` or ``podman``.
        builder: the command that builds.
        run_options: what ``run`` needs on this machine.
    """

    program: str
    builder: tuple[str, ...]
    run_options: tuple[str, ...]

    def build(
        self,
        context: Path,
        dockerfile: Path,
        tag: str,
        *,
        target: str | None = None,
        arguments: Mapping[str, str] | None = None,
        secrets: Mapping[str, Path] | None = None,
        timestamp: int | None = None,
        cache: bool = True,
    ) -> None:
        """Build an image.

        Args:
            context: the folder that is sent along.
            dockerfile: its recipe.
            tag: name of the result.
            target: stage to stop at.
            arguments: build arguments.
            secrets: files that are mounted during the build and end in no layer.
            timestamp: seconds since the epoch that all files get, so that the same input makes the
                same image; with docker only where its builder can.
            cache: whether what earlier builds have made of the same input may be used.
        """
        command = [*self.builder, "--file", str(dockerfile), "--tag", tag]
        if target:
            command += ["--target", target]
        if not cache:
            command += ["--no-cache"]
        for name, value in (arguments or {}).items():
            command += ["--build-arg", f"{name}={value}"]
        for name, path in (secrets or {}).items():
            command += ["--secret", f"id={name},src={path}"]
        if timestamp is not None and self.program == "podman":
            command += ["--timestamp", str(timestamp)]
        if timestamp is not None and self.program == "docker":
            command += ["--build-arg", f"SOURCE_DATE_EPOCH={timestamp}"]
        subprocess.run([*command, str(context)], check=True)

    def run_command(self, image: str, *command: str, options: Sequence[str] = ()) -> list[str]:
        """Return the command that runs a container in the foreground and removes it."""
        return [self.program, "run", "--rm", *self.run_options, *options, image, *command]

    def layers(self, image: str) -> list[Layer]:
        """Return an image's layers that are not empty, the lowest first."""
        shown = "{{.Size}}\t{{.CreatedBy}}"
        lines = self.output("history", "--no-trunc", "--format", shown, image).splitlines()
        parts = [line.split("\t", 1) for line in reversed(lines)]
        layers = [Layer(bytes_of(size), made) for size, made in parts]
        return [layer for layer in layers if layer.size]

    def size(self, image: str) -> int:
        """Return an image's size in bytes, unpacked."""
        return int(self.output("image", "inspect", "--format", "{{.Size}}", image))

    def packed_size(self, image: str) -> int:
        """Return about how many bytes a registry sends: the saved image, compressed quickly."""
        with subprocess.Popen([self.program, "save", image], stdout=subprocess.PIPE) as saved:
            command = ["gzip", "-1"]
            with subprocess.Popen(command, stdin=saved.stdout, stdout=subprocess.PIPE) as packed:
                stream = packed.stdout
                assert stream is not None
                return sum(iter(lambda: len(stream.read(1 << 20)), 0))

    def exists(self, image: str) -> bool:
        """Return whether an image is here."""
        command = [self.program, "image", "inspect", image]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def extract(self, image: str, destination: Path) -> None:
        """Unpack an image's files into a folder."""
        container = self.output("create", image, "nothing")
        try:
            command = [self.program, "export", container]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as exported:
                unpack = ["tar", "-x", "-C", str(destination)]
                subprocess.run(unpack, stdin=exported.stdout, check=True)
        finally:
            self.output("rm", container)

    def extract_some(self, image: str, wanted: Callable[[str], bool], destination: Path) -> None:
        """Unpack some of an image's files into a folder.

        Args:
            image: its name.
            wanted: whether a file is, given its path without a slash at the beginning.
            destination: the folder.
        """
        with self.exported(image) as archive:
            for member in archive:
                if not (member.isreg() and wanted(member.name)):
                    continue
                content = archive.extractfile(member)
                assert content is not None
                path = destination / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())

    @contextmanager
    def exported(self, image: str) -> Iterator[tarfile.TarFile]:
        """Yield an image's files as an archive that can be read once."""
        container = self.output("create", image, "nothing")
        try:
            command = [self.program, "export", container]
            with (
                subprocess.Popen(command, stdout=subprocess.PIPE) as process,
                tarfile.open(fileobj=process.stdout, mode="r|") as archive,
            ):
                yield archive
        finally:
            self.output("rm", container)

    def pull(self, image: str) -> None:
        """Get an image from its registry."""
        subprocess.run([self.program, "pull", "--quiet", image], check=True)

    def identity(self, image: str) -> str:
        """Return the digest of an image's configuration, and so of its layers and settings."""
        found = str(self.inspect(image)["Id"])
        return found if ":" in found else f"sha256:{found}"

    def labels(self, image: str) -> dict[str, str]:
        """Return an image's labels."""
        found: dict[str, str] = self.config(image).get("Labels") or {}
        return found

    def config(self, image: str) -> dict[str, Any]:
        """Return how containers of an image run: its user, variables, command and labels."""
        found: dict[str, Any] = dict(
            json.loads(self.output("image", "inspect", image))[0]["Config"]
        )
        return found

    def digest(self, image: str) -> str | None:
        """Return the digest by which a registry would know an image, None if the engine does not.

        Args:
            image: its name, which may hold the digest.
        """
        if "@" in image:
            return image.partition("@")[2]
        if not self.exists(image):
            return None
        found = self.inspect(image)
        names = found.get("RepoDigests")
        first = names[0] if isinstance(names, list) and names else ""
        return str(found.get("Digest") or "") or first.partition("@")[2] or None

    def remove(self, *images: str) -> None:
        """Remove images; those that are not here are no fault."""
        command = [self.program, "rmi", "--force", *images]
        subprocess.run(command, capture_output=True, check=False)

    def inspect(self, image: str) -> dict[str, object]:
        """Return what the engine knows of an image."""
        found: list[dict[str, object]] = json.loads(self.output("image", "inspect", image))
        return found[0]

    def output(self, *arguments: str) -> str:
        """Run the engine and return what it prints."""
        command = [self.program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def bytes_of(size: str) -> int:
    """Return a size as the engines print it ("48.3 MB", "1.2kB"), in bytes.

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([\d.]+) ?([kMG]?)B", size)
    if match is None:
        raise ValueError(f"not a size: {size!r}")
    return round(float(match[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[match[2]])


def find_engine() -> Engine:
    """Return the engine that works on this machine.

    Raises:
        NoEngine: there is none.
    """
    if works(["docker", "info"]):
        return Engine("docker", ("docker", "build"), ("--network", "host"))
    if not works(["podman", "info"]):
        raise NoEngine(
            "neither docker nor podman works here: install podman and buildah, or docker"
        )
    if not shutil.which("buildah"):
        raise NoEngine("podman is here, buildah is not: install buildah")
    builder = ("buildah", "bud", "--isolation", "chroot", "--layers")
    return Engine("podman", builder, podman_options())


def podman_options() -> tuple[str, ...]:
    """Return the options with which podman can run something."""
    with tempfile.TemporaryDirectory() as empty:
        for options in RESTRICTED:
            # There is nothing to run: a runtime that gets as far as to say so works.
            command = ["podman", "run", "--rm", "--network", "host", *options, "--rootfs", empty]
            ended = subprocess.run([*command, "nothing"], capture_output=True, check=False)
            if ended.returncode == COMMAND_NOT_FOUND:
                return ("--network", "host", *options)
    raise NoEngine("podman cannot run a container here, neither with its own runtime nor with runc")


def works(command: Sequence[str]) -> bool:
    """Return whether a command is there and succeeds."""
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
