"""What is in an executor image: Python, its packages, and the Debian packages of its libraries.

It is read from the image's own files, which ``images/assemble.py`` and ``images/rootfs.py`` put
there: so it says what is in the image, not what was meant to be. What was compiled into a wheel is
not seen apart from that wheel. Needs nothing beyond the standard library.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import licences

PREFIX = "opt/perian-shim"
STATUS = "var/lib/dpkg/status.d"
SUMS = f"{PREFIX}/wheels.sha256"
TEXT_OF_A_LICENCE = re.compile(r"(?i)(licen[cs]e|copying|notice|authors)")


@dataclass(frozen=True)
class Component:
    """A thing in an image.

    Attributes:
        name: as its makers write it.
        version: theirs.
        purl: its package URL, which is unique in an image.
        licence: an SPDX expression, None if it is unknown.
        texts: files of the image with the licence's text.
        sha256: of the file that it was installed from, None if that is not known.
        needs: purls of the components that it depends on.
        cpe: its name in the vulnerability databases, if it has one there.
    """

    name: str
    version: str
    purl: str
    licence: str | None
    texts: tuple[str, ...] = ()
    sha256: str | None = None
    needs: tuple[str, ...] = ()
    cpe: str | None = None


def is_wanted(name: str) -> bool:
    """Return whether a file of an image is among those that an inventory is made of.

    Args:
        name: its path, without a slash at the beginning.
    """
    path = PurePosixPath(name)
    return (
        ".dist-info/" in name
        or name in {SUMS, f"{PREFIX}/pyvenv.cfg", "etc/os-release", "usr/lib/os-release"}
        or name.startswith((f"{STATUS}/", "usr/share/doc/"))
        or path.name == "LICENSE.txt"
    )


def components(root: Path) -> list[Component]:
    """Return what is in an image, Python first, then by package URL.

    Args:
        root: a folder with its files, at least those that are wanted.
    """
    debian = debian_packages(root)
    found = [*debian, *distributions(root)]
    return [python(root, debian), *sorted(found, key=lambda each: each.purl)]


def normalized(name: str) -> str:
    """Return the name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fields(path: Path) -> Message:
    """Return a file of mail-like headers."""
    return HeaderParser().parsestr(path.read_text(encoding="utf-8"))


# ---- Python --------------------------------------------------------------------------------------


def python(root: Path, debian: Iterable[Component]) -> Component:
    """Return the interpreter with its library.

    Args:
        root: the image's files.
        debian: its Debian packages, in some of which Python may have come.
    """
    stated = (root / PREFIX / "pyvenv.cfg").read_text()
    (version,) = re.findall(r"^version *= *([\w.+]+)", stated, re.MULTILINE)
    packages = [each.purl for each in debian if "python" in each.name]
    texts = sorted(str(p.relative_to(root)) for p in root.glob("usr/**/python3*/LICENSE.txt"))
    return Component(
        "python",
        version,
        f"pkg:generic/python@{version}",
        licences.PYTHON,
        tuple(texts),
        needs=tuple(packages),
        cpe=f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*",
    )


# ---- Python packages -----------------------------------------------------------------------------


def distributions(root: Path) -> list[Component]:
    """Return the Python packages."""
    sums = sums_of_wheels(root / SUMS)
    folders = sorted((root / PREFIX).glob("lib/python3*/site-packages/*.dist-info"))
    metadata = {folder: fields(folder / "METADATA") for folder in folders}
    purls = {normalized(str(m["Name"])): purl_of(m) for m in metadata.values()}
    found = []
    for folder, stated in metadata.items():
        name = normalized(str(stated["Name"]))
        licence = licences.of_distribution(
            name,
            stated["License-Expression"],
            stated["License"],
            stated.get_all("Classifier") or [],
        )
        texts = [p for p in folder.rglob("*") if p.is_file() and TEXT_OF_A_LICENCE.search(p.name)]
        found.append(
            Component(
                str(stated["Name"]),
                str(stated["Version"]),
                purl_of(stated),
                licence,
                tuple(sorted(str(path.relative_to(root)) for path in texts)),
                sums.get((name, str(stated["Version"]))),
                needed(stated.get_all("Requires-Dist") or [], purls),
            )
        )
    return found


def purl_of(metadata: Message) -> str:
    """Return a distribution's package URL."""
    return f"pkg:pypi/{normalized(str(metadata['Name']))}@{quote(str(metadata['Version']))}"


def needed(requirements: Iterable[str], purls: dict[str, str]) -> tuple[str, ...]:
    """Return which packages of an image another one requires.

    Requirements of extras are left out. Other markers are not looked at: what they exclude is not
    in the image, unless another package brings it.

    Args:
        requirements: of its metadata, as ``urllib3 (>=1.25); python_version < "3.10"``.
        purls: of all packages in the image, by normalized name.
    """
    plain = [each for each in requirements if not re.search(r";.*\bextra\b", each)]
    names = [normalized(match[0]) for each in plain if (match := re.match(r"[\w.-]+", each))]
    return tuple(sorted({purls[name] for name in names if name in purls}))


def sums_of_wheels(path: Path) -> dict[tuple[str, str], str]:
    """Return the SHA-256 of the wheels that were installed, by normalized name and version."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        digest, wheel = line.split()
        name, version, *_ = wheel.split("-")
        found[normalized(name), version] = digest
    return found


# ---- Debian packages -----------------------------------------------------------------------------


def debian_packages(root: Path) -> list[Component]:
    """Return the Debian packages of which something is in the image; none upon another base."""
    stated = [fields(path) for path in sorted((root / STATUS).glob("*"))]
    release = os_release(root)
    purls = {each["Package"]: debian_purl(each, release) for each in stated}
    found = []
    for each in stated:
        source = str(each["Source"] or each["Package"]).split()[0]
        text = f"usr/share/doc/{each['Package']}/copyright"
        depends = f"{each['Depends'] or ''},{each['Pre-Depends'] or ''}"
        names = {part.split()[0].partition(":")[0] for part in re.split(r"[,|]", depends) if part}
        found.append(
            Component(
                str(each["Package"]),
                str(each["Version"]),
                purls[each["Package"]],
                licences.of_debian(source),
                (text,) if (root / text).exists() else (),
                needs=tuple(sorted(purls[name] for name in names & set(purls))),
            )
        )
    return found


def debian_purl(package: Message, release: dict[str, str]) -> str:
    """Return a Debian package's URL, with what scanners need to look it up."""
    vendor, distribution = release.get("ID", "debian"), release.get("VERSION_ID", "")
    version = quote(str(package["Version"]), safe="")
    qualifiers = f"arch={package['Architecture']}"
    if distribution:
        qualifiers += f"&distro={vendor}-{distribution}"
    return f"pkg:deb/{vendor}/{quote(str(package['Package']))}@{version}?{qualifiers}"


def os_release(root: Path) -> dict[str, str]:
    """Return what the image says of its system; empty if it says nothing."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        path = root / name
        if path.is_file() and not path.is_symlink():
            pairs = (line.partition("=") for line in path.read_text().splitlines())
            return {key: value.strip('"') for key, _, value in pairs if value}
    return {}
