"""Image references, and which root file system each stands for.

The sandbox pulls nothing (container isolation aside). A few well-known images, of any tag, stand
for *this machine's own root*: the programs installed here take the place of those in the image.
A directory can be registered as the root of an exactly named image. Any other image is unknown, and
a job with it ends as on the platform: accepted, then UserError with the registry's complaint.
"""

import fnmatch
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HOST_ROOT = Path("/")

HOST_IMAGES = (
    "python",
    "debian",
    "ubuntu",
    "alpine",
    "busybox",
    "nvidia/cuda",
    "pytorch/pytorch",
)

DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True)
class ImageReference:
    """A parsed image reference.

    Attributes:
        repository: with its registry, unless that is Docker Hub; without "library/".
        tag: "latest" if neither tag nor digest is given; empty with a digest alone.
        digest: like "sha256:…", or empty.
    """

    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, reference: str) -> "ImageReference":
        """Split a reference; a colon before a slash belongs to a registry's port.

        Raises:
            ValueError: there is no image name in it.
        """
        name, _, digest = reference.strip().partition("@")
        head, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        repository = head + slash + last
        registry, slash, rest = repository.partition("/")
        if slash and registry in DOCKER_HUB:
            repository = rest
        repository = repository.removeprefix("library/")
        if not last or repository != repository.strip("/"):
            raise ValueError(f"invalid image reference {reference!r}")
        return cls(repository, tag or ("" if digest else "latest"), digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return self.repository + tag + (f"@{self.digest}" if self.digest else "")


def full_reference(name: str, tag: str | None) -> str:
    """Join the API's two fields; a tag may be a digest."""
    if not tag:
        return name
    return f"{name}@{tag}" if tag.startswith("sha256:") else f"{name}:{tag}"


class ImageCatalogue:
    """Knows images.

    Args:
        directories: root directories of further images, by reference; without a tag ":latest" is
            meant.
        host_images: further images that stand for this machine's root: shell patterns for the
            repository ("team/*", any tag) or for the whole reference ("team/app:1.*").

    Raises:
        ValueError: a reference is invalid, or a directory is not there.
    """

    def __init__(
        self, directories: Mapping[str, Path] | None = None, host_images: Iterable[str] = ()
    ) -> None:
        self.directories: dict[str, Path] = {}
        for reference, directory in (directories or {}).items():
            if not directory.is_dir():
                raise ValueError(f"image {reference}: {directory} is not a directory")
            self.directories[str(ImageReference.parse(reference))] = directory.resolve()
        self.patterns = (*HOST_IMAGES, *host_images)

    @property
    def statement(self) -> str:
        """One sentence for people."""
        if "*" in self.patterns:
            return (
                "none is pulled; this machine's programs and the Python environment"
                f" {sys.prefix} stand for every image"
            )
        return f"none is pulled; this machine stands for {', '.join(self.patterns)}"

    def notice(self, reference: str) -> str:
        """Return what the job's log is to say of its image; nothing of those that are as good.

        The programs of Debian or Python are here as well; what else is in an image is not.
        """
        image = ImageReference.parse(reference)
        if str(image) in self.directories or matches(image, HOST_IMAGES):
            return ""
        return (
            f"[sandbox] image {image} was not pulled: this machine's programs and the Python"
            f" environment of the sandbox stand for it"
        )

    def root(self, reference: str) -> Path:
        """Give the directory that an image stands for.

        Raises:
            LookupError: it is unknown; the text is what a registry would say.
        """
        try:
            image = ImageReference.parse(reference)
        except ValueError as error:
            raise LookupError(f"{error}: invalid reference format") from error
        directory = self.directories.get(str(image))
        if directory is not None:
            return directory
        if matches(image, self.patterns):
            return HOST_ROOT
        known = {ImageReference.parse(name).repository for name in self.directories}
        if image.repository in known:
            raise LookupError(f"manifest for {image} not found: manifest unknown: manifest unknown")
        raise LookupError(
            f"pull access denied for {image.repository}, repository does not exist or may require "
            f"'docker login': denied: requested access to the resource is denied (image {image})"
        )


def matches(image: ImageReference, patterns: Iterable[str]) -> bool:
    """Whether a pattern means an image; see `ImageCatalogue`."""
    return any(
        fnmatch.fnmatchcase(str(image) if ":" in pattern else image.repository, pattern)
        for pattern in patterns
    )
