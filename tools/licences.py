"""Under which licence a package is, as an SPDX expression.

What a package's own metadata say goes first: an expression, else the text of the old field, else
the classifiers, if they are clear. ("BSD License" is not: there are several.) Where they say
nothing, tables say it that were made by reading the licence's text. What is in neither is unknown,
and the caller is told so: it is to be read and written down here.
"""

import re
from collections.abc import Sequence

IDENTIFIERS = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Unlicense", "Zlib"),
}
"""Of SPDX, as they may stand in the old field."""

OTHER_NAMES = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""In lower case, of the old field and of classifiers."""

PYTHON = "Python-2.0.1"
"""Python's own: the Foundation's licence, with those of its history."""

READ = {
    "dumb-init": "MIT",
    "jinja2": "BSD-3-Clause",
    "jsonlines": "BSD-3-Clause",
    "protoc-gen-openapiv2": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "s3fs": "BSD-3-Clause",
}
"""Of the distributions whose metadata say nothing clear, by normalized name."""

DEBIAN = {
    "base-files": "GPL-2.0-or-later",
    "bzip2": "bzip2-1.0.6",
    "ca-certificates": "MPL-2.0",  # what is taken of it, the certificates
    "expat": "MIT",
    "gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "libffi": "MIT",
    "libxcrypt": "LGPL-2.1-or-later",
    "openssl": "Apache-2.0",  # from 3.0 on
    "python": PYTHON,
    "python-defaults": PYTHON,
    "sqlite": "blessing",
    "util-linux": "BSD-3-Clause",  # libuuid, which is taken of it
    "xz-utils": "LicenseRef-public-domain OR 0BSD",  # before and from 5.6 on
    "zlib": "Zlib",
}
"""Of the libraries in Debian's packages, by their source without its version."""


def of_distribution(
    name: str, expression: str | None, text: str | None, classifiers: Sequence[str]
) -> str | None:
    """Return the licence of a Python package, None if it is unknown.

    Args:
        name: normalized.
        expression: the metadata's ``License-Expression``.
        text: its ``License``, which may be anything.
        classifiers: all of them.
    """
    if expression:
        return expression
    if found := identifier(text or ""):
        return found
    stated = {c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: ")}
    found_of = {identifier(each) for each in stated}
    if len(found_of) == 1 and (only := found_of.pop()):
        return only
    return READ.get(name)


def identifier(text: str) -> str | None:
    """Return the SPDX identifier of a licence's name, None if it is none that is known."""
    name = text.strip()
    return name if name in IDENTIFIERS else OTHER_NAMES.get(name.lower())


def of_debian(source: str) -> str | None:
    """Return the licence of what is taken of a Debian package, None if it is unknown.

    Args:
        source: the name of its source package, as ``python3.11`` or ``gcc-12``.
    """
    stem = re.sub(r"^(gcc|python|sqlite)-?\d[\d.]*", r"\1", source)
    return DEBIAN.get(stem)
