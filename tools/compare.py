"""Compares two images: by the digest of their configuration, and if that differs file by file.

The digest covers the layers, and so each file with its mode and time, and all settings. Builders
of different kind or version write it in different ways, and some give files other times: so where
only that differs, the images are the same in all that a container has of them.
"""

import hashlib
import tarfile

from container_engine import Engine

SHOWN = 20
"""How many differences are listed."""


def compared(engine: Engine, first: str, second: str) -> tuple[bool, str]:
    """Return whether two images have the same files and settings, and what is to be said of it."""
    identities = [engine.identity(image) for image in (first, second)]
    if identities[0] == identities[1]:
        return True, f"identical: {identities[0]}"
    differences = [
        *differing(files(engine, first), files(engine, second)),
        *differing(settings(engine, first), settings(engine, second)),
    ]
    if not differences:
        return True, (
            "files and settings are the same; the times of files, or what the builder noted of its"
            f" steps, are not: {identities[0]} and {identities[1]}"
        )
    more = len(differences) - SHOWN
    lines = differences[:SHOWN] + ([f"and {more} more"] if more > 0 else [])
    return False, "\n".join([f"{first} and {second} differ:", *lines])


def differing(first: dict[str, str], second: dict[str, str]) -> list[str]:
    """Return a line for each name whose texts differ."""
    return [
        f"  {name}: {first.get(name, 'missing')} | {second.get(name, 'missing')}"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]


def settings(engine: Engine, image: str) -> dict[str, str]:
    """Return how containers of an image run; labels apart, as builders add some of their own."""
    found = {name: str(value) for name, value in engine.config(image).items() if value}
    found.pop("Labels", None)
    ours = engine.labels(image).items()
    return {**found, **{name: text for name, text in ours if name.startswith("org.opencontainers")}}


def files(engine: Engine, image: str) -> dict[str, str]:
    """Return what there is to compare of each file of an image."""
    with engine.exported(image) as archive:
        return {f"/{member.name}": told(archive, member) for member in archive}


def told(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """Return mode, owner and content of a file, as short as can be compared."""
    content = archive.extractfile(member) if member.isreg() else None
    digest = hashlib.sha256(content.read()).hexdigest()[:12] if content else member.linkname
    return f"{member.mode:o} {member.uid}:{member.gid} {digest}"
